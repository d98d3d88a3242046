"""How fast queries leave: ``make bench NAME=throughput`` -> ``benchmarks/results/throughput.json``.

A server of 20 ms latency in a process of its own, 32 queries under way together: at most 1,600 queries a second. Measured through the
real adapter and the real ledger, and beside them what each could be replaced with: bare sockets (what the server allows at all), a
plain ``httpx2.AsyncClient`` with 32 workers, and that client behind the ledger. What the ledger itself costs is measured with chatbots
that answer at once. Rounds are interleaved, so that a busy machine meets all alike; processor time depends least on it.
"""

import argparse
import asyncio
import dataclasses
import functools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, final

import httpx2

from saywhat.chatbots.http import HttpChatbot, make
from saywhat.chatbots.loop import BackgroundLoop, reply_to_all
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.interfaces import Chatbot
from saywhat.ledger import Ledger
from saywhat.runs import provenance

RESULTS = Path(__file__).with_name("results") / "throughput.json"
SERVER = Path(__file__).parents[1] / "tests" / "servers.py"
LATENCY, CONCURRENCY = 0.02, 32
IDEAL = CONCURRENCY / LATENCY
AUDIT_CALL = 800  # queries in one call in a default audit: 16 targets, 50 each


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """Wall time, and processor time of this process with all its threads, in seconds."""

    wall: float
    processor: float

    @classmethod
    def now(cls) -> "Cost":
        """What this process has cost so far."""
        return cls(time.perf_counter(), time.process_time())

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.wall - other.wall, self.processor - other.processor)


@final
class Instant:
    """Answers at once, one by one."""

    name = fingerprint = "instant"

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency

    def submit(self, query: str) -> Future[str]:
        """See ``interfaces``."""
        future: Future[str] = Future()
        future.set_result(query)
        return future

    def reply(self, queries: Sequence[str]) -> list[str]:
        """See ``interfaces``."""
        return list(queries)


@final
class InstantBatches:
    """Answers at once, in batches."""

    name = fingerprint = "instant-batches"

    def reply(self, queries: Sequence[str]) -> list[str]:
        """See ``interfaces``."""
        return list(queries)


@final
class PlainHttpx2:
    """The least that makes ``httpx2`` a chatbot: what the adapter's own wire is held against."""

    name = fingerprint = "httpx2"
    concurrency = CONCURRENCY

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = plain_client()
        self._loop = BackgroundLoop(self._client.aclose)

    def submit(self, query: str) -> Future[str]:
        """See ``interfaces``."""
        return self._loop.submit(plainly(self._client, self._url, query))

    def reply(self, queries: Sequence[str]) -> list[str]:
        """See ``interfaces``."""
        return reply_to_all(self, queries)

    def close(self) -> None:
        """See ``interfaces``."""
        self._loop.close()


def plain_client() -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
    return httpx2.AsyncClient(limits=limits, trust_env=False)


async def plainly(client: httpx2.AsyncClient, url: str, query: str) -> str:
    answer = await client.post(url, json={"message": query})
    text: str = answer.json()["reply"]["text"]
    return text


def require(held: bool, otherwise: str) -> None:
    if not held:
        raise SystemExit(f"nothing was measured: {otherwise}")


def queries(number: int) -> list[str]:
    return [f"what do you think about number {n}" for n in range(number)]


@contextmanager
def served() -> Iterator[str]:
    """Serve in another process, and give the URL."""
    command = [sys.executable, str(SERVER), "--latency", str(LATENCY)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield (process.stdout or sys.stdin).readline().strip()
    finally:
        process.communicate(timeout=10)  # the end of its input is its end


@contextmanager
def adapter(url: str) -> Iterator[HttpChatbot]:
    """Make the chatbot that a file describes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bot.yaml")
        description = {"url": url, "body": {"message": "{{query}}"}, "reply": "$.reply.text"}
        path.write_text(json.dumps(description), encoding="utf-8")
        chatbot = make(str(path), ConnectionSettings(concurrency=CONCURRENCY), ModelSettings())
        try:
            yield chatbot
        finally:
            chatbot.close()


def asked(chatbot: Chatbot, number: int, per_call: int | None = None) -> Cost:
    """Give what it takes a ledger to ask queries, none of them known."""
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder, "ledger.sqlite")) as ledger:
        asker = ledger.chatbot(chatbot, phase="search")
        texts, before = queries(number), Cost.now()
        step = per_call or number
        for first in range(0, number, step):
            answers = asker.ask(texts[first : first + step], scope=str(first))
            require(all(answer.reply == answer.query for answer in answers), "a wrong reply")
        cost = Cost.now() - before
        require(ledger.total().sent == ledger.total().unique == number, "a wrong count")
    return cost


def through_ledger(url: str, number: int, per_call: int | None = None) -> Cost:
    with adapter(url) as chatbot:
        chatbot.reply(queries(CONCURRENCY))  # connections are open
        return asked(chatbot, number, per_call)


def as_an_audit(url: str, number: int) -> Cost:
    """Ask in calls, at whose ends fewer and fewer queries are under way."""
    return through_ledger(url, number, AUDIT_CALL)


def httpx2_through_ledger(url: str, number: int) -> Cost:
    with closing(PlainHttpx2(url)) as chatbot:
        chatbot.reply(queries(CONCURRENCY))
        return asked(chatbot, number)


def through_adapter(url: str, number: int) -> Cost:
    with adapter(url) as chatbot:
        chatbot.reply(queries(CONCURRENCY))
        texts, before = queries(number), Cost.now()
        require(chatbot.reply(texts) == texts, "a wrong reply")
        return Cost.now() - before


Ask = Callable[[str], Awaitable[str]]


async def shared_out(number: int, workers: Sequence[Ask]) -> Cost:
    """Ask with as many workers as there are; no ledger, no threads."""

    async def work(ask: Ask, waiting: Iterator[str]) -> None:
        for query in waiting:
            require(await ask(query) == query, "a wrong reply")

    before = Cost.now()
    for texts in (queries(CONCURRENCY), queries(number)):
        waiting, before = iter(texts), Cost.now()
        await asyncio.gather(*(work(ask, waiting) for ask in workers))
    return Cost.now() - before


def through_httpx2(url: str, number: int) -> Cost:
    async def run() -> Cost:
        async with plain_client() as client:
            ask = functools.partial(plainly, client, url)
            return await shared_out(number, [ask] * CONCURRENCY)

    return asyncio.run(run())


def request(host: str, query: str) -> bytes:
    body = json.dumps({"message": query}).encode()
    head = f"POST /chat HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def through_sockets(url: str, number: int) -> Cost:
    """Ask with nothing but sockets, and without looking at what HTTP says: what the server allows."""
    host, _, port = url.split("/")[2].partition(":")

    async def run() -> Cost:
        lines = [await asyncio.open_connection(host, int(port)) for _ in range(CONCURRENCY)]

        async def ask(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, query: str
        ) -> str:
            writer.write(request(host, query))
            came = await reader.readuntil(b"}}")
            text: str = json.loads(came.partition(b"\r\n\r\n")[2])["reply"]["text"]
            return text

        try:
            return await shared_out(number, [functools.partial(ask, *line) for line in lines])
        finally:
            for _, writer in lines:
                writer.close()

    return asyncio.run(run())


def bare_latency(url: str) -> float:
    """Give the median round trip of one request at a time over a bare socket."""
    host, _, port = url.split("/")[2].partition(":")
    times = []
    with socket.create_connection((host, int(port))) as line:
        for _ in range(50):
            before = Cost.now()
            line.sendall(request(host, "hello"))
            line.recv(65536)
            times.append((Cost.now() - before).wall)
    return statistics.median(times)


WAYS: dict[str, Callable[[str, int], Cost]] = {
    "ledger and adapter": through_ledger,
    "ledger and adapter, in an audit's calls": as_an_audit,
    "adapter alone": through_adapter,
    "ledger and httpx2.AsyncClient": httpx2_through_ledger,
    "httpx2.AsyncClient alone": through_httpx2,
    "bare sockets": through_sockets,
}


def rates(rounds: int, number: int) -> tuple[list[dict[str, Any]], float]:
    """Give a row for each way, and the server's latency when nothing else is asked of it."""
    costs: dict[str, list[Cost]] = {way: [] for way in WAYS}
    latencies = []
    with served() as url:
        for _ in range(rounds):
            latencies.append(bare_latency(url))
            for way, measure in WAYS.items():
                costs[way].append(measure(url, number))
    rows = []
    for way, spent in costs.items():
        best = number / min(cost.wall for cost in spent)
        median = number / statistics.median(cost.wall for cost in spent)
        processor = statistics.median(cost.processor for cost in spent) / number
        rows.append(
            {
                "what": way,
                "queries_per_second_best": round(best),
                "queries_per_second_median": round(median),
                "share_of_ideal_best": round(best / IDEAL, 3),
                "share_of_ideal_median": round(median / IDEAL, 3),
                "processor_microseconds_per_query": round(1e6 * processor),
            }
        )
    return rows, statistics.median(latencies)


def overheads(rounds: int, number: int) -> list[dict[str, Any]]:
    """Give what the ledger costs with chatbots that cost nothing."""
    chatbots: dict[str, Chatbot] = {
        "ledger, in batches": InstantBatches(),
        f"ledger, {CONCURRENCY} at once": Instant(CONCURRENCY),
        "ledger, one by one": Instant(1),  # each reply is a transaction of its own
    }
    rows = []
    for what, chatbot in chatbots.items():
        took = [1e6 * asked(chatbot, number).wall / number for _ in range(rounds)]
        rows.append(
            {
                "what": what,
                "microseconds_per_query_best": round(min(took), 1),
                "microseconds_per_query_median": round(statistics.median(took), 1),
            }
        )
    return rows


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--queries", type=int, default=4000)
    parser.add_argument("--no-file", action="store_true", help="print only")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    costs = overheads(given.rounds, 5 * given.queries)
    rows, latency = rates(given.rounds, given.queries)
    facts = provenance()
    document = {
        "schema": 1,
        "name": "throughput",
        "command": "make bench NAME=throughput",
        "seeds": [],
        **{key: facts[key] for key in ("commit", "dirty", "hardware", "packages", "date")},
        "load": {"before": round(load, 1), "after": round(os.getloadavg()[0], 1)},
        "latency_seconds": LATENCY,
        "latency_seconds_measured": round(latency, 4),
        "concurrency": CONCURRENCY,
        "ideal_queries_per_second": IDEAL,
        "rounds": given.rounds,
        "queries_per_round": given.queries,
        "rows": [*rows, *costs],
    }
    if not given.no_file:
        RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    shown = ("load", "latency_seconds_measured", "ideal_queries_per_second", "rows")
    print(json.dumps({key: document[key] for key in shown}, indent=1))


if __name__ == "__main__":
    main()
