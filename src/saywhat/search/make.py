"""Search names to searches, with a clear error when a part that the method needs is missing."""

import dataclasses
from collections.abc import Sequence

from saywhat.errors import SetupError, UnknownNameError
from saywhat.generators import Generator
from saywhat.interfaces import Search, Similarity
from saywhat.records import Pair
from saywhat.search import one_shot
from saywhat.search.retrieval import Retrieval


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


def make_search(name: str, parts: SearchParts) -> Search:
    """Make a search.

    Args:
        name: one of ``greedy``, ``beam``, ``sampling``, ``real-input``, ``retrieval``, ``random``.
        parts: what it is made of.

    Raises:
        UnknownNameError: there is no such method.
        SetupError: the method needs a generator or a reference corpus that is not given.
    """
    guided = {"greedy": one_shot.greedy, "beam": one_shot.beam, "sampling": one_shot.sampling}
    if name in guided:
        if parts.generator is None:
            raise SetupError(f"The search {name!r} needs a generator; give one with --generator.")
        return guided[name](parts.generator)
    if name == "real-input":
        return one_shot.real_input()
    if name not in {"retrieval", "random"}:
        raise UnknownNameError("search", name, [*guided, "real-input", "retrieval", "random"])
    if not parts.reference:
        raise SetupError(
            f"The search {name!r} needs a reference corpus; give one with --reference."
        )
    if name == "retrieval":
        return Retrieval(parts.reference, parts.similarity)
    return one_shot.random_posts([pair.query for pair in parts.reference])
