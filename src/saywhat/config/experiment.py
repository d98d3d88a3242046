"""``saywhat experiment``."""

from typing import Literal

from pydantic import Field

from saywhat.config.section import Section


class ExperimentSettings(Section):
    """``saywhat experiment``: the paper's experiment, and what goes beyond it."""

    version: Literal[1] = 1
    """Version of this file's format."""
    chatbot: str = "builtin"
    """Chatbot spec, or ``train``: the built-in kind, trained here first."""
    corpus: str = "chitchat"
    """Where posts and conversations come from: ``chitchat`` or a conversation file."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Seeds of the generator; the first one also draws the lists and trains the chatbots."""
    per_group: int | None = Field(default=None, ge=1)
    """Test targets of each group; ``null`` is all."""
    others: tuple[Literal["gru", "transformer", "hred", "vhred", "sampling"], ...] = (
        "gru",
        "transformer",
        "hred",
        "vhred",
        "sampling",
    )
    """Other chatbots that the same method is tried on."""
    others_epochs: int = Field(default=4, ge=1)
    """Epochs of training of the other chatbots."""
    others_posts: int = Field(default=32000, ge=1)
    """Posts of the reference corpora of the other chatbots."""
    others_steps: int = Field(default=400, ge=1)
    """Steps of REINFORCE for the other chatbots."""
    others_per_group: int = Field(default=100, ge=1)
    """Test targets of each group for the other chatbots."""
    ablations: tuple[str, ...] | None = None
    """Names of ablations; ``null`` is all of them."""
    ablation_steps: int = Field(default=300, ge=1)
    """Steps of REINFORCE in each ablation."""
    ablation_per_group: int = Field(default=50, ge=1)
    """Validation targets of each group in each ablation."""
    most_queries: int = Field(default=1000, ge=1)
    """Queries a target in the comparison of searches by budget."""
    search_per_group: int = Field(default=30, ge=1)
    """Test targets of each group in that comparison."""
    agent_per_group: int = Field(default=5, ge=0)
    """Test targets of each group for the language-model agent."""
    oracle_per_group: int = Field(default=10, ge=0)
    """Test targets of each group for the white-box oracle."""
    probe_posts: int = Field(default=300, ge=0)
    """Posts for the probes of over-sensitivity and over-stability."""
    keyword_targets: int = Field(default=100, ge=0)
    """Keyword targets."""
    judge: Literal["sentence-encoder", "none"] = "sentence-encoder"
    """Similarity that was never a reward."""
