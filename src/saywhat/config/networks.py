"""Networks, and training them on pairs: chatbots, generators, language models."""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, field_validator, model_serializer
from pydantic_core import PydanticCustomError

from saywhat.config.section import Section, Share


class NetworkSettings(Section):
    """Shapes of an encoder-decoder."""

    architecture: Literal["lstm", "gru", "transformer", "hred", "vhred"] = "lstm"
    """Kind of network; ``hred`` and ``vhred`` also read the turns before the query."""
    vocabulary: int = Field(default=6000, ge=5)
    """Largest number of token ids, four special symbols included."""
    embedding: int = Field(default=256, ge=1)
    """Units of a word embedding."""
    hidden: int = Field(default=448, ge=1)
    """Units of each layer."""
    layers: int = Field(default=2, ge=1)
    """Layers of the encoder and of the decoder."""
    attention: bool = False
    """Whether the decoder attends to the encoder's outputs (Luong et al., 2015); ``lstm`` and
    ``gru``."""
    heads: int = Field(default=8, ge=1, validate_default=True)
    """Heads of each attention, of which ``hidden`` is a multiple; ``transformer``."""
    feed_forward: int = Field(default=1024, ge=1)
    """Units of each feed-forward part; ``transformer``."""
    latent: int = Field(default=64, ge=1)
    """Units of the latent variable; ``vhred``."""

    @field_validator("heads")
    @classmethod
    def _share_hidden(cls, heads: int, info: Any) -> int:
        hidden = info.data.get("hidden", 0)
        if info.data.get("architecture") == "transformer" and hidden % heads:
            raise PydanticCustomError("heads", f"Input should be a divisor of hidden ({hidden})")
        return heads


class SupervisedSettings(Section):
    """Teacher-forced training of a chatbot or, as pre-training, of a generator."""

    optimizer: Literal["adam", "sgd"] = "adam"
    """The optimiser; the paper uses plain SGD."""
    learning_rate: float = Field(default=0.001, gt=0)
    """Initial learning rate."""
    schedule: Literal["linear", "stall"] = "linear"
    """``linear``: also falls to a twentieth over the epochs; ``stall``: falls by ``decay`` only."""
    decay: float = Field(default=0.25, gt=0, le=1)
    """Factor on the learning rate after an epoch that did not improve validation (any schedule)."""
    patience: int = Field(default=3, ge=0)
    """Epochs in a row without improvement that are borne; one more stops the training."""
    epochs: int = Field(default=6, ge=1)
    """Passes over the pairs at most."""
    batch_size: int = Field(default=128, ge=1)
    """Pairs a step."""
    dropout: Share = 0.2
    """Dropout between layers and on embeddings and features."""
    clip: float = Field(default=1.0, gt=0)
    """Largest gradient norm."""
    context_dropout: Share = 0.0
    """Share of examples with a hidden source: it trains the decoder as a language model too."""
    max_tokens: int = Field(default=24, ge=1)
    """Tokens kept of each text."""
    precision: Literal["bf16", "fp32"] = "bf16"
    """Arithmetic of the forward and backward pass."""
    checkpoint_seconds: float = Field(default=120.0, ge=0)
    """Time between checkpoints."""


class DecodingSettings(Section):
    """How the built-in kind of chatbot writes a reply."""

    anti_lm_weight: float = Field(default=0.9, ge=0)
    """Weight of the anti-language-model (Li et al., 2016); 0 is plain greedy decoding."""
    anti_lm_steps: int = Field(default=6, ge=0)
    """First tokens on which it acts."""
    anti_lm_floor: float = Field(default=0.08, ge=0, le=1)
    """Tokens below this share of the likeliest one's probability are out (Li et al., 2023)."""
    max_source_tokens: int = Field(default=24, ge=1)
    """Tokens of a query that are read."""
    max_reply_tokens: int = Field(default=20, ge=1)
    """Tokens of a reply at most."""
    temperature: float = Field(default=0.0, ge=0)
    """0 takes the best word each time; above it words are drawn, and a query gets another reply
    each time it is asked."""
    seed: int = 1
    """Of the draws."""
    context: tuple[str, ...] = ()
    """Turns before each query, the last one last (``hred`` and ``vhred``)."""


class VariationalSettings(Section):
    """Against a latent variable that is ignored (Bowman et al., 2016; Kingma et al., 2016)."""

    kl_warmup: Share = 0.5
    """Share of the training in which the weight of the KL divergence grows from 0 to 1."""
    word_dropout: Share = 0.25
    """Share of the decoder's input words that are hidden."""
    free_nats: float = Field(default=0.0, ge=0)
    """KL divergence, in nats a reply, that costs nothing (free bits); 4 keeps the variable in
    use where the other two do not."""


class ChatbotSettings(Section):
    """``saywhat train-chatbot``: the built-in kind of chatbot (Section 4.1 of the paper)."""

    network: NetworkSettings = NetworkSettings()
    embeddings: str | None = None
    """Vectors that its words start from, ``network.embedding`` numbers each: the path of a GloVe
    or word2vec file. Words that it lacks start at random, and so do all of them without a file
    (the paper: GloVe of 300)."""
    training: SupervisedSettings = SupervisedSettings(
        epochs=8, learning_rate=0.0015, dropout=0.25, context_dropout=0.15
    )
    decoding: DecodingSettings = DecodingSettings()
    variational: VariationalSettings = VariationalSettings()
    context_turns: int = Field(default=3, ge=0)
    """Turns before the query at most, in training; each number up to it is as frequent (``hred``
    and ``vhred``)."""
    max_words: int = Field(default=20, ge=1)
    """Longest reply that is learned, in words."""
    max_per_reply: int = Field(default=20, ge=1)
    """Most pairs with the same reply: data filtering against generic replies."""

    @model_serializer(mode="wrap")
    def _as_before_embeddings(self, dump: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # what was trained and recorded before there was this key still has the same settings
        plain = dump(self)
        if plain.get("embeddings", "") is None:
            del plain["embeddings"]
        return plain


class LanguageModelSettings(Section):
    """A recurrent language model of queries."""

    vocabulary: int = Field(default=6000, ge=5)
    """Largest number of token ids, four special symbols included."""
    embedding: int = Field(default=128, ge=1)
    """Units of a word embedding."""
    hidden: int = Field(default=320, ge=1)
    """Units of each LSTM layer."""
    layers: int = Field(default=1, ge=1)
    """LSTM layers."""
    training: SupervisedSettings = SupervisedSettings(
        epochs=3, batch_size=64, learning_rate=0.003, max_tokens=16
    )
