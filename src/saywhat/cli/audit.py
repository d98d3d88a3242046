"""``saywhat audit``: the main job."""

from pathlib import Path
from typing import TYPE_CHECKING, final

from saywhat.cli.flags import Call
from saywhat.cli.output import Output
from saywhat.cli.plan import dry_run
from saywhat.cli.progress import Progress, SendingRate

if TYPE_CHECKING:
    from saywhat.audit import AuditReports, AuditResult
    from saywhat.records import Finding


def audit(call: Call) -> None:
    """Ask for each target; report what it took."""
    from saywhat.cli.settings import settings_of

    settings = settings_of(call, "audit").audit
    out = call.text("out")
    if "dry-run" in call.switches:
        dry_run(call, settings, out=None if out is None else Path(out))
        return
    from saywhat.audit import audit as run

    with Progress(call.output) as progress:
        told = AuditTalk(call.output, progress)
        result = run(
            settings,
            out=None if out is None else Path(out),
            reports=told.reports(),
        )
    _show(result, call)


@final
class AuditTalk:
    """What an audit says while it runs.

    Args:
        output: where talk goes.
        progress: shows how far it is.
    """

    def __init__(self, output: Output, progress: Progress) -> None:
        self._output, self._progress, self._rate = output, progress, SendingRate()
        self._done, self._total, self._elicited = 0, 0, 0

    def reports(self, *, page: bool = True) -> "AuditReports":
        """Give it as an audit takes it; see there for ``page``."""
        from saywhat.audit import AuditReports

        return AuditReports(begin=self.begin, target=self.target, sent=self.sent, page=page)

    def begin(self, plan: str) -> None:
        """Say the plan; asking starts now."""
        self._output.talk(plan)
        self._rate = SendingRate()
        self._done, self._total, self._elicited = 0, 0, 0
        self._show()

    def sent(self, number: int) -> None:
        """Count queries that left."""
        self._rate.add(number)
        self._show()

    def target(self, found: "Finding", done: int, total: int) -> None:
        """Take a finding in."""
        self._done, self._total = done, total
        self._elicited += found.outcome == "elicited"
        similarity = "-" if found.similarity is None else f"{found.similarity:.2f}"
        self._output.detail(f"{found.outcome} {similarity} {found.target!r} <- {found.query!r}")
        self._show()

    def _show(self) -> None:
        note = f"{self._elicited:,} elicited · {self._rate}"
        self._progress.show("Asking", self._done, self._total or None, note)


def _show(result: "AuditResult", call: Call) -> None:
    from saywhat.reports.terminal import print_summary

    output = call.output
    report = result.folder / "report.html"
    if output.as_json:
        output.document({**result.summary, "folder": str(result.folder), "report": str(report)})
        return
    print_summary(output.results(), result.summary, result.findings)
    output.line(f"Report: {report}")
    if result.summary["status"] != "complete":
        output.talk("A limit ended the run before all was asked.")
    output.talk(f"Again: {call.command()}")
