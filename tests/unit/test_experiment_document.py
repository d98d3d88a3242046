"""The results document, on made-up parts whose figures are worked out beside the assertions."""

import json
from pathlib import Path
from typing import Any

import pytest

from saywhat.errors import SetupError
from saywhat.evaluation.statistics import wilson
from saywhat.experiment.design import ABLATIONS
from saywhat.experiment.paper import RAW
from saywhat.experiment.results.document import document, write
from saywhat.experiment.results.reading import Reading
from saywhat.rng import derive
from tests.experiment_document import made_of, the
from tests.experiment_parts import JUDGE, LENGTHS, REWARD, Made

LOW = [0.2] * 12
HIGH = [0.4] * 6 + [0.8] * 6
CHANCE = {"null_mean": 0.4, "generic_best": 0.5}


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Give parts of two seeds with 12 targets, 2 of each list and length."""
    found = Made(tmp_path)
    found.collect()
    return found


def test_targets_follow_from_the_order_and_the_sizes_of_the_lists(made: Made) -> None:
    slots = Reading(made.parts(), made.names, chatbot="builtin").slots("main", "test", 1)
    assert slots is not None
    assert [(s.list, s.length, s.nth) for s in slots] == [
        (listed, length, 0) for listed in ("generated", "real") for length in LENGTHS
    ]


def test_pooled_means_and_success_are_over_seeds_and_targets(made: Made) -> None:
    made.evaluate("rl-greedy", LOW, seed=1)
    made.evaluate("rl-greedy", [*HIGH[:11], None], seed=2)
    pooled = made_of(made)["pooled"]
    real = the(pooled, similarity=REWARD, list="real", length="all")
    # seed 1: 6 x 0.2; seed 2: 5 x 0.8, one unmeasured: 5.2 / 11
    assert (real["seeds"], real["targets"], real["measured"]) == ([1, 2], 6, 11)
    assert real["mean"] == 0.4727
    assert real["success"]["0.7"]["share"] == 0.4545
    assert real["success"]["0.9"] == {"share": 0.0, "ci95": wilson_of(0, 6)}
    assert (real["queries_per_target"], real["distinct_replies"]) == (2.0, None)
    assert real["null_mean"] == 0.4  # of the groups 0.3, 0.4 and 0.5
    short = the(pooled, similarity=REWARD, list="generated", length="1-3")
    assert (short["mean"], short["ci95"], short["distinct_replies"]) == (0.3, None, 11.5)


def wilson_of(k: int, n: int) -> list[float]:
    found = wilson(k, n)
    assert found is not None
    return [round(found.low, 4), round(found.high, 4)]


def test_a_share_of_one_seed_has_wilsons_interval(made: Made) -> None:
    made.evaluate("rl-greedy", [0.9, *LOW[1:]])
    row = the(made_of(made)["pooled"], similarity=REWARD, list="generated", length="all")
    assert row["success"]["0.7"] == {"share": 0.1667, "ci95": wilson_of(1, 6)}


def test_the_paper_similarity_has_its_own_scores_and_exact_share(made: Made) -> None:
    made.evaluate("rl-greedy", {REWARD: LOW, RAW: [1.0] * 12})
    pooled = made_of(made)["pooled"]
    reward, raw = (
        the(pooled, similarity=name, list="real", length="all") for name in (REWARD, RAW)
    )
    assert (reward["mean"], reward["exact"]["share"]) == (0.2, 0.0)
    assert (raw["mean"], raw["exact"]["share"]) == (1.0, 1.0)


def test_gains_are_percent_over_the_real_inputs_of_the_same_targets(made: Made) -> None:
    nothing = [None] * 6
    made.evaluate("real-input", [*nothing, 0.4, None, 0.5, 0.5, 0.5, 0.5])
    made.evaluate("rl-beam-200", [0.0] * 6 + [0.6, 9.0, 0.5, 0.5, 0.5, 0.5], seed=1)
    made.evaluate("rl-beam-200", [0.0] * 6 + [0.4, 9.0, 0.5, 0.5, 0.5, 0.5], seed=2)
    gains = made_of(made)["gains"]
    short = the(gains, similarity=RAW, length="1-3")
    # only the first target has a real input: (0.6 + 0.4) / 2 over 0.4; a perfect score: 1 over 0.4
    assert (short["real_input"], short["mean"], short["percent"]) == (0.4, 0.5, 25.0)
    assert (short["ceiling_percent"], short["paper"], short["ci95"]) == (150.0, 41.5, None)
    whole = the(gains, similarity=RAW, length="all")
    assert whole["paper"] is None
    # 5 targets, of which one gains 0.1 of 2.4: the interval begins where it is never drawn
    assert whole["ci95"][0] == 0.0 < whole["percent"] == 4.1667 < whole["ci95"][1]


def test_a_gain_over_nothing_is_not_a_number(made: Made) -> None:
    made.evaluate("real-input", [0.0] * 12)
    made.evaluate("rl-beam-200", LOW)
    gain = the(made_of(made)["gains"], similarity=RAW, length="all")
    assert (gain["percent"], gain["ci95"], gain["ceiling_percent"]) == (None, None, None)


def test_comparisons_are_signed_and_count_who_elicited_what(made: Made) -> None:
    real = [0.9, 0.9, 0.9, 0.9, 0.2, 0.2]
    made.evaluate("rl-greedy", [*LOW[:6], *real], seed=1)
    made.evaluate("pretrained-greedy", [*LOW[:6], 0.2, 0.2, 0.2, 0.9, 0.2, 0.9], seed=1)
    made.evaluate("rl-greedy", [0.5] * 12, seed=3)  # the other one has no such seed
    comparisons = made_of(made)["comparisons"]
    row = the(comparisons, similarity=REWARD, list="real")
    # +0.7 three times, -0.7 once, of 6
    assert (row["a"], row["b"], row["difference"]) == ("rl-greedy", "pretrained-greedy", 0.2333)
    assert (row["targets"], row["seeds"]) == (6, [1])
    # 3 against 1: p = 2 (1 + 4) / 16; the other three have no difference, so Holm's factor is 4
    assert row["mcnemar"] == {"only_a": [3], "only_b": [1], "p": 0.625, "p_holm": 1.0}
    assert row["ci95"][0] < row["difference"] < row["ci95"][1]
    assert the(comparisons, similarity=REWARD, list="generated")["ci95"] == [0.0, 0.0]


def test_a_method_without_a_generator_stands_for_every_seed(made: Made) -> None:
    made.evaluate("random-200", LOW, seed=1)
    made.evaluate("rl-beam-200", [0.4] * 12, seed=1)
    made.evaluate("rl-beam-200", [0.6] * 12, seed=2)
    row = the(made_of(made)["comparisons"], a="rl-beam-200", similarity=REWARD, list="real")
    assert (row["seeds"], row["difference"]) == ([1, 2], 0.3)


def test_holm_is_over_every_test_of_the_document(made: Made) -> None:
    made.evaluate("rl-greedy", [0.9] * 12)
    made.evaluate("pretrained-greedy", LOW)
    found = {(r["similarity"], r["list"]): r["mcnemar"] for r in made_of(made)["comparisons"]}
    # 6 against 0: p = 2 / 64, the same in 2 lists; by the raw average the threshold says nothing
    for name in ("generated", "real"):
        assert (found[REWARD, name]["p"], found[REWARD, name]["p_holm"]) == (0.0312, 0.0625)
        assert found[RAW, name] is None


@pytest.mark.parametrize(
    ("second", "p"),
    [([0.9] * 6, 0.0312), ([0.9] * 5 + [0.2], 0.0625), ([0.2] * 6, 1.0)],
)
def test_every_seed_is_tested_and_the_likeliest_counts(
    made: Made, second: list[float], p: float
) -> None:
    made.evaluate("rl-greedy", [*LOW[:6], *[0.9] * 6], seed=1)
    made.evaluate("pretrained-greedy", LOW, seed=1)
    made.evaluate("rl-greedy", [*LOW[:6], *second], seed=2)
    # against what seed 2's other method got: in the last case 0 against 6
    made.evaluate("pretrained-greedy", [*LOW[:6], *([0.9] * 6 if p == 1.0 else LOW[:6])], seed=2)
    test = the(made_of(made)["comparisons"], similarity=REWARD, list="real")["mcnemar"]
    assert test["p"] == p
    assert (test["only_a"], test["only_b"]) == (
        ([6, 0], [0, 6]) if p == 1.0 else ([6, sum(s > 0.7 for s in second)], [0, 0])
    )


def test_what_the_reward_looked_up_is_not_compared_by_another_selection(made: Made) -> None:
    made.evaluate("retrieval", LOW)
    made.evaluate("rl-beam-200", HIGH)
    made.evaluate("rl-sampling-200", HIGH)
    found = {(row["a"], row["b"], row["similarity"]) for row in made_of(made)["comparisons"]}
    assert ("rl-beam-200", "retrieval", REWARD) in found
    assert ("rl-sampling-200", "retrieval", REWARD) in found
    assert {s for a, b, s in found if "retrieval" in (a, b)} == {REWARD}
    assert ("rl-sampling-200", "rl-beam-200", RAW) in found


@pytest.mark.parametrize("threshold", [0.75, 0.0, -0.1])
def test_a_threshold_that_is_none_of_the_tables_makes_a_document(
    made: Made, threshold: float
) -> None:
    made.threshold = threshold
    made.evaluate("rl-greedy", HIGH)
    found = made_of(made)
    row = the(found["pooled"], similarity=REWARD, list="real", length="all")
    assert row["success"][str(threshold)]["share"] == row["success"]["0.8"]["share"] == 1.0
    mine = the(found["chatbots"][0]["methods"], list="real")
    assert mine["success"] == 1.0


def test_a_group_without_a_pair_has_no_gain(made: Made) -> None:
    made.evaluate("real-input", [*LOW[:10], None, None])
    made.evaluate("rl-beam-200", HIGH)
    lengths = [g["length"] for g in made_of(made)["gains"] if g["similarity"] == RAW]
    assert lengths == ["1-3", "4-6", "all"]


def test_a_repeat_without_its_lists_is_left_out(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.repeat("sampling", {"rl-greedy": (LOW, [[0.2]] * 12, list(range(12)))}, per_group=2)
    assert made_of(made, [*made.names, "collect/sampling"])["repeats"] == []


def test_the_state_that_was_kept_is_named(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.collect()
    scores = {50: None, 100: 0.5, 150: None, 200: 0.4}
    lines = [{"step": step, "validation": score} for step, score in scores.items()]
    others = [{**line, "validation": line["validation"] and 0.4} for line in lines]
    made.ablation("baseline", {"rl-greedy": LOW}, metrics=lines)
    made.ablation("no-kl", {"rl-greedy": LOW}, metrics=others)  # its best is of no step
    made.ablation("more-kl", {"rl-greedy": LOW}, metrics=others[2:])  # of which one is lost
    first, second, third = made_of(made)["ablations"]
    assert [(a["kept"], a["asked"], a["queries"]) for a in (first, second, third)] == [
        (100, 20, 17), (0, 20, 17), (None, 20, 17),
    ]  # fmt: skip


def test_curves_are_at_one_until_the_lowest_score(made: Made) -> None:
    made.evaluate("rl-greedy", HIGH)
    curve = the(made_of(made)["curves"], similarity=REWARD, list="real", length="all")
    at = dict(zip(curve["thresholds"], curve["share"], strict=True))
    assert (at[0.8], at[0.82]) == (1.0, 0.0)
    assert [curve["low"][40], curve["high"][40]] == wilson_of(6, 6)


def test_budgets_and_the_agent_are_on_their_own_targets(made: Made) -> None:
    made.evaluate("rl-beam-10", HIGH, kind="search", per_group=2)
    made.evaluate("rl-beam-1", LOW, kind="search", per_group=2)
    made.evaluate("rnn-agent-10", [0.9] * 6, kind="search", per_group=1)
    made.evaluate("pretrained-sharp-10", LOW, kind="search", per_group=2)
    found = made_of(made)
    assert [(r["search"], r["budget"], r["list"]) for r in found["budgets"]] == [
        ("rl-beam", budget, listed) for budget in (1, 10) for listed in ("generated", "real")
    ]
    assert the(found["budgets"], budget=10, list="real")["mean"] == 0.8
    agent = the(found["agent"], method="rnn-agent-10", list="real")
    assert (agent["targets"], agent["success"], agent["queries_per_target"]) == (3, 1.0, 2.0)
    assert the(found["agent"], method="rl-beam-10", list="real")["targets"] == 3


def test_strata_split_targets_by_what_the_oracle_reached(made: Made) -> None:
    # first targets of the six groups: generated at 0, 2, 4 and real at 6, 8, 10
    made.oracle([True, True, False, True, False, False], unwritable=[5])
    scores = [0.9, 0.1, 0.1, 0.1, 0.8, 0.1, 1.0, 0.1, 0.1, 0.1, 0.7, 0.1]
    made.evaluate("rl-greedy", scores)
    oracle = made_of(made)["oracle"]
    assert (oracle["targets"], oracle["reachable"], oracle["share"]) == (6, 3, 0.5)
    assert oracle["by_list"]["real"]["ci95"] == wilson_of(1, 3)
    assert [oracle["by_list"][name]["unwritable"] for name in ("generated", "real")] == [0, 1]
    assert (oracle["asked"], oracle["passes"], oracle["gradients"]) == (9, 8, 7)
    strata = {
        (s["list"], s["stratum"]): (s["targets"], s["success"], s["exact"])
        for s in oracle["strata"]
    }
    assert strata == {
        ("generated", "reachable"): (2, 0.5, 0.0),
        ("generated", "not found"): (1, 1.0, 0.0),
        ("generated", "cannot be written"): (0, None, None),
        ("real", "reachable"): (1, 1.0, 1.0),
        ("real", "not found"): (1, 0.0, 0.0),
        ("real", "cannot be written"): (1, 1.0, 0.0),
    }


def test_ablations_are_against_the_same_search_of_the_baseline(tmp_path: Path) -> None:
    made = Made(tmp_path, judge=JUDGE)
    made.collect()
    flat = {REWARD: [0.5] * 12, RAW: [0.5] * 12, JUDGE: [0.3] * 12}
    better = {REWARD: [0.5] * 6 + [0.75] * 6, RAW: [0.5] * 12, JUDGE: [0.2] * 12}
    made.ablation("no-rl", {"pretrained-greedy": better})
    made.ablation("judge-reward", {"rl-greedy": better}, reward=JUDGE)
    made.ablation("baseline", {"rl-greedy": flat})
    first, untrained, judged = made_of(made)["ablations"]
    assert [first["name"], untrained["name"], judged["name"]] == [
        "baseline", "no-rl", "judge-reward",
    ]  # fmt: skip
    assert [each["by"] for each in (first, judged)] == [REWARD, JUDGE]
    assert judged["why"] == ABLATIONS["judge-reward"].why  # not the words of the part's day
    assert first["methods"]["rl-greedy"]["list"]["real"] == {
        "mean": 0.5, "mean_ci95": [0.5, 0.5], "difference": None, "ci95": None,
        "targets": 6, "success": 0.0, **CHANCE,
        "judge": {"mean": 0.3, "mean_ci95": [0.3, 0.3], "difference": None, "ci95": None},
    }  # fmt: skip
    assert untrained["methods"]["pretrained-greedy"]["list"]["real"] == {
        "mean": 0.75, "mean_ci95": [0.75, 0.75], "difference": 0.25, "ci95": [0.25, 0.25],
        "targets": 6, "success": 1.0, **CHANCE,
        "judge": {
            "mean": 0.2, "mean_ci95": [0.2, 0.2], "difference": -0.1, "ci95": [-0.1, -0.1],
        },
    }  # fmt: skip
    assert judged["methods"]["rl-greedy"]["list"]["real"]["judge"] is None  # it was the reward
    assert [(a["steps"], a["queries"]) for a in (first, untrained)] == [(200, 17), (0, 0)]


def test_what_was_asked_again_is_beside_what_was_found(tmp_path: Path) -> None:
    made = Made(tmp_path, size=3)
    made.collect("sampling")
    nothing: list[Any] = [[]] * 9
    # real targets: two elicited, of which one says it again once in two; one unmeasured, and one
    # that failed when asked again
    real = [0.8, 0.8, 0.4, 0.4, 0.4, 0.4, 0.4, None, 0.9]
    again = [[0.8, 0.8], [0.8, 0.2], *[[0.4, 0.4]] * 4, [0.8, 0.2], [], []]
    query = [*range(9), 9, 10, 11, 12, 13, 14, 9, 16, 17]  # the last measured one is the first's
    method = ([None] * 9 + real, nothing + again, query)
    made.repeat("sampling", {"rl-beam-50": method}, per_group=3)
    found = made_of(made)
    generated, row = found["repeats"]
    assert (row["chatbot"], row["method"], row["list"], row["times"]) == (
        "sampling", "rl-beam-50", "real", 2,
    )  # fmt: skip
    assert (row["targets"], row["elicited"]) == (7, 2)
    # 2 x 0.8 and 5 x 0.4; again 0.8, 0.5, 4 x 0.4 and 0.5
    assert (row["found"], row["again"], row["difference"]) == (0.5143, 0.4857, -0.0286)
    assert row["difference_ci95"][0] < row["difference"] < row["difference_ci95"][1]
    assert (row["success"], row["queries"]) == (0.2857, 6)
    # six queries, of which one is of two targets: its share of resamples decides the ends
    assert row["success_ci95"][0] == 0.0 < row["success"] < row["success_ci95"][1]
    assert row["success_again"] == 0.2857  # (1 + 1/2 + 1/2) of 7
    assert (row["kept"], row["kept_ci95"]) == (0.75, None)  # of too few for an interval
    assert (generated["targets"], generated["found"], generated["kept"]) == (0, None, None)
    assert [(p["phase"], p["sent"]) for p in found["phases"]] == [
        ("reference", 107), ("verify", 14),
    ]  # fmt: skip


def test_a_chatbot_that_says_the_same_again_has_no_difference(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.collect("sampling")
    method = (LOW, [[score] * 2 for score in LOW], list(range(12)))
    made.repeat("sampling", {"rl-greedy": method}, per_group=2)
    row = the(made_of(made)["repeats"], list="real")
    assert (row["difference"], row["difference_ci95"]) == (0.0, [0.0, 0.0])
    assert (row["found_ci95"], row["again_ci95"]) == ([0.2, 0.2], [0.2, 0.2])
    # 0 of 6 is not "never": a share has Wilson's interval, a similarity has not
    assert (row["success"], row["success_ci95"]) == (0.0, wilson_of(0, 6))
    assert (row["success_again_ci95"], row["kept_ci95"]) == (wilson_of(0, 6), None)


def test_targets_that_share_a_query_are_one_draw_and_no_interval(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.collect("sampling")
    again = [[0.9, 0.1], [0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.1], [0.9, 0.9]] * 2
    made.repeat("sampling", {"rl-greedy": ([0.8] * 12, again, [0] * 12)}, per_group=2)
    row = the(made_of(made)["repeats"], list="real")
    assert (row["targets"], row["queries"], row["elicited"], row["kept"]) == (6, 1, 6, 0.5)
    assert [row[f"{name}_ci95"] for name in ("again", "success_again", "kept")] == [None] * 3


def test_a_chatbot_that_is_trained_first_is_called_main(made: Made) -> None:
    assert made_of(made, chatbot="train")["chatbots"][0]["name"] == "main"


def test_without_a_part_the_document_is_empty_and_says_what_is_missing(tmp_path: Path) -> None:
    names = ["collect/main", "evaluate/main/seed-1/rl-greedy", "oracle/main"]
    found = made_of(Made(tmp_path / "none"), names, preset="paper-2019")
    assert (found["name"], found["command"]) == ("paper-2019", "saywhat experiment paper-2019")
    assert found["parts"] == {"total": 3, "finished": 0, "missing": names}
    assert found["oracle"] is found["threshold"] is None
    lists = [value for value in found.values() if isinstance(value, list)]
    assert [value for value in lists if value] == [[1, 2], ["rl-greedy"], found["claims"]]


def test_the_command_holds_what_is_not_the_presets(made: Made) -> None:
    changes = ["experiment.corpus=my talks.jsonl", "experiment.seeds=[4]"]
    assert made_of(made, changes=changes)["command"] == (
        "saywhat experiment tiny --set 'experiment.corpus=my talks.jsonl' "
        "--set 'experiment.seeds=[4]'"
    )


def test_corpus_vectors_and_packages_are_those_that_the_parts_recorded(made: Made) -> None:
    found = made_of(made)
    assert (found["corpus"], found["vectors"], found["provenance"]["packages"]) == (None, None, {})
    made.evaluate("rl-greedy", LOW)
    path = made.folder / "collect/main.json"
    record = json.loads(path.read_text())
    record |= {"settings": {"corpus": "talks.jsonl"}, "packages": {"torch": "2.13.0", "a": "1"}}
    path.write_text(json.dumps(record))
    path = made.folder / "evaluate/main/seed-1/rl-greedy.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "packages": {"torch": "2.14.0"}}))
    found = made_of(made)
    assert (found["corpus"], found["vectors"]) == ("talks.jsonl", "glove-6b-50d")
    assert found["provenance"]["packages"] == {"a": "1", "torch": "2.13.0 or 2.14.0"}


def test_any_part_alone_makes_a_document(tmp_path: Path) -> None:
    whole = Made(tmp_path)
    whole.collect()
    whole.reinforce(1)
    whole.evaluate("rl-beam-200", LOW)
    whole.oracle([True] * 6)
    whole.ablation("no-rl", {"pretrained-greedy": LOW})
    for name in whole.names:
        assert document(
            whole.parts(), [name], preset="tiny", seeds=[1], chatbot="builtin"
        )["parts"]["finished"] == 1  # fmt: skip


def test_parts_that_are_not_of_the_experiment_are_not_looked_at(made: Made) -> None:
    made.evaluate("rl-greedy", LOW)
    assert made_of(made, ["collect/main"])["pooled"] == []


def test_scores_of_other_targets_than_the_lists_are_refused(made: Made) -> None:
    made.evaluate("rl-greedy", LOW[:11])
    with pytest.raises(SetupError, match="evaluate/main/seed-1/rl-greedy has 11 scores by"):
        made_of(made)


def test_rows_of_other_groups_than_the_lists_are_refused(made: Made) -> None:
    path = made.folder / "collect/main.json"
    text = path.read_text().replace('"generated 1-3": 2', '"generated 1-3": 1')
    path.write_text(text.replace('"generated 4-6": 2', '"generated 4-6": 3'))
    made.evaluate("rl-greedy", LOW)
    with pytest.raises(SetupError, match="rl-greedy has 2 targets in generated 1-3"):
        made_of(made)


def test_the_same_parts_give_the_same_bytes_in_whatever_order_they_came(tmp_path: Path) -> None:
    rng = derive(1, "order")
    scores = {(m, s): [rng.random() for _ in range(12)] for m in ("rl-greedy", "rl-beam-200",
              "pretrained-greedy") for s in (1, 2)}  # fmt: skip
    written = []
    for folder, order in (("one", list(scores)), ("two", list(reversed(scores)))):
        made = Made(tmp_path / folder)
        for method, seed in order:
            made.evaluate(method, scores[method, seed], seed=seed)
        made.collect()
        path = tmp_path / "out" / f"{folder}.json"
        for _ in range(2):
            write(made_of(made, sorted(made.names)), path)
            written.append(path.read_bytes())
    assert len(set(written)) == 1
    assert json.loads(written[0]) == made_of(made, sorted(made.names))


def test_what_else_was_measured_moves_no_random_draw(made: Made) -> None:
    rng = derive(1, "draws")
    for seed in (1, 2):
        made.evaluate("rl-greedy", [rng.random() for _ in range(12)], seed=seed)
    before = made_of(made)["pooled"]
    made.evaluate("rl-beam-50", HIGH)
    after = [row for row in made_of(made)["pooled"] if row["method"] == "rl-greedy"]
    assert after == before
    assert any(row["ci95"] for row in before)
