"""What is made for a run is closed after it; what was made elsewhere is left alone."""

import contextlib
import importlib
from collections.abc import Sequence
from pathlib import Path

import pytest

import saywhat
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.registry import open_chatbot

registry = importlib.import_module("saywhat.registry")


class Held:
    """An echo that counts how often it was closed."""

    name, fingerprint = "held", "held-1"

    def __init__(self) -> None:
        self.closed = 0

    def reply(self, queries: Sequence[str]) -> list[str]:
        return list(queries)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    """A chatbot that the spec ``held`` makes."""
    chatbot, make = Held(), registry.load_chatbot
    monkeypatch.setattr(
        registry, "load_chatbot", lambda spec, **k: chatbot if spec == "held" else make(spec, **k)
    )
    return chatbot


def test_what_was_made_is_closed_also_after_an_error(held: Held) -> None:
    settings = {"connection": ConnectionSettings(), "model": ModelSettings()}
    with contextlib.suppress(ZeroDivisionError), open_chatbot("held", **settings):
        assert held.closed == 0
        raise ZeroDivisionError
    assert held.closed == 1
    with open_chatbot(held, **settings) as same:
        assert same is held
    assert held.closed == 1  # its maker closes it


def test_a_sentence_and_an_audit_close_what_they_made(
    held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ref.tsv").write_text("i love you\tcoffee\nhello there\thi\n", encoding="utf-8")
    settings = saywhat.AuditSettings.model_validate({
        "chatbot": "held", "reference": "ref.tsv", "similarity": {"name": "exact"},
        "search": {"method": "random", "budget": 2}, "targets": "text:coffee",
    })  # fmt: skip
    saywhat.elicit("held", "coffee", settings=settings)
    assert held.closed == 1
    saywhat.audit(settings, out=tmp_path / "run")
    assert held.closed == 2
    saywhat.elicit(held, "coffee", settings=settings)
    assert held.closed == 2
