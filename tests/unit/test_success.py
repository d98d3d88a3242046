"""Success against the threshold and against the number of queries."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saywhat.evaluation.success import (
    FINE_THRESHOLDS,
    THRESHOLDS,
    best_of_first,
    reaches,
    success_against_queries,
    success_curve,
    threshold_key,
)
from saywhat.records import Attempt

SIMILARITIES = st.lists(st.floats(-1, 1), min_size=1, max_size=30)
ATTEMPTS = st.lists(
    st.tuples(st.integers(0, 12), st.none() | st.floats(-1, 1)).map(
        lambda item: Attempt("t", "q", item[0], None if item[1] is None else "r", item[1])
    ),
    max_size=12,
)


def asked(nth: int, similarity: float | None) -> Attempt:
    return Attempt("t", "q", nth, None if similarity is None else "r", similarity)


def test_the_share_at_or_above_each_threshold() -> None:
    assert success_curve([0.5, 0.65, 0.7, 1.0]) == {
        "0.5": 1.0, "0.6": 0.75, "0.7": 0.5, "0.8": 0.25, "0.9": 0.25, "1.0": 0.25,
    }  # fmt: skip


def test_the_tolerance_forgives_float_noise_only() -> None:
    assert reaches(1 - 9e-7, 1.0)
    assert not reaches(1 - 2e-6, 1.0)
    assert reaches(0.1 + 0.2, 0.3)


def test_nothing_measured_is_not_zero() -> None:
    assert set(success_curve([]).values()) == {None}
    assert success_against_queries([], [1], threshold=0.5) == {1: None}
    assert success_against_queries([[asked(1, None)]], [1], threshold=0.5) == {1: None}


@settings(deadline=None)  # time says nothing on a busy machine
@given(SIMILARITIES)
def test_success_never_rises_with_the_threshold(similarities: list[float]) -> None:
    for thresholds in (THRESHOLDS, FINE_THRESHOLDS):
        shares = list(success_curve(similarities, thresholds).values())
        assert len(shares) == len(thresholds)
        assert all(isinstance(share, float) and 0 <= share <= 1 for share in shares)
        assert shares == sorted(shares, key=lambda share: -(share or 0.0))


def test_keys_are_distinct_and_those_of_the_result_files() -> None:
    assert [threshold_key(t) for t in THRESHOLDS] == ["0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]
    assert len({threshold_key(t) for t in FINE_THRESHOLDS}) == 101
    assert threshold_key(0.1 + 0.2) == "0.3"


def test_best_of_first_by_hand() -> None:
    attempts = [asked(3, 0.9), asked(1, 0.2), asked(2, None), asked(4, 0.5)]
    assert [best_of_first(attempts, n) for n in (0, 1, 2, 3, 200)] == [None, 0.2, 0.2, 0.9, 0.9]
    assert best_of_first([asked(0, 0.8), *attempts], 0) == 0.8  # a free look-up costs no query


def test_success_against_queries_by_hand() -> None:
    per_target = [
        [asked(1, 0.9)],
        [asked(1, 0.1), asked(2, 0.7)],
        [asked(1, None), asked(2, 0.2)],  # measured from the second query on, never a success
        [asked(1, None), asked(2, None)],  # unmeasured: in no rate
    ]
    curve = success_against_queries(per_target, [1, 2, 200], threshold=0.7)
    assert curve == {1: pytest.approx(1 / 3), 2: pytest.approx(2 / 3), 200: pytest.approx(2 / 3)}


@settings(deadline=None)  # time says nothing on a busy machine
@given(st.lists(ATTEMPTS, max_size=8), st.floats(0, 1))
def test_success_never_falls_with_more_queries(
    per_target: list[list[Attempt]], threshold: float
) -> None:
    curve = success_against_queries(per_target, range(13), threshold=threshold)
    shares = [share for share in curve.values() if share is not None]
    assert len(shares) in {0, 13}
    assert shares == sorted(shares)
