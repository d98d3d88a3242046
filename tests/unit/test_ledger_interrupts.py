"""What interruptions leave, by Ctrl-C and by ``kill -9`` at any moment; and real waiting."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from saywhat.chatbots.known import EchoChatbot
from saywhat.errors import BudgetError
from saywhat.ledger import Counts, Ledger, Limits
from saywhat.ledger.store import Store
from tests.virtual import Concurrent, World, ask, failing, names, replied, said


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def interrupt() -> None:
    raise KeyboardInterrupt


def test_ctrl_c_keeps_what_has_come_and_cancels_the_rest(
    monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    world = World(monkeypatch)
    chatbot = Concurrent(world, concurrency=4, seconds=lambda q: 1.0 + int(q[1:]))
    with world.ledger(path) as ledger:
        asker = ledger.chatbot(chatbot, phase="search")
        world.after(2.5, interrupt)
        with pytest.raises(KeyboardInterrupt):
            asker.ask(names(9), scope="t")
        # q0 and q1 had come; q2 to q5 were under way.
        assert chatbot.received == names(6)
        assert set(ledger.answered(chatbot.fingerprint, names(9))) == {"q0", "q1"}
        assert {q for q, future in chatbot.futures if future.cancelled()} == set(names(6)[2:])
        assert ledger.total() == Counts(asked=6, unique=2, sent=6)
        # The next call does not take what comes late for its own.
        answers = asker.ask(names(9), scope="again")
        assert replied(answers)
        assert [answer.cached for answer in answers] == [True] * 2 + [False] * 7
        assert ledger.total().sent == len(chatbot.received) == 6 + 7


def test_ctrl_c_while_queries_leave_keeps_what_has_come_meanwhile(
    monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    world = World(monkeypatch)
    chatbot = Concurrent(
        world,
        lambda q, n: interrupt() if q == "q2" else said(q),
        seconds=lambda q: float(q == "q1"),
    )
    with world.ledger(path) as ledger:
        with pytest.raises(KeyboardInterrupt):
            ask(ledger, chatbot, names(9))
        assert set(ledger.answered(chatbot.fingerprint, names(9))) == {"q0"}
        assert chatbot.futures[1][1].cancelled()


def test_a_scope_that_is_begun_again_counts_what_it_asks_now(path: Path) -> None:
    chatbot = EchoChatbot()
    for calls, asked in [(5, 5 + 2), (2, 2 + 2), (3, 3 + 2)]:  # another path each time
        with Ledger(path) as ledger:
            asker = ledger.chatbot(chatbot, phase="search")
            for number in range(calls):
                asker.ask([f"{calls} {number}"], scope="begun again")
            if calls == 5:
                asker.ask(["a", "b"], scope="done")
            assert ledger.total().asked == asked
    # What the other paths bought is paid for.
    assert Ledger.counts_of(path)["search"] == Counts(asked=5, unique=12, sent=12)


@pytest.mark.parametrize("when", ["before", "after"])
def test_ctrl_c_while_replies_are_stored_loses_none(
    monkeypatch: pytest.MonkeyPatch, path: Path, when: str
) -> None:
    world = World(monkeypatch)
    chatbot = Concurrent(world, concurrency=2)
    record, calls = Store.record_replies, []

    def interrupted(*given: Any, **named: Any) -> None:
        calls.append(given)
        if len(calls) == 2 and when == "before":
            raise KeyboardInterrupt
        record(*given, **named)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Store, "record_replies", interrupted)
    with world.ledger(path) as ledger:
        with pytest.raises(KeyboardInterrupt):
            ask(ledger, chatbot, names(9))
        came = chatbot.received[:2]
        assert set(ledger.answered(chatbot.fingerprint, names(9))) == set(came)
        assert ledger.total().unique == 2
        assert replied(ask(ledger, chatbot, names(9)))
        assert ledger.total().unique == 9


def test_ctrl_c_in_a_listener_or_a_chatbot_leaves_a_working_ledger(
    monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    world = World(monkeypatch)
    with world.ledger(path) as ledger:
        with pytest.raises(KeyboardInterrupt):
            ask(ledger, Concurrent(world), names(9), on_sent=lambda _: interrupt())
        with pytest.raises(KeyboardInterrupt):
            ask(ledger, Concurrent(world, lambda q, n: interrupt()), [f"x{n}" for n in range(9)])
        chatbot = Concurrent(world)
        assert replied(ask(ledger, chatbot, names(9)))
        assert ledger.total().unique == 9


def test_a_real_ctrl_c_ends_a_real_wait(path: Path) -> None:
    class Silent:
        name, fingerprint, concurrency = "silent", "silent-1", 3

        def __init__(self) -> None:
            self.futures: list[Future[str]] = []

        def reply(self, queries: Any) -> list[str]:
            raise NotImplementedError

        def submit(self, query: str) -> Future[str]:
            future: Future[str] = Future()
            if query == "q0":
                future.set_result(said(query))
            self.futures.append(future)
            return future

    chatbot = Silent()
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    with Ledger(path) as ledger:
        timer.start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            ask(ledger, chatbot, names(9))
        assert time.monotonic() - started < 20.0
        timer.join()
        assert ledger.total() == Counts(asked=4, unique=1, sent=4)
    assert [future.cancelled() for future in chatbot.futures] == [False, True, True, True]


class Threads:
    """A chatbot that answers from threads, after a while."""

    name, fingerprint = "threads", "threads-1"

    def __init__(self, concurrency: int, seconds: float, script: Any = None) -> None:
        self.concurrency, self._seconds = concurrency, seconds
        self._script = script or (lambda query, _: said(query))
        self._pool = ThreadPoolExecutor(concurrency)
        self._lock, self._before = threading.Lock(), Counter[str]()
        self.received: list[str] = []
        self.under_way = self.most = 0

    def reply(self, queries: Any) -> list[str]:
        raise NotImplementedError

    def submit(self, query: str) -> Future[str]:
        with self._lock:
            self.received.append(query)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        return self._pool.submit(self._answer, query)

    def _answer(self, query: str) -> str:
        time.sleep(self._seconds)
        with self._lock:
            self.under_way -= 1
            outcome = self._script(query, self._before[query])
            self._before[query] += 1
        if isinstance(outcome, BaseException):
            raise outcome
        return str(outcome)

    def close(self) -> None:
        self._pool.shutdown()


def test_waiting_costs_no_time_of_the_processor(path: Path) -> None:
    """For replies, for the rate, for a retry and for Retry-After, a second in all or more."""
    chatbot = Threads(4, 0.2, failing(1, "HTTP 429", retry="busy", after=0.3))
    with Ledger(path, Limits(rate=20.0)) as ledger:
        wall, processor = time.monotonic(), time.process_time()
        assert replied(ask(ledger, chatbot, names(8), attempts=3))
        wall, processor = time.monotonic() - wall, time.process_time() - processor
        assert ledger.total() == Counts(asked=8, unique=8, sent=16)
    chatbot.close()
    assert wall > 1.0
    assert processor < 0.25 * wall


def test_threads_see_what_virtual_time_sees(path: Path) -> None:
    chatbot = Threads(16, 0.001, failing(1, retry="now"))
    with Ledger(path, Limits(total=1500, breaker=10**6)) as ledger:
        assert replied(ask(ledger, chatbot, names(700), attempts=3))
        with pytest.raises(BudgetError):
            ask(ledger, chatbot, [f"x{n}" for n in range(700)], attempts=3)
        assert ledger.total().sent == len(chatbot.received) == 1500
        assert chatbot.under_way == 0
        assert 1 < chatbot.most <= 16
    chatbot.close()


# Asks 300 queries, 8 at a time, of a chatbot that answers from threads and writes down each query
# that reaches it; prints the answers.
PROGRAM = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from saywhat.ledger import Ledger

folder = Path(sys.argv[1])

class Slow:
    name, fingerprint, concurrency = "slow", "slow-1", 8
    pool, log = ThreadPoolExecutor(8), open(folder / "received.txt", "a")
    def reply(self, queries):
        raise NotImplementedError
    def submit(self, query):
        self.log.write(query + "\\n")
        self.log.flush()
        return self.pool.submit(self.answer, query)
    def answer(self, query):
        time.sleep(0.001 * (1 + hash(query) % 7))
        return query[::-1]

with Ledger(folder / "ledger.sqlite") as ledger:
    chatbot = ledger.chatbot(Slow(), phase="search")
    for scope in range(3):
        queries = [f"q{100 * scope + number}" for number in range(100)]
        for answer in chatbot.ask(queries, scope=f"t{scope}"):
            print(answer.query, answer.reply)
"""


def _received(folder: Path) -> list[str]:
    file = folder / "received.txt"
    return file.read_text().split() if file.exists() else []


def test_kill_9_at_any_moment_loses_and_repeats_only_what_was_under_way(tmp_path: Path) -> None:
    path, command = tmp_path / "ledger.sqlite", [sys.executable, "-c", PROGRAM, str(tmp_path)]
    under_way: set[str] = set()
    for kills, killed_after in enumerate((3, 50, 77, 160), start=1):  # queries received
        before = len(_received(tmp_path))
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while len(_received(tmp_path)) < before + killed_after:
            assert child.poll() is None
            time.sleep(0.0005)
        child.kill()
        child.wait()
        received = _received(tmp_path)
        counts = Ledger.counts_of(path)["search"]
        # Counted before it left: never less than came, and more by what was about to leave at most.
        assert 0 <= counts.sent - len(received) <= 8 * kills
        with Ledger(path) as ledger:
            stored = set(ledger.answered("slow-1", received))
        lost = set(received) - stored
        assert len(lost) <= 8
        under_way |= lost
    resumed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert resumed.stdout == "".join(f"q{n} {f'q{n}'[::-1]}\n" for n in range(300))
    received = _received(tmp_path)
    repeated = {query for query, times in Counter(received).items() if times > 1}
    assert repeated <= under_way
    counts = Ledger.counts_of(path)["search"]
    assert (counts.asked, counts.unique, counts.failed) == (300, 300, 0)
    assert 0 <= counts.sent - len(received) <= 8 * kills
