"""The paper's generator: an encoder-decoder LSTM from targets to queries (Section 3.2).

Departures from the paper:

1. Attention is on by default (a setting). Other networks can take the LSTM's place (a setting).
2. Special and unknown symbols have probability 0, since a query must cross to the chatbot as text.
3. Target and query share one vocabulary.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from typing_extensions import override

from saywhat.errors import CheckpointError
from saywhat.generators.base import Generator, Samples
from saywhat.generators.policy import action_log_probs, action_mask, query_log_prob
from saywhat.nn.checkpoint import check_vocabulary, load_model, save_model
from saywhat.nn.decoding import Beams, beam, greedy, sample
from saywhat.nn.diverse_beam import diverse_beam
from saywhat.nn.encoder_decoder import EncoderDecoder, Memory
from saywhat.nn.padding import right_pad
from saywhat.nn.steppers import Conditional
from saywhat.text.vocabulary import Vocabulary


@final
class Seq2SeqGenerator(Generator):
    """Wraps a network whose source is a target and whose labels are a query.

    Args:
        network: the network; shared, not copied.
        vocabulary: of targets and queries.
        max_tokens: the longest target read and the longest query written, in tokens.

    Raises:
        CheckpointError: network and vocabulary do not belong together.
    """

    def __init__(
        self, network: EncoderDecoder[Any], vocabulary: Vocabulary, *, max_tokens: int
    ) -> None:
        super().__init__()
        check_vocabulary(network, vocabulary)
        self.network, self.vocabulary, self.max_tokens = network, vocabulary, max_tokens

    @classmethod
    def load(cls, folder: Path) -> "Seq2SeqGenerator":
        """Load a generator checkpoint.

        Raises:
            CheckpointError: the folder does not hold one.
        """
        network, vocabulary, description = load_model(folder, kind="generator")
        max_tokens = description.get("max_tokens")
        if not isinstance(max_tokens, int) or max_tokens < 1:
            raise CheckpointError(
                f"Expected a positive max_tokens described in {folder}, got {max_tokens!r}."
            )
        return cls(network, vocabulary, max_tokens=max_tokens)

    def save(
        self, folder: Path, *, extra: dict[str, Any], dtype: torch.dtype = torch.float32
    ) -> None:
        """Save to a folder that ``load`` reads back, bit for bit in single precision.

        Args:
            folder: made if it does not exist.
            extra: JSON-able settings that belong to it.
            dtype: of the weights on disk.
        """
        save_model(
            self.network,
            self.vocabulary,
            folder,
            kind="generator",
            extra={"max_tokens": self.max_tokens, **extra},
            dtype=dtype,
        )

    def frozen_copy(self) -> "Seq2SeqGenerator":
        """Give a copy that is not trained: the reference of a KL term."""
        network = copy.deepcopy(self.network)
        network.set_dropout(0.0)
        frozen = Seq2SeqGenerator(network, self.vocabulary, max_tokens=self.max_tokens)
        frozen.eval().requires_grad_(requires_grad=False)
        return frozen

    def memory(self, targets: Sequence[str], n: int = 1) -> Memory:
        """Encode targets, each repeated ``n`` times in a row."""
        rows = [self.vocabulary.encode(text, max_tokens=self.max_tokens) for text in targets]
        memory: Memory = self.network.encode(self.network.pad(rows))
        if n == 1:
            return memory
        return memory.select(torch.arange(len(targets)).repeat_interleave(n))

    @override
    @torch.no_grad()
    def sample(
        self, targets: Sequence[str], n: int, rng: torch.Generator, *, temperature: float = 1.0
    ) -> Samples:
        if not targets:
            return Samples([], right_pad([]))
        rows = len(targets) * n
        stepper = Conditional(self.network, self.memory(targets, n))
        labels = sample(stepper, rows, max_tokens=self.max_tokens, rng=rng, temperature=temperature)
        texts = [self.vocabulary.decode(row) for row in labels.tolist()]
        return Samples([texts[start : start + n] for start in range(0, rows, n)], labels)

    @override
    @torch.no_grad()
    def propose(self, targets: Sequence[str], n: int) -> list[list[str]]:
        if not targets:
            return []
        stepper = Conditional(self.network, self.memory(targets))
        if n == 1:
            labels = greedy(stepper, len(targets), max_tokens=self.max_tokens)
            return [[self.vocabulary.decode(row)] for row in labels.tolist()]
        return self._texts(beam(stepper, len(targets), beams=n, max_tokens=self.max_tokens))

    @torch.no_grad()
    def propose_diversely(
        self, targets: Sequence[str], n: int, *, groups: int, strength: float
    ) -> list[list[str]]:
        """See ``ProposesDiversely``."""
        if not targets:
            return []
        found = diverse_beam(
            Conditional(self.network, self.memory(targets)),
            len(targets),
            beams=n,
            groups=groups,
            strength=strength,
            max_tokens=self.max_tokens,
        )
        return self._texts(found)

    def _texts(self, found: Beams) -> list[list[str]]:
        """Give each target's distinct hypotheses as text."""
        proposals = []
        for rows, scores in zip(found.tokens.tolist(), found.scores.tolist(), strict=True):
            texts = (
                self.vocabulary.decode(row)
                for row, score in zip(rows, scores, strict=True)
                if score > float("-inf")
            )
            proposals.append([text for text in dict.fromkeys(texts) if text])
        return proposals

    @override
    def log_prob(
        self, targets: Sequence[str], labels: Int[Tensor, "batch time"]
    ) -> Float[Tensor, " batch"]:
        if not targets or len(labels) % len(targets):
            raise ValueError(
                f"Expected as many queries for each target; got {len(labels)} queries for "
                f"{len(targets)} targets."
            )
        memory = self.memory(targets, len(labels) // len(targets))
        mask = action_mask(labels, self.max_tokens)
        log_probs = action_log_probs(self.network, memory, labels, mask)
        return query_log_prob(log_probs, labels, mask)

    @override
    def encode_queries(self, queries: Sequence[str]) -> Int[Tensor, "batch time"]:
        return right_pad(
            [self.vocabulary.encode(text, max_tokens=self.max_tokens) for text in queries]
        )
