"""Small talk: from a pipe, with failures, and with a chatbot whose replies attack the terminal."""

import io
import json
import os
from pathlib import Path

import pytest

from saywhat.cli import run

HOSTILE = """
def reply(query):
    if query == "fail":
        raise OSError("down")
    return "\\x1b[2J\\u202e" + query + "\\nsecond line [red]"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with a hostile chatbot, without settings outside it."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SAYWHAT_")]:
        monkeypatch.delenv(name)
    Path("bot.py").write_text(HOSTILE, encoding="utf-8")


def _pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def test_a_pipe_gives_one_reply_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _pipe(monkeypatch, b"hi\n\n how are you \nlast")
    assert run(["chat", "--chatbot", "known:echo"]) == 0
    said = capsys.readouterr()
    assert said.out == "hi\nhow are you\nlast\n"
    assert said.err == ""


def test_quit_ends_the_talk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _pipe(monkeypatch, b"hi\n/quit\nyou\n")
    assert run(["chat", "--chatbot", "known:echo"]) == 0
    assert capsys.readouterr().out == "hi\n"


def test_hostile_replies_and_failures_are_harmless(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _pipe(monkeypatch, b"fail\nhi \xff\n")
    assert run(["chat", "--chatbot", "python:bot.py:reply"]) == 0
    said = capsys.readouterr()
    assert said.out == "<U+001B>[2J<U+202E>hi \ufffd<U+000A>second line [red]\n"
    assert said.err == "error: reply() raised OSError: down (query: 'fail')\n"


def test_json_is_one_document_of_pure_ascii(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _pipe(monkeypatch, b"fail\nhi\n")
    assert run(["chat", "--chatbot", "python:bot.py:reply", "--json"]) == 0
    out = capsys.readouterr().out
    assert out.isascii()
    assert "\x1b" not in out
    failed, answered = json.loads(out)
    assert (failed["reply"], answered["error"]) == (None, "")
    assert answered["reply"] == "\x1b[2J\u202ehi\nsecond line [red]"
