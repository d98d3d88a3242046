"""Search names to searches, with a clear error when a part that the method needs is missing."""

import dataclasses
from collections.abc import Sequence

from saywhat import registry
from saywhat.config import SearchSettings
from saywhat.errors import NoReferenceError, SetupError, UnknownNameError
from saywhat.generators import Generator, ProposesDiversely
from saywhat.interfaces import Search, Similarity
from saywhat.records import Pair
from saywhat.search import one_shot
from saywhat.search.retrieval import Retrieval
from saywhat.search.rnn_agent import RnnAgent


@dataclasses.dataclass(frozen=True, slots=True)
class SearchParts:
    """What searches are made of. A part may be absent if the method does not need it.

    Attributes:
        similarity: scores replies.
        generator: proposes queries.
        reference: (query, reply) pairs that are already paid for.
    """

    similarity: Similarity
    generator: Generator | None = None
    reference: Sequence[Pair] = ()


def make_search(name: str, parts: SearchParts, settings: SearchSettings | None = None) -> Search:
    """Make a search.

    Args:
        name: one that ``registry.names("searches")`` lists.
        parts: what it is made of.
        settings: of searches that have any.

    Raises:
        UnknownNameError: there is no such method.
        SetupError: the method needs a generator or a reference corpus that is not given, or would
            learn from a judge.
    """
    if name not in (known := registry.names("searches")):
        raise UnknownNameError("search", name, known)
    if name == "real-input":
        return one_shot.real_input()
    if name in {"retrieval", "random", "rnn-agent"}:
        return _from_reference(name, parts, settings or SearchSettings())
    return _guided(name, parts.generator, settings or SearchSettings())


def _from_reference(name: str, parts: SearchParts, settings: SearchSettings) -> Search:
    if not parts.reference:
        raise NoReferenceError(name)
    if name == "retrieval":
        return Retrieval(parts.reference, parts.similarity)
    if name == "rnn-agent" and parts.similarity.name in registry.JUDGES:
        raise SetupError(
            f"The search 'rnn-agent' learns from the similarity, and {parts.similarity.name} is a "
            "judge, which is no reward; choose another similarity.name."
        )
    posts = [pair.query for pair in parts.reference]
    return one_shot.random_posts(posts) if name == "random" else RnnAgent(posts, settings.agent)


def _guided(name: str, generator: Generator | None, settings: SearchSettings) -> Search:
    if generator is None:
        raise SetupError(f"The search {name!r} needs a generator; give one with --generator.")
    if name == "sampling":
        return one_shot.sampling(generator, temperature=settings.temperature)
    if name != "diverse-beam":
        return {"greedy": one_shot.greedy, "beam": one_shot.beam}[name](generator)
    if not isinstance(generator, ProposesDiversely):
        raise SetupError(f"This generator cannot search in groups, as {name!r} needs; use 'beam'.")
    return one_shot.diverse_beam(
        generator, groups=settings.diversity_groups, strength=settings.diversity_strength
    )
