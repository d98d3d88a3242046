"""Whole audits of a known chatbot whose server misbehaves: counts hold, and findings do not change.

``sent`` is held against what the server itself wrote down. Faults that asking again cannot cure
(redirects, replies that are none) are no part of the equality: there, each costs one query that
failed, and the run ends normally.
"""

import asyncio
import dataclasses
import itertools
import json
import re
import time
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, final

import pytest
from typing_extensions import override

from saywhat.ledger import Ledger
from tests.known_server import Lottery, answer, arguments, describe, write_files
from tests.servers import (
    Answer,
    Received,
    Server,
    dropped,
    fail,
    huge,
    malformed,
    misencoded,
    query_of,
    redirect,
    say,
    say_json,
)

pytestmark = [
    pytest.mark.allow_hosts(["127.0.0.1", "::1"]),
    pytest.mark.timeout(300),  # the machine may be busy
]

CommandLine = Callable[..., tuple[int, str, str]]
Result = list[dict[str, Any]]
_names = itertools.count()


def _drip(received: Received) -> Answer:
    return dataclasses.replace(answer(received), drip=0.002)


def _late(received: Received) -> Answer:
    return answer(received).after(0.3)


CURABLE: dict[str, Callable[[Received], Answer]] = {
    "latency": _late,
    "slow drip": _drip,
    "HTTP 429": lambda _: fail(429, {"Retry-After": "0"}),
    "HTTP 429, no date": lambda _: fail(429),
    "HTTP 500": lambda _: fail(500),
    "HTTP 503": lambda _: fail(503, {"Retry-After": "0"}),
    "dropped": lambda _: dropped(),
    "dropped in the head": lambda _: dropped(20),
    "dropped in the body": lambda _: dropped(90),
    "malformed JSON": lambda _: malformed(),
    "HTML": lambda _: Answer(b"<html>502</html>", headers={"Content-Type": "text/html"}),
    "wrong encoding": lambda _: misencoded(),
    "unknown coding": lambda r: dataclasses.replace(answer(r), headers={"Content-Encoding": "br"}),
    "not HTTP": lambda _: Answer(raw=b"220 smtp.example ESMTP\r\n", cut=24),
}


@pytest.fixture(scope="module", autouse=True)
def _files(workplace: Path) -> None:
    write_files(workplace)


@pytest.fixture
def server(server: Server) -> Server:
    """Serve the known chatbot."""
    server.handler = answer
    return server


@dataclasses.dataclass(frozen=True)
class Run:
    """What an audit left."""

    code: int
    said: str
    folder: Path

    @property
    def findings(self) -> Result:
        """The findings, in order."""
        return self.lines("findings.jsonl")

    def lines(self, name: str) -> Result:
        """Read a JSON Lines file, whose lines end with a line feed and nothing else."""
        lines = (self.folder / name).read_bytes().removesuffix(b"\n").split(b"\n")
        return [json.loads(line) for line in lines]

    @property
    def summary(self) -> dict[str, Any]:
        """The summary."""
        text = (self.folder / "summary.json").read_text(encoding="utf-8")
        summary: dict[str, Any] = json.loads(text)
        return summary

    @property
    def sent(self) -> int:
        """What the ledger says that was sent."""
        return sum(c.sent for c in Ledger.counts_of(self.folder / "ledger.sqlite").values())


Audit = Callable[..., Run]


@pytest.fixture(scope="module")
def audit(saywhat: CommandLine, workplace: Path) -> Audit:
    """Audit what a server serves; in a folder of its own, or in that of an earlier run."""

    def run(server: Server, *more: str, before: Run | None = None, **keys: object) -> Run:
        folder = before.folder.parent if before else workplace / f"run-{next(_names)}"
        spec = describe(server, folder, **keys)
        code, out, err = saywhat(*arguments(spec, folder / "run", *more))
        return Run(code, out + err, folder / "run")

    return run


@pytest.fixture(scope="module")
def clean(audit: Audit) -> Run:
    """Audit without any fault."""
    with Server(answer) as server:
        run = audit(server)
        assert run.code == 0, run.said
        assert run.sent == len(server.journal) == run.summary["queries"]["unique"]
    outcomes = {found["outcome"] for found in run.findings}
    assert outcomes == {"elicited", "not_elicited"}, "equal findings would prove little"
    return run


def _assert_same(run: Run, clean: Run, *, received: int) -> None:
    assert run.code == 0, run.said
    assert run.findings == clean.findings
    attempts = "attempts.jsonl"
    assert (run.folder / attempts).read_bytes() == (clean.folder / attempts).read_bytes()
    assert run.sent == run.summary["queries"]["sent"] == received
    assert run.summary["queries"]["unique"] == clean.summary["queries"]["unique"]
    assert run.summary["status"] == "complete"


@pytest.mark.parametrize("kind", CURABLE)
def test_one_kind_of_fault_on_a_twentieth_changes_nothing(
    kind: str, server: Server, audit: Audit, clean: Run
) -> None:
    lottery = Lottery()

    def handler(received: Received) -> Answer:
        struck = lottery.draw(query_of(received))
        return (answer if struck is None else CURABLE[kind])(received)

    server.handler = handler
    run = audit(server)
    _assert_same(run, clean, received=len(server.journal))
    assert lottery.struck >= 4
    harmless = {"latency", "slow drip"}
    extra = 0 if kind in harmless else lottery.struck
    assert run.sent == clean.sent + extra


def test_all_faults_together_change_nothing(server: Server, audit: Audit, clean: Run) -> None:
    """One request in five, so that every kind comes up and some queries fail twice."""
    lottery, kinds = Lottery(share=0.2), list(CURABLE.values())

    def handler(received: Received) -> Answer:
        struck = lottery.draw(query_of(received))
        return (answer if struck is None else kinds[struck % len(kinds)])(received)

    server.handler = handler
    run = audit(server, "--set", "limits.attempts=5")
    _assert_same(run, clean, received=len(server.journal))
    assert lottery.struck >= 2 * len(CURABLE)


def test_timeouts_change_nothing(server: Server, audit: Audit, clean: Run) -> None:
    lottery = Lottery(share=0.02)

    def handler(received: Received) -> Answer:
        struck = lottery.draw(query_of(received))
        return answer(received).after(0 if struck is None else 60)

    server.handler = handler
    run = audit(server, "--set", "connection.timeout=1.5")
    _assert_same(run, clean, received=len(server.journal))
    assert run.sent >= clean.sent + lottery.struck > clean.sent


def test_what_was_dropped_unread_counts_as_sent(
    server: Server, audit: Audit, clean: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each query has a connection of its own; the server ends some before it reads a byte.

    So it writes down fewer requests than left, and exactly those it dropped are the difference.
    """
    server.handler = lambda received: dataclasses.replace(answer(received), close=True)
    lottery, opened = Lottery(), server.opened

    def refuse(protocol: Any) -> int:
        number = opened(protocol)
        if lottery.draw(f"connection {number}") is not None:
            # the next thing that the loop does, before it looks for what has arrived
            asyncio.get_running_loop().call_soon(protocol.drop)
        return number

    monkeypatch.setattr(server, "opened", refuse)
    run = audit(server)
    _assert_same(run, clean, received=server.connections)
    assert lottery.struck >= 4
    assert run.sent == len(server.journal) + lottery.struck


BURSTS = {"500": lambda: fail(500), "429": lambda: fail(429, {"Retry-After": "1"})}


@pytest.mark.parametrize("burst", BURSTS)
def test_a_burst_of_two_seconds_is_waited_out(
    burst: str, server: Server, audit: Audit, clean: Run
) -> None:
    begun: list[float] = []

    def handler(received: Received) -> Answer:
        if len(server.journal) < 40:
            return answer(received)
        begun.append(time.monotonic())
        return BURSTS[burst]() if begun[-1] < begun[0] + 2 else answer(received)

    server.handler = handler
    run = audit(server)
    _assert_same(run, clean, received=len(server.journal))
    # those under way, and then one at a time after growing waits: no storm
    assert clean.sent < run.sent <= clean.sent + 2 * 8 + 8


@pytest.mark.parametrize("most", [1, 9, 70])
def test_a_limit_is_never_exceeded_whatever_fails(most: int, server: Server, audit: Audit) -> None:
    """One request in three fails: retries are paid from the same limit."""
    lottery, kinds = Lottery(share=0.3), list(CURABLE.values())

    def handler(received: Received) -> Answer:
        struck = lottery.draw(query_of(received))
        return (answer if struck is None else kinds[struck % len(kinds)])(received)

    server.handler = handler
    limit = ["--max-queries", str(most), "--set", "search.batch_targets=1"]
    run = audit(server, *limit)
    assert run.sent == len(server.journal) == most
    assert run.summary["status"] == "partial"
    measured = [f for f in run.findings if f["outcome"] != "unmeasured"]
    assert run.code == (0 if measured else 4), run.said
    assert all(f["asked"] == 24 for f in measured)
    again = audit(server, *limit, before=run)
    assert again.sent == len(server.journal) == most


def test_a_server_that_dies_for_good_stops_the_run_and_the_rest_is_asked_later(
    server: Server, audit: Audit, clean: Run
) -> None:
    end = 60
    server.handler = lambda r: answer(r) if len(server.journal) <= end else dropped()
    settings = ["--set", "limits.breaker=4", "--set", "search.batch_targets=2"]
    run = audit(server, *settings)
    assert run.code == 4
    assert "failed 4 times in a row with: ReadError" in run.said
    resume = re.search(r"goes on from there:\n  (saywhat audit .*)", run.said)
    assert resume is not None, run.said
    assert str(run.folder) in resume[1]
    assert run.summary["status"] == "partial"
    assert run.sent == len(server.journal)
    server.handler = answer
    again = audit(server, *settings, before=run)
    _assert_same(again, clean, received=len(server.journal))
    lost = len(server.journal) - clean.sent
    # those under way, those that took their places, and then two one at a time
    assert 4 <= lost <= 2 * 8 + 2, lost
    assert json.loads((run.folder / "run.json").read_text(encoding="utf-8"))["resumed"] != []


def test_a_server_that_is_gone_is_said_at_once(audit: Audit) -> None:
    with Server(answer) as server:
        pass
    run = audit(server, "--set", "limits.breaker=3")
    assert run.code == 4
    assert "ConnectError" in run.said
    assert run.summary["measured"] == 0
    assert len(server.journal) == 0


def test_no_redirect_is_followed(server: Server, audit: Audit, clean: Run) -> None:
    """It cannot be cured by asking again, so it costs each query it strikes, once."""
    lottery, statuses = Lottery(), (301, 302, 303, 307, 308)
    with Server(answer) as other:

        def handler(received: Received) -> Answer:
            struck = lottery.draw(query_of(received))
            return answer(received) if struck is None else redirect(other.url, statuses[struck % 5])

        server.handler = handler
        run = audit(server)
        assert other.journal == []
        assert other.connections == 0
    assert run.code == 0, run.said
    assert run.sent == len(server.journal) == clean.sent  # none was asked again
    assert run.summary["queries"]["unique"] == clean.sent - lottery.struck
    assert sum(found["failed"] for found in run.findings) >= lottery.struck >= 4


HOSTILE: Sequence[Answer] = (
    say("\x1b[2J\x1b]0;owned\x07\x1b]8;;http://evil.example\x07click\x1b[31m"),
    say("<script>alert(1)</script><img src=x onerror=alert(1)>"),
    say("{{ 7*7 }} [link](http://evil.example) [bold]x[/bold] | a | b |"),
    say("safe \u202eevil\u202c \u2066x\u2069 \u200b\ufeff"),
    say("before\0after"),
    say("\ud800 alone \x9b31m \x85 \u2028 \r\n over"),
    say(""),
    say_json({"reply": {"text": None}}),
    say_json({"reply": {"text": ["\x1b[2J<script>"]}}),
    say_json([["\x1b[2J"] * 3, {"<script>": "\x1b[2J"}]),
    huge(10 * 1024 * 1024),
    say("so good " * 20_000),
    Answer(b'{"reply": {"text": "\xff\xfe\x80"}}'),
    fail(400, body=b"\x1b[2J<script>\0\xff\xe2\x80\xae"),
    Answer(b"[" * 100_000),
)
# nothing that a terminal obeys or that hides or turns text; line breaks and spaces are ours
OBEYED = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff]")


@final
class _Tags(HTMLParser):
    """Gathers the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        assert not [value for _, value in attrs if value and "evil" in value]


def tags_of(page: str) -> set[str]:
    """Give the tags of a page; no attribute may run or lead anywhere."""
    parser = _Tags()
    parser.feed(page)
    parser.close()
    return parser.tags


def test_hostile_replies_leave_terminal_and_report_clean(server: Server, audit: Audit) -> None:
    places: dict[str, int] = {}

    def handler(received: Received) -> Answer:
        place = places.setdefault(query_of(received), len(places))
        return HOSTILE[place // 2 % len(HOSTILE)] if place % 2 else answer(received)

    server.handler = handler
    # each reply is its target's best case somewhere: nothing else is asked for those targets
    run = audit(server, "--budget", "1", "-v")
    more = audit(server, "--budget", "6")
    for each in (run, more):
        assert each.code == 0, each.said
        assert OBEYED.search(each.said) is None
        page = (each.folder / "report.html").read_text(encoding="utf-8")
        assert OBEYED.search(page) is None
        assert tags_of(page).isdisjoint({"script", "img", "iframe"})
        assert each.sent == each.summary["queries"]["sent"]
    assert run.sent + more.sent == len(server.journal)
    assert len(places) > len(HOSTILE)
    replies = [attempt["reply"] for attempt in more.lines("attempts.jsonl")]
    assert "<script>alert(1)</script><img src=x onerror=alert(1)>" in replies  # kept as it came
    assert None in replies


def test_a_secret_is_in_no_file_and_no_output(
    server: Server, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server says what it was sent: in replies, in errors that pass and in those that stay."""
    secret = "tiger-0123456789-abcdef"  # noqa: S105  (a made-up one)
    monkeypatch.setenv("BOT_TOKEN", secret)
    lottery = Lottery(share=0.4)

    def handler(received: Received) -> Answer:
        head = received.head.decode("latin-1")
        assert secret in head
        struck = lottery.draw(query_of(received))
        spills = [
            fail(500, body=head.encode()),
            fail(400, body=head.encode()),
            say_json({"reply": {"nothing": head}}),
            Answer(head.encode(), headers={"X-Echo": secret}),
            redirect(f"http://127.0.0.1:1/{secret}"),
        ]
        return say(head) if struck is None else spills[struck % len(spills)]

    server.handler = handler
    headers = {"Authorization": {"env": "BOT_TOKEN", "prefix": "Bearer "}}
    run = audit(server, "-v", headers=headers)
    assert run.code == 0, run.said
    assert run.sent == len(server.journal)
    assert sum(found["failed"] for found in run.findings) > 0
    files = [file for file in run.folder.parent.rglob("*") if file.is_file()]
    assert {"ledger.sqlite", "report.html", "run.json"} <= {file.name for file in files}
    assert "authorization: Bearer ***" in (run.folder / "attempts.jsonl").read_text().replace(
        "Authorization", "authorization"
    )
    for text in [run.said.encode(), *(file.read_bytes() for file in files)]:
        assert secret.encode() not in text
        assert secret[:12].encode() not in text
