"""The paper's claims, each with a rule that is the same for every run, and what came.

A rule says by which similarity. An interval is the 95 % one of the mean over targets, and over
seeds where there are several. A claim whose parts are missing, or that has too few targets for an
interval, cannot be tested here; and neither can one whose bar is out of any method's reach, or in
that of random queries.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from saywhat.experiment.design import REAL_INPUT
from saywhat.experiment.paper import FIGURE_2, GAIN, LENGTHS, LISTS, RAW
from saywhat.experiment.results.beside import AGENT, agent
from saywhat.experiment.results.comparing import easier, gains
from saywhat.experiment.results.floors import below, chance, luck_alone, people_are_low
from saywhat.experiment.results.pooling import ALL, BEST, hits_over, mean
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
    verdict, figure = _everywhere(reading, BEST, "rl-greedy", least=_WELL)
    return _claim(
        "Beam search with multiple candidates improves the performance significantly over greedy "
        "decoding.",
        f"By the reward: holds if the interval of {BEST} less rl-greedy is above 0 on both lists "
        f"and the difference is at least {_WELL}.",
        (verdict, figure + chance(reading, "rl-greedy")),
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
        verdict = people_are_low(reading)
    return _claim(
        "Even inputting the real inputs, the similarity scores between the outputs and the target "
        "outputs are not high.",
        f"By the paper's raw similarity, since the claim is of its Table 1: holds if the interval "
        f"of {REAL_INPUT}'s mean on Real is under the threshold of success in every length in "
        "which unrelated replies score less than that themselves.",
        verdict,
    )


def _better_than_people(reading: Reading) -> Claim:
    place: dict[str, Any] = {"lists": ("real",), "lengths": LENGTHS}
    verdict, figure = _everywhere(reading, BEST, REAL_INPUT, **place)
    return _claim(
        "The inputs that are found elicit outputs more similar to the targets than the real inputs "
        "do.",
        f"By the reward: holds if on the Real list the interval of {BEST} less {REAL_INPUT} is "
        "above 0 in every length.",
        (verdict, figure + chance(reading, REAL_INPUT, **place)),
    )


def _gains(reading: Reading) -> Claim:
    verdict = missing(reading, MAIN, [BEST, REAL_INPUT])
    if verdict is None:
        found = {g["length"]: g for g in gains(reading) if g["similarity"] == RAW}
        known = [found[length] for length in LENGTHS if length in found]
        figure = "; ".join(_gain(gain) for gain in known) + "."
        open_ = [gain for gain in known if not _out_of_reach(gain)]
        reached = [gain["ci95"] is not None and gain["ci95"][0] >= gain["paper"] for gain in open_]
        under = [gain["ci95"] is not None and gain["ci95"][1] < gain["paper"] for gain in open_]
        lost = [None] * (len(LENGTHS) - len(known))
        intervals = [*(gain["ci95"] for gain in open_), *lost]
        verdict = judged(reached, intervals, figure) if intervals else (UNTESTED, figure)
        if verdict[0] == FAILS and not any(under):
            verdict = UNTESTED, f"the paper's number is in the interval. {figure}"
    return _claim(
        "RL BeamSearch(200) improves the similarity by "
        + ", ".join(f"{GAIN[length]} %" for length in LENGTHS)
        + f" for targets of {', '.join(LENGTHS)} words.",
        f"By the paper's raw similarity on the Real list: holds if the interval of {BEST}'s gain "
        f"over {REAL_INPUT} is at or above the paper's number in every length in which a perfect "
        "score would reach it, and does not if it is below in one. Vectors differ, and with them "
        "what a percent is.",
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
        f"lists, and {BEST} less {REAL_INPUT} on Real, have an interval above 0; does not hold if "
        "on one of them such an interval is below 0, or if what was found on a chatbot that draws "
        "its replies, asked again, is nowhere above one frequent reply. An interval with 0 in it "
        "decides nothing: these trainings are shorter than the main one, of one seed, and judged "
        "on fewer targets.",
        verdict,
    )


def _agent(reading: Reading) -> Claim:
    rows = agent(reading)
    mine = [row for row in rows if row["method"].startswith(AGENT)]
    if not rows:
        verdict: Verdict = (UNTESTED, "not measured yet: the agent that is retrained")
    else:
        random = [row for row in rows if row["method"] == _as_much(mine[0]["method"])]
        figure = f"{'; '.join(map(_agent_said, [*mine, *random]))}."
        ends = [row["ci95"] for row in mine]
        verdict = judged([x is not None and x[1] < _HALF for x in ends], ends, figure)
        if verdict[0] == FAILS and not any(x is not None and x[0] >= _HALF for x in ends):
            verdict = UNTESTED, f"half is in the interval. {figure}"
        if verdict[0] == FAILS and any((row["success"] or 0) >= _HALF for row in random):
            verdict = (
                UNTESTED,
                f"random queries reach the bar as well, so it says nothing. {figure}",
            )
    return _claim(
        "A language model as the agent, retrained for each target, requires so many interactions "
        "that it is unachievable in reality.",
        "By the reward: with the largest budget of this experiment, holds if the interval of its "
        "success is under one half on both lists, and does not if it is above on one, where as "
        "many random queries are not. How many interactions are real is the reader's to say.",
        verdict,
    )


def _as_much(method: str) -> str:
    return f"random-{method.rpartition('-')[2]}"


def _agent_said(row: Mapping[str, Any]) -> str:
    low, high = row["ci95"] or (None, None)
    return (
        f"{row['method']} elicited {percent(row['success'])} "
        + (f"[{percent(low)}, {percent(high)}] " if row["ci95"] else "")
        + f"of {row['targets']} targets of {row['list'].capitalize()} with "
        f"{row['queries_per_target'] or 0:,.0f} queries each"
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
    """Judge one other chatbot; what is not told apart is no verdict against the method."""
    pairs: Sequence[tuple[str, str, Sequence[str]]] = (
        ("rl-greedy", "pretrained-greedy", LISTS),
        (BEST, REAL_INPUT, ("real",)),
    )
    found = [above(reading, one, other, place=place, lists=lists) for one, other, lists in pairs]
    for each in found:
        if each[0] == UNTESTED:
            return each
    came = HOLDS
    if any(verdict == FAILS for verdict, _ in found):
        under = (below(reading, one, other, place=place, lists=on) for one, other, on in pairs)
        came = FAILS if any(under) else UNTESTED
    luck = luck_alone(reading, place)
    came = FAILS if luck else came
    said = " ".join(filter(None, [*(figure for _, figure in found), luck]))
    words = "not told apart" if came == UNTESTED else came
    return came, f"{words}. {said}{chance(reading, REAL_INPUT, place=place, lists=('real',))}"


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


def _context(reading: Reading) -> str:
    human = reading.outcome(f"human/{MAIN}")
    if human is None:
        return ""
    return (
        f" (people's own posts {human['human']['ordinariness']:.2f}; the language model tells a "
        f"post from its shuffled words with an area of {human['shuffle_auc']:.2f})"
    )
