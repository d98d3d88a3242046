"""The paper's claims, each with a rule that is the same for every run, and what came.

A rule says by which similarity. An interval is the 95 % one of the mean over targets, and over
seeds where there are several. A claim whose parts are missing, or that has too few targets for an
interval, cannot be tested here; and neither can one whose bar is out of any method's reach, or in
that of random queries.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from saywhat.evaluation.statistics import bootstrap_mean
from saywhat.experiment.design import REAL_INPUT
from saywhat.experiment.paper import FIGURE_2, GAIN, LENGTHS, LISTS, RAW
from saywhat.experiment.results.beside import AGENT, agent
from saywhat.experiment.results.comparing import easier, gains
from saywhat.experiment.results.pooling import ALL, BEST, drawing, hits_over, mean, mean_over
from saywhat.experiment.results.reading import MAIN, Reading
from saywhat.experiment.results.rules import (
    FAILS,
    FLOOR,
    HOLDS,
    MOST,
    UNTESTED,
    Verdict,
    above,
    by_group,
    judged,
    missing,
    percent,
    shown,
    success,
    verdict_of,
)

_WELL: Final = 0.05
_HALF: Final = 0.5
_ORDINARY: Final = (0.4, 0.6)

Claim = dict[str, Any]


def claims(reading: Reading) -> list[Claim]:
    """Give every claim with its verdict, the figures and the rule."""
    return [claim(reading) for claim in _CLAIMS]


def _claim(text: str, rule: str, verdict: Verdict) -> Claim:
    return {"claim": text, "verdict": verdict[0], "figure": verdict[1], "rule": rule}


def _training(reading: Reading) -> Claim:
    return _claim(
        "In most of the scenarios, RL Greedy obviously outperforms Pre-trained Greedy.",
        "By the reward: holds if the interval of rl-greedy less pretrained-greedy is above 0 on "
        "both lists.",
        _everywhere(reading, "rl-greedy", "pretrained-greedy"),
    )


def _candidates(reading: Reading) -> Claim:
    return _claim(
        "Beam search with multiple candidates improves the performance significantly over greedy "
        "decoding.",
        f"By the reward: holds if the interval of {BEST} less rl-greedy is above 0 on both lists "
        f"and the difference is at least {_WELL}.",
        _everywhere(reading, BEST, "rl-greedy", least=_WELL),
    )


def _more_candidates(reading: Reading) -> Claim:
    return _claim(
        "200 candidates improve the performance slightly over 50.",
        f"By the reward: holds if the interval of {BEST} less rl-beam-50 is above 0 on both lists, "
        "whatever its size: the paper's own is 0.016 to 0.022, of its Table 1.",
        _everywhere(reading, BEST, "rl-beam-50"),
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
        f"By the reward: holds if the interval of {BEST}'s success at the threshold on Generated "
        "less that on Real, each list resampled by itself, is above 0. Why that is so (the paper: "
        "safe replies) cannot be tested here.",
        verdict,
    )


def _people_are_low(reading: Reading) -> Claim:
    verdict = missing(reading, MAIN, [REAL_INPUT])
    if verdict is None:
        runs, threshold = reading.of("evaluate", MAIN)[REAL_INPUT], reading.threshold or 0.0
        scores = {
            name: [
                list(mean_over(runs, name, listed="real", length=length).values())
                for length in LENGTHS
            ]
            for name in dict.fromkeys((reading.reward, RAW))
        }
        found = [
            bootstrap_mean(each, drawing("people", length))
            for length, each in zip(LENGTHS, scores[reading.reward], strict=True)
        ]
        means = "; ".join(
            f"by {name} " + ", ".join(_number(mean(each)) for each in groups)
            for name, groups in scores.items()
        )
        figure = f"{REAL_INPUT}, {', '.join(LENGTHS)} words: {means}."
        low = [each is not None and each.high < threshold for each in found]
        verdict = judged(low, found, figure)
    return _claim(
        "Even inputting the real inputs, the similarity scores between the outputs and the target "
        "outputs are not high.",
        f"By the reward: holds if in every length the interval of {REAL_INPUT}'s mean on Real is "
        "under the threshold of success. What chance scores stands further below.",
        verdict,
    )


def _better_than_people(reading: Reading) -> Claim:
    return _claim(
        "The inputs that are found elicit outputs more similar to the targets than the real inputs "
        "do.",
        f"By the reward: holds if on the Real list the interval of {BEST} less {REAL_INPUT} is "
        "above 0 in every length.",
        _everywhere(reading, BEST, REAL_INPUT, lists=("real",), lengths=LENGTHS),
    )


def _gains(reading: Reading) -> Claim:
    verdict = missing(reading, MAIN, [BEST, REAL_INPUT])
    if verdict is None:
        found = {g["length"]: g for g in gains(reading) if g["similarity"] == RAW}
        known = [found[length] for length in LENGTHS if length in found]
        figure = "; ".join(_gain(gain) for gain in known) + "."
        open_ = [gain for gain in known if not _out_of_reach(gain)]
        reached = [gain["ci95"] is not None and gain["ci95"][1] >= gain["paper"] for gain in open_]
        lost = [None] * (len(LENGTHS) - len(known))
        intervals = [*(gain["ci95"] for gain in open_), *lost]
        verdict = judged(reached, intervals, figure) if intervals else (UNTESTED, figure)
    return _claim(
        "RL BeamSearch(200) improves the similarity by "
        + ", ".join(f"{GAIN[length]} %" for length in LENGTHS)
        + f" for targets of {', '.join(LENGTHS)} words.",
        f"By the paper's raw similarity on the Real list: holds if the interval of {BEST}'s gain "
        f"over {REAL_INPUT} reaches the paper's number in every length in which a perfect score "
        "would.",
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
        verdict = (UNTESTED, "no query could be measured.")
        if value is not None:
            figure = (
                f"The mean percentile of {BEST}'s best queries among human posts of similar length "
                f"is {value:.2f}{_context(reading)}."
            )
            verdict = verdict_of(value >= _ORDINARY[0], figure)
            if value > _ORDINARY[1]:
                verdict = (UNTESTED, f"{figure} So ordinary are stock phrases and repetition too.")
    return _claim(
        "The inputs that are found are fluent and smooth.",
        f"By a language model of held-out posts: holds if {BEST}'s best queries have a mean "
        f"percentile among human posts of {_ORDINARY[0]} to {_ORDINARY[1]}; 0.5 is as ordinary as "
        "a human post. Below, it does not hold. Above, it cannot be tested: the model takes "
        "stock phrases and repetition for fluency.",
        verdict,
    )


def _success_at_half(reading: Reading) -> Claim:
    wanted = [(listed, length) for listed in LISTS for length in LENGTHS]
    method, where, threshold, says = FIGURE_2[0]
    return _claim(
        f"{method} on {where}: a success rate of {says} with a score of {threshold:g}.",
        f"By the paper's raw similarity: holds if success is at least {100 * MOST:.0f} % in every "
        f"length of both lists, and {FLOOR}'s is not.",
        success(reading, method, threshold, wanted),
    )


def _success_at_most(reading: Reading) -> Claim:
    method, where, threshold, says = FIGURE_2[1]
    return _claim(
        f"{method} on {where}: {says} succeed with a score of {threshold:g}.",
        f"By the paper's raw similarity: holds if success is above {100 * MOST:.0f} % in both "
        f"lengths, and {FLOOR}'s is not.",
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
        "By the reward: holds if on every other chatbot rl-greedy less pretrained-greedy on both "
        f"lists, and {BEST} less {REAL_INPUT} on Real, have an interval above 0. One that is not "
        "told apart from 0 does not hold.",
        verdict,
    )


def _agent(reading: Reading) -> Claim:
    rows = agent(reading)
    mine = [row for row in rows if row["method"].startswith(AGENT)]
    if not rows:
        verdict: Verdict = (UNTESTED, "not measured yet: the agent that is retrained")
    else:
        figure = "; ".join(
            f"{row['method']} elicited {percent(row['success'])} of {row['targets']} targets of "
            f"{row['list'].capitalize()} with {row['queries_per_target'] or 0:,.0f} queries each"
            for row in mine
        )
        shares = [row["success"] if row["ci95"] else None for row in mine]
        verdict = judged([x is not None and x < _HALF for x in shares], shares, f"{figure}.")
    return _claim(
        "A language model as the agent, retrained for each target, requires so many interactions "
        "that it is unachievable in reality.",
        "By the reward: holds if, with the largest budget of this experiment, it elicits less than "
        "half of its targets on both lists. How many interactions are real is the reader's to say.",
        verdict,
    )


_CLAIMS: Final[Sequence[Callable[[Reading], Claim]]] = (
    _training,
    _candidates,
    _more_candidates,
    _easier,
    _people_are_low,
    _better_than_people,
    _gains,
    _fluent,
    _success_at_half,
    _success_at_most,
    _elsewhere,
    _agent,
)


def _everywhere(
    reading: Reading,
    one: str,
    other: str,
    *,
    least: float = 0.0,
    lists: Sequence[str] = LISTS,
    lengths: Sequence[str] = (ALL,),
) -> Verdict:
    """Judge by the reward, and say how it is by the other similarities."""
    verdict, figure = above(reading, one, other, least=least, lists=lists, lengths=lengths)
    return verdict, figure + by_group(reading, one, other, lists=lists)


def _other(reading: Reading, place: str) -> Verdict:
    trained = above(reading, "rl-greedy", "pretrained-greedy", place=place)
    better = above(reading, BEST, REAL_INPUT, place=place, lists=("real",))
    came = [trained[0], better[0]]
    verdict = FAILS if FAILS in came else UNTESTED if UNTESTED in came else HOLDS
    if verdict == UNTESTED:
        return trained if trained[0] == UNTESTED else better
    said = trained[1] if trained[1] == better[1] else f"{trained[1]} {better[1]}"
    if reading.outcome(f"repeat/{place}") is not None:
        said += " That is of the replies that were kept; asked again, see there."
    return verdict, f"{verdict}. {said}"


def _gain(gain: Mapping[str, Any]) -> str:
    if gain["percent"] is None or gain["ci95"] is None:
        return f"{gain['length']} words: no interval, in the paper {gain['paper']} %"
    low, high = gain["ci95"]
    return (
        f"{gain['length']} words: {gain['percent']:.1f} % [{low:.1f}, {high:.1f}], in the paper "
        f"{gain['paper']} %, a perfect score would gain {gain['ceiling_percent']:.1f} %"
        + (", so that it cannot be tested here" if _out_of_reach(gain) else "")
    )


def _out_of_reach(gain: Mapping[str, Any]) -> bool:
    ceiling = gain["ceiling_percent"]
    return ceiling is not None and ceiling < gain["paper"]


def _number(value: float | None) -> str:
    return "nothing measured" if value is None else f"{value:.3f}"


def _context(reading: Reading) -> str:
    human = reading.outcome(f"human/{MAIN}")
    if human is None:
        return ""
    return (
        f" (people's own posts {human['human']['ordinariness']:.2f}; the language model tells a "
        f"post from its shuffled words with an area of {human['shuffle_auc']:.2f})"
    )
