"""Asking a chatbot: how it is reached, what may be sent, how it is searched and judged."""

from typing import Literal

from pydantic import Field

from saywhat.config.networks import LanguageModelSettings
from saywhat.config.section import Section


class AgentSettings(Section):
    """``rnn-agent``: a language model that is trained anew for each target (Section 3.2)."""

    model: LanguageModelSettings = LanguageModelSettings()
    folder: str = "work/rnn-agent"
    """Where the pre-trained language model of each reference corpus is kept."""
    seed: int = 1
    """Of its pre-training."""
    samples: int = Field(default=100, ge=2)
    """Queries drawn for an update."""
    learning_rate: float = Field(default=0.003, gt=0)
    """Of Adam."""
    clip: float = Field(default=1.0, gt=0)
    """Largest gradient norm."""
    reward_cut: float = Field(default=0.0, ge=0, le=1)
    """Rewards below it are 0."""
    patience: int = Field(default=3, ge=1)
    """Draws in a row without a new query after which the agent begins again."""


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
    diversity_groups: int | None = Field(default=None, ge=1)
    """Groups of hypotheses of ``diverse-beam``; none: one for each query, which is best."""
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
    objective: Literal["margin", "likelihood"] = "margin"
    """``margin``: by how much each word of the target wins or loses its place, which decides the
    reply; ``likelihood``: the target's log-likelihood, as in the paper of the method."""
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
    """Seconds since the run, or its resumption, began; nothing leaves after it."""
    rate: float | None = Field(default=None, gt=0)
    """Queries a second at most, in bursts of a quarter of a second's worth."""
    attempts: int = Field(default=3, ge=1)
    """Tries of a query that failed."""
    max_wait: float = Field(default=30.0, ge=0)
    """Longest wait before a retry, in seconds; a chatbot that asks for more stops the run."""
    breaker: int = Field(default=10, ge=1)
    """The same failure this often in a row ends the run; all that waiting may cure are the same."""


class ConnectionSettings(Section):
    """How a chatbot outside this process is reached."""

    authorised: bool = False
    """That you own this chatbot or may test it: needed for every address but loopback."""
    api_key: str | None = None
    """Where the key of an ``openai:`` server is: ``env:NAME`` or ``file:PATH``; never the key."""
    concurrency: int = Field(default=8, ge=1, le=1024)
    """Queries under way together."""
    timeout: float = Field(default=60.0, gt=0)
    """Seconds for one request: from connecting to the last byte of the answer."""
    proxy: str | None = None
    """URL of a proxy, or ``env:NAME`` if it holds a password; those of the environment are not
    used."""
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
