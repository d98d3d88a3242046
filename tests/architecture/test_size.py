"""No module grows past 400 lines, no function past 60: the tail is where code stops being read."""

import ast
from pathlib import Path

SOURCES = sorted(Path(__file__).parents[2].joinpath("src/saywhat").rglob("*.py"))
MODULE_LINES = 400
FUNCTION_LINES = 60


def test_modules_are_short() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert len(lines) > 20, "the sources were not found"
    assert {str(path): n for path, n in lines.items() if n > MODULE_LINES} == {}


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's lines, its docstring not counted: nobody is punished for explaining."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_functions_are_short() -> None:
    long = {
        f"{path}:{node.lineno} {node.name}": length
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := code_lines(node)) > FUNCTION_LINES
    }
    assert long == {}
