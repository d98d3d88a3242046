"""The experiment's page beside the paper's tables: controls, probes, costs, settings, repeats."""

import copy
from typing import Any

import pytest

from saywhat.experiment.design import ABLATIONS
from saywhat.experiment.page.cells import MISSING
from tests.experiment_document import empty, full_document, pooled, row_of, section_of, table_of
from tests.experiment_parts import JUDGE, REWARD

DEPARTURES = "Departures of the presets from the paper"
"""Its tables hold settings."""


@pytest.fixture(scope="module")
def full() -> dict[str, Any]:
    return full_document()


def test_what_a_method_cannot_say_is_not_a_measured_nothing(full: dict[str, Any]) -> None:
    changed = copy.deepcopy(full)
    nothing = {"share": 0.0, "ci95": [0.0, 0.006]}
    for method, exact in (("random-200", nothing), ("retrieval", nothing), ("rl-greedy", nothing)):
        changed["methods"] = [*changed["methods"], method]
        row = {**pooled(method, REWARD, "real", "all"), "exact": exact}
        changed["pooled"] = [row, *changed["pooled"]]
    budget = {**changed["budgets"][0], "search": "random", "exact": 0.0}
    changed["budgets"] = [budget, {**budget, "exact": 0.1}]
    table = table_of(changed, "Every method", "Every method")
    column = [each.title for each in table.columns].index("Word for word")
    cells = {m: row_of(table, m, "real")[column] for m in ("random-200", "retrieval", "rl-greedy")}
    assert cells == {
        "random-200": "held out", "retrieval": "held out", "rl-greedy": "0.0% (0.0 to 0.6%)",
    }  # fmt: skip
    rows = table_of(changed, "Searches by budget", "Searches").rows
    assert [row[6] for row in rows] == ["held out", "10.0% (1.8 to 40.4%)"]


def test_probes_are_shown_edit_by_edit_and_negation_beside_punctuation() -> None:
    of = {
        "chatbot": "builtin", "kind": "should-change", "edits": 40, "ci95": [0.6, 0.8],
        "unchanged": 0.25, "unchanged_ci95": [0.2, 0.3],
    }  # fmt: skip
    document = {**empty(), "edits": [
        {**of, "edit": "negation", "similarity": 0.7},
        {**of, "edit": "punctuation", "kind": "should-not-change", "similarity": 0.6},
        {**of, "edit": "negation", "similarity": 0.5, "chatbot": "gru"},
        {**of, "edit": "punctuation", "similarity": 0.6, "chatbot": "gru"},
        {**of, "edit": "negation", "similarity": 0.9, "chatbot": "vhred"},
        {**of, "edit": "punctuation", "similarity": 0.6, "chatbot": "vhred"},
        {**of, "edit": "negation", "similarity": None, "chatbot": "hred"},
        {**of, "edit": "punctuation", "similarity": 0.6, "chatbot": "hred"},
    ]}  # fmt: skip
    said = section_of(document, "Probes").paragraphs
    assert said[-1].startswith("On 2 of 3 chatbots the reply after a negation is nearer")
    rows = table_of(document, "Probes", "The same by edit").rows
    assert rows[0] == (
        "builtin", "should-change", "negation", "40", "0.700 [0.60, 0.80]", "25.0% (20.0 to 30.0%)",
    )  # fmt: skip
    assert not any(
        "negation is nearer" in line for line in section_of(empty(), "Probes").paragraphs
    )


def test_the_scale_of_other_chatbots_is_said(full: dict[str, Any]) -> None:
    bot = {
        "size": None, "decoding": None, "validation_perplexity": None, "distinct_replies": 1,
        "pairs": 2, "queries": 3, "seconds": 4.0, "methods": [],
    }  # fmt: skip
    main = {**bot, "name": "builtin", "epochs": None, "steps": 1000, "seeds": 3, "per_list": 600}
    gru = {**bot, "name": "gru", "epochs": 3, "steps": 400, "seeds": 1, "per_list": 150}
    document = {**empty(), "chatbots": [main, gru]}
    said = " ".join(section_of(document, "Other chatbots").paragraphs)
    assert "400 steps of REINFORCE where the main chatbot's generator has 1,000" in said
    assert "150 targets of a list where it has 600, 1 seed of the generator where it has 3" in said
    assert "trained here has 3 epochs" in said
    alone = {**empty(), "chatbots": [main]}
    assert not any("smaller in scale" in s for s in section_of(alone, "Other chatbots").paragraphs)


def test_settings_that_are_not_the_papers_are_listed() -> None:
    reinforce = {"steps": 1000, "learning_rate": 0.001, "clip": 1.0, "checkpoint_seconds": 5.0}
    pretrain = {"max_pairs": 7, "training": {"optimizer": "adam"}, "network": {"attention": True}}
    settings = {"train": {"reinforce": reinforce, "pretrain": pretrain}, "nothing": 1}
    table = table_of({**empty(), "settings": settings}, DEPARTURES, "Settings of this run")
    assert table.rows == (
        ("train.reinforce.steps", "10000", "1000"),
        ("train.reinforce.clip", "0.25", "1"),
        ("train.pretrain.max_pairs", "null", "7"),
        ("train.pretrain.training.optimizer", "sgd", "adam"),
        ("train.pretrain.network.attention", "false", "true"),
    )
    assert table_of(empty(), DEPARTURES, "Settings of this run").rows[0] == (MISSING,) * 3


def test_what_one_attack_asks_for_is_added_up() -> None:
    bill = {"method": "rl-beam-50", "before": 140.0, "search": 24.0, "targets": 12.0,
            "a_target": 2.0}  # fmt: skip
    document = {**empty(), "bills": [bill, {**bill, "before": None}]}
    rows = table_of(document, "Queries by phase", "What one attack").rows
    assert rows[0] == ("rl-beam-50", "140", "2.0", "12", "164")
    assert rows[1] == ("rl-beam-50", MISSING, "2.0", "12", MISSING)


def test_the_negative_controls_are_marked_and_judged(full: dict[str, Any]) -> None:
    text = section_of(full, "Ablations").paragraphs
    assert (
        "Negative control constant-reward: it lost; of 2 comparisons with the baseline (method "
        "and list) it was below in 2, above in 0, and not told apart in 0." in text
    )
    assert any("shuffled-reward: it did not lose; of 2" in line for line in text)
    assert (
        "Negative control sharpening, on the test lists: it did not lose (sharp: drawn at "
        "temperature 0.5); rl-sampling-200 less pretrained-sharp-200 +0.006 [-0.010, +0.025] on "
        "Real (n 90)." in text
    )
    assert any(line.startswith("No state of shuffled-reward was better") for line in text)
    changed = copy.deepcopy(full)
    lists = changed["ablations"][1]["methods"]["rl-greedy"]["list"]
    lists["real"] = {**lists["real"], "ci95": [-0.1, 0.1]}  # the other is still below
    changed["comparisons"][1] |= {"ci95": [0.01, 0.02]}
    text = section_of(changed, "Ablations").paragraphs
    assert any("constant-reward: it lost in part; of 2" in line for line in text)
    assert any("sharpening, on the test lists: it lost (" in line for line in text)
    worse = {**changed["comparisons"][1], "a": "rl-sharp-200", "ci95": [-0.05, -0.01]}
    changed["comparisons"].append(worse)  # the same search, both sharpened
    text = section_of(changed, "Ablations").paragraphs
    assert any("sharpening, on the test lists: it did not lose (" in line for line in text)
    names = [row[0] for row in table_of(full, "Ablations", "The ablations").rows]
    assert "constant-reward (negative control)" in names
    assert len(names) == len(ABLATIONS)
    assert row_of(table_of(full, "Ablations", "The ablations"), "no-kl")[2:] == (MISSING,) * 6


def test_a_similarity_of_another_scale_says_which(full: dict[str, Any]) -> None:
    changed = copy.deepcopy(full)
    changed["ablations"][1] |= {"by": JUDGE}
    rows = table_of(changed, "Ablations", "The ablations").rows
    assert [row[4] for row in rows[:2]] == ["0.410", f"0.410 by {JUDGE}"]


def test_a_mean_has_its_own_interval_and_a_difference_its_own(full: dict[str, Any]) -> None:
    rows = table_of(full, "Ablations", "Their results").rows
    assert rows[0][5:9] == ("0.400 [0.38, 0.42]", "baseline", "0.300 [0.28, 0.33]", "baseline")
    assert rows[2][5:9] == (
        "0.400 [0.38, 0.42]", "-0.150 [-0.200, -0.100]",
        "0.300 [0.28, 0.33]", "+0.010 [-0.010, +0.030]",
    )  # fmt: skip


def test_what_was_asked_again_stands_beside_what_was_found(full: dict[str, Any]) -> None:
    section = section_of(full, "Asked again")
    assert "asked 5 times more" in section.paragraphs[0]
    found, nothing = section.tables[0].rows
    assert found == (
        "sampling", "rl-beam-50", "real", "147", "109", "44", "0.565 [0.53, 0.60]",
        "0.250 [0.20, 0.30]", "-0.315 [-0.350, -0.280]", "29.9% (23.0 to 38.0%)",
        "8.0% (5.0 to 12.0%)", "21.0% (14.0 to 29.0%)", "0.022", "0.300",
    )  # fmt: skip
    assert nothing[:6] == ("sampling", "real-input", "generated", "0", "0", "0")
    assert nothing[6:] == (*["n/e"] * 6, MISSING, MISSING)
    # 0.25 is under 0.3; what has no figure is not counted
    assert section.paragraphs[1].startswith("Asked again, 0 of 1 methods on Real are above")
    assert len(section.paragraphs) == 2
    assert table_of(empty(), "Asked again", "Similarity").rows == ((MISSING,) * 14,)
