"""The ledger's file: resuming, ``kill -9`` at every stage, ownership, foreign and damaged files."""

import contextlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from saywhat.chatbots.known import CountingChatbot, EchoChatbot, FailingChatbot
from saywhat.errors import BudgetError, CheckpointError, SetupError
from saywhat.ledger import Answer, Counts, Ledger, Limits
from saywhat.ledger.file import is_new

BATCH = 4

# One run: six scopes of 10 queries that overlap by 3, asked in two calls each. Scope s asks for the
# numbers 7s .. 7s + 9, so that 0 .. 44 are unique: 45 of 60. The chatbot writes down each query
# that reaches it. The process kills itself in the batch number `dies_in`: before the chatbot
# replies, or after the ledger has stored its replies.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from saywhat.ledger import Ledger, Limits

folder, dies_in, when, pause, total = Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6]

class Slow:
    name, fingerprint, batches = "slow", "slow-1", 0
    def reply(self, queries):
        self.batches += 1
        with open(folder / "received.txt", "a") as log:
            log.writelines(query + "\\n" for query in queries)
        time.sleep(float(pause))
        self.die("before")
        return [query[::-1] for query in queries]
    def die(self, moment):
        if self.batches == dies_in and when == moment:
            os.kill(os.getpid(), signal.SIGKILL)

slow = Slow()
limits = Limits(total=int(total) if total != "none" else None)
with Ledger(folder / "ledger.sqlite", limits) as ledger:
    sent = lambda _: slow.die("after")
    chatbot = ledger.chatbot(slow, phase="search", batch_size=4, on_sent=sent)
    for scope in range(6):
        queries = [f"q{7 * scope + number}" for number in range(10)]
        for part in (queries[:5], queries[5:]):
            for answer in chatbot.ask(part, scope=f"t{scope}"):
                print(answer.query, answer.reply)
"""


def _run(
    folder: Path, *, dies_in: int = 0, when: str = "", total: str = "none"
) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(dies_in), when, "0", total],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _received(folder: Path) -> list[str]:
    return (folder / "received.txt").read_text().split()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("uninterrupted")
    result = _run(folder)
    assert (result.returncode, result.stderr) == (0, "")
    counts = Ledger.counts_of(folder / "ledger.sqlite")["search"]
    assert counts == Counts(asked=60, unique=45, sent=45)
    return result.stdout


@pytest.mark.parametrize("dies_in", [1, 4, 16])
@pytest.mark.parametrize("when", ["before", "after"])
def test_kill_9_and_resume_equal_an_uninterrupted_run(
    tmp_path: Path, uninterrupted: str, dies_in: int, when: str
) -> None:
    killed = _run(tmp_path, dies_in=dies_in, when=when)
    assert killed.returncode == -signal.SIGKILL
    first = _received(tmp_path)
    after_kill = Ledger.counts_of(tmp_path / "ledger.sqlite")["search"]
    resumed = _run(tmp_path)
    received = _received(tmp_path)
    counts = Ledger.counts_of(tmp_path / "ledger.sqlite")["search"]

    assert (resumed.returncode, resumed.stdout) == (0, uninterrupted)
    assert after_kill.sent == len(first)  # exact, also for what was in flight
    assert counts.sent == len(received)
    assert (counts.asked, counts.unique, counts.failed) == (60, 45, 0)
    twice = {query for query, times in Counter(received).items() if times > 1}
    # Killed in flight, that batch (the last ones received) is sent again; else nothing is.
    in_flight = set(first[-BATCH:]) if when == "before" else set()
    assert twice <= in_flight
    assert bool(twice) == (when == "before")


def test_kill_9_from_outside_at_any_moment(tmp_path: Path, uninterrupted: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), "0", "", "0.1", "none"],
        stdout=subprocess.DEVNULL,
    )
    log = tmp_path / "received.txt"
    while not log.exists() or len(_received(tmp_path)) < 3 * BATCH:
        assert child.poll() is None
        time.sleep(0.001)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    first = _received(tmp_path)
    assert len(first) < 45  # it was in the middle
    after_kill = Ledger.counts_of(tmp_path / "ledger.sqlite")["search"]

    resumed = _run(tmp_path)
    counts = Ledger.counts_of(tmp_path / "ledger.sqlite")["search"]
    # Never under-counted; a batch may be counted and not yet written down by the chatbot.
    assert len(first) <= after_kill.sent <= len(first) + BATCH
    assert resumed.stdout == uninterrupted
    assert (counts.asked, counts.unique) == (60, 45)
    twice = {query for query, times in Counter(_received(tmp_path)).items() if times > 1}
    assert twice <= set(first[-BATCH:])


def test_the_budget_holds_across_kill_9(tmp_path: Path) -> None:
    for dies_in in (2, 2, 2, 0):
        _run(tmp_path, dies_in=dies_in, when="before", total="20")
    assert len(_received(tmp_path)) == 20
    assert Ledger.counts_of(tmp_path / "ledger.sqlite")["search"].sent == 20


def _session(path: Path, inner: CountingChatbot, scopes: int) -> tuple[list[Answer], Counts]:
    answers = []
    with Ledger(path) as ledger:
        chatbot = ledger.chatbot(inner, phase="search")
        for scope in range(scopes):
            for part in range(3):
                queries = [f"{scope}-{part}", f"{scope}-{part}", "shared"]
                answers += chatbot.ask(queries, scope=f"t{scope}")
        return answers, ledger.total()


def test_asked_does_not_count_twice_on_resume(tmp_path: Path) -> None:
    path, inner = tmp_path / "ledger.sqlite", CountingChatbot(EchoChatbot())
    _, partly = _session(path, inner, scopes=2)
    answers, fully = _session(path, inner, scopes=4)
    again, same = _session(path, inner, scopes=4)
    # Each scope: 3 calls of 3; each call one new query, and "shared" once in all.
    assert partly == Counts(asked=18, unique=7, sent=7)
    assert fully == same == Counts(asked=36, unique=13, sent=13)
    assert [answer.reply for answer in answers] == [answer.reply for answer in again]
    assert all(answer.cached for answer in again)
    assert len(inner.received) == 13


def test_given_up_queries_do_not_count_twice_on_resume(tmp_path: Path) -> None:
    failing = FailingChatbot(EchoChatbot(), rate=1.0, tries=2)
    failed = []
    for _ in range(3):
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            ledger.chatbot(failing, phase="search").ask(["a"], scope="t1")
            failed.append(ledger.total())
    # Fails twice and then succeeds: nothing is given up in the end; every try was paid for.
    assert failed == [
        Counts(asked=1, unique=0, sent=1, failed=1),
        Counts(asked=1, unique=0, sent=2, failed=1),
        Counts(asked=1, unique=1, sent=3, failed=0),
    ]


def test_replies_survive_reopening(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        fingerprint = ledger.chatbot(EchoChatbot(), phase="verify").fingerprint
        ledger.chatbot(EchoChatbot(), phase="verify").ask(["b", "a"], scope="t1")
    with Ledger(path) as ledger:
        assert [pair.query for pair in ledger.pairs("verify")] == ["b", "a"]
        assert ledger.answered(fingerprint, ["a", "c"]) == {"a": "a"}


def test_one_process_owns_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        with pytest.raises(SetupError, match="in use by another process"):
            Ledger(path)
        # The refused opening has not freed the lock: another process is refused too.
        refused = _run(tmp_path)
        assert "SetupError" in refused.stderr
        assert "in use by another process" in refused.stderr
        # Reports may look meanwhile.
        ledger.chatbot(EchoChatbot(), phase="search").ask(["a"], scope="t1")
        assert Ledger.counts_of(path)["search"] == Counts(asked=1, unique=1, sent=1)
    Ledger(path).close()


def test_a_refused_file_frees_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 40)
    with pytest.raises(CheckpointError):
        Ledger(path)
    path.unlink()
    Ledger(path).close()


def test_files_are_private(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    before = os.umask(0o022)
    try:
        with Ledger(path) as ledger:
            ledger.chatbot(EchoChatbot(), phase="search").ask(["a"], scope="t1")
            files = sorted(tmp_path.iterdir())
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in files}
    finally:
        os.umask(before)
    assert set(modes) >= {"ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite.lock"}
    assert set(modes.values()) == {0o600}


def test_settings_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path):
        pass
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
    db.close()


def _foreign(path: Path, *pragmas: str) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE songs (title)")
    for pragma in pragmas:
        db.execute(pragma)
    db.commit()
    db.close()


@pytest.mark.parametrize("pragma", ["PRAGMA user_version = 0", "PRAGMA user_version = 1"])
def test_another_programs_file_is_refused_and_left_alone(tmp_path: Path, pragma: str) -> None:
    path = tmp_path / "songs.sqlite"
    _foreign(path, pragma)
    before = path.read_bytes()
    for opening in (Ledger, Ledger.counts_of):
        with pytest.raises(CheckpointError, match="another program's file"):
            opening(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 7")
    db.close()
    for opening in (Ledger, Ledger.counts_of):
        with pytest.raises(CheckpointError, match="found schema 7"):
            opening(path)


def test_text_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_text("hello\n" * 500)
    for opening in (Ledger, Ledger.counts_of):
        with pytest.raises(CheckpointError, match="not one or is damaged"):
            opening(path)


def test_a_missing_folder_is_a_set_up_error(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="existing folder"):
        Ledger(tmp_path / "nowhere" / "ledger.sqlite")
    with pytest.raises(SetupError, match="there is none"):
        Ledger.counts_of(tmp_path / "ledger.sqlite")
    with pytest.raises(SetupError, match="cannot be opened"):
        Ledger(tmp_path)


def test_an_empty_file_is_a_new_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.touch()  # what a process leaves that was killed while making it
    assert Ledger.counts_of(path)["search"] == Counts()
    with Ledger(path) as ledger:
        assert ledger.total() == Counts()


def test_counts_can_be_read_after_a_crash_and_from_odd_paths(tmp_path: Path) -> None:
    folder = tmp_path / "a ?#% folder"
    killed = _run(folder, dies_in=2, when="before")
    assert killed.returncode == -signal.SIGKILL
    assert Ledger.counts_of(folder / "ledger.sqlite")["search"].sent == 5


def test_a_full_disk_keeps_what_was_stored(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path, Limits(total=10**6)) as ledger:
        chatbot = ledger.chatbot(EchoChatbot(), phase="search")
        chatbot.ask(["a"], scope="t1")
        pages = ledger._store._db.execute("PRAGMA page_count").fetchone()[0]
        ledger._store._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(SetupError, match="free space"):
            chatbot.ask(["long " * 10_000], scope="t2")
        assert [answer.reply for answer in chatbot.ask(["a"], scope="t1")] == ["a"]
        assert ledger.total().unique == 1
        assert ledger.total().sent == 2  # the reply that could not be stored had left


def test_a_closed_ledger_says_so_and_closes_twice(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.close()
    ledger.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        ledger.counts()


def test_a_used_up_budget_may_be_raised_on_resume(tmp_path: Path) -> None:
    path, inner = tmp_path / "ledger.sqlite", CountingChatbot(EchoChatbot())
    queries = [str(number) for number in range(8)]
    with Ledger(path, Limits(total=5)) as ledger, pytest.raises(BudgetError):
        ledger.chatbot(inner, phase="search").ask(queries, scope="t1")
    with Ledger(path, Limits(total=8)) as ledger:
        answers = ledger.chatbot(inner, phase="search").ask(queries, scope="t1")
        assert [answer.cached for answer in answers] == [True] * 5 + [False] * 3
        assert ledger.total() == Counts(asked=8, unique=8, sent=8)


def test_a_file_that_is_being_made_is_no_other_programs(path: Path) -> None:
    made = threading.Thread(target=lambda: Ledger(path).close())

    class Slow(sqlite3.Connection):
        """Lets another one make the tables between its first question and the next."""

        def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
            if "application_id" not in sql:
                return super().execute(sql, *rest)
            answer = super().execute(sql, *rest).fetchone()
            made.start()
            made.join(0.5)
            return super().execute("SELECT ?", answer)

    sqlite3.connect(path).close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, factory=Slow)) as db:
        assert is_new(db, path)
    made.join()
    assert Ledger.counts_of(path)["search"].asked == 0
