"""What the document says of other chatbots, of probes, and of what everything asked and took."""

from pathlib import Path

import pytest

from tests.experiment_document import made_of, the
from tests.experiment_parts import REWARD, Made

LOW = [0.2] * 12


@pytest.fixture
def made(tmp_path: Path) -> Made:
    found = Made(tmp_path)
    found.collect()
    return found


def test_rows_know_what_training_asked(made: Made) -> None:
    made.reinforce(2)
    for method in ("rl-greedy", "pretrained-greedy", "retrieval", "random-200"):
        made.evaluate(method, LOW, seed=2)
    made.evaluate("rl-beam-50", LOW, seed=1)  # what its training asked is not known yet
    rows = made_of(made)["rows"]
    assert {row["method"]: row["training_queries"] for row in rows} == {
        "rl-greedy": 107 + 33,
        "pretrained-greedy": 107,
        "retrieval": 107,
        "random-200": 0,
        "rl-beam-50": None,
    }
    mine = [r for r in rows if r["method"] == "rl-greedy" and r["similarity"] == REWARD]
    assert [row["seconds"] for row in mine] == [2.0] * 6  # 12 seconds over six equal groups
    assert {row["part"] for row in mine} == {"evaluate/main/seed-2/rl-greedy"}


def test_phases_times_and_chatbots_add_up(made: Made) -> None:
    made.reinforce(1)
    made.evaluate("rl-greedy", LOW)
    made.ablation("baseline", {"rl-greedy": LOW})
    made.collect("gru")
    found = made_of(made)
    assert [(p["phase"], p["chatbot"], p["sent"]) for p in found["phases"]] == [
        ("reference", "builtin", 107),
        ("reference", "gru", 107),
        ("reinforce", "builtin", 33 + 17),
        ("search", "builtin", 24 + 24),
    ]
    assert [(c["name"], c["queries"], c["seconds"]) for c in found["chatbots"]] == [
        ("builtin", 107 + 50 + 48, 48.0),
        ("gru", 107, 12.0),
    ]
    assert the(found["times"], kind="collect") == {"kind": "collect", "parts": 2, "seconds": 24.0}
    assert found["provenance"]["seconds"] == 60.0


@pytest.mark.parametrize(("history", "kept"), [([51.0, 49.1, 49.3], 49.1), ([], None)])
def test_a_chatbots_perplexity_is_that_of_the_weights_that_are_kept(
    made: Made, history: list[float], kept: float | None
) -> None:
    made.write("chatbot/gru", {}, {"size": {}, "validation_perplexity": history})
    made.collect("gru")
    (gru,) = (bot for bot in made_of(made)["chatbots"] if bot["name"] == "gru")
    assert gru["validation_perplexity"] == kept


def test_an_attacks_bill_is_of_one_seed(made: Made) -> None:
    for seed in (1, 2):
        made.reinforce(seed)
        made.evaluate("rl-greedy", LOW, seed=seed)
    for method in ("pretrained-greedy", "retrieval", "random-200", "real-input"):
        made.evaluate(method, LOW)
    made.evaluate("rl-beam-50", LOW, seed=3)  # what its training asked is not known
    bills = {bill["method"]: bill for bill in made_of(made)["bills"]}
    # 107 posts for the corpus, 33 by REINFORCE; 2 queries for each of 12 targets
    assert bills["rl-greedy"] == {
        "method": "rl-greedy", "before": 140.0, "search": 24.0, "targets": 12.0, "a_target": 2.0,
    }  # fmt: skip
    assert {name: bill["before"] for name, bill in bills.items() if name != "rl-greedy"} == {
        "pretrained-greedy": 107.0,
        "retrieval": 107.0,
        "random-200": 0.0,
        "real-input": 0.0,
        "rl-beam-50": None,
    }


def test_a_smaller_scale_of_other_chatbots_is_told(made: Made) -> None:
    made.reinforce(1)
    made.reinforce(2)
    made.evaluate("rl-greedy", LOW)
    training = {"training": {"epochs": 3}}
    made.write("chatbot/gru", {"chatbot_training": training}, {})
    made.collect("gru")
    made.evaluate("rl-greedy", LOW[:6], place="gru", per_group=1)
    main, other = made_of(made)["chatbots"]
    keys = ("epochs", "steps", "seeds", "per_list")
    assert [main[key] for key in keys] == [None, 1000, 2, 6]
    assert [other[key] for key in keys] == [3, None, None, 3]


def test_settings_are_those_of_the_main_chatbot_and_its_first_generator(made: Made) -> None:
    queries = {"reinforce": {"asked": 4, "unique": 3, "sent": 3, "failed": 0}}
    for part in ("reinforce/gru/seed-1", "reinforce/main/seed-2"):
        made.write(part, {"reinforce": {"steps": 400}}, {"queries": queries})
        made.names.remove(part)
    made.reinforce(1)
    made.names += ["reinforce/main/seed-2"]
    made.names.insert(0, "reinforce/gru/seed-1")
    assert made_of(made)["settings"] == {"train": {"reinforce": {"steps": 1000, "samples": 8}}}
    training = {"training": {"epochs": 3}}
    made.write("chatbot/main", {"chatbot_training": training}, {})
    assert made_of(made, chatbot="train")["settings"]["chatbot_training"] == training


def test_edits_are_given_one_by_one_and_not_among_the_kinds(made: Made) -> None:
    ends = {"estimate": 0.7, "low": 0.6, "high": 0.8}
    of = {
        "edits": 40, "posts": 40, "failed": 0, "similarity": 0.7, "similarity_ci": ends,
        "unchanged": 0.25, "unchanged_ci": None,
    }  # fmt: skip
    probed = {
        "posts": 50, "asked": 90, "contrast": None, "unrelated": ends,
        "kinds": [{**of, "name": "should-change", "kind": "should-change"}],
        "edits": [{**of, "name": "negation", "kind": "should-change"}],
    }  # fmt: skip
    made.write("probes/main", made.asked_with(), probed)
    found = made_of(made)
    assert [row["kind"] for row in found["probes"]] == ["should-change", "contrast", "unrelated"]
    assert found["edits"] == [
        {
            "chatbot": "builtin", "kind": "should-change", "edit": "negation", "edits": 40,
            "similarity": 0.7, "ci95": [0.6, 0.8], "unchanged": 0.25, "unchanged_ci95": None,
        }
    ]  # fmt: skip
