"""Exit codes, one-line errors, interruptions, and the command that goes on."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from saywhat.cli import run
from saywhat.cli.exits import guarded
from saywhat.cli.output import Output
from saywhat.errors import BudgetError, ChatbotError, CorpusError, InconclusiveError, SayWhatError

PLACES = ["--targets", "targets.txt", "--reference", "ref.tsv"]
AUDIT = ["audit", *PLACES, "--method", "random", "--similarity", "exact", "--budget", "4"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with 12 targets and 40 posts, without settings outside it."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SAYWHAT_")]:
        monkeypatch.delenv(name)
    Path("targets.txt").write_text("".join(f"target {n}\n" for n in range(12)), encoding="utf-8")
    Path("ref.tsv").write_text("".join(f"post {n}\tanswer\n" for n in range(40)), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CorpusError("bad"), 2),
        (InconclusiveError("bad"), 4),
        (BudgetError("total", 5.0), 4),
        (ChatbotError("bad", query="q"), 4),
        (SayWhatError("bad"), 1),
    ],
)
def test_each_error_has_its_code_and_one_line(
    error: SayWhatError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def body() -> None:
        raise error

    assert guarded(body, Output(as_json=False, quiet=True, verbose=False)) == code
    assert capsys.readouterr().err == f"error: {error}\n"


def test_what_is_not_ours_keeps_its_traceback() -> None:
    def body() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        guarded(body, Output(as_json=False, quiet=True, verbose=False))


def test_a_gone_reader_is_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "saywhat", "list"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit", "--nonsense"],
        ["nonsense"],
        ["elicit"],
        ["audit", "--chatbot", "nonsense", "--similarity", "exact"],
        ["audit", "--budget", "many"],
        [*AUDIT, "--method", "nonsense"],
        [*AUDIT, "--targets", "absent.txt"],
        [*AUDIT, "--chatbot", "python:absent.py:reply"],
        ["elicit", " ", "--chatbot", "known:echo"],
    ],
)
def test_usage_and_set_up_are_2_and_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert len(said.err.splitlines()) == 1


def test_no_verb_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "Commands:" in capsys.readouterr().err


def test_nothing_measured_is_4_and_json_stays_empty(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bot.py").write_text("def reply(q):\n    raise OSError('down')\n", encoding="utf-8")
    arguments = [*AUDIT, "--chatbot", "python:bot.py:reply", "--json"]
    assert run([*arguments, "--set", "limits.breaker=1000"]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert "None of the 12 targets could be measured" in said.err


def test_a_chatbot_that_keeps_failing_is_4_with_the_command_that_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It answers 5 queries, then fails: ten failures in a row are enough; 48 would be asked."""
    code = "import pathlib\ndef reply(q):\n"
    code += "    with open('log', 'a') as f: f.write('x')\n"
    code += "    if len(pathlib.Path('log').read_text()) > 5: raise OSError('down')\n    return q\n"
    Path("bot.py").write_text(code, encoding="utf-8")
    arguments = [*AUDIT, "--chatbot", "python:bot.py:reply"]
    assert run([*arguments, "--json"]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert "failed 10 times in a row" in said.err
    assert f"goes on from there:\n  saywhat {shlex.join(arguments)}" in said.err
    assert len(Path("log").read_text(encoding="utf-8")) == 15
    [folder] = Path("runs").iterdir()
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert (summary["status"], summary["queries"]["sent"]) == ("partial", 15)
    Path("log").unlink()
    Path("bot.py").write_text(code.replace("> 5", "> 500"), encoding="utf-8")
    assert run(arguments) == 2  # its code has changed: half of each would be neither's result
    assert "was begun with a chatbot that has changed" in capsys.readouterr().err


def test_a_limit_leaves_a_valid_partial_result(capsys: pytest.CaptureFixture[str]) -> None:
    """Of 12 targets with 4 queries each, one a batch, 10 queries answer at least two."""
    options = ["--chatbot", "known:deaf", "--max-queries", "10", "--set", "search.batch_targets=1"]
    assert run([*AUDIT, *options, "--json"]) == 0
    said = capsys.readouterr()
    summary = json.loads(said.out)
    assert summary["status"] == "partial"
    assert summary["queries"]["sent"] == 10
    assert 2 <= summary["measured"] < 12


def test_a_limit_that_stops_a_training_is_4_with_the_command_that_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    talk = json.dumps([f"word {n}" for n in range(20)])
    Path("a b.jsonl").write_text(f"{talk}\n" * 200, encoding="utf-8")
    arguments = ["train", "--chatbot", "known:echo", "--corpus", "a b.jsonl", "--out", "work",
                 "--max-queries", "3", "--similarity", "exact"]  # fmt: skip
    assert run(arguments) == 4
    *_, last = capsys.readouterr().err.splitlines()
    assert shlex.split(last.strip()) == ["saywhat", *arguments]


INTERRUPTED_ONCE = """
import pathlib
asked = 0
def reply(query):
    global asked
    asked += 1
    if asked == 30 and not pathlib.Path("go").exists():
        pathlib.Path("go").touch()
        raise KeyboardInterrupt
    return query.replace("post", "target")
"""


def test_the_printed_command_resumes_an_interrupted_run(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a bot.py").write_text(INTERRUPTED_ONCE, encoding="utf-8")
    arguments = [
        *AUDIT,
        "--chatbot",
        "python:a bot.py:reply",
        "--set",
        "search.batch_targets=1",
        "--json",
    ]
    assert run(arguments) == 130
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[-2].startswith("Interrupted.")
    [interrupted] = Path("runs").iterdir()
    assert json.loads((interrupted / "run.json").read_text(encoding="utf-8"))["status"] == "partial"
    again = shlex.split(lines[-1].strip())
    assert again == ["saywhat", *arguments]
    assert run(again[1:]) == 0
    resumed = json.loads(capsys.readouterr().out)
    assert Path(resumed["folder"]) == interrupted
    assert run([*arguments, "--out", "whole"]) == 0
    whole = json.loads(capsys.readouterr().out)
    same = [key for key in whole if key not in {"folder", "report", "queries"}]
    assert {key: resumed[key] for key in same} == {key: whole[key] for key in same}
    assert resumed["queries"]["asked"] == whole["queries"]["asked"]
    findings = (interrupted / "findings.jsonl").read_text(encoding="utf-8")
    assert findings == Path("whole/findings.jsonl").read_text(encoding="utf-8")


def test_sigterm_is_an_interruption_that_saves() -> None:
    Path("bot.py").write_text(
        "import pathlib, time\n"
        "def reply(query):\n"
        "    pathlib.Path('asked').touch()\n"
        "    time.sleep(60)\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "saywhat", *AUDIT, "--chatbot", "python:bot.py:reply"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        while not Path("asked").exists() and process.poll() is None:
            pass
        process.send_signal(signal.SIGTERM)
        out, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == ""
    assert said.splitlines()[-1].strip().startswith("saywhat audit --targets targets.txt")
    [folder] = Path("runs").iterdir()
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["status"] == "partial"
