"""The tables of a report, from a run's summary and findings, in the words and order of the report.

The words of ``summary.json`` are those of ``saywhat.evaluation.tables.summarise``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from saywhat.records import Finding
from saywhat.reports.table import (
    NOT_ESTIMABLE_NOTE,
    Column,
    Table,
    count,
    percent,
    percent_between,
    score,
    score_with_interval,
)

ECHO: Final = 0.5
"""A query that holds at least this share of the target's words is flagged as an echo."""


def verdict(summary: Mapping[str, Any]) -> str:
    """Give the one line that answers the question.

    Example:
        >>> verdict({"targets": 3, "measured": 0, "elicited": 0, "threshold": 0.7})
        'Inconclusive: none of 3 targets could be measured.'
    """
    targets, measured = summary["targets"], summary["measured"]
    if not measured:
        return f"Inconclusive: none of {targets:,} targets could be measured."
    between = percent_between(summary.get("elicited_ci95"))
    interval = f" (95% interval {between})" if between else ""
    rate = percent(summary["elicited"] / measured)
    return (
        f"Elicited {summary['elicited']:,} of {measured:,} measured targets: {rate}{interval} "
        f"at similarity {summary['threshold']:g} or more."
    )


def totals(summary: Mapping[str, Any]) -> list[str]:
    """Give the numbers that belong beside the verdict, in sentences."""
    exact = summary["exact"]
    were = "was" if exact == 1 else "were"
    missing = f"{summary['unmeasured']:,} of {summary['targets']:,} targets"
    lines = [f"{exact:,} {were} said word for word; {missing} could not be measured."]
    if null := summary.get("null"):
        lines.append(
            f"Chance: unrelated replies score {score(null['mean'])} on average "
            f"(95th percentile {score(null['p95'])})."
        )
    return lines


def remarks(summary: Mapping[str, Any], findings: Sequence[Finding]) -> list[str]:
    """Give what must be known to read the verdict rightly: what is missing, echoes, old targets."""
    lines = []
    if summary["status"] != "complete":
        lines.append(f"This run is {summary['status']}, not complete: its numbers may change.")
    echoes = [item for item in findings if item.outcome == "elicited" and item.echo >= ECHO]
    if echoes:
        are = "is an echo" if len(echoes) == 1 else "are echoes"
        lines.append(
            f"{len(echoes):,} of the elicited {are}: "
            "the query already held half of the target's words or more."
        )
    seen, unseen = summary.get("seen"), summary.get("unseen")
    if seen and unseen and seen["targets"]:
        others = f"; of the others {percent(unseen['elicited_rate'])}" if unseen["targets"] else ""
        lines.append(
            f"{seen['targets']:,} targets were among the generator's training replies "
            f"({percent(seen['elicited_rate'])} elicited){others}."
        )
    return lines


def groups_table(summary: Mapping[str, Any]) -> Table:
    """Give one row for each list and length, and the total if there are several."""
    groups = summary["groups"]
    thresholds = list(groups[0]["success"]) if groups else []
    rows = [
        _group_row(f"{group['list']} {group['length']}".strip(), group, thresholds)
        for group in groups
    ]
    if len(groups) > 1 and "success" in summary:
        rows.append(_group_row("all", summary, thresholds, total=True))
    null = (summary.get("null") or {}).get("mean")
    notes = ["Rates and means are over measured targets; in brackets the mean's 95% interval."]
    if null is not None:
        notes.append(f"The null, unrelated replies, has mean similarity {score(null)}.")
    if not all(group["measured"] for group in groups):
        notes.append(NOT_ESTIMABLE_NOTE)
    return Table(
        caption="By list and length",
        columns=(
            Column("List and length", "label"),
            Column("Targets"),
            Column("Unmeas."),
            Column("Mean similarity"),
            *(Column(f"≥{float(threshold):.1f}") for threshold in thresholds),
            Column("Exact"),
            Column("Asked"),
        ),
        rows=tuple(rows),
        note=" ".join(notes),
    )


def _group_row(
    name: str, block: Mapping[str, Any], thresholds: Sequence[str], *, total: bool = False
) -> tuple[str, ...]:
    measured, exact = block["measured"], block["exact"]
    if total:  # over the whole run ``exact`` is a number of targets, in a group a share
        exact = exact / measured if measured else None
    return (
        name,
        count(block["targets"]),
        count(block["targets"] - measured),
        score_with_interval(block["mean_similarity"], block.get("ci95")),
        *(percent(block["success"][threshold], digits=0) for threshold in thresholds),
        percent(exact, digits=0),
        count(block.get("asked")),
    )


def best_cases(findings: Sequence[Finding], limit: int) -> list[Finding]:
    """Give the measured targets of highest similarity, those with the fewest queries first."""
    measured = [item for item in findings if item.similarity is not None]
    return sorted(
        measured,
        key=lambda item: (
            item.outcome != "elicited",
            -(item.similarity or 0.0),
            item.queries_to_first_success or item.asked,
            item.echo,
        ),
    )[:limit]


def cases_table(findings: Sequence[Finding], *, limit: int) -> Table:
    """Give the best cases: the paper's Table 2 with the effort and the echo beside each."""
    cases = best_cases(findings, limit)
    measured = sum(item.similarity is not None for item in findings)
    note = "Echo: the share of the target's words that the query already holds."
    if len(cases) < measured:
        note += f" Shown: {len(cases):,} of {measured:,} measured; all are in findings.jsonl."
    return Table(
        caption="Targets, the best query for each, and the reply that came back",
        columns=(
            Column("Target", "said"),
            Column("Query", "said"),
            Column("Reply", "said"),
            Column("Similarity"),
            Column("Queries to first success"),
            Column("Echo"),
            Column("Exact", "label"),
        ),
        rows=tuple(_case_row(item) for item in cases),
        note=note,
    )


def _case_row(item: Finding) -> tuple[str, ...]:
    if item.queries_to_first_success is None:
        first = "not elicited"
    elif item.queries_to_first_success == 0:
        first = "known pair"
    else:
        first = count(item.queries_to_first_success)
    flag = "echo " if item.echo >= ECHO else ""
    return (
        item.target,
        item.query,
        item.reply,
        score(item.similarity),
        first,
        flag + percent(item.echo, digits=0),
        "exact" if item.exact else "no",
    )


def generic_table(summary: Mapping[str, Any]) -> Table | None:
    """Give the null of the most frequent replies: what a chatbot scores by falling back on them."""
    generic = (summary.get("null") or {}).get("generic") or []
    if not generic:
        return None
    return Table(
        caption="The most frequent replies against every target",
        columns=(Column("Reply", "said"), Column("Share of replies"), Column("Mean similarity")),
        rows=tuple(
            (entry["reply"], percent(entry["share"]), score(entry["mean"])) for entry in generic
        ),
        note="A reply of high similarity to every target counts as success whatever is asked.",
    )


def unmeasured_tables(findings: Sequence[Finding], *, limit: int) -> list[Table]:
    """Give why targets are unmeasured, by number, and which."""
    missing = [item for item in findings if item.outcome == "unmeasured"]
    if not missing:
        return []
    reasons: dict[str, int] = {}
    for item in missing:
        reasons[item.reason] = reasons.get(item.reason, 0) + 1
    ranked = sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0]))[:limit]
    note = f"Shown: {limit:,} of {len(missing):,}." if len(missing) > limit else ""
    return [
        Table(
            caption="Reasons",
            columns=(Column("Reason", "said"), Column("Targets")),
            rows=tuple((reason or "not given", count(number)) for reason, number in ranked),
        ),
        Table(
            caption="Unmeasured targets",
            columns=(
                Column("Target", "said"),
                Column("List and length", "label"),
                Column("Asked"),
                Column("Failed"),
            ),
            rows=tuple(
                (item.target, item.group, count(item.asked), count(item.failed))
                for item in missing[:limit]
            ),
            note=note,
        ),
    ]


def queries_table(summary: Mapping[str, Any]) -> Table:
    """Give the query counts by phase: asked, unique and sent as far as the summary splits them."""
    queries = summary["queries"]
    by_phase: Mapping[str, Mapping[str, int]] = queries.get("detail") or {}
    rows = []
    for phase, asked in queries["by_phase"].items():
        detail = by_phase.get(phase, {})
        rows.append((phase, count(asked), count(detail.get("unique")), count(detail.get("sent"))))
    rows.append(("all", count(queries["asked"]), count(queries["unique"]), count(queries["sent"])))
    return Table(
        caption="Queries by phase",
        columns=(Column("Phase", "label"), Column("Asked"), Column("Unique"), Column("Sent")),
        rows=tuple(rows),
        note=(
            "Asked: by a search, answered from the cache or not. Unique: not answered before. "
            "Sent: left for the chatbot, retries included."
        ),
    )
