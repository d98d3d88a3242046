"""Settings: one frozen section per stage, and the only home of defaults.

Unknown keys are refused and all errors are reported at once, each with its dotted key. The defaults
are those of the built-in chatbot and generator; ``presets/`` holds others, among them the paper's.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A frozen group of settings."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


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
    """How a network with a latent variable is kept from ignoring it (Bowman et al., 2016)."""

    kl_warmup: Share = 0.5
    """Share of the training in which the weight of the KL divergence grows from 0 to 1."""
    word_dropout: Share = 0.25
    """Share of the decoder's input words that are hidden."""


class ChatbotSettings(Section):
    """``saywhat train-chatbot``: the built-in kind of chatbot (Section 4.1 of the paper)."""

    network: NetworkSettings = NetworkSettings()
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


class AgentSettings(Section):
    """``rnn-agent``: a language model that is trained anew for each target (Section 3.2)."""

    model: LanguageModelSettings = LanguageModelSettings()
    folder: str = "work/rnn-agent"
    """Where the pre-trained language model of each reference corpus is kept."""
    seed: int = 1
    """Of its pre-training."""
    samples: int = Field(default=50, ge=2)
    """Queries drawn for an update."""
    learning_rate: float = Field(default=0.002, gt=0)
    """Of Adam."""
    clip: float = Field(default=1.0, gt=0)
    """Largest gradient norm."""
    reward_cut: float = Field(default=0.0, ge=0, le=1)
    """Rewards below it are 0."""
    patience: int = Field(default=10, ge=1)
    """Draws in a row without a new query after which the agent stops."""


class SearchSettings(Section):
    """How queries are found for each target."""

    method: str = "beam"
    """Name of the search."""
    budget: int = Field(default=50, ge=1)
    """Queries per target at most."""
    batch_targets: int = Field(default=16, ge=1)
    """Targets that share a batch when the search allows it."""
    real_input: bool = True
    """Whether the human query before a target is asked too, for comparison (1 query each)."""
    temperature: float = Field(default=1.0, gt=0)
    """Of ``sampling``; below 1 sharpens the generator, as training does, without its reward."""
    diversity_groups: int = Field(default=10, ge=1)
    """Groups of hypotheses of ``diverse-beam`` (the paper of the method: one hypothesis each)."""
    diversity_strength: float = Field(default=0.5, ge=0)
    """What a word costs in a later group, in nats, for each earlier choice of it."""
    agent: AgentSettings = AgentSettings()


class OracleSettings(Section):
    """``gibbs-enum``: what a chatbot can say at all, found with its weights in hand."""

    chains: int = Field(default=5, ge=1)
    """Queries that are improved side by side."""
    candidates: int = Field(default=50, ge=1)
    """Words tried at each place, chosen by gradient."""
    sweeps: int = Field(default=6, ge=1)
    """Passes over all places at most."""
    pool: int = Field(default=256, ge=1)
    """Ordinary posts of which the best begin the chains."""
    max_words: int = Field(default=10, ge=1)
    """Longest of them, in tokens."""


class SimilaritySettings(Section):
    """How close a reply is to a target, and when that counts as success."""

    name: str = "embedding-average-centred"
    """Name of the similarity."""
    vectors: str = "glove-6b-50d"
    """Word vectors: ``glove-6b-50d`` or the path of a word2vec or GloVe file."""
    threshold: float = Field(default=0.7, ge=-1, le=1)
    """Similarity at which a target counts as elicited."""


class PhaseLimitSettings(Section):
    """Queries sent in each phase at most."""

    reference: int | None = Field(default=None, ge=0)
    """For the reference corpus and the target lists."""
    reinforce: int | None = Field(default=None, ge=0)
    """For rewards."""
    search: int | None = Field(default=None, ge=0)
    """For targets."""
    verify: int | None = Field(default=None, ge=0)
    """For real inputs and repetitions."""


class LimitSettings(Section):
    """Hard limits. Budgets bind queries that leave for the chatbot, retries included."""

    queries: int | None = Field(default=None, ge=1)
    """Queries sent in the whole run at most."""
    per_target: int | None = Field(default=None, ge=1)
    """Queries sent for one target at most (``search.budget`` counts what is asked, cached or
    not)."""
    phases: PhaseLimitSettings = PhaseLimitSettings()
    seconds: float | None = Field(default=None, gt=0)
    """Wall time of asking at most."""
    rate: float | None = Field(default=None, gt=0)
    """Queries a second at most, in bursts of a quarter of a second's worth."""
    attempts: int = Field(default=3, ge=1)
    """Tries of a query that failed."""
    max_wait: float = Field(default=30.0, ge=0)
    """Longest wait before a retry, in seconds; a chatbot that asks for more stops the run."""
    breaker: int = Field(default=10, ge=1)
    """The same failure this often in a row stops the run (3 times if nothing was ever
    answered)."""


class ConnectionSettings(Section):
    """How a chatbot outside this process is reached."""

    authorised: bool = False
    """That you own this chatbot or may test it: needed for every address but loopback."""
    api_key: str | None = None
    """Where the key of an ``openai:`` server is: ``env:NAME`` or ``file:PATH``; never the key."""
    concurrency: int = Field(default=8, ge=1, le=1024)
    """Queries under way together."""
    timeout: float = Field(default=60.0, gt=0)
    """Seconds for a reply, from the first byte sent to the last one received."""
    proxy: str | None = None
    """URL of a proxy; those of the environment are not used."""
    ca_file: str | None = None
    """Certificates to trust instead of the system's."""


class ModelSettings(Section):
    """How a language model is asked (``openai:`` and ``transformers:``)."""

    system_prompt: str | None = None
    """Said to the model before each query."""
    temperature: float | None = Field(default=0.0, ge=0)
    """0 is the likeliest reply; ``null`` leaves it to the server."""
    max_tokens: int | None = Field(default=128, ge=1)
    """Longest reply."""
    seed: int | None = None
    """Of sampling, if the model takes one."""
    stop: tuple[str, ...] = ()
    """Texts that end a reply."""
    batch_size: int = Field(default=16, ge=1)
    """Queries in one pass of a model in this process."""


class AuditSettings(Section):
    """``saywhat audit``: the main job."""

    version: Literal[1] = 1
    """Version of this file's format."""
    chatbot: str = "builtin"
    """Chatbot spec."""
    generator: str = "builtin"
    """Generator: ``builtin`` or a folder."""
    targets: str = "sample"
    """Targets: a built-in list (``sample``, ``test``, ``validation``) or the path of a text, CSV
    or JSONL file."""
    limit: int | None = Field(default=None, ge=1)
    """First targets of each group only (for trying out)."""
    reference: str = "builtin"
    """Reference corpus for retrieval: ``builtin``, ``none`` or a JSONL file."""
    seed: int = 1
    """Seed of everything that draws."""
    search: SearchSettings = SearchSettings()
    similarity: SimilaritySettings = SimilaritySettings()
    limits: LimitSettings = LimitSettings()
    connection: ConnectionSettings = ConnectionSettings()
    model: ModelSettings = ModelSettings()


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
