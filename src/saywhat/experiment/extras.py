"""What an experiment asks beside its rates: what is reachable at all, and how edits tell."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saywhat.config import AuditSettings, OracleSettings
from saywhat.corpora.keywords import keyword_targets
from saywhat.evaluation.sensitivity import measure
from saywhat.experiment.stages import Place, counts, pairs_of, targets_of
from saywhat.interfaces import Similarity
from saywhat.ledger import Ledger, LedgeredChatbot, Limits
from saywhat.oracle import WhiteBox, gibbs_enum
from saywhat.records import Target
from saywhat.registry import open_chatbot
from saywhat.rng import derive, fraction


def ledger_in(folder: Path, settings: AuditSettings) -> Ledger:
    """Open a folder's ledger; what it bought before is not bought again."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Ledger(folder / "ledger.sqlite", Limits.of(settings.limits))


@contextmanager
def opened(
    spec: str, settings: AuditSettings, ledger: Ledger
) -> Iterator[Callable[..., LedgeredChatbot]]:
    """Open a chatbot behind a ledger.

    Yields:
        Gives the chatbot as it is asked in a phase; the arguments are those of ``Ledger.chatbot``.
    """
    with open_chatbot(spec, connection=settings.connection, model=settings.model) as chatbot:
        yield functools.partial(ledger.chatbot, chatbot, attempts=settings.limits.attempts)


@contextmanager
def asking(place: Place, settings: AuditSettings, folder: Path) -> Iterator[LedgeredChatbot]:
    """Open a place's chatbot for a search."""
    with ledger_in(folder, settings) as ledger, opened(place.spec, settings, ledger) as asked:
        yield asked(phase="search")


def _replies(chatbot: LedgeredChatbot, scope: str, queries: Sequence[str]) -> list[str | None]:
    return [answer.reply for answer in chatbot.ask(queries, scope=scope)]


def oracle(
    place: Place,
    targets: Sequence[Target],
    similarity: Similarity,
    settings: AuditSettings,
    *,
    folder: Path,
) -> dict[str, Any]:
    """Say which targets are reachable, with the chatbot's weights in hand.

    A lower bound, and no competitor: it sees what an attacker does not.

    Returns:
        ``findings``: one a target; ``asked``, ``passes`` and ``gradients`` in all; ``queries``:
        what was asked by phase.
    """
    if place.model is None:
        raise TypeError(f"Expected a chatbot of the built-in kind, got {place.spec}.")
    box, posts = WhiteBox.load(place.model), [pair.query for pair in pairs_of(place)]
    with asking(place, settings, folder) as chatbot:
        found = [
            gibbs_enum(
                box,
                target.text,
                functools.partial(_replies, chatbot, target.text),
                posts,
                similarity=similarity,
                settings=OracleSettings(),
                rng=derive(settings.seed, "oracle", target.text),
            )
            for target in targets
        ]
    return {
        "findings": [
            {"list": target.list, "length": target.length, **dataclasses.asdict(each)}
            for target, each in zip(targets, found, strict=True)
        ],
        **{name: sum(getattr(f, name) for f in found) for name in ("asked", "passes", "gradients")},
        "queries": counts(folder),
    }


def probes(
    place: Place,
    posts: Sequence[str],
    similarity: Similarity,
    settings: AuditSettings,
    *,
    folder: Path,
) -> dict[str, Any]:
    """Say how the chatbot's replies change when held-out posts are edited; count what it cost."""
    with asking(place, settings, folder) as chatbot:
        replies = functools.partial(_replies, chatbot, "probes")
        found = measure(replies, posts, similarity, seed=settings.seed)
    return {**dataclasses.asdict(found), "queries": counts(folder)}


def keywords(place: Place, *, per_count: int, seed: int, tell: Any) -> list[Target]:
    """Draw keyword targets from the chatbot's own replies to held-out posts."""
    replies = [t.text for t in targets_of(place, "test") if t.list == "generated"]
    return keyword_targets(replies, per_count=per_count, seed=seed, short=tell)


def some(posts: Sequence[str], count: int, *, seed: int) -> list[str]:
    """Draw posts by hash."""
    return sorted(posts, key=lambda post: fraction("probe", seed, post))[:count]
