"""The HTML report: one file, readable without scripts, in which every chatbot text is data.

Each value that the template writes passes through ``visible`` and then through autoescaping, in
text and in attributes alike; the figures, which do their own escaping, are the only exception.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from saywhat.records import Finding
from saywhat.reports.curves import (
    Curves,
    Row,
    curves_of,
    curves_tables,
    points,
    similarity_tables,
    summary_rows,
)
from saywhat.reports.figures import inline_svg, queries_figure, threshold_figure
from saywhat.reports.pages import environment
from saywhat.reports.sections import (
    cases_table,
    generic_table,
    groups_table,
    queries_table,
    remarks,
    unmeasured_tables,
    verdict,
)
from saywhat.reports.table import between, count, percent, score


def build_report(
    summary: Mapping[str, Any],
    findings: Sequence[Finding],
    run: Mapping[str, Any],
    *,
    curves: Curves | None = None,
    query_curves: Curves | None = None,
    baselines: Sequence[Row] = (),
    cases: int = 50,
) -> str:
    """Write a run's report.

    Args:
        summary: as in ``summary.json``.
        findings: all of the run's findings.
        run: as in ``run.json``.
        curves: method -> (list, length) -> threshold -> share elicited; by default those of the
            summary and the baselines.
        query_curves: method -> (list, length) -> number of queries -> share elicited; left out if
            absent.
        baselines: rows of a results file to show beside this run, for example ``real-input``.
        cases: the most best cases, and unmeasured targets, to show.

    Returns:
        the HTML document; encode it as UTF-8.

    Raises:
        ValueError: the findings contradict the summary.
    """
    _check_totals(summary, findings)
    rows = [*baselines, *summary_rows(summary)]
    shown = curves_of(rows) if curves is None else curves
    return (
        environment()
        .get_template("report.html")
        .render(
            chatbot=summary["chatbot"],
            verdict=verdict(summary),
            remarks=remarks(summary, findings),
            meter=_meter(summary),
            figures=_key_figures(summary),
            scope=_scope(summary, run),
            cases=cases_table(findings, limit=cases),
            groups=groups_table(summary),
            thresholds=_figure(shown, against_queries=False),
            queries=_figure(query_curves or {}, against_queries=True),
            similarities=similarity_tables(rows),
            generic=generic_table(summary),
            unmeasured=unmeasured_tables(findings, limit=cases),
            phases=queries_table(summary),
            limits=_limits(summary),
            command=run.get("command", ""),
            facts=_facts(run),
            packages=[f"{name} {version}" for name, version in run.get("packages", {}).items()],
        )
    )


def _check_totals(summary: Mapping[str, Any], findings: Sequence[Finding]) -> None:
    found = {
        "targets": len(findings),
        "unmeasured": sum(item.outcome == "unmeasured" for item in findings),
        "elicited": sum(item.outcome == "elicited" for item in findings),
        "exact": sum(item.exact for item in findings),
    }
    wrong = [
        f"{key} is {summary[key]}, {number} over the findings"
        for key, number in found.items()
        if summary[key] != number
    ]
    if wrong:
        raise ValueError(
            f"The summary and the findings are not of the same run: {'; '.join(wrong)}. "
            "Pass all findings of the run that was summarised."
        )


def _meter(summary: Mapping[str, Any]) -> dict[str, str] | None:
    """Give the positions of the bar under the verdict."""
    if not summary["measured"]:
        return None
    rate = summary["elicited"] / summary["measured"]
    low, high = summary.get("elicited_ci95") or (rate, rate)
    return {
        "label": percent(rate),
        "rate": f"{100 * rate:.2f}%",
        "low": f"{100 * low:.2f}%",
        "width": f"{100 * (high - low):.2f}%",
    }


def _key_figures(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Give name, number and detail of what stands in large type."""
    null, queries = summary.get("null") or {}, summary["queries"]
    figures = [
        ("elicited", count(summary["elicited"]), f"of {summary['measured']:,} measured"),
        ("word for word", count(summary["exact"]), ""),
        ("unmeasured", count(summary["unmeasured"]), f"of {summary['targets']:,} targets"),
        ("mean similarity", score(summary["mean_similarity"]), between(summary.get("ci95"))),
        ("queries asked", count(queries["asked"]), f"{queries['sent']:,} sent"),
    ]
    if null.get("mean") is not None:
        detail = f"95th percentile {score(null['p95'])}"
        figures.insert(4, ("chance (null)", score(null["mean"]), detail))
    return figures


def _scope(summary: Mapping[str, Any], run: Mapping[str, Any]) -> list[tuple[str, str]]:
    lists = ", ".join(dict.fromkeys(group["list"] for group in summary["groups"]))
    asked = [group["asked"] for group in summary["groups"] if group.get("asked") is not None]
    effort = f"{sum(asked) / summary['targets']:,.1f} queries a target" if asked else ""
    scope = [
        ("Chatbot", summary["chatbot"]),
        ("Method", summary["method"]),
        ("Similarity", f"{summary['similarity']}, success from {summary['threshold']:g}"),
        ("Target lists", lists),
        ("Effort", effort),
        ("Date", str(run.get("finished") or run.get("created") or "")),
        ("Version", f"saywhat {run['version']}" if run.get("version") else ""),
        ("Status", summary["status"]),
    ]
    return [(name, value) for name, value in scope if value]


def _figure(curves: Curves, *, against_queries: bool) -> dict[str, Any] | None:
    """Give a figure and the tables of its data, or nothing if no point of it was measured."""
    if not any(points(curve) for by_group in curves.values() for curve in by_group.values()):
        return None
    draw = queries_figure if against_queries else threshold_figure
    tables = curves_tables(curves, against_queries=against_queries)
    label = "Share of targets elicited against the " + (
        "number of queries" if against_queries else "similarity threshold"
    )
    svg = inline_svg(
        draw(curves),
        label=f"{label}; the tables below give the numbers.",
        prefix="queries" if against_queries else "thresholds",
    )
    return {"svg": Markup(svg), "tables": tables}  # noqa: S704  (inline_svg escapes its text)


def _limits(summary: Mapping[str, Any]) -> list[str]:
    return [
        "Not elicited means: not by this method within this number of queries. That is no proof.",
        f"Similarity is {summary['similarity']}: a number, not a judgement. Read the replies.",
        "Compare every rate with what chance scores.",
        "Rates and means are over measured targets. A query that failed is never a result.",
        "A chatbot that is not deterministic may answer the same query otherwise.",
        "Training the generator costs queries too: phases reference and reinforce of its own run.",
    ]


def _facts(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    commit = str(run.get("commit") or "not in a git repository")
    seeds = ", ".join(f"{name} {seed}" for name, seed in run.get("seeds", {}).items())
    facts = [
        ("Run", f"{run.get('name', '')} {run.get('settings_hash', '')}".strip()),
        ("Seeds", seeds),
        ("Commit", commit + (" with changes that are not committed" if run.get("dirty") else "")),
        ("Started", str(run.get("created") or "")),
        ("Ended", str(run.get("finished") or "")),
        ("Python", str(run.get("python") or "")),
        ("Hardware", str(run.get("hardware") or "")),
    ]
    return [(name, value) for name, value in facts if value]
