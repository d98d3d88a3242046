"""What an experiment consists of: its methods, its ablations and the other chatbots, as data."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, final

from saywhat.config import ChatbotSettings, ExperimentSettings, TrainSettings
from saywhat.errors import UnknownNameError
from saywhat.experiment.evaluate import Method

UNGUIDED: Final = (
    Method("real-input", "real-input", 1),
    Method("retrieval", "retrieval", 1),
    Method("random-200", "random", 200),
)
"""Floors: they know nothing of the generator, so one seed is enough."""
GUIDED: Final = (
    Method("pretrained-greedy", "greedy", 1, "pretrained"),
    Method("pretrained-beam-200", "beam", 200, "pretrained"),
    Method("rl-greedy", "greedy", 1, "rl"),
    Method("rl-beam-50", "beam", 50, "rl"),
    Method("rl-beam-200", "beam", 200, "rl"),
    Method("rl-sampling-200", "sampling", 200, "rl"),
)
"""The paper's rows, and two beside them."""
ABLATED: Final = (Method("rl-greedy", "greedy", 1, "rl"), Method("rl-beam-50", "beam", 50, "rl"),
                  Method("rl-sampling-50", "sampling", 50, "rl"))  # fmt: skip
"""What an ablation is judged by."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Ablation:
    """One change to the training.

    Attributes:
        why: what it is to show, in a line.
        reinforce: what it changes in REINFORCE.
        pretrain: what it changes in pre-training.
        reward: the similarity that gives the reward; ``""`` for the settings'.
    """

    why: str
    reinforce: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pretrain: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    reward: str = ""


ABLATIONS: Final[Mapping[str, Ablation]] = {
    "baseline": Ablation("nothing changed, at the ablations' scale"),
    "paper-estimator": Ablation(
        "the paper's equations (4) and (5) as printed",
        {"estimator": "paper", "advantage": "reward", "kl": 0.0},
    ),
    "no-reward-cut": Ablation("rewards under 0.5 kept", {"reward_cut": 0.0}),
    "samples-2": Ablation("2 queries a target", {"samples": 2, "targets": 128}),
    "samples-32": Ablation("32 queries a target", {"samples": 32, "targets": 8}),
    "no-baseline": Ablation("the bare reward instead of leave-one-out", {"advantage": "reward"}),
    "best-of-k": Ablation("the best of the samples instead of each", {"advantage": "best_of_k"}),
    "no-kl": Ablation("no pull to the pre-trained generator", {"kl": 0.0}),
    "more-kl": Ablation("ten times the pull", {"kl": 0.2}),
    "replies-only": Ablation("no human sentences among the targets", {"human_share": 0.0}),
    "quarter-corpus": Ablation("pre-trained on a quarter of the pairs", {}, {"max_pairs": 10000}),
    "judge-reward": Ablation(
        "the judge as the reward; it judges the others, not this one",
        {"judge_as_reward": True},
        reward="sentence-encoder",
    ),
    "constant-reward": Ablation("negative control: every reward 1", {"reward": "constant"}),
    "shuffled-reward": Ablation("negative control: another target's", {"reward": "shuffled"}),
}


def ablations(settings: ExperimentSettings) -> dict[str, Ablation]:
    """Give the ablations that the settings name.

    Raises:
        UnknownNameError: there is none of that name.
    """
    wanted = ABLATIONS if settings.ablations is None else settings.ablations
    for name in wanted:
        if name not in ABLATIONS:
            raise UnknownNameError("ablation", name, ABLATIONS)
    judged = settings.judge != "none"
    return {n: ABLATIONS[n] for n in wanted if judged or ABLATIONS[n].reward != "sentence-encoder"}


def ablated(settings: TrainSettings, change: Ablation, *, steps: int) -> TrainSettings:
    """Give the training settings with an ablation's change, at the ablations' scale."""
    reward = {"name": change.reward} if change.reward else {}
    plain = settings.model_dump()
    plain["reinforce"] |= {"steps": steps, **change.reinforce}
    plain["pretrain"] |= change.pretrain
    plain["similarity"] |= reward
    return TrainSettings.model_validate(plain)


def other_chatbot(name: str, settings: ChatbotSettings, *, epochs: int) -> ChatbotSettings:
    """Give the settings of another chatbot: the same conversations and sizes, another network.

    ``sampling`` is the main chatbot's network, which draws its replies.
    """
    plain = settings.model_dump()
    plain["training"] |= {"epochs": epochs}
    if name == "sampling":
        plain["decoding"] |= {"temperature": 0.7, "anti_lm_weight": 0.0}
    else:
        plain["network"] |= {"architecture": name}
    if name == "transformer":
        plain["training"] |= {"learning_rate": 0.0007}
    return ChatbotSettings.model_validate(plain)
