"""Progress: plain lines ten seconds apart, an honest rate, and a bar on a terminal only."""

import io
import re

import pytest
from typing_extensions import override

from saywhat.cli.audit import AuditTalk
from saywhat.cli.output import Output
from saywhat.cli.progress import Progress, SendingRate
from saywhat.evaluation.findings import finding
from saywhat.records import Attempt, Target


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.TextIOWrapper):
    """A stream that says that it is a terminal."""

    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding="utf-8", write_through=True)

    @override
    def isatty(self) -> bool:
        return True


def _output(*, quiet: bool = False) -> Output:
    return Output(as_json=False, quiet=quiet, verbose=False)


def test_plain_lines_come_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """100 steps of half a second are 50 s: lines at 10, 20, 30 and 40 s."""
    clock = Clock()
    with Progress(_output(), clock=clock) as progress:
        for step in range(100):
            progress.show("Asking", step, 100, "note")
            clock.now += 0.5
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"Asking {percent}% · note" for percent in (20, 40, 60, 80)]


def test_another_piece_of_work_of_the_same_title_begins_anew(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    with Progress(_output(), clock=clock) as progress:
        for _ in range(2):
            progress.another()
            for done in range(3):
                progress.show("Targets", done, 3)
                clock.now += 4
    assert capsys.readouterr().err == "", "8 s after it began, the second piece has nothing to say"


def test_a_bar_is_of_one_piece_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    with Progress(_output()) as progress:
        progress.show("Targets", 3, 3)
        progress.another()
        progress.show("Targets", 1, 3)
        (task,) = progress._bar.tasks if progress._bar else ()
        assert (task.completed, task.finished) == (1, False)


def test_each_audit_of_several_is_counted_anew(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress(_output(), clock=clock) as progress:
        talk = AuditTalk(_output(), progress)
        for plan in ("one", "two"):
            talk.begin(plan)
            clock.now += 60
            target = Target("hi", list="real", length="1-3")
            said = [Attempt("hi", "hello", 1, "hi", 1.0)]
            talk.target(finding(target, said, threshold=0.7), 1, 2)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" · 0 sent")[0] for line in lines] == [
        "one", "Asking 50% · 1 elicited", "two", "Asking 50% · 1 elicited",
    ]  # fmt: skip


def test_quiet_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with Progress(_output(quiet=True), clock=clock) as progress:
        for step in range(5):
            progress.show("Asking", step, 5)
            clock.now += 60
    assert capsys.readouterr().err == ""


def test_the_rate_counts_what_was_sent_here() -> None:
    clock = Clock()
    rate = SendingRate(clock=clock)
    assert str(rate) == "0 sent"
    rate.add(1500)
    clock.now += 10
    assert str(rate) == "1,500 sent · 150.0 queries/s"


def test_a_terminal_gets_a_bar_with_lines_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    output = _output()
    with Progress(output) as progress:
        progress.show("Asking", 1, 2, "[bold]note")
        output.talk("a line [red] \x1b[2J")
        progress.show("Epoch 1", 0.5, 1.0)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.bytes.getvalue().decode())
    assert "a line [red] <U+001B>[2J\n" in shown
    assert "[bold]note" in shown
    assert "Epoch 1" in shown


@pytest.mark.parametrize(("variable", "value"), [("CI", "true"), ("TERM", "dumb")])
def test_a_build_server_gets_plain_lines(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert _output().interactive
    monkeypatch.setenv(variable, value)
    assert not _output().interactive


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    console = _output().results()
    assert console.no_color
