"""The composition root of a check: a handful of probes before an audit, and what it would cost.

    settings -> plan -> chatbot, behind a ledger of its own -> probes -> verdicts

The ledger is in a temporary folder: a check leaves nothing behind but what it says.
"""

import dataclasses
import random
import re
import shlex
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, final

from saywhat.config import AuditSettings
from saywhat.errors import BatchError, BudgetError, ChatbotError, UnreachableError
from saywhat.evaluation.probes import BATCH, PROBES, Latency, Probe, Probed, latency, pace
from saywhat.evaluation.verdicts import Verdict, judge
from saywhat.interfaces import Chatbot
from saywhat.ledger import Counts, Ledger, Limits
from saywhat.planning import Plan, plan_audit
from saywhat.registry import open_chatbot
from saywhat.reports.visible import visible
from saywhat.rng import derive

_TRIES_UNANSWERED: Final = 2  # failures in a row after which no more is asked
_TRIES: Final = 3  # the same of a chatbot that has answered
_ORDINARY: Final = re.compile(r"[\n\r\t]|<U\+")  # as text: "<U+" marks what is hidden
_HIDDEN: Final = re.compile(r"<U\+[0-9A-F]+>")
_ADVICE: Final = (
    ("HTTP 401", "see that the key is right and is sent"),
    ("HTTP 403", "see that the key is right and may do this"),
    ("HTTP 404", "correct the address or, for openai:, the model's name"),
    ("HTTP 429", "ask more slowly: --rate and --concurrency"),
    ("HTTP 4", "compare the request with one that the service takes"),
    ("HTTP 5", "look into the log of the chatbot's own server"),
    ("timeout", "give it more time: --timeout"),
    ("ConnectError", "start the chatbot, or correct its address"),
    ("ProxyError", "correct connection.proxy"),
    ("no reply", "take the reply from where the text is: `reply` in the file"),
    ("malformed JSON", "if it answers in plain text, say `reply: text` in the file"),
)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """What a check found.

    Attributes:
        plan: what an audit with the same settings would ask.
        fingerprint: of the chatbot.
        probed: what came of each probe that was asked.
        verdicts: what they show.
        latency: of ordinary queries, asked one by one; ``None`` if none was answered.
        pace: seconds for a reply in a batch; ``None`` if the chatbot does not answer batches.
        counts: what the check itself asked and sent.
        stopped: why not all probes were asked; ``""`` if they were.
    """

    plan: Plan
    fingerprint: str
    probed: tuple[Probed, ...]
    verdicts: tuple[Verdict, ...]
    latency: Latency | None
    pace: float | None
    counts: Counts
    stopped: str

    @property
    def usable(self) -> bool:
        """Whether an audit of this chatbot can measure anything."""
        return all(verdict.status != "failed" for verdict in self.verdicts)

    @property
    def seconds(self) -> float | None:
        """How long asking takes in an audit, estimated from what was measured."""
        if self.latency is None:
            return None
        return self.plan.seconds(self.latency.median if self.pace is None else self.pace)

    def to_json(self) -> dict[str, Any]:
        """Give everything in plain JSON values."""
        return {
            "schema": 1,
            "chatbot": {
                "name": self.plan.chatbot,
                "spec": self.plan.spec,
                "fingerprint": self.fingerprint,
            },
            "usable": self.usable,
            "verdicts": [dataclasses.asdict(verdict) for verdict in self.verdicts],
            "latency": None if self.latency is None else dataclasses.asdict(self.latency),
            "pace": self.pace,
            "probes": [dataclasses.asdict(probed) for probed in self.probed],
            "stopped": self.stopped,
            "queries": dataclasses.asdict(self.counts),
            "plan": {**self.plan.to_json(), "seconds": self.seconds},
        }


def check(
    settings: AuditSettings,
    *,
    report: Callable[[int, int], None] = lambda *_: None,
    rng: random.Random | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Check:
    """Ask a chatbot a dozen queries, and say what an audit would meet.

    A chatbot that answers batches is then asked a batch of eight, for its pace. Each query is tried
    once, within the limits of the settings, and counted by a ledger.

    Args:
        settings: of the audit.
        report: is told (done, total) after each probe.
        rng: draws the secret word; another one each time by default, so that a chatbot's own cache
            cannot know it.
        clock: gives seconds.

    Raises:
        SetupError: the settings name something that cannot be used; nothing was asked.

    Example:
        >>> found = check(AuditSettings(chatbot="known:echo"))
        >>> found.usable, found.counts.asked
        (True, 20)
    """
    rng = rng or derive(settings.seed, "check", time.time_ns())
    secret = "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(5))
    limits = Limits.of(settings.limits)
    limits = dataclasses.replace(limits, breaker=max(limits.breaker, _TRIES))  # ours come first
    with (
        open_chatbot(
            settings.chatbot, connection=settings.connection, model=settings.model
        ) as chatbot,
        tempfile.TemporaryDirectory(prefix="saywhat-") as folder,
        Ledger(Path(folder, "ledger.sqlite"), limits) as ledger,
    ):
        plan = plan_audit(settings, chatbot=chatbot)
        asking = _Asking(ledger, TimedChatbot(chatbot, clock=clock), secret)
        for number, probe in enumerate(PROBES, start=1):
            asking.ask(probe)
            report(number, len(PROBES))
            if asking.stopped:
                break
        batch = len(BATCH) if plan.concurrency is None else 0
        if batch and not asking.stopped:
            asking.ask_batch()
        probed = tuple(asking.probed)
        return Check(
            plan=plan,
            fingerprint=chatbot.fingerprint,
            probed=probed,
            verdicts=tuple(judge(probed, secret=secret, advise=lambda p: _advice(p, plan.spec))),
            latency=latency(probed),
            pace=pace(probed),
            counts=ledger.total(),
            stopped=asking.stopped if len(probed) < len(PROBES) + batch else "",
        )


@final
class TimedChatbot:
    """Keeps how long a reply took; otherwise it is the same chatbot, asked for batches.

    It stands behind the ledger, whose waiting for its pace is then no part of the time.

    Args:
        chatbot: the chatbot.
        clock: gives seconds.

    Attributes:
        seconds: what a query of the last batch took.
        refused: why the last batch of several queries failed as a whole; the ledger then asks each
            alone, so that no reply tells of it.
    """

    def __init__(self, chatbot: Chatbot, *, clock: Callable[[], float]) -> None:
        self._chatbot, self._clock = chatbot, clock
        self.seconds, self.refused = 0.0, ""

    @property
    def name(self) -> str:
        """The wrapped chatbot's name."""
        return self._chatbot.name

    @property
    def fingerprint(self) -> str:
        """The wrapped chatbot's fingerprint: timing changes no reply."""
        return self._chatbot.fingerprint

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Answer as the wrapped chatbot does."""
        started = self._clock()
        try:
            return self._chatbot.reply(queries)
        except Exception as error:
            if len(queries) > 1 and not isinstance(error, BatchError):
                self.refused = str(error)
            raise
        finally:
            self.seconds = (self._clock() - started) / max(1, len(queries))


@final
class _Asking:
    """Asks probes one by one, until all are asked or more would be in vain."""

    def __init__(self, ledger: Ledger, chatbot: TimedChatbot, secret: str) -> None:
        self._chatbot, self._secret, self._failed = chatbot, secret, 0
        repeats = {probe.repeat for probe in PROBES}
        self._askers = {n: ledger.chatbot(chatbot, phase="verify", repeat=n) for n in repeats}
        self.probed: list[Probed] = []
        self.stopped = ""

    def ask(self, probe: Probe) -> None:
        query = probe.query.replace("{word}", self._secret)
        self._ask(probe.kind, [query], repeat=probe.repeat)
        answered = any(p.reply is not None for p in self.probed)
        if self._failed >= (_TRIES if answered else _TRIES_UNANSWERED) and not self.stopped:
            self.stopped = f"{self._failed} queries in a row failed"

    def ask_batch(self) -> None:
        self._ask("batch", list(BATCH), repeat=0)
        if self._chatbot.refused:
            error = f"{self._chatbot.refused}; each query is asked again alone"
            self.probed = [
                dataclasses.replace(p, reply=None, error=error, failure="batch")
                if p.kind == "batch"
                else p
                for p in self.probed
            ]

    def _ask(self, kind: str, queries: list[str], *, repeat: int) -> None:
        error, failure = "", ""
        replies: list[str | None] = [None] * len(queries)
        try:
            replies = list(self._askers[repeat].reply(queries))
        except ChatbotError as failed:
            error, failure = failed.message, failed.kind
        except UnreachableError as failed:
            error = failure = self.stopped = str(failed)
        except BudgetError as ended:
            self.stopped = str(ended)
            return
        taken = self._chatbot.seconds
        for query, reply in zip(queries, replies, strict=True):
            hidden = () if reply is None else hidden_characters(reply)
            self.probed.append(Probed(kind, query, reply, taken, error, failure, hidden))
            self._failed = self._failed + 1 if reply is None else 0


def hidden_characters(text: str) -> tuple[str, ...]:
    r"""Give the code points in a text that nobody sees or that a terminal would obey.

    Line ends and tabs are ordinary.

    Example:
        >>> hidden_characters("a\n\x1b[2J\u200b <U+0041>")
        ('<U+001B>', '<U+200B>')
    """
    return tuple(sorted(set(_HIDDEN.findall(visible(_ORDINARY.sub(" ", text))))))


def _advice(probed: Probed, spec: str) -> str:
    for kind, text in _ADVICE:
        if kind in probed.failure:
            return text
    return f"try by hand: saywhat chat --chatbot {shlex.quote(spec)}"
