"""The token bucket and the breaker by themselves, with times that are given to them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saywhat.errors import UnreachableError
from saywhat.ledger.pace import Breaker, TokenBucket

RATES = st.floats(0.1, 2000.0)


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@given(
    rate=RATES,
    start=st.floats(0.0, 1e7),
    steps=st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 1.0)), max_size=60),
)
def test_no_stretch_of_time_sees_more_than_rate_and_burst(
    rate: float, start: float, steps: list[tuple[float, float]]
) -> None:
    clock = Clock(start)
    bucket = TokenBucket(rate, clock=clock)
    departures = []
    for pause, share in steps:
        clock.now += pause
        available = bucket.available()
        assert available is not None
        taken = math.ceil(share * available)
        bucket.take(taken)
        departures.append((clock.now, taken))
    burst = max(1.0, rate / 4)
    for first, (begun, _) in enumerate(departures):
        total = 0
        for now, taken in departures[first:]:
            total += taken
            assert total <= burst + rate * (now - begun) + 2e-3


@given(rate=RATES, start=st.floats(0.0, 1e7))
def test_who_waits_as_told_gets_the_whole_rate(rate: float, start: float) -> None:
    clock = Clock(start)
    bucket = TokenBucket(rate, clock=clock)
    sent = looks = 0
    while sent < 200:
        looks += 1
        clock.now += bucket.wait()
        available = bucket.available()
        assert available is not None
        bucket.take(available)
        sent += available
    burst = math.floor(max(1.0, rate / 4))
    # The burst at once, then one each 1 / rate seconds.
    expected = max(0, sent - burst) / rate
    assert clock.now - start == pytest.approx(expected, abs=1.01 / rate + 1e-6)
    assert looks <= 2 * 200  # a wait is long enough, up to what rounding leaves of it


def test_waiting_saves_up_no_more_than_a_burst() -> None:
    clock = Clock(0.0)
    bucket = TokenBucket(100.0, clock=clock)
    clock.now = 3600.0
    assert bucket.available() == 25
    assert bucket.wait() == 0.0
    bucket.take(25)
    assert (bucket.available(), bucket.wait()) == (0, pytest.approx(0.01))


def test_a_slow_rate_lets_one_leave_at_once() -> None:
    clock = Clock(0.0)
    bucket = TokenBucket(0.5, clock=clock)
    assert bucket.available() == 1
    bucket.take(1)
    assert bucket.wait() == pytest.approx(2.0)
    clock.now = 1.0
    assert bucket.wait() == pytest.approx(1.0)
    clock.now = 2.0
    assert bucket.available() == 1


def test_without_a_rate_nothing_waits() -> None:
    bucket = TokenBucket(None, clock=Clock(0.0))
    bucket.take(10**6)
    assert (bucket.available(), bucket.wait()) == (None, 0.0)


def _breaker(limit: int = 10, *, max_wait: float = 30.0, answered: bool = True) -> Breaker:
    return Breaker(limit, max_wait=max_wait, answered=answered)


def _fail(breaker: Breaker, kind: str = "HTTP 500", *, later: bool = True) -> float | None:
    return breaker.failure(kind, breaker.generation, later=later)


def test_the_same_failure_in_a_row_stops() -> None:
    breaker = _breaker(4)
    for _ in range(3):
        _fail(breaker)
    with pytest.raises(UnreachableError, match="failed 4 times in a row with: HTTP 500"):
        _fail(breaker)
    with pytest.raises(UnreachableError, match="5 times"):  # and goes on doing so
        _fail(breaker)


def test_a_reply_or_another_failure_begins_anew() -> None:
    breaker = _breaker(3)
    for kind in ["KeyError", "KeyError", "ValueError", "ValueError"] * 20:
        _fail(breaker, kind, later=False)
    assert breaker.suspects
    breaker.success()
    assert not breaker.suspects
    for _ in range(2):
        _fail(breaker)
    with pytest.raises(UnreachableError):
        _fail(breaker)


def test_an_outage_has_many_names() -> None:
    """A dying server gives 502, 503 and dropped connections by turns: that is one failure."""
    breaker = _breaker(6)
    for kind in ["HTTP 502", "HTTP 503", "ReadError", "HTTP 502", "HTTP 503"]:
        _fail(breaker, kind)
    with pytest.raises(UnreachableError, match="failed 6 times in a row with: timeout"):
        _fail(breaker, "timeout")


def test_failures_of_queries_under_way_together_count_once() -> None:
    breaker = _breaker(3)
    left = breaker.generation
    for _ in range(100):
        breaker.failure("HTTP 500", left, later=True)
    assert not breaker.suspects
    left = breaker.generation
    for _ in range(100):
        breaker.failure("HTTP 500", left, later=True)
    assert breaker.suspects


def test_pauses_grow_from_the_second_failure_on_and_are_bounded() -> None:
    breaker = _breaker(1000)
    pauses = [_fail(breaker) for _ in range(40)]
    assert pauses[0] is None
    rest = [pause for pause in pauses[1:] if pause is not None]
    assert len(rest) == 39
    for number, pause in enumerate(rest):
        grown = 0.25 * 2**number
        assert min(30.0, 0.5 * grown) <= pause <= min(30.0, 1.5 * grown)
    assert rest[-1] == 30.0


def test_what_waiting_cannot_cure_is_not_waited_for() -> None:
    breaker = _breaker(1000)
    assert [_fail(breaker, later=False) for _ in range(9)] == [None] * 9


def test_a_chatbot_that_never_answered_is_not_waited_for_long() -> None:
    breaker = _breaker(10, answered=False)
    pauses = [_fail(breaker) or 0.0 for _ in range(9)]
    assert max(pauses) <= 1.0
    assert sum(pauses) < 10.0
    assert breaker.backoff(10, "q") == 1.0
    breaker.success()
    assert breaker.backoff(10, "q") == 30.0


@given(tries=st.integers(0, 10**6), query=st.text(st.characters(codec=None)))
def test_backoff_is_bounded_and_repeats(tries: int, query: str) -> None:
    breaker = _breaker(max_wait=7.0)
    wait = breaker.backoff(tries, query)
    assert 0.125 <= wait <= 7.0
    assert wait == _breaker(max_wait=7.0).backoff(tries, query)
    assert _breaker(max_wait=0.0).backoff(tries, query) == 0.0


def test_backoff_spreads_queries() -> None:
    breaker = _breaker()
    waits = sorted(breaker.backoff(3, f"query {number}") for number in range(200))
    # 2 seconds, times 0.5 to 1.5
    assert 1.0 <= waits[0] < 1.1
    assert 2.9 < waits[-1] < 3.0
    assert len(set(waits)) == 200
