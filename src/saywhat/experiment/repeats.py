"""The best queries asked again: whether what was found is what the chatbot says, or one lucky draw.

The best of N replies of a chatbot that draws them is partly luck, and the more so the larger N. So
each best query is asked again, with draws that selected nothing.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from saywhat.config import AuditSettings
from saywhat.experiment import stages
from saywhat.experiment.evaluate import rounded
from saywhat.experiment.extras import ledger_in, opened
from saywhat.experiment.stages import Place
from saywhat.interfaces import Similarity
from saywhat.ledger import LedgeredChatbot
from saywhat.records import Finding
from saywhat.rng import derive_seed


def repeats(
    place: Place,
    found: Mapping[str, Sequence[Finding]],
    similarity: Similarity,
    settings: AuditSettings,
    *,
    times: int,
    folder: Path,
) -> dict[str, Any]:
    """Ask every method's best queries again.

    Args:
        place: of the chatbot. One of the built-in kind numbers its draws from its start, in each
            process, so each time a copy with a seed of its own is asked; and a language model
            that is given a seed is given another one each time.
        found: method -> its findings.
        similarity: what selected the queries.
        settings: of the audit that found them.
        times: how often each is asked again.
        folder: for the ledger; what was bought before is not bought again.

    Returns:
        ``times``; ``methods``: method -> ``found``, the similarity of the reply that was kept for
        each target (``None`` if unmeasured), ``again``, those of the replies that came for the same
        query since, and ``query``, the number of that query: targets that share one share its
        draws; ``queries``: what was asked by phase.
    """
    with ledger_in(folder, settings) as ledger, contextlib.ExitStack() as open_things:
        asked: dict[tuple[str, int | None], Callable[..., LedgeredChatbot]] = {}
        askers = []
        for nth in range(1, times + 1):
            spec, again = _drawing(place, settings, nth, folder)
            if (key := (spec, again.model.seed)) not in asked:
                asked[key] = open_things.enter_context(opened(spec, again, ledger))
            askers.append(asked[key](phase="verify", repeat=nth))
        methods = {
            name: {
                "found": [rounded(f.similarity) for f in findings],
                "again": _again(name, findings, similarity, askers),
                "query": _numbered([f.query for f in findings]),
            }
            for name, findings in found.items()
        }
    return {"times": times, "methods": methods, "queries": stages.counts(folder)}


def _drawing(
    place: Place, settings: AuditSettings, nth: int, folder: Path
) -> tuple[str, AuditSettings]:
    """Give how to ask a chatbot for the nth time: where a seed decides its draws, with another."""
    seed = derive_seed(settings.seed, "repeat", nth)
    if place.model is not None:
        copy = stages.reseeded(place.model, folder / f"chatbot-{nth}", seed=seed)
        return f"seq2seq:{copy}", settings
    if settings.model.seed is None:
        return place.spec, settings
    model = settings.model.model_copy(update={"seed": seed % 2**31})  # what servers take
    return place.spec, settings.model_copy(update={"model": model})


def _again(
    name: str,
    findings: Sequence[Finding],
    similarity: Similarity,
    askers: Sequence[LedgeredChatbot],
) -> list[list[float]]:
    """Give the similarities of new replies, for each finding; of those that failed, none."""
    measured = [(n, f) for n, f in enumerate(findings) if f.similarity is not None]
    queries = [f.query for _, f in measured]
    again: list[list[float]] = [[] for _ in findings]
    for nth, asker in enumerate(askers):
        answers = asker.ask(queries, scope=f"{name} {nth}")
        told = [(n, f, a.reply) for (n, f), a in zip(measured, answers, strict=True)]
        kept = [(n, f.target, reply) for n, f, reply in told if reply is not None]
        scores = similarity.score([r for _, _, r in kept], [t for _, t, _ in kept])
        for (n, _, _), score in zip(kept, scores, strict=True):
            again[n].append(round(score, 6))
    return again


def _numbered(queries: Sequence[str]) -> list[int]:
    """Give each query the number of its first appearance."""
    first: dict[str, int] = {}
    return [first.setdefault(query, len(first)) for query in queries]
