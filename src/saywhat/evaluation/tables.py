"""From findings to tables: a run's ``summary.json`` and the rows of committed benchmark results.

Rates and means are over *measured* targets only and stand beside the number of unmeasured ones;
without a measured target they are ``None`` (JSON ``null``). Every table is checked when it is made:
its parts must add up to its whole.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from saywhat.evaluation.statistics import bootstrap_mean, wilson
from saywhat.evaluation.success import THRESHOLDS, reaches, success_curve, threshold_key
from saywhat.records import Attempt, Finding
from saywhat.similarity.null import NullScores
from saywhat.text.normalise import normalise

SCHEMA: Final = 1
_TOTALS: Final = ("targets", "measured", "unmeasured", "elicited", "asked", "failed")
_ROW_KEYS: Final = ("list", "length", "targets", "measured", "mean_similarity", "ci95", "exact")


def summarise(
    findings: Sequence[Finding],
    *,
    counts: Mapping[str, Any],
    chatbot: str,
    method: str,
    similarity: str,
    threshold: float,
    status: str,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Make ``summary.json``, schema 1.

    Over the whole run ``exact`` is a number of targets, in each group a share. ``ci95`` belongs to
    ``mean_similarity`` (bootstrap over targets), ``success_ci95`` to ``success`` (Wilson).
    ``distinct_best_replies`` counts the different replies among the best ones of the targets: far
    fewer than targets means that one reply serves for many.

    Args:
        findings: one for each target.
        counts: the ledger's ``asked``, ``unique``, ``sent`` and ``by_phase`` (asked, split by
            phase), and all of them by phase as ``detail`` if they are known; copied to
            ``queries``.
        chatbot: the chatbot's name.
        method: the method's name.
        similarity: the similarity's name.
        threshold: the one that the findings were judged by.
        status: ``"complete"``, or why not.
        rng: for the intervals.

    Raises:
        RuntimeError: the findings or the counts contradict each other: a bug in saywhat.

    Example:
        >>> counts = {"asked": 0, "unique": 0, "sent": 0, "by_phase": {}}
        >>> labels = {"chatbot": "builtin", "method": "beam", "similarity": "exact"}
        >>> rng = np.random.default_rng(1)
        >>> empty = summarise([], counts=counts, **labels, threshold=1.0, status="partial", rng=rng)
        >>> empty["targets"], empty["mean_similarity"]
        (0, None)
    """
    _check_findings(findings, threshold)
    _check_counts(counts)
    overall = _block(findings, rng)
    groups = [
        {"list": name, "length": length, **_block(members, rng)}
        for (name, length), members in _by_group(findings)
    ]
    summary = {
        "schema": SCHEMA,
        "status": status,
        "chatbot": chatbot,
        "method": method,
        "similarity": similarity,
        "threshold": threshold,
        **overall,
        "exact": sum(item.exact for item in findings),
        "queries": dict(counts),
        "seen": _tally([item for item in findings if item.seen]),
        "unseen": _tally([item for item in findings if not item.seen]),
        "null": None,
        "groups": groups,
    }
    _check_totals(summary)
    return summary


def with_null(summary: Mapping[str, Any], null: NullScores) -> dict[str, Any]:
    """Give the summary with the null beside its rates.

    Example:
        >>> with_null({}, NullScores(pairs=0, mean=None, p95=None, generic=()))
        {'null': {'pairs': 0, 'mean': None, 'p95': None, 'generic': []}}
    """
    generic = [dataclasses.asdict(reply) for reply in null.generic]
    return {**summary, "null": {**dataclasses.asdict(null), "generic": generic}}


def check_asked(summary: Mapping[str, Any]) -> None:
    """See that the attempts of an audit are what its ledger counted as asked in phase ``search``.

    Of a run that was cut, the queries of the targets that were cut have no attempts.

    Raises:
        RuntimeError: they are not: a bug in saywhat.
    """
    attempts, asked = summary["asked"], summary["queries"]["by_phase"].get("search", 0)
    _require(
        attempts == asked or (attempts < asked and summary["status"] != "complete"),
        f"{attempts} attempts in a {summary['status']} run, {asked} queries asked",
    )


def rows(
    summary: Mapping[str, Any],
    *,
    seed: int,
    training_queries: int,
    seconds: float,
    distinct_replies: Mapping[str, int],
) -> list[dict[str, Any]]:
    """Make the rows of ``benchmarks/results/<name>.json``, one a group.

    Args:
        summary: of one run.
        seed: the run's seed.
        training_queries: what training the generator asked (phases ``reference`` and
            ``reinforce``).
        seconds: the run's time; each row gets a part by the queries that it asked.
        distinct_replies: group (``"<list> <length>"``) -> ``distinct_replies`` of its attempts; a
            group that is not in it gets ``None``.
    """
    asked = sum(group["asked"] for group in summary["groups"])
    null = summary["null"]
    return [
        {
            "chatbot": summary["chatbot"],
            "method": summary["method"],
            "similarity": summary["similarity"],
            "seed": seed,
            **{key: group[key] for key in _ROW_KEYS},
            "success": dict(group["success"]),
            "queries_per_target": _ratio(group["asked"], group["targets"]),
            "queries_total": group["asked"],
            "training_queries": training_queries,
            "distinct_replies": distinct_replies.get(f"{group['list']} {group['length']}".strip()),
            "null_mean": null["mean"] if null else None,
            "seconds": round(seconds * group["asked"] / asked, 1) if asked else None,
        }
        for group in summary["groups"]
    ]


def distinct_replies(attempts: Iterable[Attempt]) -> int:
    """Count the different replies, after normalisation, that the chatbot gave.

    Example:
        >>> distinct_replies([Attempt("t", "a", 1, "Hi!", 0.1), Attempt("t", "b", 2, "hi", 0.1)])
        1
    """
    return len({normalise(attempt.reply) for attempt in attempts if attempt.reply is not None})


def _block(findings: Sequence[Finding], rng: np.random.Generator) -> dict[str, Any]:
    """What the whole run and each group have in common."""
    similarities = [item.similarity for item in findings if item.similarity is not None]
    interval = bootstrap_mean(similarities, rng)
    replies = {normalise(item.reply) for item in findings if item.similarity is not None}
    return {
        **_tally(findings),
        "asked": sum(item.asked for item in findings),
        "failed": sum(item.failed for item in findings),
        "exact": _ratio(sum(item.exact for item in findings), len(similarities)),
        "mean_similarity": _ratio(sum(similarities), len(similarities)),
        "ci95": interval.as_list() if interval else None,
        "success": {
            key: None if share is None else round(share, 6)
            for key, share in success_curve(similarities).items()
        },
        "success_ci95": {
            threshold_key(threshold): _wilson(similarities, threshold) for threshold in THRESHOLDS
        },
        "distinct_best_replies": len(replies),
    }


def _tally(findings: Sequence[Finding]) -> dict[str, Any]:
    measured = sum(item.outcome != "unmeasured" for item in findings)
    elicited = sum(item.outcome == "elicited" for item in findings)
    interval = wilson(elicited, measured)
    return {
        "targets": len(findings),
        "measured": measured,
        "unmeasured": len(findings) - measured,
        "elicited": elicited,
        "elicited_rate": _ratio(elicited, measured),
        "elicited_ci95": interval.as_list() if interval else None,
    }


def _wilson(similarities: Sequence[float], threshold: float) -> list[float] | None:
    interval = wilson(sum(reaches(x, threshold) for x in similarities), len(similarities))
    return interval.as_list() if interval else None


def _by_group(findings: Sequence[Finding]) -> list[tuple[tuple[str, str], list[Finding]]]:
    """Group by (list, length): lists by name, lengths by their first number (4-6 before 10-12)."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for item in findings:
        groups.setdefault((item.list, item.length), []).append(item)

    def rank(key: tuple[str, str]) -> tuple[str, int, str]:
        first = key[1].partition("-")[0]
        return key[0], int(first) if first.isdecimal() else -1, key[1]

    return [(key, groups[key]) for key in sorted(groups, key=rank)]


def _ratio(part: int | float, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _check_findings(findings: Sequence[Finding], threshold: float) -> None:
    for item in findings:
        expected = (
            "unmeasured"
            if item.similarity is None
            else "elicited"
            if reaches(item.similarity, threshold)
            else "not_elicited"
        )
        _require(
            item.outcome == expected,
            f"{item.target!r} is {item.outcome} with similarity {item.similarity} "
            f"at threshold {threshold}",
        )
        _require(
            not item.exact or item.similarity is not None,
            f"{item.target!r} is exact but unmeasured",
        )


def _check_counts(counts: Mapping[str, Any]) -> None:
    missing = {"asked", "unique", "sent", "by_phase"} - set(counts)
    _require(not missing, f"the counts lack {sorted(missing)}")
    by_phase = sum(counts["by_phase"].values())
    _require(
        by_phase == counts["asked"], f"{counts['asked']} queries asked, {by_phase} over the phases"
    )
    # fewer may be asked than are unique: a resumed search that a failure had led elsewhere
    _require(
        counts["unique"] <= counts["sent"],
        f"{counts['unique']} unique queries of {counts['sent']} sent",
    )
    if detail := counts.get("detail"):
        for key in ("asked", "unique", "sent"):
            parts = sum(phase[key] for phase in detail.values())
            _require(parts == counts[key], f"{key} is {counts[key]}, {parts} in the phases' detail")
        asked = {phase: numbers["asked"] for phase, numbers in detail.items()}
        _require(
            asked == dict(counts["by_phase"]),
            f"the phases asked {dict(counts['by_phase'])}, {asked} in their detail",
        )


def _check_totals(summary: Mapping[str, Any]) -> None:
    groups = summary["groups"]
    for key in _TOTALS:
        parts = sum(group[key] for group in groups)
        _require(parts == summary[key], f"{key} is {summary[key]}, {parts} over the groups")
    for key in ("targets", "measured", "elicited"):
        parts = summary["seen"][key] + summary["unseen"][key]
        _require(parts == summary[key], f"{key} is {summary[key]}, {parts} over seen and unseen")
    means = sum((group["mean_similarity"] or 0.0) * group["measured"] for group in groups)
    whole = (summary["mean_similarity"] or 0.0) * summary["measured"]
    _require(
        abs(means - whole) <= 1e-5 * max(1, summary["measured"]),
        f"the similarities add up to {whole:.6f}, {means:.6f} over the groups",
    )


def _require(condition: bool, contradiction: str) -> None:
    if not condition:
        raise RuntimeError(
            f"A summary contradicts itself: {contradiction}. "
            "This is a bug in saywhat; please report it."
        )
