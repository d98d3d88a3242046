"""One method on one target list: an audit, scored by every similarity, as plain values.

The similarity of the settings selects: the attacker keeps the query whose reply it likes best. The
paper's own similarity selects for itself, as in the paper. A judge selects nothing: it scores the
reply that the first similarity selected, and never saw training or selection.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from saywhat.audit import AuditReports, audit
from saywhat.config import AuditSettings
from saywhat.evaluation.findings import finding
from saywhat.evaluation.tables import distinct_replies, rows, summarise, with_null
from saywhat.interfaces import Chatbot, Similarity
from saywhat.records import Attempt, Finding, Target, read_jsonl
from saywhat.rng import derive_seed
from saywhat.similarity.null import NullScores


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Method:
    """A search with its budget, and which generator guides it.

    Attributes:
        name: as in result files (``rl-beam-200``).
        search: the search's name.
        budget: queries per target at most.
        generator: ``rl``, ``pretrained`` or ``""`` for none.
        temperature: of sampling.
    """

    name: str
    search: str
    budget: int
    generator: str = ""
    temperature: float = 1.0


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Scales:
    """The similarities that replies are scored by.

    Attributes:
        selectors: name -> a similarity that selects for itself; the first is the reward.
        judges: name -> a similarity that only scores what the first one selected.
        nulls: name -> what chance scores by it.
    """

    selectors: Mapping[str, Similarity]
    judges: Mapping[str, Similarity]
    nulls: Mapping[str, NullScores]


def evaluate(
    method: Method,
    settings: AuditSettings,
    targets: Sequence[Target],
    scales: Scales,
    *,
    chatbot: Chatbot,
    folder: Path,
    seconds: float = 0.0,
) -> dict[str, Any]:
    """Run a method over a target list and score what came.

    Args:
        method: the method.
        settings: of the audit; its search is the method's.
        targets: the list that the settings name.
        scales: the similarities.
        chatbot: the chatbot.
        folder: the run folder; an unfinished run in it goes on.
        seconds: time spent before.

    Returns:
        ``rows`` (as in ``benchmarks/results``), ``scores`` (similarity -> one number a target,
        ``None`` if unmeasured), ``exact`` (0 or 1 each), ``first`` (the number of the first query
        at or over the threshold, 0 for none), ``queries`` and ``replies`` (the best ones),
        ``best_after`` (numbers of queries -> mean best similarity) and ``counts``.
    """
    search = settings.search.model_copy(
        update={
            "method": method.search,
            "budget": method.budget,
            "temperature": method.temperature,
            "real_input": False,
        }
    )
    settings = settings.model_copy(update={"search": search})
    result = audit(settings, out=folder, chatbot=chatbot, reports=AuditReports())
    attempts = attempts_by_target(folder)
    threshold = settings.similarity.threshold
    found: dict[str, list[Finding]] = {}
    for name, similarity in scales.selectors.items():
        found[name] = rescored(targets, attempts, similarity, threshold=threshold)
    chosen = next(iter(found.values()))
    for name, judge in scales.judges.items():
        found[name] = judged(chosen, judge, threshold=threshold)
    made = [
        row
        for name, findings in found.items()
        for row in rows(
            with_null(
                summarise(
                    findings,
                    counts=result.summary["queries"],
                    chatbot=settings.chatbot,
                    method=method.name,
                    similarity=name,
                    threshold=threshold,
                    status=result.summary["status"],
                    rng=np.random.default_rng(derive_seed(settings.seed, method.name, name)),
                ),
                scales.nulls[name],
            ),
            seed=settings.seed,
            training_queries=0,
            seconds=seconds,
            distinct_replies=distinct_by_group(targets, attempts),
        )
    ]
    return {
        "rows": made,
        "scores": {name: [_rounded(f.similarity) for f in each] for name, each in found.items()},
        "exact": [int(f.exact) for f in chosen],
        "first": [f.queries_to_first_success or 0 for f in chosen],
        "queries": [f.query for f in chosen],
        "replies": [f.reply for f in chosen],
        "counts": result.summary["queries"],
    }


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
    """Score the selected replies by a similarity that selected none of them."""
    measured = [f for f in chosen if f.similarity is not None]
    scores = judge.score([f.reply for f in measured], [f.target for f in measured])
    by_target = dict(zip((f.target for f in measured), scores, strict=True))
    return [
        finding(
            Target(f.target, list=f.list, length=f.length, seen=f.seen),
            [Attempt(f.target, f.query, 1, f.reply, by_target[f.target])]
            if f.target in by_target
            else [],
            threshold=threshold,
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


def _rounded(similarity: float | None) -> float | None:
    return None if similarity is None else round(similarity, 4)
