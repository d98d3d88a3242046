"""A language model of queries: a policy that knows no target.

The paper's Section 3.2 names it as the other possible agent: "An RNN language model can be adopted
as the agent. However, we have to retrain it for each targeted output". See ``search/rnn_agent.py``.
"""

import copy
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saywhat.errors import CheckpointError
from saywhat.generators.policy import action_log_probs, action_mask, query_log_prob
from saywhat.nn.checkpoint import check_vocabulary, load_model, save_model
from saywhat.nn.decoding import sample
from saywhat.nn.language_model import LanguageModel
from saywhat.nn.steppers import Conditional
from saywhat.text.vocabulary import Vocabulary

_KIND = "language-model"


@final
class QueryModel:
    """A distribution over queries, ``pi(I)``.

    Args:
        network: shared, not copied.
        vocabulary: its words.
        max_tokens: the longest query, in tokens.

    Raises:
        CheckpointError: network and vocabulary do not belong together.
    """

    def __init__(self, network: LanguageModel, vocabulary: Vocabulary, *, max_tokens: int) -> None:
        check_vocabulary(network, vocabulary)
        self.network, self.vocabulary, self.max_tokens = network, vocabulary, max_tokens

    @classmethod
    def load(cls, folder: Path) -> "QueryModel":
        """Load a language model.

        Raises:
            CheckpointError: the folder does not hold one.
        """
        network, vocabulary, description = load_model(folder, kind=_KIND)
        max_tokens = description.get("max_tokens")
        if not isinstance(network, LanguageModel) or not isinstance(max_tokens, int):
            raise CheckpointError(f"Expected a language model and its max_tokens in {folder}.")
        return cls(network, vocabulary, max_tokens=max_tokens)

    def save(self, folder: Path, *, extra: dict[str, Any]) -> None:
        """Save to a folder that ``load`` reads back, bit for bit.

        Args:
            folder: made if it does not exist.
            extra: JSON-able settings that belong to it.
        """
        extra = {"max_tokens": self.max_tokens, **extra}
        save_model(self.network, self.vocabulary, folder, kind=_KIND, extra=extra)

    def copy(self) -> "QueryModel":
        """Give a copy whose training leaves this one as it is; it has no dropout."""
        network = copy.deepcopy(self.network)
        network.set_dropout(0.0)
        return QueryModel(network, self.vocabulary, max_tokens=self.max_tokens)

    def sample(
        self, n: int, rng: torch.Generator, *, temperature: float = 1.0
    ) -> tuple[list[str], Int[Tensor, "batch time"]]:
        """Draw ``n`` queries; gives them as text and as ids.

        Args:
            n: how many.
            rng: source of the draws.
            temperature: of the draws; 1 is the model itself.
        """
        self.network.eval()
        with torch.no_grad():
            stepper = Conditional(self.network, self.network.null_memory(n))
            labels = sample(
                stepper, n, max_tokens=self.max_tokens, rng=rng, temperature=temperature
            )
        return [self.vocabulary.decode(row) for row in labels.tolist()], labels

    def log_prob(self, labels: Int[Tensor, "batch time"]) -> Float[Tensor, " batch"]:
        """Give ``log pi(I)`` of queries as ids, with a gradient.

        It is that of ``sample``: a query that it cannot draw has minus infinity.
        """
        mask = action_mask(labels, self.max_tokens)
        memory = self.network.null_memory(len(labels))
        log_probs = action_log_probs(self.network, memory, labels, mask)
        return query_log_prob(log_probs, labels, mask)
