"""The public names: lazy, sorted, the same for people and type checkers, in any order."""

import ast
import importlib
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import saywhat
from saywhat.chatbots.known import EchoChatbot

REFERENCE = "i love you\tcoffee\nhello there\thi\n"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> saywhat.AuditSettings:
    """Give settings of a cheap search, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ref.tsv").write_text(REFERENCE, encoding="utf-8")
    return saywhat.AuditSettings.model_validate({
        "reference": "ref.tsv", "similarity": {"name": "exact"}, "search": {"method": "random"},
    })  # fmt: skip


def test_all_is_sorted_and_every_name_is_there() -> None:
    assert saywhat.__all__ == sorted(saywhat.__all__)
    assert set(saywhat.__all__) <= set(dir(saywhat))
    for name in saywhat.__all__:
        assert not isinstance(getattr(saywhat, name), types.ModuleType), name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = saywhat.nonsense


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(saywhat.__file__ or "").read_text(encoding="utf-8"))
    [block] = [n for n in tree.body if isinstance(n, ast.If)]
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    homes = {name: f"saywhat.{home}" for name, home in vars(saywhat)["_HOMES"].items()}
    assert seen == homes
    assert set(homes) == set(saywhat.__all__)


def test_a_module_of_the_same_name_does_not_hide_the_function() -> None:
    importlib.import_module("saywhat.audit")
    assert callable(saywhat.audit)
    code = "import saywhat.audit; saywhat.elicit; raise SystemExit(not callable(saywhat.audit))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("chatbot", ["known:echo", EchoChatbot(), lambda query: query])
def test_elicit_takes_a_spec_an_object_or_a_function(
    chatbot: object, settings: saywhat.AuditSettings, tmp_path: Path
) -> None:
    found = saywhat.elicit(chatbot, "I love you", settings=settings, budget=2)  # type: ignore[arg-type]
    assert (found.outcome, found.query, found.asked) == ("elicited", "i love you", 2)
    assert len(os.listdir(tmp_path / "runs")) == 1  # noqa: PTH208


def test_elicit_changes_budget_and_method(settings: saywhat.AuditSettings) -> None:
    found = saywhat.elicit("known:echo", "hi", settings=settings, budget=1)
    assert (found.outcome, found.asked) == ("not_elicited", 1)
    found = saywhat.elicit("known:deaf", "coffee", settings=settings, method="retrieval")
    assert (found.asked, found.query) == (0, "i love you")


def test_elicit_refuses_an_empty_sentence() -> None:
    with pytest.raises(saywhat.SetupError, match="Expected a sentence"):
        saywhat.elicit("known:echo", "  ")
