"""``kill -9`` at random moments, again and again, while eight queries are under way over HTTP.

The server runs in this process and writes down what reaches it. So what was sent, and what was
sent twice, is known from outside, without the ledger's word.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, final

import pytest

from saywhat.ledger import Ledger
from saywhat.records import PHASES
from saywhat.rng import derive
from tests.known_server import answer, arguments, describe, write_files
from tests.servers import Answer, Received, Server, query_of

pytestmark = [
    pytest.mark.allow_hosts(["127.0.0.1", "::1"]),
    pytest.mark.timeout(900),  # many processes on what may be a busy machine
]

CommandLine = Callable[..., tuple[int, str, str]]
CONCURRENCY = 8
PATIENCE = 240.0  # seconds that a process may take to get to the moment of its death, or to its end
SETTINGS = ["--set", "search.batch_targets=2", "--set", "similarity.name=exact"]


@final
class Killing:
    """An audit in processes of its own, and the server that they ask, which is where they die.

    Attributes:
        flights: query -> at how many deaths it had been sent, but no reply to it was stored.
        most: the most queries that were under way at one death.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self._server, self._folder = server, folder
        self._victim: subprocess.Popen[bytes] | None = None
        self._at, self._delay = 0, 0.0
        self.flights: Counter[str] = Counter()
        self.most = 0
        server.handler = self._answer

    def _answer(self, received: Received) -> Answer:
        if self._victim is not None and len(self._server.journal) >= self._at:
            # on this thread, which sees every query: no other would be in time
            asyncio.get_running_loop().call_later(self._delay, self._victim.kill)
            self._victim = None
        return answer(received).after(0.02)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the audit, or go on with it."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SAYWHAT_")}
        spec = describe(self._server, self._folder)
        command = [sys.executable, "-m", "saywhat", *arguments(spec, "killed", *SETTINGS)]
        with (self._folder / "said.txt").open("wb") as said:
            return subprocess.Popen(
                command,
                env={**environment, "OMP_NUM_THREADS": "1"},
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def kill(self, *, after: int, delay: float) -> None:
        """Start the audit and kill it some time after it has sent some queries."""
        before = len(self._server.journal)
        self._at, self._delay = before + after, delay
        process = self.start()
        self._victim = process
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
            self._victim = None
        assert process.returncode == -signal.SIGKILL, f"it ended too early: {self.said()}"
        until = time.monotonic() + 10
        while self._server.open:  # what had left is still being read
            assert time.monotonic() < until
            time.sleep(0.001)
        came = {query_of(received) for received in self._server.journal[before:]}
        under_way = came - self._stored()
        self.flights.update(under_way)
        self.most = max(self.most, len(under_way))

    def _stored(self) -> set[str]:
        with Ledger(Path("killed", "ledger.sqlite")) as ledger:
            return {pair.query for phase in PHASES for pair in ledger.pairs(phase)}

    def said(self) -> str:
        """Give what the last process said."""
        return (self._folder / "said.txt").read_text(encoding="utf-8", errors="replace")


@pytest.fixture
def killing(workplace: Path) -> Iterator[Killing]:
    """Give what is going to be killed, in an empty folder."""
    with Server() as server:
        yield Killing(server, workplace / "bot")


def _summary(folder: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    del summary["queries"]["sent"], summary["queries"]["detail"]["search"]["sent"]
    return summary


def _whole(saywhat: CommandLine, workplace: Path) -> Path:
    """Audit in one go."""
    with Server(answer) as server:
        spec = describe(server, workplace / "whole-bot")
        code, _, said = saywhat(*arguments(spec, "whole", *SETTINGS))
        assert code == 0, said
        queries = Counter(query_of(received) for received in server.journal)
    assert set(queries.values()) == {1}
    return workplace / "whole"


@pytest.mark.parametrize(
    ("kills", "posts", "targets", "most"),
    [(5, 300, 20, 40), pytest.param(50, 900, 50, 10, marks=pytest.mark.slow)],
)
def test_killed_again_and_again_it_ends_in_the_same_findings(
    kills: int,
    posts: int,
    targets: int,
    most: int,
    killing: Killing,
    saywhat: CommandLine,
    workplace: Path,
) -> None:
    write_files(workplace, posts=posts, targets=targets)
    folder, rng = workplace / "killed", derive(kills, "moments")
    for _ in range(kills):
        killing.kill(after=rng.randint(1, most), delay=rng.uniform(0, 0.03))
        assert not (folder / "findings.jsonl").exists(), "nothing was left to resume"
    process = killing.start()
    try:
        assert process.wait(PATIENCE) == 0, killing.said()
    finally:
        process.kill()
        process.wait()
    whole = _whole(saywhat, workplace)
    for name in ("findings.jsonl", "attempts.jsonl"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    assert _summary(folder) == _summary(whole)
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert len(run["resumed"]) == kills
    _assert_counts(killing, folder, kills)
    for done in (folder, whole):  # the next test begins anew
        done.rename(workplace / f"{done.name}-{kills}")


def _assert_counts(killing: Killing, folder: Path, kills: int) -> None:
    """Nothing is sent again but what was under way at a death, and once for each such death."""
    journal = [query_of(received) for received in killing._server.journal]
    again = {query: times - 1 for query, times in Counter(journal).items() if times > 1}
    assert all(times <= killing.flights[query] for query, times in again.items())
    assert 0 < killing.most <= CONCURRENCY
    assert len(again) > 0, "no death hit a query: the count would prove nothing"
    counts = Ledger.counts_of(folder / "ledger.sqlite").values()
    assert sum(count.unique for count in counts) == len(set(journal))
    # what was written down as sent, but had not left when the process died
    assert 0 <= sum(count.sent for count in counts) - len(journal) <= CONCURRENCY * kills
