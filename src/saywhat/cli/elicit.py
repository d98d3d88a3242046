"""``saywhat elicit``: one sentence, with the best reply so far shown as it comes."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from saywhat.cli.flags import Argument, Call
from saywhat.cli.output import Output
from saywhat.cli.progress import Progress, SendingRate
from saywhat.interfaces import Chatbot, Similarity

if TYPE_CHECKING:
    from saywhat.records import Finding

SENTENCE: Final = Argument("SENTENCE", "What the chatbot should say.")
_PATIENCE: Final = 0.5  # seconds that a batch may take before smaller ones are worth it


def elicit(call: Call) -> None:
    """Find the query for one sentence."""
    from saywhat.audit import AuditReports
    from saywhat.audit import audit as run
    from saywhat.cli.settings import settings_of
    from saywhat.eliciting import for_sentence

    settings = for_sentence(settings_of(call, "audit").audit, call.argument)
    out = call.text("out")
    with Progress(call.output) as progress:
        show = BestSoFar(call.output, progress, total=settings.search.budget)
        result = run(
            settings,
            out=None if out is None else Path(out),
            reports=AuditReports(
                begin=call.output.talk,
                sent=show.rate.add,
                watch=lambda chatbot, similarity: WatchedChatbot(
                    chatbot, similarity, call.argument, show.heard
                ),
            ),
        )
    found = result.findings[0]
    if call.output.as_json:
        extra: dict[str, Any] = {
            "threshold": settings.similarity.threshold,
            "folder": str(result.folder),
        }
        call.output.document({**dataclasses.asdict(found), **extra})
    else:
        _write(found, settings.similarity.threshold, call.output)


@final
class BestSoFar:
    """Shows the best reply that was heard so far.

    Args:
        output: where talk goes.
        progress: shows how far the search is.
        total: queries at most.
    """

    def __init__(self, output: Output, progress: Progress, *, total: int) -> None:
        self._output, self._progress, self._total = output, progress, total
        self._heard, self._best, self.rate = 0, float("-inf"), SendingRate()

    def heard(self, query: str, reply: str, similarity: float) -> None:
        """Take a reply in; say it if none was better."""
        self._heard += 1
        if similarity > self._best:
            self._best = similarity
            self._output.talk(f"{similarity:5.2f}  {query!r} -> {reply!r}")
        note = f"best {self._best:.2f} · {self.rate}"
        self._progress.show("Asking", self._heard, self._total, note)


@final
class WatchedChatbot:
    """Passes queries on, and tells of each reply and its similarity to a sentence.

    Batches start small and grow while the chatbot is quick, so that a slow one is heard reply by
    reply.

    Args:
        chatbot: the chatbot.
        similarity: compares replies with the sentence.
        sentence: the target.
        heard: is told query, reply and similarity.
    """

    def __init__(
        self,
        chatbot: Chatbot,
        similarity: Similarity,
        sentence: str,
        heard: Callable[[str, str, float], None],
    ) -> None:
        self._chatbot, self._similarity = chatbot, similarity
        self._sentence, self._heard, self._size = sentence, heard, 1

    @property
    def name(self) -> str:
        """The wrapped chatbot's name."""
        return self._chatbot.name

    @property
    def fingerprint(self) -> str:
        """The wrapped chatbot's fingerprint: watching changes no reply."""
        return self._chatbot.fingerprint

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Answer as the wrapped chatbot does."""
        replies: list[str] = []
        while len(replies) < len(queries):
            batch = queries[len(replies) : len(replies) + self._size]
            started = time.monotonic()
            answers = self._chatbot.reply(batch)
            if time.monotonic() - started < _PATIENCE:
                self._size *= 2
            scores = self._similarity.score(answers, [self._sentence] * len(answers))
            for query, answer, score in zip(batch, answers, scores, strict=True):
                self._heard(query, answer, score)
            replies += answers
        return replies


def _write(found: "Finding", threshold: float, output: Output) -> None:
    success = found.queries_to_first_success
    first = "" if not success else f", first at query {success}"
    output.line(f"{found.outcome.replace('_', ' ')} within {found.asked} queries{first}")
    output.line(f"target      {found.target}")
    output.line(f"query       {found.query}")
    output.line(f"reply       {found.reply}")
    output.line(f"similarity  {found.similarity:.3f} (threshold {threshold:g})")
