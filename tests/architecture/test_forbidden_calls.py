"""What the sources may not contain: code from data, pickles, and output from the library."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "saywhat"
MODULES = frozenset(
    {
        "pickle",
        "cPickle",
        "_pickle",
        "dill",
        "cloudpickle",
        "joblib",
        "marshal",
        "shelve",
        "sqlitedict",
    }
)
CALLS = frozenset({
    "eval", "exec", "compile", "__import__", "torch.save",
    "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "os.system", "os.popen",
})  # fmt: skip


def offences(source: str, *, may_print: bool) -> Iterator[str]:
    """Name each forbidden import or call of a source text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            names = [alias.name for alias in node.names]
            imported = [module] if module and names != ["UnpicklingError"] else names
            bad = [name for name in imported if name.split(".")[0] in MODULES]
            yield from (f"line {node.lineno}: import {name}" for name in bad)
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in CALLS or (name == "print" and not may_print):
            yield f"line {node.lineno}: {name}(...)"
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if name == "np.load" and options.get("allow_pickle") != "False":
            yield f"line {node.lineno}: np.load without allow_pickle=False"
        if name == "torch.load" and options.get("weights_only") != "True":
            yield f"line {node.lineno}: torch.load without weights_only=True"
        if options.get("shell") == "True":
            yield f"line {node.lineno}: a shell"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from dill import loads", "eval('1')", "torch.load(p)",
        "torch.load(p, weights_only=False)", "torch.load(p, weights_only=w)",
        "from pickle import UnpicklingError, loads",
        "yaml.load(f, L)", "print(1)", "np.load(p)", "np.load(p, allow_pickle=True)",
        "subprocess.run(c, shell=True)",
    ],
)  # fmt: skip
def test_the_check_finds_what_it_looks_for(source: str) -> None:
    assert list(offences(source, may_print=False))


def test_the_check_lets_ordinary_code_pass() -> None:
    source = (
        "model.eval()\nyaml.safe_load(f)\nnp.load(p, allow_pickle=False)\nre.compile('x')"
        "\ntorch.load(p, weights_only=True)\nfrom pickle import UnpicklingError"
    )
    assert list(offences(source, may_print=False)) == []


def test_sources_hold_nothing_forbidden() -> None:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        bad = list(offences(path.read_text(encoding="utf-8"), may_print=inside.parts[0] == "cli"))
        if bad:
            found[str(inside)] = bad
    assert found == {}
