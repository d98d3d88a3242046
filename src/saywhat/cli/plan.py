"""A plan in words: what an audit would ask, for ``saywhat check`` and ``audit --dry-run``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from saywhat.cli.flags import Call
from saywhat.cli.output import Output
from saywhat.text.amounts import count

if TYPE_CHECKING:
    from saywhat.config import AuditSettings
    from saywhat.planning import Plan
    from saywhat.runs.outlook import Outlook

_WIDTH: Final = 18


def dry_run(call: Call, settings: "AuditSettings", *, out: Path | None) -> None:
    """Write what an audit would do; nothing is sent and no folder is made."""
    from saywhat.planning import plan_audit
    from saywhat.runs.outlook import outlook

    plan = plan_audit(settings)
    plain = settings.model_dump(mode="json")
    goes = outlook(plan.method, plain, seed=settings.seed, root=Path("runs"), out=out)
    if call.output.as_json:
        run = {"folder": goes.folder, "status": goes.status, "resumed": goes.resumed}
        call.output.document({"schema": 1, "plan": plan.to_json(), "run": run})
        return
    for label, text in _lines(plan, goes):
        labelled(call.output, label, text)
    call.output.talk("Nothing was sent.")


def labelled(output: Output, label: str, text: str) -> None:
    """Write a line of results with its label; further lines of the text go below it."""
    first, *rest = text.split("\n")
    output.line(f"{label:{_WIDTH}}{first}".rstrip())
    for line in rest:
        output.line(f"{'':{_WIDTH}}{line}".rstrip())


def list_text(plan: "Plan") -> str:
    """Say what the target list holds."""
    text = f"{count(plan.targets, 'target')}, longest {count(plan.longest, 'word')}"
    return f"{text}; {plan.unmeasurable:,} cannot be measured" if plan.unmeasurable else text


def bound_text(plan: "Plan") -> str:
    """Say what is asked and sent at most."""
    if not plan.asked:
        return "nothing is asked"
    if plan.sent <= plan.asked:
        return f"at most {count(plan.asked, 'query')}; no more than {plan.sent:,} sent"
    return f"at most {count(plan.asked, 'query')}; with retries at most {plan.sent:,} sent"


def _lines(plan: "Plan", goes: "Outlook") -> Iterator[tuple[str, str]]:
    yield "chatbot", plan.chatbot if plan.chatbot == plan.spec else f"{plan.chatbot} ({plan.spec})"
    yield "search", f"{plan.method}, at most {count(plan.budget, 'query')} a target"
    yield "your list", list_text(plan)
    for group, number in plan.groups.items():
        yield "", f"{group}: {number:,}"
    real = f" and {count(plan.real_inputs, 'real input')}" if plan.real_inputs else ""
    yield "queries", f"{bound_text(plan)} ({plan.searching:,} of the search{real})"
    yield "limits", _limits(plan)
    yield "similarity", f"{plan.similarity}, elicited from {plan.threshold:g}"
    yield "seed", str(plan.seed)
    state = "new" if goes.status is None else "would be resumed" if goes.resumed else "finished"
    yield "run folder", f"{goes.folder} ({state})"


def _limits(plan: "Plan") -> str:
    limits = plan.limits
    phases = {f"phases.{name}": number for name, number in limits.phases if number is not None}
    named = {
        "queries": limits.queries,
        "per_target": limits.per_target,
        **phases,
        "seconds": limits.seconds,
        "rate": limits.rate,
    }
    given = [f"{name} {value:,.10g}" for name, value in named.items() if value is not None]
    tries = f"{count(limits.attempts, 'try')} for each query"
    return ", ".join([*given, tries])
