"""``saywhat experiment``."""

from typing import Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from saywhat.config.section import Section


class ExperimentSettings(Section):
    """``saywhat experiment``: the paper's experiment, and what goes beyond it."""

    version: Literal[1] = 1
    """Version of this file's format."""
    chatbot: str = "builtin"
    """Chatbot spec, or ``train``: the built-in kind, trained here first."""
    corpus: str = "chitchat"
    """Where posts and conversations come from: ``chitchat`` or a conversation file."""
    seeds: tuple[int, ...] = Field(default=(1, 2, 3), min_length=1)
    """Seeds of the generator; the first one also draws the lists and trains the chatbots."""
    per_group: int | None = Field(default=None, ge=1)
    """Test targets of each list and length; ``null`` is all."""
    methods: tuple[str, ...] | None = None
    """Names of the methods that the test lists are tried with; ``null`` is all of them."""
    others: tuple[Literal["gru", "transformer", "hred", "vhred", "sampling"], ...] = (
        "gru",
        "transformer",
        "hred",
        "vhred",
        "sampling",
    )
    """Other chatbots that the same method is tried on."""
    others_epochs: int = Field(default=3, ge=1)
    """Epochs of training of the other chatbots."""
    others_context: tuple[str, ...] = ("hey, how are you?", "i'm good, thanks. how about you?")
    """Turns before every query to those of them that read any (``hred``, ``vhred``)."""
    others_posts: int = Field(default=64000, ge=1)
    """Posts of the reference corpora of the other chatbots."""
    others_steps: int = Field(default=400, ge=1)
    """Steps of REINFORCE for the other chatbots."""
    others_per_group: int = Field(default=50, ge=1)
    """Test targets of each list and length for the other chatbots."""
    ablations: tuple[str, ...] | None = None
    """Names of ablations; ``null`` is all of them."""
    ablation_steps: int = Field(default=200, ge=1)
    """Steps of REINFORCE in each ablation."""
    ablation_per_group: int = Field(default=50, ge=1)
    """Validation targets of each list and length in each ablation."""
    budgets: tuple[int, ...] = Field(default=(1, 10, 50, 200, 1000), min_length=1)
    """Queries a target that searches are compared at."""
    search_per_group: int = Field(default=30, ge=0)
    """Test targets of each list and length for that comparison; 0 leaves it out."""
    agent_per_group: int = Field(default=5, ge=0)
    """Of these, how many for the language-model agent."""
    oracle_per_group: int = Field(default=10, ge=0)
    """Test targets of each list and length for the white-box oracle."""
    probe_posts: int = Field(default=300, ge=0)
    """Held-out posts for the probes of over-sensitivity and over-stability of each chatbot."""
    keywords_per_count: int = Field(default=50, ge=0)
    """Targets of one, of two and of three keywords each."""
    repeats: int = Field(default=5, ge=0)
    """How often a chatbot that may draw its replies is asked its best queries again; 0: never."""
    judge: Literal["sentence-encoder", "none"] = "sentence-encoder"
    """Similarity that was never a reward."""

    @field_validator("seeds", "methods", "others", "ablations", "budgets")
    @classmethod
    def _each_once(cls, values: tuple[object, ...] | None) -> tuple[object, ...] | None:
        twice = sorted({str(each) for each in values or () if (values or ()).count(each) > 1})
        if twice:
            raise PydanticCustomError(
                "twice", f"Input should be each one once, not {', '.join(twice)} twice"
            )
        return values
