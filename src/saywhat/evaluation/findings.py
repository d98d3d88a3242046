"""From the attempts for one target to its finding: the best query, and whether it is a success.

A failure is never a result. Attempts that the chatbot did not answer count for nothing but
``failed``; a target without one measured attempt is ``unmeasured``, which is neither ``elicited``
nor ``not_elicited``.
"""

from collections.abc import Sequence

from saywhat.evaluation.success import reaches
from saywhat.records import Attempt, Finding, Target
from saywhat.text.normalise import same_words, share_of_words


def finding(
    target: Target, attempts: Sequence[Attempt], *, threshold: float, reason: str = ""
) -> Finding:
    """Judge one target.

    The best attempt is the one of the highest similarity; of equals an exact one, then the
    earliest.

    Args:
        target: the target.
        attempts: its attempts, in any order.
        threshold: the similarity that counts as success.
        reason: why the target cannot be measured (for example: it has no word that the similarity
            knows); then it is unmeasured whatever the attempts say.

    Example:
        >>> attempt = Attempt("hi there", "hi you", 1, "Hi there!", 1.0)
        >>> found = finding(Target("hi there"), [attempt], threshold=0.7)
        >>> found.outcome, found.exact, found.echo
        ('elicited', True, 0.5)
    """
    measured = [] if reason else _measured(attempts)
    if not measured:
        return _unmeasured(target, attempts, reason=reason or _why_unmeasured(attempts))
    best_similarity = max(similarity for similarity, _, _ in measured)
    # a reordered reply also scores 1: an exact one among equals must not hide behind it
    _, best, reply = min(
        (item for item in measured if item[0] == best_similarity),
        key=lambda item: (not same_words(item[2], target.text), item[1].nth),
    )
    successes = [
        attempt.nth for similarity, attempt, _ in measured if reaches(similarity, threshold)
    ]
    return Finding(
        target=target.text,
        list=target.list,
        length=target.length,
        group=_group(target),
        outcome="elicited" if successes else "not_elicited",
        query=best.query,
        reply=reply,
        similarity=best_similarity,
        exact=same_words(reply, target.text),
        queries_to_first_success=min(successes, default=None),
        asked=_asked(attempts),
        failed=_failed(attempts),
        echo=share_of_words(target.text, best.query),
        seen=target.seen,
    )


def _measured(attempts: Sequence[Attempt]) -> list[tuple[float, Attempt, str]]:
    """Give the attempts that have a reply and a similarity, with both."""
    return [
        (attempt.similarity, attempt, attempt.reply)
        for attempt in attempts
        if attempt.reply is not None and attempt.similarity is not None
    ]


def _unmeasured(target: Target, attempts: Sequence[Attempt], *, reason: str) -> Finding:
    return Finding(
        target=target.text,
        list=target.list,
        length=target.length,
        group=_group(target),
        outcome="unmeasured",
        query="",
        reply="",
        similarity=None,
        exact=False,
        queries_to_first_success=None,
        asked=_asked(attempts),
        failed=_failed(attempts),
        echo=0.0,
        seen=target.seen,
        reason=reason,
    )


def _why_unmeasured(attempts: Sequence[Attempt]) -> str:
    if not attempts:
        return "no query was asked"
    first = next((attempt.error for attempt in attempts if attempt.error), "")
    number = len(attempts)
    failed = f"the chatbot answered none of {number} quer{'y' if number == 1 else 'ies'}"
    return f"{failed}: {first}" if first else failed


def _group(target: Target) -> str:
    return f"{target.list} {target.length}".strip()


def _asked(attempts: Sequence[Attempt]) -> int:
    """Count queries; free look-ups of known pairs (``nth`` 0) are none."""
    return sum(attempt.nth > 0 for attempt in attempts)


def _failed(attempts: Sequence[Attempt]) -> int:
    return sum(attempt.nth > 0 and attempt.reply is None for attempt in attempts)
