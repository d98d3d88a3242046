"""The rules by which claims are judged: what must lie above what, and how that is said."""

from collections.abc import Sequence
from typing import Final

from saywhat.evaluation.statistics import MIN_VALUES, Interval
from saywhat.experiment.paper import LENGTHS, LISTS, RAW
from saywhat.experiment.results.comparing import Difference, difference
from saywhat.experiment.results.pooling import ALL, hits_over, mean
from saywhat.experiment.results.reading import MAIN, Reading

HOLDS: Final = "holds"
FAILS: Final = "does not hold"
UNTESTED: Final = "cannot be tested here"
MOST: Final = 0.8
"""The success rate that the paper names."""
FLOOR: Final = "random-200"
"""What asks as much and knows nothing."""

Verdict = tuple[str, str]
"""A verdict and the sentence with its figures."""


def above(
    reading: Reading,
    one: str,
    other: str,
    *,
    least: float = 0.0,
    place: str = MAIN,
    lists: Sequence[str] = LISTS,
    lengths: Sequence[str] = (ALL,),
) -> Verdict:
    """Say whether a method's scores by the reward are above another's wherever they are looked at.

    Args:
        reading: the finished parts.
        one: the method that should be better.
        other: the other one.
        least: what the difference must be at least.
        place: the chatbot's folder.
        lists: where to look.
        lengths: where to look; ``ALL`` is every length together.
    """
    lacking = missing(reading, place, [one, other])
    if lacking is not None:
        return lacking
    found = differences(reading, one, other, place=place, lists=lists, lengths=lengths)
    figure = f"{one} less {other}: " + ", ".join(
        f"{shown(each.interval)}{undecided(each.interval)} on {where} ({each.targets} targets)"
        for where, each in found.items()
    )
    intervals = [each.interval for each in found.values()]
    reached = [i is not None and i.low > 0 and i.estimate >= least for i in intervals]
    return judged(reached, intervals, f"{figure}.")


def differences(
    reading: Reading,
    one: str,
    other: str,
    *,
    place: str = MAIN,
    lists: Sequence[str] = LISTS,
    lengths: Sequence[str] = (ALL,),
) -> dict[str, Difference]:
    """Give by how much a method is above another by the reward: name of the group -> difference.

    Args:
        reading: the finished parts; both methods are among them.
        one: the first method.
        other: the one that is taken off.
        place: the chatbot's folder.
        lists: where to look.
        lengths: where to look; ``ALL`` is every length together.
    """
    methods = reading.of("evaluate", place)
    return {
        f"{listed.capitalize()}{'' if length == ALL else f' {length}'}": difference(
            methods[one], methods[other], reading.reward, listed, length=length
        )
        for listed in lists
        for length in lengths
    }


def by_group(reading: Reading, one: str, other: str, *, lists: Sequence[str] = LISTS) -> str:
    """Say in how many groups of list and length a method is above another, by every similarity."""
    methods = reading.of("evaluate", MAIN)
    if one not in methods or other not in methods:
        return ""
    said, groups = [], 0
    for similarity in reading.similarities:
        intervals = [
            difference(methods[one], methods[other], similarity, listed, length=length).interval
            for listed in lists
            for length in LENGTHS
        ]
        known = [each for each in intervals if each is not None]
        groups = max(groups, len(known))
        over, under = sum(i.low > 0 for i in known), sum(i.high < 0 for i in known)
        said.append(f"{over}{f' (below 0 in {under})' if under else ''} by {similarity}")
    if not groups:
        return ""
    return f" Of {groups} groups of list and length it is above 0 in {', '.join(said)}."


def success(
    reading: Reading,
    method: str,
    threshold: float,
    wanted: Sequence[tuple[str, str]],
    *,
    strict: bool = False,
) -> Verdict:
    """Say whether success by the paper's similarity is at least 80 % in all these groups.

    Where random queries come as far, the bar says nothing of a method.

    Args:
        reading: the finished parts.
        method: whose success.
        threshold: at which score.
        wanted: the groups, (list, length).
        strict: whether it must be above.
    """
    lacking = missing(reading, MAIN, [method])
    if lacking is not None:
        return lacking
    methods = reading.of("evaluate", MAIN)

    def rates(of: str) -> list[float | None]:
        found = (
            hits_over(methods[of], RAW, threshold, listed=listed, length=length)
            for listed, length in wanted
        )
        return [mean(hits.values()) if len(hits) >= MIN_VALUES else None for hits in found]

    def reached(shares: Sequence[float | None]) -> list[bool]:
        return [x is not None and (x > MOST if strict else x >= MOST) for x in shares]

    mine = rates(method)
    said = ", ".join(
        f"{percent(share)} on {listed.capitalize()} {length}"
        for (listed, length), share in zip(wanted, mine, strict=True)
    )
    verdict = judged(reached(mine), mine, f"{method} at {threshold:g}: {said}.")
    lacking = missing(reading, MAIN, [FLOOR])
    if lacking is not None:
        open_ = UNTESTED, f"whether chance reaches the bar is not known: {lacking[1]}. {verdict[1]}"
        return open_ if verdict[0] == HOLDS else verdict
    floor = rates(FLOOR)
    figure = f"{verdict[1]} {FLOOR}: {', '.join(map(percent, floor))}."
    if verdict[0] == HOLDS and None in floor:
        return UNTESTED, f"too few measured targets of {FLOOR}. {figure}"
    if verdict[0] == HOLDS and all(reached(floor)):
        return UNTESTED, f"{FLOOR} reaches the bar as well, so it says nothing. {figure}"
    return verdict[0], figure


def missing(reading: Reading, place: str, methods: Sequence[str]) -> Verdict | None:
    """Say which part is missing that a claim needs, the first of them."""
    done = reading.of("evaluate", place)
    for method in methods:
        named = [
            name
            for name in reading.names
            if name.startswith(f"evaluate/{place}/") and name.endswith(f"/{method}")
        ]
        if method not in done and not named:
            return UNTESTED, f"{method} is no part of this experiment"
        if method not in done:
            lost = next((name for name in named if name not in reading.records), None)
            # a finished evaluation without its lists cannot be read
            return UNTESTED, f"not measured yet: {lost or f'collect/{place}'}"
    return None


def judged(reached: Sequence[bool], figures: Sequence[object | None], figure: str) -> Verdict:
    """Judge a claim that asks something of several groups: one that is missing leaves it open."""
    if not figures or None in figures:
        return UNTESTED, f"too few measured targets. {figure}"
    return verdict_of(all(reached), figure)


def verdict_of(holds: bool, figure: str) -> Verdict:
    """Give the verdict on what could be tested."""
    return HOLDS if holds else FAILS, figure


def shown(interval: Interval | None) -> str:
    """Give a difference and its interval.

    Example:
        >>> shown(Interval(0.05, 0.01, 0.09))
        '+0.050 [+0.010, +0.090]'
    """
    if interval is None:
        return "no interval"
    return f"{interval.estimate:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def undecided(interval: Interval | None) -> str:
    """Say of an interval with 0 in it that it decides nothing.

    Example:
        >>> undecided(Interval(0.05, -0.01, 0.09)), undecided(Interval(0.05, 0.01, 0.09))
        (', not told apart,', '')
    """
    return (
        ", not told apart," if interval is not None and interval.low <= 0 <= interval.high else ""
    )


def percent(value: float | None) -> str:
    """Give a share in percent."""
    return "nothing measured" if value is None else f"{100 * value:.1f} %"
