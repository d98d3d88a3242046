"""``saywhat check``: a dozen queries before an audit, and what the audit would cost."""

from typing import TYPE_CHECKING

from saywhat.cli.flags import Call
from saywhat.cli.output import Output
from saywhat.cli.plan import bound_text, labelled, list_text
from saywhat.cli.progress import Progress
from saywhat.errors import InconclusiveError
from saywhat.text.amounts import duration, milliseconds

if TYPE_CHECKING:
    from saywhat.checking import Check


def check(call: Call) -> None:
    """Try a chatbot with a dozen queries."""
    from saywhat.checking import check as run
    from saywhat.cli.settings import settings_of

    settings = settings_of(call, "audit").audit
    with Progress(call.output) as progress:
        found = run(settings, report=lambda done, total: progress.show("Asking", done, total))
    if call.output.as_json:
        call.output.document(found.to_json())
    else:
        _write(found, call.output)
    if not found.usable:
        raise InconclusiveError("An audit of this chatbot could measure nothing as it is.")


def _write(found: "Check", output: Output) -> None:
    for verdict in found.verdicts:
        advice = f"  -> {verdict.advice}" if verdict.advice else ""
        separator = "\n" if "\n" in verdict.text else ""
        labelled(output, verdict.name, f"{verdict.text}{separator}{advice}")
    if found.stopped:
        labelled(output, "not all was asked", found.stopped)
    plan, counts = found.plan, found.counts
    labelled(output, "your list", list_text(plan))
    labelled(output, "a full run", bound_text(plan))
    if (seconds := found.seconds) is not None and plan.asked:
        labelled(output, "time of asking", f"{duration(seconds)}, {_ground(found)}")
    labelled(output, "this check", f"{counts.asked} asked, {counts.sent} sent")


def _ground(found: "Check") -> str:
    """Say what the estimate of time comes from."""
    plan = found.plan
    if found.pace is not None:
        text = f"estimated from {milliseconds(found.pace)} a reply in a small batch"
    elif found.latency is not None:
        several = plan.concurrency is not None and plan.concurrency > 1
        together = f"{plan.concurrency} at once" if several else "one after the other"
        text = f"estimated from {milliseconds(found.latency.median)} a reply, {together}"
    else:
        return ""
    return f"{text}, at most {plan.limits.rate:g} a second" if plan.limits.rate else text
