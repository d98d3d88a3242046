"""One method on one target list: an audit, scored by every similarity, as plain values.

The similarity of the settings selects: the attacker keeps the query whose reply it likes best. The
paper's own similarity selects for itself, as in the paper. A judge selects nothing: it scores the
reply that the first similarity selected, and never saw training or selection.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from saywhat.audit import AuditReports, audit, query_counts
from saywhat.config import AuditSettings
from saywhat.errors import InconclusiveError
from saywhat.evaluation.findings import finding
from saywhat.evaluation.tables import distinct_replies, rows, summarise
from saywhat.experiment.design import REAL_INPUT, Method
from saywhat.experiment.queries import QueryMeasures
from saywhat.interfaces import Similarity
from saywhat.records import Attempt, Finding, Target, read_jsonl, write_jsonl
from saywhat.rng import derive_seed, fraction
from saywhat.similarity.null import NullScores

FINDINGS: Final = "findings.jsonl"
"""Of a run folder: one a target."""
_EXAMPLES: Final = 4  # of each list and length
SILENT: Final = AuditReports(page=False)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Scales:
    """What replies and queries are measured by.

    Attributes:
        selectors: name -> a similarity that selects for itself; the first is the reward.
        judges: name -> a similarity that only scores what the first one selected.
        nulls: name -> group ("real 4-6") -> what chance and generic replies score by it.
        queries: of the queries.
    """

    selectors: Mapping[str, Similarity]
    judges: Mapping[str, Similarity]
    nulls: Mapping[str, Mapping[str, NullScores]]
    queries: QueryMeasures


def evaluate(
    method: Method,
    settings: AuditSettings,
    targets: Sequence[Target],
    scales: Scales,
    *,
    label: str,
    folder: Path,
    reports: AuditReports = SILENT,
) -> dict[str, Any]:
    """Run a method over a target list and score what came.

    Args:
        method: the method.
        settings: of the audit; its search is the method's.
        targets: the list that the settings name.
        scales: the measures.
        label: the chatbot's name in the rows.
        folder: the run folder; an unfinished run in it goes on.
        reports: who is told of the audit's progress.

    Returns:
        ``rows`` (as in ``benchmarks/results``, with seconds and training queries 0), ``scores``
        (similarity -> one number a target, ``None`` if unmeasured), ``exact`` (0 or 1 each),
        ``first`` (the number of the first query at or over the threshold, ``None`` for none),
        ``queries`` (how ordinary the best ones are and what they copy, by list), ``examples`` and
        ``counts``. Where there is nothing to ask (no target at all, or none that people said
        something before), no row.

    Raises:
        InconclusiveError: a limit ended the audit before every target was tried: half a list is
            not the list's figure.
    """
    settings = _with(settings, method)
    if not any(target.query or method.search != REAL_INPUT for target in targets):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_jsonl([], folder / FINDINGS)
        return _nothing(targets, scales)
    result = audit(settings, out=folder, reports=reports)
    if result.summary["status"] != "complete":
        raise _ended(method, folder)
    attempts = attempts_by_target(folder)
    threshold = settings.similarity.threshold
    found: dict[str, list[Finding]] = {}
    for name, similarity in scales.selectors.items():
        found[name] = rescored(targets, attempts, similarity, threshold=threshold)
    chosen = next(iter(found.values()))
    for name, judge in scales.judges.items():
        found[name] = judged(chosen, judge, threshold=threshold)
    distinct = distinct_by_group(targets, attempts)
    made = []
    for name, findings in found.items():
        summary = summarise(
            findings,
            counts=result.summary["queries"],
            chatbot=label,
            method=method.name,
            similarity=name,
            threshold=threshold,
            status=result.summary["status"],
            rng=np.random.default_rng(derive_seed(settings.seed, method.name, name)),
        )
        made += [
            {**row, **_null(scales.nulls[name], row)}
            for row in rows(
                summary,
                seed=settings.seed,
                training_queries=0,
                seconds=0.0,
                distinct_replies=distinct,
            )
        ]
    return {
        "rows": made,
        "scores": {name: [rounded(f.similarity) for f in each] for name, each in found.items()},
        "exact": [int(f.exact) for f in chosen],
        "first": [f.queries_to_first_success for f in chosen],
        "queries": by_list(chosen, scales.queries),
        "examples": examples(chosen),
        "counts": result.summary["queries"],
    }


def _ended(method: Method, folder: Path) -> InconclusiveError:
    return InconclusiveError(
        f"A limit ended {method.name} before it had tried every target (see {folder}); run the "
        "same command again with higher --set audit.limits."
    )


def _nothing(targets: Sequence[Target], scales: Scales) -> dict[str, Any]:
    """Give what comes of a method that has nothing to ask."""
    unmeasured = [None] * len(targets)
    return {
        "rows": [],
        "scores": dict.fromkeys((*scales.selectors, *scales.judges), unmeasured),
        "exact": [0] * len(targets),
        "first": unmeasured,
        "queries": {},
        "examples": [],
        "counts": query_counts({}),
    }


def _with(settings: AuditSettings, method: Method) -> AuditSettings:
    plain = settings.model_dump()
    plain["search"] |= {
        "method": method.search,
        "budget": method.budget,
        "temperature": method.temperature,
        "real_input": False,
    }
    return AuditSettings.model_validate(plain)


def attempts_by_target(folder: Path) -> dict[str, list[Attempt]]:
    """Read a run's attempts."""
    grouped: dict[str, list[Attempt]] = {}
    for attempt in read_jsonl(Attempt, folder / "attempts.jsonl"):
        grouped.setdefault(attempt.target, []).append(attempt)
    return grouped


def rescored(
    targets: Sequence[Target],
    attempts: Mapping[str, Sequence[Attempt]],
    similarity: Similarity,
    *,
    threshold: float,
) -> list[Finding]:
    """Score stored replies with another similarity, and select by it: no query."""
    findings = []
    for target in targets:
        asked = attempts.get(target.text, [])
        scores = similarity.score([a.reply or "" for a in asked], [target.text] * len(asked))
        again = [
            dataclasses.replace(a, similarity=None if a.reply is None else score)
            for a, score in zip(asked, scores, strict=True)
        ]
        findings.append(finding(target, again, threshold=threshold))
    return findings


def judged(chosen: Sequence[Finding], judge: Similarity, *, threshold: float) -> list[Finding]:
    """Score the selected replies by a similarity that selected none of them.

    What was asked for them is what was asked.
    """
    measured = [f for f in chosen if f.similarity is not None]
    scores = judge.score([f.reply for f in measured], [f.target for f in measured])
    by_target = dict(zip((f.target for f in measured), scores, strict=True))
    return [
        dataclasses.replace(
            finding(
                Target(f.target, list=f.list, length=f.length, seen=f.seen),
                [Attempt(f.target, f.query, 1, f.reply, by_target[f.target])]
                if f.target in by_target
                else [],
                threshold=threshold,
                reason=f.reason,
            ),
            asked=f.asked,
            failed=f.failed,
        )
        for f in chosen
    ]


def distinct_by_group(
    targets: Sequence[Target], attempts: Mapping[str, Sequence[Attempt]]
) -> dict[str, int]:
    """Count the distinct replies that each group's queries got."""
    groups: dict[str, list[Attempt]] = {}
    for target in targets:
        group = f"{target.list} {target.length}".strip()
        groups.setdefault(group, []).extend(attempts.get(target.text, []))
    return {name: distinct_replies(members) for name, members in groups.items()}


def by_list(findings: Sequence[Finding], measures: QueryMeasures) -> dict[str, dict[str, Any]]:
    """Measure the best queries of each list, those that elicited their target by themselves too."""
    lists: dict[str, list[Finding]] = {}
    for found in findings:
        if found.similarity is not None:
            lists.setdefault(found.list, []).append(found)
    return {
        name: {
            "all": measures.of([(f.query, f.target) for f in members]),
            "elicited": measures.of(
                [(f.query, f.target) for f in members if f.outcome == "elicited"]
            ),
        }
        for name, members in lists.items()
    }


def examples(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Give some elicited targets of each group, drawn by hash: none is picked for its looks."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for found in findings:
        if found.outcome == "elicited":
            groups.setdefault((found.list, found.length), []).append(found)
    return [
        {
            "list": f.list,
            "length": f.length,
            "target": f.target,
            "query": f.query,
            "reply": f.reply,
            "similarity": rounded(f.similarity),
        }
        for members in groups.values()
        for f in sorted(members, key=lambda f: fraction("example", f.target))[:_EXAMPLES]
    ]


def _null(nulls: Mapping[str, NullScores], row: Mapping[str, Any]) -> dict[str, float | None]:
    """Give the null of a row's group, and what the best of the most frequent replies scores."""
    null = nulls.get(f"{row['list']} {row['length']}".strip())
    if null is None:
        return {"null_mean": None, "generic_best": None}
    means = [reply.mean for reply in null.generic if reply.mean is not None]
    return {"null_mean": null.mean, "generic_best": max(means, default=None)}


def rounded(similarity: float | None) -> float | None:
    """Round a similarity to the 6 digits that a part holds: with fewer, 0.69996 would be 0.7."""
    return None if similarity is None else round(similarity, 6)
