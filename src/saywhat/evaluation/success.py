"""Success: against the similarity threshold (the paper's Figure 2) and the number of queries.

Paper, Section 5.2: a target is elicited when the similarity of the best reply is at or above a
threshold.
"""

from collections.abc import Sequence
from typing import Final

from saywhat.records import Attempt

TOLERANCE: Final = 1e-6
"""A similarity this little below a threshold still reaches it: float noise must not decide."""
THRESHOLDS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""The thresholds of tables and result files."""
FINE_THRESHOLDS: Final = tuple(step / 100 for step in range(101))
"""The thresholds of plots: 0 to 1 in steps of 0.01."""


def reaches(similarity: float, threshold: float) -> bool:
    """Whether a similarity is at or above a threshold; the one place where success is decided.

    Example:
        >>> reaches(0.9999999, 1.0), reaches(0.9999, 1.0)
        (True, False)
    """
    return similarity >= threshold - TOLERANCE


def threshold_key(threshold: float) -> str:
    """Give a threshold's key in result files.

    Example:
        >>> threshold_key(0.7), threshold_key(1.0)
        ('0.7', '1.0')
    """
    return str(round(threshold, 4))


def success_curve(
    similarities: Sequence[float], thresholds: Sequence[float] = THRESHOLDS
) -> dict[str, float | None]:
    """Give the share of targets whose best similarity reaches each threshold.

    Args:
        similarities: the best one of each *measured* target.
        thresholds: where to look.

    Returns:
        threshold key -> share in [0, 1]; ``None`` when no target was measured.

    Example:
        >>> success_curve([0.55, 0.95], (0.5, 0.9, 1.0))
        {'0.5': 1.0, '0.9': 0.5, '1.0': 0.0}
    """
    n = len(similarities)
    return {
        threshold_key(threshold): (
            sum(reaches(similarity, threshold) for similarity in similarities) / n if n else None
        )
        for threshold in thresholds
    }


def best_of_first(attempts: Sequence[Attempt], n: int) -> float | None:
    """Give the best similarity among a target's first ``n`` queries.

    Free look-ups of known pairs (``nth`` 0) belong to every ``n``. Attempts that the chatbot failed
    use up queries but have no similarity.

    Args:
        attempts: of one target, in any order.
        n: the number of queries.

    Returns:
        ``None`` when none of them was measured.

    Example:
        >>> asked = [Attempt("t", "a", 1, "x", 0.2), Attempt("t", "b", 2, "y", 0.9)]
        >>> best_of_first(asked, 1), best_of_first(asked, 2)
        (0.2, 0.9)
    """
    return max(_measured([each for each in attempts if each.nth <= n]), default=None)


def success_against_queries(
    per_target: Sequence[Sequence[Attempt]], budgets: Sequence[int], *, threshold: float
) -> dict[int, float | None]:
    """Give the share of targets elicited within each number of queries.

    The share is over the targets with at least one measured attempt at any number of queries, the
    same for every budget, so that the curve never falls.

    Args:
        per_target: the attempts of each target.
        budgets: numbers of queries.
        threshold: the similarity that counts as success.

    Returns:
        budget -> share in [0, 1]; ``None`` when no target was measured.

    Example:
        >>> asked = [Attempt("t", "a", 1, "x", 0.2), Attempt("t", "b", 2, "y", 0.9)]
        >>> success_against_queries([asked], [1, 2], threshold=0.7)
        {1: 0.0, 2: 1.0}
    """
    measured = [attempts for attempts in per_target if _measured(attempts)]
    return {
        budget: (
            sum(_elicited(attempts, budget, threshold) for attempts in measured) / len(measured)
            if measured
            else None
        )
        for budget in budgets
    }


def _measured(attempts: Sequence[Attempt]) -> list[float]:
    return [
        attempt.similarity
        for attempt in attempts
        if attempt.reply is not None and attempt.similarity is not None
    ]


def _elicited(attempts: Sequence[Attempt], n: int, threshold: float) -> bool:
    best = best_of_first(attempts, n)
    return best is not None and reaches(best, threshold)
