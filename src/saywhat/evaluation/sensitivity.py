"""Over-sensitivity and over-stability: what small edits of a query do to the reply.

After Niu and Bansal (2018): a chatbot is *over-sensitive* if edits that should not change its reply
do, and *over-stable* if edits that should change it do not. An over-sensitive chatbot is open to
searches that only paraphrase; an over-stable one says the same to much and is hard to steer.

Nothing here knows a chatbot: whoever calls ``measure`` gives it something to ask.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Final, final

import numpy as np

from saywhat.evaluation.edits import Kind, edits
from saywhat.evaluation.statistics import Interval, bootstrap_mean, paired_bootstrap, wilson
from saywhat.interfaces import Similarity
from saywhat.rng import derive, derive_seed
from saywhat.text.stopwords import content_words

Replies = Callable[[Sequence[str]], Sequence[str | None]]

KINDS: Final[tuple[Kind, ...]] = ("should-not-change", "should-change")


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Variant:
    """An edited post.

    Attributes:
        post: the original.
        edit: the edit's name.
        kind: whether the reply should change.
        query: the edited text.
    """

    post: str
    edit: str
    kind: Kind
    query: str


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Effect:
    """What an edit, or all edits of a kind, did to the replies.

    Attributes:
        name: the edit's or the kind's.
        kind: whether the replies should change.
        edits: edited posts that were measured.
        posts: the posts among them; they are what is resampled.
        failed: edited posts left out: without a reply to compare, on either side, or with an
            original reply that the similarity cannot measure.
        similarity: mean similarity of the reply to the original reply; ``None`` if nothing was
            measured.
        similarity_ci: its interval; ``None`` with too few posts.
        unchanged: share of replies that are the original one, letter for letter.
        unchanged_ci: its interval.
    """

    name: str
    kind: Kind
    edits: int
    posts: int
    failed: int
    similarity: float | None
    similarity_ci: Interval | None
    unchanged: float | None
    unchanged_ci: Interval | None


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Sensitivity:
    """What ``measure`` found.

    Attributes:
        posts: asked as they are.
        asked: distinct queries asked, originals and edited ones.
        kinds: ``should-not-change`` and ``should-change``, over all edits of the kind.
        edits: each edit alone.
        contrast: mean similarity under edits that should not change the reply, less that under
            edits that should, over the posts that have both: near 0 for a chatbot that does not
            tell the two apart. ``None`` with too few posts.
        unrelated: mean similarity of the replies to two different posts: the floor that edits that
            change everything lead to. ``None`` with too few posts.
    """

    posts: int
    asked: int
    kinds: tuple[Effect, ...]
    edits: tuple[Effect, ...]
    contrast: Interval | None
    unrelated: Interval | None


@final
@dataclasses.dataclass(frozen=True, slots=True)
class _Compared:
    """An edited post whose reply was compared with the original one."""

    variant: Variant
    similarity: float
    unchanged: bool


def variants(posts: Sequence[str], *, seed: int) -> list[Variant]:
    """Apply each edit to each post, where it applies.

    Args:
        posts: distinct ordinary posts; their content words also replace each other.
        seed: of the places of the edits; a post's edits depend on no other draw.

    Example:
        >>> [v.query for v in variants(["Is it so?"], seed=1) if v.edit in ("casing", "negation")]
        ['IS IT SO?', "isn't it so?"]
    """
    pool = content_words(posts)
    made = []
    for post in posts:
        for edit in edits(pool):
            query = edit.apply(post, derive(seed, "sensitivity", edit.name, post))
            if query and query != post:
                made.append(Variant(post, edit.name, edit.kind, query))
    return made


def measure(
    ask: Replies, posts: Sequence[str], similarity: Similarity, *, seed: int
) -> Sensitivity:
    """Ask posts as they are and edited, once each, and compare the replies.

    Args:
        ask: gives the reply to each query, in order; ``None`` for one that failed. It is called
            once.
        posts: ordinary posts; one that repeats counts once.
        similarity: of two replies.
        seed: of the edits and of the intervals.

    Raises:
        ValueError: there are not as many replies as queries.
    """
    distinct = list(dict.fromkeys(posts))
    made = variants(distinct, seed=seed)
    queries = list(dict.fromkeys([*distinct, *(variant.query for variant in made)]))
    answers = dict(zip(queries, ask(queries), strict=True))
    compared = _compare(made, answers, similarity)
    rng = np.random.default_rng(derive_seed(seed, "sensitivity-intervals"))
    kinds = []
    for kind in KINDS:
        of_kind = [v for v in made if v.kind == kind]
        kinds.append(_effect(kind, kind, of_kind, compared, rng))
    singles = []
    for edit in edits([]):
        of_edit = [v for v in made if v.edit == edit.name]
        singles.append(_effect(edit.name, edit.kind, of_edit, compared, rng))
    return Sensitivity(
        posts=len(distinct),
        asked=len(queries),
        kinds=tuple(kinds),
        edits=tuple(singles),
        contrast=_contrast(compared, rng),
        unrelated=_unrelated(distinct, answers, similarity, rng),
    )


def _compare(
    made: Sequence[Variant], answers: Mapping[str, str | None], similarity: Similarity
) -> dict[Variant, _Compared]:
    pairs = [
        (variant, new, old)
        for variant in made
        if (new := answers[variant.query]) is not None
        and (old := answers[variant.post]) is not None
        and similarity.measurable(old)
    ]
    scores = similarity.score([new for _, new, _ in pairs], [old for _, _, old in pairs])
    return {
        variant: _Compared(variant, score, new == old)
        for (variant, new, old), score in zip(pairs, scores, strict=True)
    }


def _effect(
    name: str,
    kind: Kind,
    made: Sequence[Variant],
    compared: Mapping[Variant, _Compared],
    rng: np.random.Generator,
) -> Effect:
    found = [compared[variant] for variant in made if variant in compared]
    similarities = _by_post(found, lambda each: each.similarity)
    unchanged = _by_post(found, lambda each: float(each.unchanged))
    alone = len(found) == len(similarities)
    return Effect(
        name=name,
        kind=kind,
        edits=len(found),
        posts=len(similarities),
        failed=len(made) - len(found),
        similarity=_mean(similarities),
        similarity_ci=bootstrap_mean(list(similarities.values()), rng),
        unchanged=_mean(unchanged),
        # one edit a post is a share of independent yes and no; several are resampled by post
        unchanged_ci=wilson(sum(each.unchanged for each in found), len(found))
        if alone
        else bootstrap_mean(list(unchanged.values()), rng),
    )


def _by_post(found: Sequence[_Compared], value: Callable[[_Compared], float]) -> dict[str, float]:
    """Give each post's mean over its edits."""
    groups: dict[str, list[float]] = {}
    for each in found:
        groups.setdefault(each.variant.post, []).append(value(each))
    return {post: sum(values) / len(values) for post, values in groups.items()}


def _mean(values: Mapping[str, float]) -> float | None:
    return sum(values.values()) / len(values) if values else None


def _contrast(compared: Mapping[Variant, _Compared], rng: np.random.Generator) -> Interval | None:
    stable, changing = (
        _by_post([c for c in compared.values() if c.variant.kind == kind], lambda c: c.similarity)
        for kind in KINDS
    )
    both = [post for post in stable if post in changing]
    return paired_bootstrap([stable[p] for p in both], [changing[p] for p in both], rng=rng)


def _unrelated(
    posts: Sequence[str],
    answers: Mapping[str, str | None],
    similarity: Similarity,
    rng: np.random.Generator,
) -> Interval | None:
    """Compare each post's reply with the next post's, in a circle."""
    replies = [
        reply
        for post in posts
        if (reply := answers[post]) is not None and similarity.measurable(reply)
    ]
    return bootstrap_mean(similarity.score(replies[1:] + replies[:1], replies), rng)
