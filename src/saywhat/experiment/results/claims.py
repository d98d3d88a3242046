"""The paper's claims, each with a rule that is the same for every run, and what came.

Scores are the reward's unless a claim says otherwise, and an interval is the 95 % one of the mean
over targets, seeds averaged. A claim whose parts are missing, or that has too few targets for an
interval, cannot be tested here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from saywhat.experiment.paper import FIGURE_2, GAIN, LENGTHS, LISTS, RAW
from saywhat.experiment.results.comparing import REAL_INPUT, easier, gains
from saywhat.experiment.results.pooling import BEST, hits_over, mean
from saywhat.experiment.results.reading import MAIN, Reading
from saywhat.experiment.results.rules import (
    FAILS,
    HOLDS,
    MOST,
    UNTESTED,
    Verdict,
    above,
    judged,
    missing,
    percent,
    shown,
    success,
    verdict_of,
)

_WELL: Final = 0.05
_ORDINARY: Final = 0.4

Claim = dict[str, Any]


def claims(reading: Reading) -> list[Claim]:
    """Give every claim with its verdict, the figures and the rule."""
    return [claim(reading) for claim in _CLAIMS]


def _claim(text: str, rule: str, verdict: Verdict) -> Claim:
    return {"claim": text, "verdict": verdict[0], "figure": verdict[1], "rule": rule}


def _training(reading: Reading) -> Claim:
    return _claim(
        "RL Greedy obviously outperforms Pre-trained Greedy.",
        "Holds if the interval of rl-greedy less pretrained-greedy is above 0 on both lists.",
        above(reading, "rl-greedy", "pretrained-greedy"),
    )


def _candidates(reading: Reading) -> Claim:
    return _claim(
        "Beam search with multiple candidates improves the performance significantly over greedy "
        "decoding.",
        f"Holds if the interval of {BEST} less rl-greedy is above 0 on both lists and the "
        f"difference is at least {_WELL}.",
        above(reading, BEST, "rl-greedy", least=_WELL),
    )


def _more_candidates(reading: Reading) -> Claim:
    return _claim(
        "200 candidates improve the performance slightly over 50.",
        f"Holds if the interval of {BEST} less rl-beam-50 is above 0 on both lists, whatever its "
        "size.",
        above(reading, BEST, "rl-beam-50"),
    )


def _easier(reading: Reading) -> Claim:
    verdict = missing(reading, MAIN, [BEST])
    if verdict is None:
        runs, threshold = reading.of("evaluate", MAIN)[BEST], reading.threshold or 0.0
        found = easier(runs, reading.reward, threshold)
        shares = [
            mean(hits_over(runs, reading.reward, threshold, listed=name).values()) for name in LISTS
        ]
        figure = (
            f"{BEST} elicited {percent(shares[0])} of Generated and {percent(shares[1])} of Real "
            f"targets at {threshold:g}: a difference of {shown(found)}."
        )
        verdict = judged([found is not None and found.low > 0], [found], figure)
    return _claim(
        "Generated targets are easier to elicit than Real ones.",
        f"Holds if the interval of {BEST}'s success at the threshold on Generated less that on "
        "Real, each list resampled by itself, is above 0.",
        verdict,
    )


def _better_than_people(reading: Reading) -> Claim:
    return _claim(
        "The inputs that are found elicit outputs more similar to the targets than the real inputs "
        "do.",
        f"Holds if on the Real list the interval of {BEST} less {REAL_INPUT} is above 0 in every "
        "length.",
        above(reading, BEST, REAL_INPUT, lists=("real",), lengths=LENGTHS),
    )


def _gains(reading: Reading) -> Claim:
    verdict = missing(reading, MAIN, [BEST, REAL_INPUT])
    if verdict is None:
        found = {g["length"]: g for g in gains(reading) if g["similarity"] == RAW}
        known = [found[length] for length in LENGTHS if length in found]
        figure = "; ".join(_gain(gain) for gain in known) + "."
        reached = [gain["ci95"] is not None and gain["ci95"][1] >= gain["paper"] for gain in known]
        intervals = [gain["ci95"] for gain in known] or [None]
        verdict = judged(reached, intervals, figure)
    return _claim(
        "RL BeamSearch(200) improves the similarity by "
        + ", ".join(f"{GAIN[length]} %" for length in LENGTHS)
        + f" for targets of {', '.join(LENGTHS)} words.",
        f"By the paper's raw similarity on the Real list: holds if in every length the interval of "
        f"{BEST}'s gain over {REAL_INPUT} reaches the paper's number.",
        verdict,
    )


def _fluent(reading: Reading) -> Claim:
    verdict = missing(reading, MAIN, [BEST])
    if verdict is None:
        runs = reading.of("evaluate", MAIN)[BEST]
        found = [
            listed["all"]["ordinariness"]
            for run in runs
            for listed in run.outcome["queries"].values()
            if listed["all"]["ordinariness"] is not None
        ]
        value = mean(found)
        verdict = (
            (UNTESTED, "no query could be measured.")
            if value is None
            else verdict_of(
                value >= _ORDINARY,
                f"The mean percentile of {BEST}'s best queries among human posts of similar length "
                f"is {value:.2f}{_context(reading)}.",
            )
        )
    return _claim(
        "The inputs that are found are fluent and smooth.",
        f"Holds if {BEST}'s best queries have a mean percentile among human posts of at least "
        f"{_ORDINARY}; 0.5 is as ordinary as a human post.",
        verdict,
    )


def _success_at_half(reading: Reading) -> Claim:
    wanted = [(listed, length) for listed in LISTS for length in LENGTHS]
    method, where, threshold, says = FIGURE_2[0]
    return _claim(
        f"{method} on {where}: a success rate of {says} with a score of {threshold:g}.",
        f"By the paper's raw similarity: holds if success is at least {100 * MOST:.0f} % in every "
        "length of both lists.",
        success(reading, method, threshold, wanted),
    )


def _success_at_most(reading: Reading) -> Claim:
    method, where, threshold, says = FIGURE_2[1]
    return _claim(
        f"{method} on {where}: {says} succeed with a score of {threshold:g}.",
        f"By the paper's raw similarity: holds if success is above {100 * MOST:.0f} % in both "
        "lengths.",
        success(
            reading, method, threshold, [("generated", name) for name in LENGTHS[1:]], strict=True
        ),
    )


def _elsewhere(reading: Reading) -> Claim:
    verdicts = {place: _other(reading, place) for place in reading.places if place != MAIN}
    said = [f"{place}: {figure.removesuffix('.')}" for place, (_, figure) in verdicts.items()]
    figure = f"{'; '.join(said)}."
    came = [verdict for verdict, _ in verdicts.values()]
    if not came:
        verdict = (UNTESTED, "no other chatbot is part of this experiment.")
    elif FAILS in came:
        verdict = (FAILS, figure)
    else:
        verdict = (UNTESTED if UNTESTED in came else HOLDS, figure)
    return _claim(
        "The method works on other dialogue models (HRED, VHRED and others) indiscriminately.",
        "Holds if on every other chatbot rl-greedy less pretrained-greedy on both lists, and "
        f"{BEST} less {REAL_INPUT} on Real, have an interval above 0.",
        verdict,
    )


_CLAIMS: Final[Sequence[Callable[[Reading], Claim]]] = (
    _training,
    _candidates,
    _more_candidates,
    _easier,
    _better_than_people,
    _gains,
    _fluent,
    _success_at_half,
    _success_at_most,
    _elsewhere,
)


def _other(reading: Reading, place: str) -> Verdict:
    trained = above(reading, "rl-greedy", "pretrained-greedy", place=place)
    better = above(reading, BEST, REAL_INPUT, place=place, lists=("real",))
    came = [trained[0], better[0]]
    verdict = FAILS if FAILS in came else UNTESTED if UNTESTED in came else HOLDS
    if verdict == UNTESTED:
        return verdict, "not measured yet"
    said = trained[1] if trained[1] == better[1] else f"{trained[1]} {better[1]}"
    return verdict, f"{verdict}. {said}"


def _gain(gain: Mapping[str, Any]) -> str:
    if gain["percent"] is None or gain["ci95"] is None:
        return f"{gain['length']} words: no interval, in the paper {gain['paper']} %"
    low, high = gain["ci95"]
    return (
        f"{gain['length']} words: {gain['percent']:.1f} % [{low:.1f}, {high:.1f}], in the paper "
        f"{gain['paper']} %, a perfect score would gain {gain['ceiling_percent']:.1f} %"
    )


def _context(reading: Reading) -> str:
    human = reading.outcome(f"human/{MAIN}")
    if human is None:
        return ""
    return (
        f" (people's own posts {human['human']['ordinariness']:.2f}; the language model tells a "
        f"post from its shuffled words with an area of {human['shuffle_auc']:.2f})"
    )
