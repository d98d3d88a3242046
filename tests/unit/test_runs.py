"""Run folders: resume, refusal, the lock, torn logs, modes, one-step writes and provenance."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from saywhat.errors import CorpusError, SetupError
from saywhat.records import Attempt, Finding, read_jsonl
from saywhat.runs import AttemptLog, RunFolder, command_line, provenance, settings_hash

SETTINGS = {"search": {"method": "beam", "budget": 50}, "similarity": {"threshold": 0.7}}


def _clock(start: str = "2026-11-22T10:31:08+00:00") -> Callable[[], datetime]:
    return lambda: datetime.fromisoformat(start)


def _attempt(target: str, nth: int, reply: str | None = "ok") -> Attempt:
    return Attempt(target=target, query=f"{target}?{nth}", nth=nth, reply=reply, similarity=0.5)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start Python with this code and wait until it is ready; it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


HOLD = f"""
import sys; from pathlib import Path
from saywhat.records import Attempt
from saywhat.runs import RunFolder
folder = RunFolder.open_or_resume(Path(sys.argv[1]), "demo", {SETTINGS!r}, seed=1)
log = folder.attempts()
log.append([Attempt("a", "a?", 1, "ok", 0.5)])
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_new_folder_is_named_by_time_name_and_settings(tmp_path: Path) -> None:
    with RunFolder.open_or_resume(tmp_path, "demo", SETTINGS, seed=7, clock=_clock()) as folder:
        assert folder.path.name == f"2026-11-22T10-31-08-demo-{settings_hash(SETTINGS)}"
        assert not folder.resumed
    run = json.loads((folder.path / "run.json").read_text())
    assert run["status"] == "running"
    assert run["seeds"] == {"run": 7}
    assert run["created"] == "2026-11-22T10:31:08+00:00"
    assert yaml.safe_load((folder.path / "config.yaml").read_text()) == SETTINGS


def test_the_hash_ignores_the_order_of_keys_and_nothing_else() -> None:
    reordered = {key: SETTINGS[key] for key in reversed(SETTINGS)}
    assert settings_hash(reordered) == settings_hash(SETTINGS)
    assert settings_hash({**SETTINGS, "similarity": {"threshold": 0.8}}) != settings_hash(SETTINGS)
    # echo -n '{"a":1}' | sha256sum
    assert settings_hash({"a": 1}) == "015abd7f"


@pytest.mark.parametrize("status", ["running", "partial", "failed"])
def test_the_same_command_resumes_an_unfinished_run(tmp_path: Path, status: str) -> None:
    with RunFolder.open_or_resume(tmp_path, "demo", SETTINGS, seed=1) as first:
        first.annotate(status=status)
    with RunFolder.open_or_resume(tmp_path, "demo", SETTINGS, seed=1) as second:
        assert second.path == first.path
        assert second.resumed
        assert second.status == "running"
        assert len(second.run["resumed"]) == 1
        assert second.run["created"] == first.run["created"]


def test_a_finished_run_is_not_touched(tmp_path: Path) -> None:
    with RunFolder.open_or_resume(tmp_path, "demo", SETTINGS, seed=1, clock=_clock()) as first:
        first.finish("complete")
    before = (first.path / "run.json").read_bytes()
    # The same second: the folder's name is taken.
    with RunFolder.open_or_resume(tmp_path, "demo", SETTINGS, seed=1, clock=_clock()) as second:
        assert second.path.name == f"{first.path.name}-2"
        assert not second.resumed
    assert (first.path / "run.json").read_bytes() == before
    with RunFolder.at(first.path, "demo", SETTINGS, seed=1) as third:
        assert third.status == "complete"
    assert (first.path / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "settings", "seed"),
    [("other", SETTINGS, 1), ("demo", {**SETTINGS, "limit": 5}, 1), ("demo", SETTINGS, 2)],
)
def test_another_name_setting_or_seed_is_another_run(
    tmp_path: Path, name: str, settings: dict[str, object], seed: int
) -> None:
    with RunFolder.open_or_resume(tmp_path, "demo", SETTINGS, seed=1, clock=_clock()) as first:
        pass
    later = _clock("2026-11-22T10:31:09+00:00")
    with RunFolder.open_or_resume(tmp_path, name, settings, seed=seed, clock=later) as second:
        assert not second.resumed
        assert second.path != first.path


def test_a_name_that_ends_like_another_is_not_taken_for_it(tmp_path: Path) -> None:
    with RunFolder.open_or_resume(tmp_path, "big-demo", SETTINGS, seed=1):
        pass
    with RunFolder.open_or_resume(tmp_path, "demo", SETTINGS, seed=1) as folder:
        assert not folder.resumed


def test_the_newest_unfinished_run_is_resumed(tmp_path: Path) -> None:
    start = datetime(2026, 11, 22, tzinfo=UTC)
    paths = []
    for day in range(2):  # made in explicit folders, as open_or_resume would resume the first
        path = tmp_path / f"{start + timedelta(days=day):%Y-%m-%d}-demo-{settings_hash(SETTINGS)}"
        with RunFolder.at(path, "demo", SETTINGS, seed=1):
            paths.append(path)
    with RunFolder.open_or_resume(tmp_path, "demo", SETTINGS, seed=1) as folder:
        assert folder.path == paths[1]


def test_an_explicit_folder_resumes_or_names_the_differing_keys(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with RunFolder.at(out, "demo", SETTINGS, seed=1) as first:
        assert not first.resumed
    with RunFolder.at(out, "demo", SETTINGS, seed=1) as second:
        assert second.resumed
    changed = {"search": {"method": "beam", "budget": 200}, "similarity": {"threshold": 0.7}}
    with pytest.raises(SetupError) as caught:
        RunFolder.at(out, "demo", changed, seed=2)
    message = str(caught.value)
    assert "search.budget (was 50, now 200)" in message
    assert "seed of the run (was 1, now 2)" in message
    assert "threshold" not in message
    assert "method" not in message
    with RunFolder.at(out, "demo", SETTINGS, seed=1):  # the refusal gave the lock back
        pass


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(SetupError, match=r"thesis\.tex"):
        RunFolder.at(tmp_path, "demo", SETTINGS, seed=1)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(SetupError, match="Cannot make"):
        RunFolder.at(tmp_path / "thesis.tex", "demo", SETTINGS, seed=1)


def test_a_crash_before_run_json_leaves_a_usable_folder(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / "config.yaml").write_text("search: {}\n")
    (tmp_path / ".run.json.abc.tmp").write_text("{")
    with RunFolder.at(tmp_path, "demo", SETTINGS, seed=1) as folder:
        assert not folder.resumed


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 99}'])
def test_an_unreadable_run_json_is_refused_and_never_resumed(tmp_path: Path, text: str) -> None:
    out = tmp_path / f"2026-demo-{settings_hash(SETTINGS)}"
    out.mkdir()
    (out / "run.json").write_text(text)
    with pytest.raises(SetupError, match=r"run\.json"):
        RunFolder.at(out, "demo", SETTINGS, seed=1)
    with RunFolder.open_or_resume(tmp_path, "demo", SETTINGS, seed=1) as folder:
        assert folder.path != out


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "x" * 65, "a b", "a\nb", "ü*"])
def test_hostile_names_never_become_paths(tmp_path: Path, name: str) -> None:
    with pytest.raises(SetupError, match="run name"):
        RunFolder.open_or_resume(tmp_path, name, SETTINGS, seed=1)
    assert list(tmp_path.iterdir()) == []


def test_a_second_process_is_refused_with_the_owners_number(
    tmp_path: Path, child: Callable[[str], subprocess.Popen[str]]
) -> None:
    owner = child(HOLD)
    with pytest.raises(SetupError, match=f"process {owner.pid}"):
        RunFolder.open_or_resume(tmp_path, "demo", SETTINGS, seed=1)
    (held,) = tmp_path.iterdir()
    with pytest.raises(SetupError, match=f"process {owner.pid}"):
        RunFolder.at(held, "demo", SETTINGS, seed=1)


def test_kill_frees_the_lock_and_loses_no_attempt(
    tmp_path: Path, child: Callable[[str], subprocess.Popen[str]]
) -> None:
    owner = child(HOLD)
    owner.kill()
    owner.wait()
    with RunFolder.open_or_resume(tmp_path, "demo", SETTINGS, seed=1) as folder:
        assert folder.resumed
        with folder.attempts() as log:
            assert [attempt.query for attempt in log.recover()] == ["a?"]


def test_every_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with RunFolder.open_or_resume(tmp_path, "demo", SETTINGS, seed=1) as folder:
            folder.write_json("summary.json", {})
            folder.file("ledger.sqlite")
            folder.attempts().close()
            with RunFolder.at(tmp_path / "out", "demo", SETTINGS, seed=1) as other:
                pass
    finally:
        os.umask(before)
    assert _mode(folder.path) == _mode(other.path) == 0o700
    files = {file.name: _mode(file) for file in folder.path.iterdir()}
    names = {".lock", "attempts.jsonl", "config.yaml", "ledger.sqlite", "run.json", "summary.json"}
    assert files == dict.fromkeys(names, 0o600)


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with RunFolder.open_or_resume(tmp_path, "demo", SETTINGS, seed=1) as folder:
        folder.write_json("summary.json", {"old": True})
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space"):
                folder.write_json("summary.json", {"new": "x" * 100_000})
        assert json.loads((folder.path / "summary.json").read_text()) == {"old": True}
        assert not list(folder.path.glob(".*.tmp"))


def test_an_escaping_error_sets_the_status(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyError),
        RunFolder.at(tmp_path / "a", "demo", SETTINGS, seed=1, clock=_clock()) as failed,
    ):
        raise KeyError
    assert failed.run["status"] == "failed"
    assert failed.run["finished"] == "2026-11-22T10:31:08+00:00"
    with (
        pytest.raises(KeyboardInterrupt),
        RunFolder.at(tmp_path / "b", "demo", SETTINGS, seed=1) as interrupted,
    ):
        raise KeyboardInterrupt
    assert interrupted.run["status"] == "partial"


def test_hostile_text_survives_the_log_and_the_findings(tmp_path: Path) -> None:
    text = 'a\x00b\n\r\u2028\u202e\x1b[2J\ud800 "</script>" 😀' + "x" * 100_000
    attempt = Attempt(target=text, query=text, nth=1, reply=text, similarity=0.5)
    with AttemptLog(tmp_path / "attempts.jsonl") as log:
        log.append([attempt, attempt])
        assert log.recover() == [attempt, attempt]
    assert list(read_jsonl(Attempt, tmp_path / "attempts.jsonl")) == [attempt, attempt]
    found = Finding(
        target=text, list="custom", length="", group="custom", outcome="elicited", query=text,
        reply=text, similarity=1.0, exact=True, queries_to_first_success=1, asked=1, failed=0,
        echo=1.0, seen=False,
    )  # fmt: skip
    with RunFolder.at(tmp_path / "out", "demo", {"name": text}, seed=1) as folder:
        path = folder.write_jsonl("findings.jsonl", [found])
        assert list(read_jsonl(Finding, path)) == [found]
    with RunFolder.at(tmp_path / "out", "demo", {"name": text}, seed=1) as folder:
        assert folder.resumed


def test_a_log_torn_at_any_byte_recovers_whole_targets_only(tmp_path: Path) -> None:
    path = tmp_path / "attempts.jsonl"
    first, second = [_attempt("a", 1), _attempt("a", 2)], [_attempt("b", 1), _attempt("b", 2)]
    with AttemptLog(path) as log:
        log.append(first)
        whole_first = path.stat().st_size
        log.append(second)
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with AttemptLog(path) as log:
            assert log.recover() == (first if size >= whole_first else [])
            log.append(second)
            assert log.recover() == [*(first if size >= whole_first else []), *second]


def test_recovery_drops_last_targets_that_are_not_done(tmp_path: Path) -> None:
    failed = [_attempt("c", 1, reply=None)]
    with AttemptLog(tmp_path / "attempts.jsonl") as log:
        for block in ([_attempt("a", 1)], [_attempt("b", 1)], failed, failed):
            log.append(block)
        log.append([])

        def is_done(attempts: object) -> bool:
            return attempts != failed

        assert log.recover(is_done) == [_attempt("a", 1), _attempt("b", 1)]
        assert log.recover() == [_attempt("a", 1), _attempt("b", 1)]  # they left the file too
        assert log.recover(lambda attempts: False) == []
        assert (tmp_path / "attempts.jsonl").stat().st_size == 0


def test_a_block_is_of_one_target_and_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "attempts.jsonl"
    with AttemptLog(path) as log, pytest.raises(ValueError, match="2 targets"):
        log.append([_attempt("a", 1), _attempt("b", 1)])
    path.write_bytes(b'{"not": "an attempt"} \n')
    with AttemptLog(path) as log, pytest.raises(CorpusError, match="line 1"):
        log.recover()


def test_provenance_is_plain_and_complete() -> None:
    facts = provenance(device="cpu", clock=_clock())
    assert json.loads(json.dumps(facts)) == facts
    assert facts["date"] == "2026-11-22T10:31:08+00:00"
    assert facts["packages"]["numpy"]
    assert facts["python"] == sys.version.split()[0]
    assert (facts["commit"] is None) == (facts["dirty"] is None)


def test_the_commit_is_that_of_our_own_repository(tmp_path: Path) -> None:
    from saywhat.runs.provenance import _commit

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.invalid"]
        command = ["git", *identity, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    package = tmp_path / "saywhat"
    package.mkdir()
    (package / "__init__.py").touch()
    assert _commit(package) == (None, None)  # no repository
    git("init", "-q")
    (tmp_path / "theirs.txt").touch()
    git("add", "theirs.txt")
    git("commit", "-qm", "theirs")
    assert _commit(package) == (None, None)  # in a repository that does not track us
    git("add", "saywhat")
    git("commit", "-qm", "ours")
    assert _commit(package) == (git("rev-parse", "HEAD"), False)
    (package / "new.py").touch()
    assert _commit(package) == (git("rev-parse", "HEAD"), True)


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("chatbot.api_key=sk-12345", "'chatbot.api_key=***'"),
        ("chatbot.token=env:BOT_TOKEN", "chatbot.token=env:BOT_TOKEN"),
        ("decoding.max_tokens=20", "decoding.max_tokens=20"),
        ("http://u:p@host/chat", "'http://***@host/chat'"),
        ("Authorization: Bearer abc", "'Authorization: ***'"),
        ("say what", "'say what'"),
    ],
)
def test_the_command_line_keeps_no_credentials(word: str, shown: str) -> None:
    assert command_line(["saywhat", "audit", word]) == f"saywhat audit {shown}"


def test_other_limits_resume_the_run_and_other_settings_do_not(tmp_path: Path) -> None:
    before = {"budget": 5, "limits": {"queries": 10}, "connection": {"timeout": 60.0}}
    with RunFolder.open_or_resume(tmp_path, "demo", before, seed=1) as folder:
        folder.finish("partial")
    more = {"budget": 5, "limits": {"queries": 99}, "connection": {"timeout": 5.0}}
    with RunFolder.open_or_resume(tmp_path, "demo", more, seed=1) as again:
        assert (again.path, again.resumed) == (folder.path, True)
        assert "queries: 99" in (again.path / "config.yaml").read_text("utf-8")
    with RunFolder.open_or_resume(tmp_path, "demo", {**more, "budget": 6}, seed=1) as other:
        assert other.path != folder.path
