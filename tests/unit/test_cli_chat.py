"""Small talk: from a pipe, with failures, counted, and with replies that attack the terminal."""

import io
import json
import os
import tempfile
from pathlib import Path

import pytest

from saywhat.cli import run

HOSTILE = """
import itertools
numbers = itertools.count(1)

def reply(query):
    if query == "fail":
        raise OSError("down")
    return "\\x1b[2J\\u202e" + query + "\\nsecond line [red]"

def count(query):
    return str(next(numbers))
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
    assert said.err == "3 asked, 3 sent\n"


def test_quit_ends_the_talk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _pipe(monkeypatch, b"hi\n/quit\nyou\n")
    assert run(["chat", "--chatbot", "known:echo", "-q"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("hi\n", "")


def test_the_same_query_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _pipe(monkeypatch, b"hi\nhi\nyou\nhi\n")
    assert run(["chat", "--chatbot", "python:bot.py:count"]) == 0
    said = capsys.readouterr()
    assert said.out == "1\n2\n3\n4\n"
    assert said.err == "4 asked, 4 sent\n"


def test_limits_hold_and_nothing_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    Path("temporary").mkdir()
    _pipe(monkeypatch, b"hi\nyou\nthere\n")
    assert run(["chat", "--chatbot", "known:echo", "--set", "limits.queries=2"]) == 4
    said = capsys.readouterr()
    assert said.out == "hi\nyou\n"
    assert said.err == "2 asked, 2 sent\nerror: The total budget of 2 is used up.\n"
    assert list(Path("temporary").iterdir()) == []


def test_hostile_replies_and_failures_are_harmless(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failing query is tried three times, as the settings say, and each try is counted."""
    _pipe(monkeypatch, b"fail\nhi \xff\n")
    assert run(["chat", "--chatbot", "python:bot.py:reply"]) == 0
    said = capsys.readouterr()
    assert said.out == "<U+001B>[2J<U+202E>hi \ufffd<U+000A>second line [red]\n"
    assert said.err == ("error: reply() raised OSError: down (query: 'fail')\n2 asked, 4 sent\n")


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


def test_what_was_said_before_a_limit_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _pipe(monkeypatch, b"hi\nyou\n")
    call = ["chat", "--chatbot", "known:echo", "--json", "--set", "limits.queries=1"]
    assert run(call) == 4
    assert json.loads(capsys.readouterr().out) == [{"query": "hi", "reply": "hi", "error": ""}]
