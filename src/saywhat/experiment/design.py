"""What an experiment consists of: its methods, its ablations and the other chatbots, as data."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

from saywhat.config import ChatbotSettings, ExperimentSettings, TrainSettings
from saywhat.errors import UnknownNameError


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Method:
    """A search with its budget, and which generator guides it.

    Attributes:
        name: as in result files (``rl-beam-200``).
        search: the search's name.
        budget: queries per target at most.
        generator: ``rl``, ``pretrained`` or ``""`` for none.
        temperature: of sampling.
    """

    name: str
    search: str
    budget: int
    generator: str = ""
    temperature: float = 1.0


REAL_INPUT: Final = "real-input"
"""What people said before a target, which needs such a target."""
UNGUIDED: Final = (
    Method(REAL_INPUT, REAL_INPUT, 1),
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
SEARCHES: Final = {
    **{f"rl-{name}": ("rl", name) for name in ("beam", "diverse-beam", "sampling")},
    "random": ("", "random"),
}
"""Searches that are compared at every budget: name -> generator and search."""
SHARPENED: Final = (
    Method("pretrained-sampling-200", "sampling", 200, "pretrained"),
    Method("pretrained-sharp-200", "sampling", 200, "pretrained", 0.5),
    Method("rl-sharp-200", "sampling", 200, "rl", 0.5),
)
"""Negative control: sharpening alone, which training also does, without its reward."""
KEYWORDS: Final = (
    Method("retrieval", "retrieval", 1),
    Method("random-50", "random", 50),
    Method("pretrained-beam-50", "beam", 50, "pretrained"),
    Method("rl-beam-50", "beam", 50, "rl"),
    Method("rl-sampling-50", "sampling", 50, "rl"),
)
"""What keyword targets are tried with."""
ABLATED: Final = (
    Method("rl-greedy", "greedy", 1, "rl"),
    Method("rl-beam-50", "beam", 50, "rl"),
    Method("rl-sampling-50", "sampling", 50, "rl"),
)
"""What an ablation is judged by."""
UNTRAINED: Final = (
    Method("pretrained-greedy", "greedy", 1, "pretrained"),
    Method("pretrained-beam-50", "beam", 50, "pretrained"),
    Method("pretrained-sampling-50", "sampling", 50, "pretrained"),
)
"""The same without REINFORCE: the ablation ``no-rl``."""


def chosen(settings: ExperimentSettings, known: Sequence[Method]) -> list[Method]:
    """Give those of the known methods that the settings name, in the order in which they are known.

    Raises:
        UnknownNameError: there is none of a name, neither here nor in the other row.
    """
    wanted, names = settings.methods, [each.name for each in (*UNGUIDED, *GUIDED)]
    for name in wanted or ():
        if name not in names:
            raise UnknownNameError("method", name, names)
    return [each for each in known if wanted is None or each.name in wanted]


def agent(budgets: Sequence[int]) -> Method:
    """Give the language model that is retrained for each target (Section 3.2), with the most."""
    return Method(f"rnn-agent-{max(budgets)}", "rnn-agent", max(budgets))


def searches(budgets: Sequence[int]) -> list[Method]:
    """Give the methods of the comparison by budget."""
    compared = [
        Method(f"{name}-{budget}", search, budget, generator)
        for name, (generator, search) in SEARCHES.items()
        for budget in budgets
    ]
    return [*compared, *SHARPENED]


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Ablation:
    """One change to the training.

    Attributes:
        why: what it is to show, in a line.
        reinforce: what it changes in REINFORCE; ``None`` leaves REINFORCE out.
        pretrain: what it changes in pre-training.
        reward: the similarity that gives the reward; ``""`` for the settings'.
    """

    why: str
    reinforce: Mapping[str, Any] | None = dataclasses.field(default_factory=dict)
    pretrain: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    reward: str = ""


ABLATIONS: Final[Mapping[str, Ablation]] = {
    "baseline": Ablation("nothing changed, at the ablations' scale"),
    "no-rl": Ablation("the pre-trained generator as it is", None),
    "paper-estimator": Ablation(
        "the paper's equations (4) and (5) as printed",
        {"estimator": "paper", "advantage": "reward", "kl": 0.0},
    ),
    "corrected-no-kl": Ablation(
        "without the factor pi, and otherwise as in the row above",
        {"advantage": "reward", "kl": 0.0},
    ),
    "no-reward-cut": Ablation("rewards under 0.5 kept", {"reward_cut": 0.0}),
    "samples-2": Ablation(
        "2 queries of each of 128 targets a step", {"samples": 2, "targets": 128}
    ),
    "samples-32": Ablation("32 queries of each of 8 targets a step", {"samples": 32, "targets": 8}),
    "no-baseline": Ablation("the bare reward instead of leave-one-out", {"advantage": "reward"}),
    "best-of-k": Ablation("the best of the samples instead of each", {"advantage": "best_of_k"}),
    "no-kl": Ablation("no pull to the pre-trained generator", {"kl": 0.0}),
    "more-kl": Ablation("ten times the pull", {"kl": 0.2}),
    "replies-only": Ablation("no human sentences among the targets", {"human_share": 0.0}),
    "quarter-corpus": Ablation(
        "pre-trained on a quarter of the pairs as many epochs, so a quarter of the updates too",
        {},
        {"max_pairs": 10000},
    ),
    "quarter-corpus-long": Ablation(
        "pre-trained on a quarter of the pairs for 38 epochs: 13 % more updates than the baseline",
        {},
        {"max_pairs": 10000, "training": {"epochs": 38, "patience": 38}},
    ),
    "judge-reward": Ablation(
        "the judge as the reward, cut where the other reward is though its scores are lower; it "
        "judges the others, not this one",
        {"judge_as_reward": True},
        reward="sentence-encoder",
    ),
    "judge-reward-uncut": Ablation(
        "the judge as the reward, none of it cut; it judges the others, not this one",
        {"judge_as_reward": True, "reward_cut": 0.0},
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
    plain = settings.model_dump()
    plain["reinforce"] |= {"steps": steps, **(change.reinforce or {})}
    training = plain["pretrain"]["training"] | change.pretrain.get("training", {})
    plain["pretrain"] |= {**change.pretrain, "training": training}
    plain["similarity"] |= {"name": change.reward} if change.reward else {}
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
    if name == "vhred":
        plain["variational"] |= {"free_nats": 4.0}  # without, the latent variable is ignored
    return ChatbotSettings.model_validate(plain)
