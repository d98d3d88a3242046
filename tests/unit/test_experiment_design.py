"""The design: every change is the change that it says, and no other."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from saywhat import registry
from saywhat.config import ChatbotSettings, ExperimentSettings, TrainSettings
from saywhat.errors import UnknownNameError
from saywhat.experiment import design
from saywhat.experiment.design import (
    ABLATIONS,
    GUIDED,
    UNGUIDED,
    Method,
    ablated,
    ablations,
    chosen,
    other_chatbot,
)

STEPS = 77
TRAIN = TrainSettings(seed=5)
CHANGES: dict[str, dict[str, Any]] = {
    "baseline": {},
    "no-rl": {},
    "paper-estimator": {
        "reinforce.estimator": "paper", "reinforce.advantage": "reward", "reinforce.kl": 0.0,
    },
    "corrected-no-kl": {"reinforce.advantage": "reward", "reinforce.kl": 0.0},
    "no-reward-cut": {"reinforce.reward_cut": 0.0},
    "samples-2": {"reinforce.samples": 2, "reinforce.targets": 128},
    "samples-32": {"reinforce.samples": 32, "reinforce.targets": 8},
    "no-baseline": {"reinforce.advantage": "reward"},
    "best-of-k": {"reinforce.advantage": "best_of_k"},
    "no-kl": {"reinforce.kl": 0.0},
    "more-kl": {"reinforce.kl": 0.2},
    "replies-only": {"reinforce.human_share": 0.0},
    "quarter-corpus": {"pretrain.max_pairs": 10000},
    "quarter-corpus-long": {
        "pretrain.max_pairs": 10000, "pretrain.training.epochs": 38,
        "pretrain.training.patience": 38,
    },
    "judge-reward": {"reinforce.judge_as_reward": True, "similarity.name": "sentence-encoder"},
    "judge-reward-uncut": {
        "reinforce.judge_as_reward": True, "reinforce.reward_cut": 0.0,
        "similarity.name": "sentence-encoder",
    },
    "constant-reward": {"reinforce.reward": "constant"},
    "shuffled-reward": {"reinforce.reward": "shuffled"},
}  # fmt: skip


def flat(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, dict):
        yield prefix, tree
        return
    for key, value in tree.items():
        yield from flat(value, f"{prefix}.{key}" if prefix else key)


def changes(one: Any, other: Any) -> dict[str, Any]:
    before, after = dict(flat(one.model_dump())), dict(flat(other.model_dump()))
    assert before.keys() == after.keys()
    return {key: after[key] for key in after if after[key] != before[key]}


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_what_it_says_and_nothing_else(name: str) -> None:
    baseline = ablated(TRAIN, ABLATIONS["baseline"], steps=STEPS)
    assert changes(TRAIN, baseline) == {"reinforce.steps": STEPS}
    assert changes(baseline, ablated(TRAIN, ABLATIONS[name], steps=STEPS)) == CHANGES[name]


def test_only_the_ablation_without_reinforce_has_none() -> None:
    assert {name for name, each in ABLATIONS.items() if each.reinforce is None} == {"no-rl"}
    assert CHANGES.keys() == ABLATIONS.keys()
    reasons = Counter(each.why for each in ABLATIONS.values())
    assert set(reasons.values()) == {1}


def test_an_ablation_of_samples_asks_as_many_queries_a_step() -> None:
    for name in ("baseline", "samples-2", "samples-32"):
        reinforce = ablated(TRAIN, ABLATIONS[name], steps=1).reinforce
        assert reinforce.samples * reinforce.targets == 256


def test_a_tenfold_pull_is_ten_times_the_default_one() -> None:
    more = ablated(TRAIN, ABLATIONS["more-kl"], steps=1).reinforce
    assert more.kl == pytest.approx(10 * TRAIN.reinforce.kl)


def test_ablations_are_those_that_the_settings_name_in_their_order() -> None:
    assert list(ablations(ExperimentSettings())) == list(ABLATIONS)
    some = ExperimentSettings(ablations=("no-kl", "baseline"))
    assert list(ablations(some)) == ["no-kl", "baseline"]
    without = ablations(ExperimentSettings(judge="none"))
    assert ABLATIONS.keys() - without.keys() == {"judge-reward", "judge-reward-uncut"}


def test_methods_are_those_that_the_settings_name_in_our_order() -> None:
    assert chosen(ExperimentSettings(), GUIDED) == list(GUIDED)
    some = ExperimentSettings(methods=("rl-greedy", "retrieval", "pretrained-greedy"))
    assert [each.name for each in chosen(some, GUIDED)] == ["pretrained-greedy", "rl-greedy"]
    assert [each.name for each in chosen(some, UNGUIDED)] == ["retrieval"]
    with pytest.raises(UnknownNameError, match=r"'rl-gredy'.*Did you mean 'rl-greedy'.*retrieval"):
        chosen(ExperimentSettings(methods=("rl-gredy",)), UNGUIDED)


def test_an_unknown_ablation_is_refused_with_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match=r"'no-k1'.*Did you mean 'no-kl'.*baseline"):
        ablations(ExperimentSettings(ablations=("baseline", "no-k1")))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gru", {"network.architecture": "gru"}),
        ("transformer", {"network.architecture": "transformer", "training.learning_rate": 0.0007}),
        ("hred", {"network.architecture": "hred"}),
        ("vhred", {"network.architecture": "vhred", "variational.free_nats": 4.0}),
        ("sampling", {"decoding.temperature": 0.7, "decoding.anti_lm_weight": 0.0}),
    ],
)
def test_another_chatbot_is_another_network_and_otherwise_the_same(
    name: str, expected: dict[str, Any]
) -> None:
    settings = ChatbotSettings()
    other = other_chatbot(name, settings, epochs=2)
    assert changes(settings, other) == {"training.epochs": 2, **expected}


def _methods() -> list[Method]:
    lists = (design.UNGUIDED, design.GUIDED, design.KEYWORDS, design.ABLATED, design.UNTRAINED)
    some = [method for each in lists for method in each]
    return [*some, *design.searches((1, 10, 200)), design.agent((1, 10))]


def test_a_methods_name_says_what_it_is() -> None:
    """Within one list names differ; between lists the same name is the same method."""
    by_name: dict[str, Method] = {}
    for method in _methods():
        assert by_name.setdefault(method.name, method) == method
        assert method.search in registry.names("searches")
        words = method.name.split("-")
        assert words[0] in {method.generator, method.search.partition("-")[0]}
        if words[-1].isdecimal():
            assert int(words[-1]) == method.budget
        else:
            assert method.budget == 1
        assert ("sharp" in words) == (method.temperature != 1.0)
        if "sharp" not in words:
            plain = method.name.removesuffix(f"-{method.budget}")
            assert plain.removeprefix(f"{method.generator}-") == method.search
    for methods in (design.UNGUIDED + design.GUIDED, design.KEYWORDS, design.searches((1, 10))):
        assert len({method.name for method in methods}) == len(methods)
    assert len(set(by_name.values())) == len(by_name)


def test_searches_are_compared_at_every_budget_and_the_agent_at_the_most() -> None:
    found = {(m.search, m.budget) for m in design.searches((3, 9)) if m.temperature == 1.0}
    wanted = {
        (search, budget)
        for search in ("beam", "diverse-beam", "sampling", "random")
        for budget in (3, 9)
    }
    assert wanted <= found
    assert design.agent((9, 3)) == Method("rnn-agent-9", "rnn-agent", 9)
