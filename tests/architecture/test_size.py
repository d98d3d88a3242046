"""No module grows past 400 lines and no function past 60: the tail is where code stops being read."""

import ast
from pathlib import Path

SOURCES = sorted(Path(__file__).parents[2].joinpath("src/saywhat").rglob("*.py"))
MODULE_LINES = 400
FUNCTION_LINES = 60


def test_modules_are_short() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert len(lines) > 20, "the sources were not found"
    assert {str(path): n for path, n in lines.items() if n > MODULE_LINES} == {}


def test_functions_are_short() -> None:
    long = {
        f"{path}:{node.lineno} {node.name}": length
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    }
    assert long == {}
