"""``saywhat train`` and its stages."""

from typing import Literal

from pydantic import Field

from saywhat.config.asking import (
    ConnectionSettings,
    LimitSettings,
    ModelSettings,
    SimilaritySettings,
)
from saywhat.config.networks import NetworkSettings, SupervisedSettings
from saywhat.config.section import Section, Share


class CollectSettings(Section):
    """``saywhat collect``: asking the chatbot ordinary posts for the reference corpus."""

    posts: int = Field(default=64000, ge=1)
    """Distinct posts asked at most (the paper: 160,000)."""
    max_words: int = Field(default=25, ge=1)
    """Longest post, in words."""
    batch_size: int = Field(default=256, ge=1)
    """Posts in one call of the chatbot."""


class PretrainSettings(Section):
    """``saywhat pretrain``: reply -> query, on the reference corpus."""

    network: NetworkSettings = NetworkSettings(attention=True)
    training: SupervisedSettings = SupervisedSettings(
        epochs=9, batch_size=64, learning_rate=0.0015, decay=1.0, dropout=0.3, max_tokens=16
    )
    max_pairs: int | None = Field(default=None, ge=1)
    """Pairs used at most, by a fixed shuffle; ``null`` is all."""
    max_per_reply: int = Field(default=500, ge=1)
    """Most pairs kept with the same reply, so that generic replies do not fill the training."""


class ReinforceSettings(Section):
    """``saywhat reinforce``: REINFORCE from the pre-trained generator (Section 4.2)."""

    estimator: Literal["reinforce", "paper"] = "reinforce"
    """``paper``: equations (4) and (5) as printed, with their factor pi; ``reinforce``: without."""
    advantage: Literal["leave_one_out", "best_of_k", "reward"] = "leave_one_out"
    """Baseline of the ``reinforce`` estimator; ``reward`` is none."""
    steps: int = Field(default=1000, ge=1)
    """Updates at most."""
    targets: int = Field(default=32, ge=1)
    """Targets a step (the paper's batch is 16)."""
    samples: int = Field(default=8, ge=1)
    """Queries drawn for each target."""
    learning_rate: float = Field(default=0.0003, gt=0)
    """Of Adam (the paper: 0.001)."""
    clip: float = Field(default=1.0, gt=0)
    """Largest gradient norm (the paper: 0.25)."""
    dropout: Share = 0.0
    """Dropout in the gradient's forward pass."""
    temperature: float = Field(default=1.0, gt=0)
    """Of sampling; other than 1 makes the estimator biased."""
    reward_cut: float = Field(default=0.5, ge=0, le=1)
    """Rewards below it are 0."""
    reward: Literal["similarity", "constant", "shuffled"] = "similarity"
    """Negative controls, which must teach nothing: ``constant`` rewards every reply with 1,
    ``shuffled`` with its similarity to another target of the step."""
    judge_as_reward: bool = False
    """Whether a judge may give the rewards; it is none any more for what was trained so."""
    kl: float = Field(default=0.02, ge=0)
    """Weight of the KL divergence to the pre-trained generator."""
    entropy: float = Field(default=0.0, ge=0)
    """Weight of the entropy bonus."""
    human_share: Share = 0.5
    """Share of targets that are human posts instead of the chatbot's replies (the paper: 0)."""
    max_target_words: int = Field(default=12, ge=1)
    """Longest target, in words."""
    validate_every: int = Field(default=100, ge=1)
    """Steps between greedy evaluations on the validation list."""
    validation_targets: int = Field(default=300, ge=1)
    """Validation targets used."""
    patience: int = Field(default=5, ge=1)
    """Evaluations without improvement after which training stops."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """Arithmetic of the gradient's forward and backward pass."""
    checkpoint_seconds: float = Field(default=180.0, ge=0)
    """Time between checkpoints."""


class ListSettings(Section):
    """The target lists that ``saywhat train`` makes."""

    per_length: int = Field(default=200, ge=1)
    """Test targets of each list and length group (the paper: 200)."""
    validation_per_length: int = Field(default=100, ge=1)
    """Validation targets of each list and length group."""
    utterances: int = Field(default=10000, ge=1)
    """Human utterances put to the chatbot for the generated list (the paper: 10,000)."""


class TrainSettings(Section):
    """``saywhat train``: collect, pretrain and reinforce for one chatbot."""

    version: Literal[1] = 1
    """Version of this file's format."""
    chatbot: str = "builtin"
    """Chatbot spec."""
    corpus: str = "chitchat"
    """Where posts come from: ``chitchat`` or the path of a conversation file."""
    seed: int = 1
    """Seed of everything that draws."""
    lists: ListSettings = ListSettings()
    collect: CollectSettings = CollectSettings()
    pretrain: PretrainSettings = PretrainSettings()
    reinforce: ReinforceSettings = ReinforceSettings()
    similarity: SimilaritySettings = SimilaritySettings()
    limits: LimitSettings = LimitSettings()
    connection: ConnectionSettings = ConnectionSettings()
    model: ModelSettings = ModelSettings()
