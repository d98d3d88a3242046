"""``saywhat elicit``: one sentence, with the best reply so far shown as it comes."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from saywhat.cli.flags import Argument, Call
from saywhat.cli.output import Output
from saywhat.cli.progress import Progress, SendingRate

if TYPE_CHECKING:
    from saywhat.records import Finding

SENTENCE: Final = Argument("SENTENCE", "What the chatbot should say.")


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
                begin=show.begin,
                sent=show.sent,
                listener=lambda similarity: (
                    lambda query, reply: show.heard(
                        query, reply, similarity.score([reply], [call.argument])[0]
                    )
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
        self._heard, self._best, self._rate = 0, float("-inf"), SendingRate()

    def begin(self, plan: str) -> None:
        """Say the plan; asking starts now."""
        self._output.talk(plan)
        self._rate = SendingRate()

    def sent(self, number: int) -> None:
        """Count queries that left."""
        self._rate.add(number)

    def heard(self, query: str, reply: str, similarity: float) -> None:
        """Take a reply in; say it if none was better."""
        self._heard += 1
        if similarity > self._best:
            self._best = similarity
            self._output.talk(f"{similarity:5.2f}  {query!r} -> {reply!r}")
        note = f"best {self._best:.2f} · {self._rate}"
        self._progress.show("Asking", self._heard, self._total, note)


def _write(found: "Finding", threshold: float, output: Output) -> None:
    success = found.queries_to_first_success
    first = "" if not success else f", first at query {success}"
    output.line(f"{found.outcome.replace('_', ' ')} within {found.asked} queries{first}")
    output.line(f"target      {found.target}")
    output.line(f"query       {found.query}")
    output.line(f"reply       {found.reply}")
    output.line(f"similarity  {found.similarity:.3f} (threshold {threshold:g})")
