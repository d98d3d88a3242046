"""Parts: each done once, whole or not at all, by one process at a time."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from saywhat.errors import SetupError
from saywhat.experiment.parts import SCHEMA, Parts

PATIENCE = 60.0
SETTINGS = {"train": {"steps": 3, "seeds": (1, 2)}, "name": "x"}
WORKER = """
import sys, time
from pathlib import Path
from saywhat.experiment.parts import Parts

folder, what = Path(sys.argv[1]), sys.argv[2]
parts = Parts(folder)

def make():
    (folder / f"{what}.began").touch()
    while what == "holds" and not (folder / "go").exists():
        time.sleep(0.01)
    while what == "dies":
        time.sleep(0.01)
    return {"by": what}

print(parts.do("a/part", {}, make)["by"])
"""


class Clock:
    """Shows what it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def never() -> dict[str, Any]:
    raise AssertionError("the part was done again")


def raising(error: BaseException, clock: Clock, seconds: float) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        clock.now += seconds
        raise error

    return make


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.01)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Give what starts a process that does ``a/part``; none outlives the test."""
    begun: list[subprocess.Popen[str]] = []

    def start(what: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORKER, str(tmp_path), what]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def test_a_part_is_done_once_and_reads_back_as_it_was_given(tmp_path: Path) -> None:
    first = Parts(tmp_path).do("kind/one", SETTINGS, lambda: {"pair": (1, 2), "none": None})
    assert first == {"pair": [1, 2], "none": None}, "given as its file gives it"
    again = Parts(tmp_path)
    assert again.do("kind/one", SETTINGS, never) == first == again.outcome("kind/one")
    record = again.record("kind/one")
    assert record is not None
    assert (record["schema"], record["part"]) == (SCHEMA, "kind/one")
    assert set(record) == {
        "schema", "part", "seconds", "commit", "dirty", "hardware", "packages", "date", "settings",
        "outcome",
    }  # fmt: skip
    again.check("kind/one", SETTINGS)  # a tuple is no other list
    assert again.outcome("kind/two") is None
    again.check("kind/two", {"what": "ever"})


def test_seconds_add_up_over_interruptions(tmp_path: Path) -> None:
    clock = Clock()
    parts = Parts(tmp_path, clock=clock)
    for error, seconds in ((KeyboardInterrupt(), 7.0), (RuntimeError(), 2.5)):
        with pytest.raises(type(error)):
            parts.do("one", {}, raising(error, clock, seconds))
        assert parts.outcome("one") is None
        clock.now += 1000  # nobody works meanwhile

    def make() -> dict[str, Any]:
        clock.now += 4
        return {}

    parts.do("one", {}, make)
    parts.do("two", {}, dict)
    record, other = parts.record("one"), parts.record("two")
    assert record is not None
    assert other is not None
    assert (record["seconds"], other["seconds"]) == (7.0 + 2.5 + 4.0, 0.0)
    assert not list(tmp_path.glob("**/*.seconds"))


@pytest.mark.parametrize(
    "text",
    [
        "", '{"schema":1,', "[1]", "null", '{"schema":2,"seconds":1,"settings":{},"outcome":{}}',
        '{"schema":1,"part":"one","seconds":1,"outcome":{}}',
        '{"schema":1,"part":"one","seconds":1,"settings":{}}',
        '{"schema":1,"part":"two","seconds":1,"settings":{},"outcome":{}}',
    ],
    ids=["empty", "cut", "list", "null", "schema", "no settings", "no outcome", "another's"],
)  # fmt: skip
def test_a_damaged_or_foreign_file_is_refused_by_name_and_kept(tmp_path: Path, text: str) -> None:
    file = tmp_path / "one.json"
    file.write_text(text, encoding="utf-8")
    parts = Parts(tmp_path)
    for use in (
        lambda: parts.outcome("one"),
        lambda: parts.check("one", {}),
        lambda: parts.do("one", {}, never),
    ):
        with pytest.raises(SetupError, match=r"one\.json.*remove it"):
            use()
    assert file.read_text(encoding="utf-8") == text


def test_bytes_that_are_no_text_are_refused_too(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SetupError, match=r"one\.json cannot be read"):
        Parts(tmp_path).outcome("one")


def test_other_settings_are_named_by_their_dotted_keys(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    parts.do("one", {"a": {"b": {"c": 1, "d": 2}}, "gone": 1, "same": [1]}, dict)
    with pytest.raises(SetupError) as caught:
        parts.check("one", {"a": {"b": {"c": 1, "d": 3}}, "new": 1, "same": [1]})
    assert "other settings of a.b.d, gone, new;" in str(caught.value)
    assert "one.json" in str(caught.value)
    with pytest.raises(SetupError, match=r"other settings of a\.b;"):
        parts.check("one", {"a": {"b": None}, "gone": 1, "same": [1]})


@pytest.mark.parametrize(
    "outcome", [{"x": float("nan")}, {"x": [float("inf")]}, {"x": {1}}, {"x": b"bytes"}]
)
def test_what_is_no_json_is_refused_and_nothing_is_written(
    tmp_path: Path, outcome: dict[str, Any]
) -> None:
    parts = Parts(tmp_path)
    with pytest.raises(ValueError, match="the part deep/one"):
        parts.do("deep/one", {}, lambda: outcome)
    assert parts.names() == []
    assert not (tmp_path / "deep").exists()
    assert parts.do("deep/one", {}, lambda: {"x": 1}) == {"x": 1}


def test_names_are_those_of_finished_parts_alone(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "new")
    assert parts.names() == []
    parts.do("b/deep/two", {}, dict)
    parts.do("a/v1.5", {}, dict)
    with pytest.raises(RuntimeError):
        parts.do("c", {}, raising(RuntimeError(), Clock(), 1.0))
    hidden = tmp_path / "new" / ".unfinished" / "odd.json"
    hidden.write_text("{}", encoding="utf-8")
    assert parts.names() == ["a/v1.5", "b/deep/two"]
    assert [parts.outcome(name) for name in parts.names()] == [{}, {}]


def test_a_second_process_waits_and_finds_the_part_finished(
    tmp_path: Path, work: Callable[[str], subprocess.Popen[str]]
) -> None:
    first, parts = work("holds"), Parts(tmp_path)
    until((tmp_path / "holds.began").exists)
    assert parts.is_taken("a/part")
    second = work("waits")
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(1.0)
    (tmp_path / "go").touch()
    for process in (first, second):
        said, _ = process.communicate(timeout=PATIENCE)
        assert (process.returncode, said) == (0, "holds\n")
    assert not (tmp_path / "waits.began").exists()
    assert not parts.is_taken("a/part")
    assert not parts.is_taken("a/part that nobody began")


def test_a_killed_part_leaves_nothing_half_written_and_is_done_again(
    tmp_path: Path, work: Callable[[str], subprocess.Popen[str]]
) -> None:
    process, parts = work("dies"), Parts(tmp_path)
    until((tmp_path / "dies.began").exists)
    process.kill()
    assert process.wait(PATIENCE) == -signal.SIGKILL
    assert parts.names() == []
    assert not parts.is_taken("a/part"), "the lock ends with its process"
    # the worst moment to die: the file is written, but not yet in its place
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".part.json.k1ll3d.tmp").write_text('{"schema":1', encoding="utf-8")
    assert parts.do("a/part", {}, lambda: {"by": "another"}) == {"by": "another"}
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["part.json"]
    assert json.loads((tmp_path / "a" / "part.json").read_text())["outcome"] == {"by": "another"}


def test_a_place_where_no_parts_can_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    parts = Parts(tmp_path / "file" / "parts")
    assert parts.outcome("a/part") is None
    assert not parts.is_taken("a/part")
    with pytest.raises(SetupError, match=r"Cannot keep parts in .*: Not a directory\. Choose"):
        parts.do("a/part", {}, never)
