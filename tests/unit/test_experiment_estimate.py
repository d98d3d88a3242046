"""How much a part asks at most: by hand, and against what the committed experiment asked."""

import json
from pathlib import Path
from typing import Any

import pytest

from saywhat.experiment.estimate import most_queries
from saywhat.experiment.step import Step
from tests.tiny_experiment import steps_of, tiny

PARTS = Path(__file__).parents[2] / "benchmarks" / "results" / "paper-small"


def test_by_hand() -> None:
    settings = tiny(
        train__collect__posts=100,
        train__lists__utterances=40,
        train__lists__per_length=7,
        train__reinforce__steps=10,
        train__reinforce__targets=3,
        train__reinforce__samples=2,
        train__reinforce__validate_every=4,
        train__reinforce__validation_targets=5,
        experiment__per_group=None,
        experiment__probe_posts=0,
        experiment__keywords_per_count=6,
        experiment__ablation_per_group=2,
        experiment__ablation_steps=8,
    )
    found = {n: most_queries(step, per_length=7) for n, step in steps_of(settings).items()}
    assert found["collect/main"] == 100 + 40 + 40
    assert found["pretrain/main/seed-1"] == 0
    assert found["reinforce/main/seed-1"] == 10 * 3 * 2 + 4 * 5, "before the first, at 4, 8 and 10"
    assert found["evaluate/main/seed-1/rl-beam-50"] == 50 * 7 * 3 * 2
    assert found["keywords/main/seed-1/rl-beam-50"] == 50 * 3 * 6
    assert found["ablation/no-rl"] == 2 * 6 * (1 + 50 + 50)
    assert found["ablation/baseline"] == found["ablation/no-rl"] + 8 * 3 * 2 + 3 * 5


def asked(outcome: Any) -> int:
    """Add up what a part's ledgers counted, wherever they stand in it."""
    if isinstance(outcome, list):
        return sum(map(asked, outcome))
    if not isinstance(outcome, dict):
        return 0
    if {"sent", "asked"} <= outcome.keys():
        return int(outcome["sent"])
    return sum(map(asked, outcome.values()))


def test_no_part_of_the_committed_experiment_asked_more() -> None:
    close = 0
    for path in sorted(PARTS.glob("**/*.json")):
        part = json.loads(path.read_text(encoding="utf-8"))
        kind = part["part"].partition("/")[0]
        if kind == "oracle":
            continue
        most = most_queries(Step(part["part"], part["settings"], dict), per_length=200)
        sent = asked(part["outcome"])
        assert sent <= most, part["part"]
        close += 0 < most <= 1.5 * sent
    assert close > 50, "and most of them nearly as much"


def test_what_asks_nobody_asks_nothing() -> None:
    assert most_queries(Step("human/main", {}, dict), per_length=200) == 0


@pytest.mark.parametrize("kind", ["chatbot", "oracle"])
def test_what_is_not_the_chatbots_is_not_counted(kind: str) -> None:
    assert most_queries(Step(f"{kind}/main", {"per_group": 3}, dict), per_length=200) == 0
