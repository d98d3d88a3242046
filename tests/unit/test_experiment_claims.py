"""The claims: each holds on figures that bear it out, and fails when they are turned round."""

from pathlib import Path
from typing import Any

import pytest

from saywhat.experiment.results.claims import claims
from saywhat.experiment.results.reading import Reading
from saywhat.experiment.results.rules import FAILS, HOLDS, UNTESTED
from tests.experiment_parts import RAW, REWARD, Made

TRAINING, CANDIDATES, MORE, EASIER, LOW, PEOPLE, GAINS, FLUENT, HALF, MOST, ELSEWHERE, AGENT = (
    range(12)
)
SIZE = 5  # targets of each list and length: enough for an interval


@pytest.fixture
def made(tmp_path: Path) -> Made:
    found = Made(tmp_path, size=SIZE)
    found.collect()
    return found


def verdicts(made: Made, names: list[str] | None = None) -> list[dict[str, Any]]:
    return claims(Reading(made.parts(), names or made.names, chatbot="builtin"))


def level(generated: float, real: float) -> list[float]:
    """Give scores near a level, in every group the same."""
    return [base + n / 1000 for base in (generated, real) for _ in range(3) for n in range(SIZE)]


@pytest.mark.parametrize(
    ("which", "better", "worse"),
    [
        (TRAINING, "rl-greedy", "pretrained-greedy"),
        (CANDIDATES, "rl-beam-200", "rl-greedy"),
        (MORE, "rl-beam-200", "rl-beam-50"),
        (PEOPLE, "rl-beam-200", "real-input"),
    ],
)
def test_a_method_above_another_holds_and_swapped_does_not(
    made: Made, which: int, better: str, worse: str
) -> None:
    made.evaluate(better, level(0.6, 0.5))
    made.evaluate(worse, level(0.5, 0.4))
    found = verdicts(made)[which]
    assert found["verdict"] == HOLDS
    assert "+0.100 [+0.100, +0.100] on Real" in found["figure"]
    made.evaluate(better, level(0.5, 0.4))
    made.evaluate(worse, level(0.6, 0.5))
    found = verdicts(made)[which]
    assert found["verdict"] == FAILS
    assert "-0.100 [-0.100, -0.100] on Real" in found["figure"]


def test_one_list_is_not_both(made: Made) -> None:
    made.evaluate("rl-greedy", level(0.6, 0.4))
    made.evaluate("pretrained-greedy", level(0.5, 0.4))
    assert verdicts(made)[TRAINING]["verdict"] == FAILS


def test_many_candidates_must_be_well_above_and_more_only_above(made: Made) -> None:
    made.evaluate("rl-beam-200", level(0.54, 0.54))
    for method in ("rl-greedy", "rl-beam-50"):
        made.evaluate(method, level(0.5, 0.5))
    found = verdicts(made)
    assert (found[CANDIDATES]["verdict"], found[MORE]["verdict"]) == (FAILS, HOLDS)


@pytest.mark.parametrize(
    ("second", "verdict", "figure"),
    [
        (0.6, HOLDS, "+0.200 [+0.100, +0.300] on Generated (15 targets)"),
        (0.4, FAILS, "+0.100 [-0.100, +0.300], not told apart, on Generated (15 targets)"),
    ],
)
def test_seeds_are_averaged_and_their_differences_are_in_the_interval(
    made: Made, second: float, verdict: str, figure: str
) -> None:
    for seed, score in ((1, 0.8), (2, second)):
        made.evaluate("rl-greedy", level(score, score), seed=seed)
        made.evaluate("pretrained-greedy", level(0.5, 0.5), seed=seed)
    found = verdicts(made)[TRAINING]
    assert found["verdict"] == verdict
    assert figure in found["figure"]


def test_other_similarities_are_looked_at_group_by_group(made: Made) -> None:
    better = {REWARD: level(0.6, 0.5), RAW: level(0.6, 0.5)[:15] + level(0.3, 0.3)[15:]}
    made.evaluate("rl-greedy", better)
    made.evaluate("pretrained-greedy", level(0.5, 0.4))
    found = verdicts(made)[TRAINING]
    assert found["verdict"] == HOLDS, "the rule is by the reward"
    assert found["figure"].endswith(
        f" Of 6 groups of list and length it is above 0 in 6 by {REWARD}, 3 (below 0 in 3) by "
        f"{RAW}."
    )


@pytest.mark.parametrize(("score", "verdict"), [(0.5, HOLDS), (0.698, FAILS)])
def test_real_inputs_are_low_under_the_threshold_in_every_length(
    made: Made, score: float, verdict: str
) -> None:
    # scores run to 0.004 above their level: the second's interval has the threshold 0.7 in it
    raw = level(0.0, 0.4)[:25] + level(0.0, score)[25:]
    made.evaluate("real-input", {RAW: raw, REWARD: level(0.0, 0.1)})
    found = verdicts(made)[LOW]
    assert found["verdict"] == verdict, "the paper's table is of its own similarity"
    assert found["figure"].endswith(
        f"; 7-10 words: {score + 0.002:.3f}, unrelated replies 0.500; by the reward 0.102."
    )


@pytest.mark.parametrize(("threshold", "verdict"), [(0.35, FAILS), (0.45, HOLDS), (0.3, UNTESTED)])
def test_a_length_in_which_unrelated_replies_are_high_is_no_test(
    tmp_path: Path, threshold: float, verdict: str
) -> None:
    # unrelated replies score 0.3, 0.4 and 0.5 on Real 1-3, 4-6 and 7-10
    made = Made(tmp_path, size=SIZE, threshold=threshold)
    made.collect()
    made.evaluate("real-input", level(0.0, 0.41)[:25] + level(0.0, 0.9)[25:])
    found = verdicts(made)[LOW]
    assert found["verdict"] == verdict
    open_ = {0.3: 0, 0.35: 1, 0.45: 2}[threshold]
    assert found["figure"].count("so that it cannot be tested here") == 3 - open_


@pytest.mark.parametrize(
    ("generated", "real", "random", "verdict"),
    [
        (0.8, 0.8, 0.2, FAILS),
        (0.2, 0.2, 0.2, HOLDS),
        (0.2, 0.2, 0.8, HOLDS),
        (0.2, 0.8, 0.2, FAILS),
        (0.2, 0.8, 0.8, UNTESTED),
    ],
)
def test_the_agent_is_out_of_reach_if_it_elicits_less_than_half(
    made: Made, generated: float, real: float, random: float, verdict: str
) -> None:
    made.evaluate("rnn-agent-10", level(generated, real), kind="search")
    made.evaluate("random-10", level(random, random), kind="search")
    found = verdicts(made)[AGENT]
    assert found["verdict"] == verdict
    share = "100.0 % [79.6 %, 100.0 %]" if real > 0.7 else "0.0 % [0.0 %, 20.4 %]"
    assert f"elicited {share} of 15 targets of Real with 2 queries each" in found["figure"]
    assert found["figure"].startswith("random queries reach the bar") == (verdict == UNTESTED)


def test_an_agent_of_which_half_cannot_be_told_is_no_test(made: Made) -> None:
    some = [*[0.9] * 8, *[0.1] * 7]  # 8 of 15: 30.1 to 75.2 %
    made.evaluate("rnn-agent-10", [*level(0.1, 0.1)[:15], *some], kind="search")
    found = verdicts(made)[AGENT]
    assert found["verdict"] == UNTESTED
    assert found["figure"].startswith("half is in the interval. rnn-agent-10 elicited 0.0 %")


@pytest.mark.parametrize(
    ("generated", "real", "verdict"),
    [(0.9, 0.2, HOLDS), (0.2, 0.9, FAILS), (0.9, 0.9, FAILS)],
)
def test_generated_is_easier_only_if_more_of_it_was_elicited(
    made: Made, generated: float, real: float, verdict: str
) -> None:
    made.evaluate("rl-beam-200", level(generated, real))
    assert verdicts(made)[EASIER]["verdict"] == verdict


@pytest.mark.parametrize(("best", "verdict"), [(0.6, HOLDS), (0.5, FAILS)])
def test_gains_must_reach_the_papers_by_its_own_similarity(
    made: Made, best: float, verdict: str
) -> None:
    # 0.402 is the mean of the real inputs: 0.602 is 49.8 % above it, 0.502 24.9 %
    raw = {RAW: level(0.0, 0.4), REWARD: level(0.0, 0.9)}
    made.evaluate("real-input", raw)
    made.evaluate("rl-beam-200", {RAW: level(0.0, best), REWARD: level(0.0, 0.1)})
    found = verdicts(made)[GAINS]
    assert found["verdict"] == verdict
    assert ("49.8 %" if best == 0.6 else "24.9 %") in found["figure"]
    assert "in the paper 41.5 %, a perfect score would gain 148.8 %" in found["figure"]


def test_a_gain_with_the_papers_number_in_its_interval_is_no_test(made: Made) -> None:
    # the mean is 0.602, 49.8 % above 0.402; but one target in five is at 0.2
    made.evaluate("real-input", level(0.0, 0.4))
    wide = [0.2, 0.7, 0.7, 0.7, 0.71] * 6
    made.evaluate("rl-beam-200", wide)
    found = verdicts(made)[GAINS]
    assert found["verdict"] == UNTESTED
    assert found["figure"].startswith("the paper's number is in the interval. 1-3 words: 49.8 %")
    made.evaluate("rl-beam-200", wide[:25] + level(0.0, 0.4)[25:])  # one length is below: 28.3 %
    assert verdicts(made)[GAINS]["verdict"] == FAILS


def test_a_gain_that_no_method_can_reach_is_no_test(made: Made) -> None:
    # 0.802 of 4-6 and 7-10 words: a perfect score gains 24.7 %, less than 34.0 and 28.3 %
    people = level(0.0, 0.4)[:20] + level(0.0, 0.8)[20:]
    made.evaluate("real-input", people)
    made.evaluate("rl-beam-200", level(0.0, 0.6)[:20] + level(0.0, 0.9)[20:])
    found = verdicts(made)[GAINS]
    assert found["verdict"] == HOLDS, "49.8 % in the only length that can be tested"
    assert found["figure"].count("24.7 %, so that it cannot be tested here") == 2
    made.evaluate("real-input", level(0.0, 0.8))
    made.evaluate("rl-beam-200", level(0.0, 0.9))
    assert verdicts(made)[GAINS]["verdict"] == UNTESTED


def test_a_length_without_a_gain_leaves_the_claim_open(made: Made) -> None:
    made.evaluate("real-input", [*level(0.0, 0.4)[:25], *[None] * 5])
    made.evaluate("rl-beam-200", level(0.0, 0.6))
    assert verdicts(made)[GAINS]["verdict"] == UNTESTED


@pytest.mark.parametrize(
    ("ordinariness", "verdict"), [(0.4, HOLDS), (0.39, FAILS), (0.6, HOLDS), (0.61, UNTESTED)]
)
def test_queries_are_fluent_if_they_are_as_ordinary_as_peoples(
    made: Made, ordinariness: float, verdict: str
) -> None:
    made.evaluate("rl-beam-200", level(0.5, 0.5), ordinariness=ordinariness)
    assert verdicts(made)[FLUENT]["verdict"] == verdict
    made.write("human/main", {}, {"human": {"ordinariness": 0.5}, "shuffle_auc": 0.92})
    assert "people's own posts 0.50" in verdicts(made)[FLUENT]["figure"]


def test_success_rates_are_looked_at_in_every_group(made: Made) -> None:
    most = [0.9, 0.9, 0.9, 0.9, 0.1]  # 80 % of a group
    all_of_it = [0.9] * 5
    made.evaluate("rl-beam-200", {REWARD: level(0.0, 0.0), RAW: most + all_of_it * 2 + most * 3})
    found = verdicts(made)
    assert (found[HALF]["verdict"], found[MOST]["verdict"]) == (UNTESTED, UNTESTED)
    assert found[HALF]["figure"].startswith(
        "whether chance reaches the bar is not known: random-200 is no part of this experiment."
    )
    made.evaluate("random-200", [*level(0.0, 0.0)[:29], None])
    assert [verdicts(made)[n]["verdict"] for n in (HALF, MOST)] == [UNTESTED, HOLDS]
    made.evaluate("random-200", level(0.0, 0.0))
    found = verdicts(made)
    assert (found[HALF]["verdict"], found[MOST]["verdict"]) == (HOLDS, HOLDS)
    made.evaluate(
        "rl-beam-200", {REWARD: level(0.9, 0.9), RAW: most * 5 + [0.9, 0.9, 0.9, 0.0, 0.0]}
    )
    found = verdicts(made)
    # 60 % of Real 7-10; and on Generated 80 % are not more than 80 %
    assert (found[HALF]["verdict"], found[MOST]["verdict"]) == (FAILS, FAILS)
    assert "60.0 % on Real 7-10" in found[HALF]["figure"]


def test_a_bar_that_random_queries_reach_says_nothing(made: Made) -> None:
    good, bad = [0.9] * 15, [0.1] * 15
    made.evaluate("rl-beam-200", {REWARD: level(0.0, 0.0), RAW: good + good})
    made.evaluate("random-200", {REWARD: level(0.0, 0.0), RAW: good + bad})
    found = verdicts(made)
    assert (found[HALF]["verdict"], found[MOST]["verdict"]) == (HOLDS, UNTESTED)
    assert found[MOST]["figure"].startswith("random-200 reaches the bar as well")
    assert found[HALF]["figure"].endswith("random-200: " + ", ".join(
        ["100.0 %"] * 3 + ["0.0 %"] * 3) + ".")  # fmt: skip
    made.evaluate("rl-beam-200", {REWARD: level(0.0, 0.0), RAW: bad + bad})
    assert verdicts(made)[MOST]["verdict"] == FAILS, "what is below the bar is so beside any floor"


def test_other_chatbots_hold_only_if_all_do(made: Made) -> None:
    for place, trained in (("gru", 0.6), ("hred", 0.4)):
        made.collect(place)
        made.evaluate("rl-greedy", level(trained, trained), place=place)
        made.evaluate("pretrained-greedy", level(0.5, 0.5), place=place)
        made.evaluate("rl-beam-200", level(0.9, 0.9), place=place)
        made.evaluate("real-input", level(0.5, 0.5), place=place)
    found = verdicts(made)[ELSEWHERE]
    assert found["verdict"] == FAILS
    assert "gru: holds." in found["figure"]
    assert "hred: does not hold." in found["figure"]
    alone = [name for name in made.names if "hred" not in name]
    assert verdicts(made, alone)[ELSEWHERE]["verdict"] == HOLDS
    waiting = [*alone, "collect/vhred", "evaluate/vhred/seed-1/rl-greedy"]
    found = verdicts(made, waiting)[ELSEWHERE]
    assert found["verdict"] == UNTESTED
    assert "vhred: not measured yet: evaluate/vhred/seed-1/rl-greedy" in found["figure"]


def test_another_chatbot_that_is_not_told_apart_decides_nothing(made: Made) -> None:
    made.collect("gru")
    for method, scores in (("rl-greedy", 0.5), ("rl-beam-200", 0.9), ("real-input", 0.5)):
        made.evaluate(method, level(scores, scores), place="gru")
    made.evaluate("pretrained-greedy", [*level(0.4, 0.5)[:15], *[0.3, 0.7] * 7, 0.5], place="gru")
    made.evaluate("random-200", level(0.8, 0.8), place="gru")
    found = verdicts(made)[ELSEWHERE]
    assert found["verdict"] == UNTESTED
    assert "gru: not told apart. rl-greedy less pretrained-greedy: +0.1" in found["figure"]
    assert found["figure"].endswith(
        "For scale, random-200 less real-input: +0.300 [+0.300, +0.300]."
    )
    made.evaluate("pretrained-greedy", level(0.4, 0.6), place="gru")  # below on one list
    assert verdicts(made)[ELSEWHERE]["verdict"] == FAILS


@pytest.mark.parametrize(("again", "verdict"), [(0.4, FAILS), (0.6, HOLDS)])
def test_what_is_found_by_luck_alone_does_not_hold(made: Made, again: float, verdict: str) -> None:
    # the best frequent reply gets 0.5
    made.collect("sampling")
    for method, score in (("rl-greedy", 0.6), ("pretrained-greedy", 0.5), ("real-input", 0.1)):
        made.evaluate(method, level(score, score), place="sampling")
    made.evaluate("rl-beam-200", level(0.9, 0.9), place="sampling")
    told = (level(0.9, 0.9), [[again, again + 0.01]] * 30, list(range(30)))
    made.repeat("sampling", {"rl-beam-200": told}, per_group=SIZE)
    found = verdicts(made)[ELSEWHERE]
    assert found["verdict"] == verdict
    assert ("Asked again, rl-beam-200's finds get 0.405" in found["figure"]) == (again < 0.5)


def test_what_random_queries_gain_stands_beside_a_comparison(made: Made) -> None:
    made.evaluate("rl-beam-200", level(0.9, 0.9))
    made.evaluate("rl-greedy", level(0.5, 0.5))
    made.evaluate("real-input", level(0.0, 0.4))
    assert "For scale" not in verdicts(made)[CANDIDATES]["figure"]
    made.evaluate("random-200", level(0.7, 0.8))
    found = verdicts(made)
    assert found[CANDIDATES]["figure"].endswith(
        " For scale, random-200 less rl-greedy: +0.200 [+0.200, +0.200], +0.300 [+0.300, +0.300]."
    )
    assert found[PEOPLE]["figure"].endswith(
        " For scale, random-200 less real-input: " + ", ".join(["+0.400 [+0.400, +0.400]"] * 3)
        + "."
    )  # fmt: skip


def test_missing_parts_leave_a_claim_open_and_are_named(made: Made) -> None:
    made.evaluate("rl-greedy", level(0.6, 0.6))
    names = [*made.names, "evaluate/main/seed-1/pretrained-greedy"]
    found = verdicts(made, names)[TRAINING]
    assert found["verdict"] == UNTESTED
    assert found["figure"] == "not measured yet: evaluate/main/seed-1/pretrained-greedy"


def test_a_method_that_is_no_part_leaves_a_claim_open(made: Made) -> None:
    made.evaluate("rl-greedy", level(0.6, 0.6))
    found = verdicts(made)[TRAINING]
    assert found["verdict"] == UNTESTED
    assert found["figure"] == "pretrained-greedy is no part of this experiment"


def test_without_any_part_every_claim_is_open(tmp_path: Path) -> None:
    found = verdicts(Made(tmp_path), ["collect/main"])
    assert [claim["verdict"] for claim in found] == [UNTESTED] * 12
    assert all(claim["claim"] and claim["rule"] and claim["figure"] for claim in found)


def test_too_few_targets_leave_a_claim_open(tmp_path: Path) -> None:
    made = Made(tmp_path, size=1)
    made.collect()
    made.evaluate("rl-beam-200", [0.9] * 6)
    made.evaluate("real-input", [0.1] * 6)
    found = verdicts(made)
    for which in (EASIER, PEOPLE, GAINS, HALF, MOST):
        assert found[which]["verdict"] == UNTESTED
        assert found[which]["figure"].startswith("too few measured targets")
