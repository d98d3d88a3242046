r"""The built-in kind of chatbot, opened: how near a query is to making it say a text, word by word.

A text is said if each of its words wins the decoder's election at its step. The chatbot elects by
step scores ``s`` (see ``nn.steppers.AntiLanguageModel``): on its first words the log-probability
less a language model's, among the words that are likely enough to stand. Two objectives:

- ``margin``: ``sum_t min(s_t(y_t) - max_w s_t(w), 0.3) - lack_t``, where w are the other words that
  stand and ``lack_t`` is what ``y_t`` lacks to stand. What is won clearly gains nothing more, so
  that all effort goes to what is lost: the hinge loss of Carlini and Wagner (2017) and of Seq2Sick.
- ``likelihood``: ``sum_t s_t(y_t) - log sum_w exp s_t(w) - lack_t``, now with ``y_t`` among the w.
  For a chatbot that decodes plainly it is the log-likelihood over the words that can be written,
  which is the objective of He and Glass (2019).
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from saywhat.config import DecodingSettings
from saywhat.errors import CheckpointError
from saywhat.nn.chatbot_checkpoint import check_context, load_chatbot
from saywhat.nn.checkpoint import check_vocabulary
from saywhat.nn.encoder_decoder import EncoderDecoder
from saywhat.nn.padding import shift_right
from saywhat.nn.steppers import NEVER
from saywhat.records import Pair
from saywhat.text.vocabulary import EOS, NEVER_WRITTEN, UNK, Vocabulary

Objective = Literal["margin", "likelihood"]

_CLEARLY: Final = 0.3  # nats by which a word is to win
_NUMBERS: Final = 8_000_000  # of a (rows x time x vocabulary) tensor, which bounds the memory


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Goal:
    """A text that the chatbot shall say, as its decoder sees it.

    Attributes:
        labels: its ids and the end symbol, unless that comes for free. *Shape:* (1, time).
        discount: what is taken from each step's log-probabilities. *Shape:* (time, vocab).
        floor: logarithm of the share of the likeliest word's probability that a word must have to
            stand. *Shape:* (time, 1).
        writable: words that can be written at each step. *Shape:* (time, vocab).
        objective: what nearness is.
    """

    labels: Int[Tensor, "1 time"]
    discount: Float[Tensor, "time vocab"]
    floor: Float[Tensor, "time 1"]
    writable: Bool[Tensor, "time vocab"]
    objective: Objective


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Assessment:
    """How near queries are to a goal.

    Attributes:
        objective: higher is nearer. *Shape:* (rows,).
        margin: by how much the closest of the goal's words wins its election; above 0, the chatbot
            says the goal. *Shape:* (rows,).
        log_probs: of the goal's tokens by the network itself. *Shape:* (rows, time).
    """

    objective: Float[Tensor, " rows"]
    margin: Float[Tensor, " rows"]
    log_probs: Float[Tensor, "rows time"]


@final
class WhiteBox:
    """A chatbot's network, words and decoding rule.

    Args:
        network: any encoder-decoder.
        vocabulary: its words.
        decoding: how it writes.

    Raises:
        CheckpointError: network, vocabulary and decoding settings do not belong together, or the
            chatbot draws its replies: it then has none that a query is sure to get.
    """

    def __init__(
        self, network: EncoderDecoder[Any], vocabulary: Vocabulary, decoding: DecodingSettings
    ) -> None:
        check_vocabulary(network, vocabulary)
        check_context(decoding, network)
        if decoding.temperature > 0:
            raise CheckpointError(
                "decoding.temperature: expected 0, since an oracle can tell only of a chatbot that "
                f"always gives a query the same reply; got {decoding.temperature:g}."
            )
        self._network, self.vocabulary, self.decoding = network.eval(), vocabulary, decoding
        self._context = [
            token for turn in decoding.context for token in self._ids(turn)
        ]  # each turn with its end symbol

    @classmethod
    def load(cls, folder: Path) -> "WhiteBox":
        """Open a chatbot checkpoint.

        Raises:
            CheckpointError: the folder does not hold one, or it draws its replies.
        """
        found = load_chatbot(folder)
        return cls(found.model, found.vocabulary, found.settings)

    @property
    def embeddings(self) -> Float[Tensor, "vocab embedding"]:
        """The word embeddings that queries enter through."""
        return self._network.embedding.weight.detach()

    def encode(self, query: str) -> list[int]:
        """Give a query's words as ids, without an end symbol."""
        return self._ids(query)[:-1]

    def text_of(self, words: Sequence[int]) -> str | None:
        """Give the query of these words; ``None`` if as a text it has others.

        Two marks in a row, for example, are read as one.
        """
        text = self.vocabulary.decode(words)
        return text if self.encode(text) == list(words) else None

    def goal(self, text: str, *, objective: Objective = "margin") -> Goal | None:
        """Prepare a text; ``None`` if the chatbot's decoder can never write it.

        It cannot write words that it does not know, no words, or more words than its longest
        reply has.

        Args:
            text: what shall be said.
            objective: what nearness is.
        """
        most = self.decoding.max_reply_tokens
        ids = self.vocabulary.encode(text, max_tokens=most + 1)
        if UNK in ids or not 1 <= len(ids) - 1 <= most:
            return None
        labels = torch.tensor([ids[:most]])
        time, vocab = labels.shape[1], len(self.vocabulary)
        steps = self.decoding.anti_lm_steps if self.decoding.anti_lm_weight > 0 else 0
        acts = (torch.arange(time) < steps)[:, None]
        with torch.no_grad():
            logits, _ = self._network.decode(shift_right(labels), self._network.null_memory(1))
        prior = torch.log_softmax(logits[0].float(), dim=-1)
        lowest = self.decoding.anti_lm_floor
        writable = torch.ones(time, vocab, dtype=torch.bool)
        writable[:, list(NEVER_WRITTEN)] = False
        writable[0, EOS] = False
        return Goal(
            labels,
            torch.where(acts, self.decoding.anti_lm_weight * prior, 0.0),
            torch.where(acts, math.log(lowest) if lowest > 0 else NEVER, NEVER),
            writable,
            objective,
        )

    @torch.no_grad()
    def assess(self, queries: Sequence[Sequence[int]], goal: Goal) -> Assessment:
        """Say how near each query is to a goal.

        Args:
            queries: words as ids, without end symbols; at least one query.
            goal: what shall be said.
        """
        size = max(1, _NUMBERS // goal.writable.numel())
        parts = [
            self._assess(self._pad(queries[start : start + size]), goal)
            for start in range(0, len(queries), size)
        ]
        return Assessment(
            torch.cat([part.objective for part in parts]),
            torch.cat([part.margin for part in parts]),
            torch.cat([part.log_probs for part in parts]),
        )

    def gradient(
        self, queries: Sequence[Sequence[int]], goal: Goal
    ) -> list[Float[Tensor, "words embedding"]]:
        """Give the gradient of each query's objective with respect to its words' embeddings.

        Its product with another word's embedding tells, to first order and but for a constant of
        the place, the objective with that word there.
        """
        entered: list[Tensor] = []

        def enter(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            if entered:  # the decoder's words
                return None
            entered.append(output.detach().requires_grad_())
            return entered[0]

        hook = self._network.embedding.register_forward_hook(enter)
        padded = self._pad(queries)
        try:
            with torch.enable_grad():
                objective = self._assess(padded, goal).objective.sum()
        finally:
            hook.remove()
        (slopes,) = torch.autograd.grad(objective, entered)
        # the query is the last turn, padded on the left, and ends with the end symbol;
        # (B * turns, S, E) or (B, S, E) -> (B, turns * S, E)
        slopes = slopes.reshape(len(queries), -1, slopes.shape[-1])
        return [row[-1 - len(query) : -1] for row, query in zip(slopes, queries, strict=True)]

    def _ids(self, text: str) -> list[int]:
        return self.vocabulary.encode(text, max_tokens=self.decoding.max_source_tokens)

    def _pad(self, queries: Sequence[Sequence[int]]) -> Tensor:
        return self._network.pad([[*self._context, *query, EOS] for query in queries])

    def _assess(self, padded: Tensor, goal: Goal) -> Assessment:
        # inside, all is of shape (rows, time, vocab) but what is gathered, which is (rows, time)
        labels = goal.labels.expand(len(padded), -1)
        logits, _ = self._network.decode(shift_right(labels), self._network.encode(padded))
        given = torch.log_softmax(logits.float(), dim=-1)
        scores = given - goal.discount
        least = given.masked_fill(~goal.writable, NEVER).amax(dim=-1, keepdim=True) + goal.floor
        wanted = labels[..., None]
        rivals = scores.masked_fill(~goal.writable | (given < least), NEVER)
        # (B, T, V) -> (B, T)
        own, likely = scores.gather(-1, wanted)[..., 0], given.gather(-1, wanted)[..., 0]
        excess = likely - least[..., 0]
        lead = own - rivals.scatter(-1, wanted, NEVER).amax(dim=-1)
        margin = torch.where(excess < 0, torch.minimum(lead, excess), lead)
        if goal.objective == "margin":
            gain = lead.clamp(max=_CLEARLY)
        else:
            gain = own - rivals.scatter(-1, wanted, own[..., None]).logsumexp(dim=-1)
        objective = (gain + excess.clamp(max=0.0)).sum(dim=-1)
        return Assessment(objective, margin.amin(dim=-1), likely)


@torch.no_grad()
def typical_log_prob(box: WhiteBox, pairs: Sequence[Pair]) -> float:
    """Give the mean log-probability of a token of replies that people gave: a bar for likelihoods.

    He and Glass (2019) call a text likely when its tokens reach it, on average or all of them.

    Args:
        box: the opened chatbot.
        pairs: held-out (query, reply) pairs of people.

    Raises:
        ValueError: no reply can be written by the chatbot.
    """
    found: list[float] = []
    for pair in pairs:
        goal = box.goal(pair.reply)
        if goal is not None:
            found += box.assess([box.encode(pair.query)], goal).log_probs[0].tolist()
    if not found:
        raise ValueError(f"Expected replies of known words, got none among {len(pairs)} pairs.")
    return sum(found) / len(found)
