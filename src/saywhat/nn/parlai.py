"""The encoder-decoder of ParlAI's ``seq2seq`` agents, so that their checkpoints can be asked.

Written from the definition of the format. ``legacy`` is agent ``legacy:seq2seq:0`` (before
September 2018, the paper's chatbot); otherwise it is the last version of ``seq2seq``. They differ:

1. A bidirectional encoder's two last states become the decoder's first by their maximum (legacy)
   or their sum.
2. Legacy has no bias in the projection to the embedding size, and seldom one in the output layer.
3. The score of padding is an ordinary one (legacy) or as good as never.

Recurrent layers are stepped by hand, with the parameters that torch's modules hold: a row's
arithmetic then depends neither on the lengths of the others nor on the padding, and a query
gets the same reply in any company.

Axes: ``batch``, ``source`` (encoder time), ``vocab``, ``hidden``, ``layers``; ``parts`` of a state
are the hidden state and, for an LSTM, the cell.
"""

import dataclasses
from typing import Final, Literal, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from saywhat.text.vocabulary import PAD

Cell = Literal["lstm", "gru", "rnn"]
AttentionKind = Literal["none", "concat", "general", "dot", "local"]

NEVER: Final = -1e20  # ParlAI's own: finite, so that sums and softmaxes of it stay defined
_MODULES: Final = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


@dataclasses.dataclass(frozen=True, slots=True)
class ParlaiShape:
    """What determines the shapes and the arithmetic of a ``ParlaiSeq2Seq``.

    Attributes:
        vocabulary: token ids, special symbols included.
        embedding: units of a word embedding.
        hidden: units of each recurrent layer.
        layers: recurrent layers of the encoder and of the decoder.
        cell: the kind of recurrent layer.
        bidirectional: whether the encoder also reads backwards.
        attention: how the decoder attends to the encoder's outputs.
        attends_first: attention acts on the decoder's input, not on its output.
        window: source positions that ``local`` attention sees.
        mixtures: softmaxes that are mixed (Yang et al., 2018).
        output_bias: whether the output layer has a bias.
        legacy: which version.
    """

    vocabulary: int
    embedding: int
    hidden: int
    layers: int = 2
    cell: Cell = "lstm"
    bidirectional: bool = False
    attention: AttentionKind = "none"
    attends_first: bool = False
    window: int = 48
    mixtures: int = 1
    output_bias: bool = False
    legacy: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class ParlaiMemory:
    """What the decoder knows: its own state and, with attention, the encoder's outputs.

    Attributes:
        state: of each layer. *Shape:* (parts, layers, batch, hidden).
        outputs: top-layer encoder outputs, zero at padding. *Shape:* (batch, source, features).
        mask: true at source tokens. *Shape:* (batch, source).
    """

    state: Float[Tensor, "parts layers batch hidden"]
    outputs: Float[Tensor, "batch source features"]
    mask: Bool[Tensor, "batch source"]

    def select(self, rows: Int[Tensor, " rows"]) -> "ParlaiMemory":
        """Give the memory of some rows, in that order; rows may repeat."""
        return ParlaiMemory(self.state[:, :, rows], self.outputs[rows], self.mask[rows])


@final
class Attention(nn.Module):
    """Attention of one decoder step (Luong et al., 2015, and ``local`` as ParlAI has it).

    Args:
        shape: of the network.
    """

    def __init__(self, shape: ParlaiShape) -> None:
        super().__init__()
        self._kind, self._window = shape.attention, shape.window
        hidden = shape.hidden
        features = hidden * (2 if shape.bidirectional else 1)
        inputs = shape.embedding if shape.attends_first else hidden
        self.combine = nn.Linear(features + inputs, inputs, bias=False)
        sizes = {
            "general": (hidden, features),
            "concat": (hidden + features, hidden),
            "local": (hidden + inputs, shape.window),
        }.get(shape.attention)
        self.score = nn.Linear(*sizes, bias=False) if sizes else None
        self.vector = nn.Linear(hidden, 1, bias=False) if shape.attention == "concat" else None

    @override
    def forward(
        self,
        inputs: Float[Tensor, "batch inputs"],
        hidden: Float[Tensor, "batch hidden"],
        memory: ParlaiMemory,
    ) -> Float[Tensor, "batch inputs"]:
        """Merge what is attended to into ``inputs``."""
        if self._kind == "local" and self.score is not None:
            merged = torch.cat([inputs, hidden], dim=1)
            weights, outputs = self._local(self.score(merged).softmax(dim=1), memory)
        else:
            scores = self._scores(hidden, memory.outputs)
            weights = scores.masked_fill(~memory.mask, NEVER).softmax(dim=1)
            outputs = memory.outputs
        # (B, 1, S) x (B, S, F) -> (B, F)
        context = (weights[:, None] @ outputs)[:, 0]
        return torch.tanh(self.combine(torch.cat([inputs, context], dim=1)))

    def _scores(
        self, hidden: Float[Tensor, "batch hidden"], outputs: Float[Tensor, "batch source features"]
    ) -> Float[Tensor, "batch source"]:
        if self.vector is not None and self.score is not None:
            spread = hidden[:, None].expand(-1, outputs.shape[1], -1)
            active = torch.tanh(self.score(torch.cat([outputs, spread], dim=2)))
            return self.vector(active)[..., 0]  # type: ignore[no-any-return]
        if self.score is not None:
            hidden = self.score(hidden)
        elif hidden.shape[1] != outputs.shape[2]:  # "dot" with an output for each direction
            hidden = torch.cat([hidden, hidden], dim=1)
        # (B, S, F) x (B, F, 1) -> (B, S)
        return (outputs @ hidden[..., None])[..., 0]

    def _local(
        self, weights: Float[Tensor, "batch window"], memory: ParlaiMemory
    ) -> tuple[Float[Tensor, "batch window"], Float[Tensor, "batch window features"]]:
        # the last positions of the source, with weights that do not depend on them, and that
        # do not sum to 1 where the source is shorter than the window
        lengths = memory.mask.sum(dim=1, keepdim=True)
        places = (lengths - self._window).clamp(min=0) + torch.arange(self._window)
        inside = places < lengths
        places = places.clamp(max=memory.mask.shape[1] - 1)[..., None]
        outputs = memory.outputs.gather(1, places.expand(-1, -1, memory.outputs.shape[2]))
        return weights * inside, outputs


@final
class ParlaiSeq2Seq(nn.Module):
    """The network; ``parlai_checkpoint.build`` fills it.

    Args:
        shape: shapes and version.
    """

    def __init__(self, shape: ParlaiShape) -> None:
        super().__init__()
        self.shape = shape
        module = _MODULES[shape.cell]
        embedding, hidden = shape.embedding, shape.hidden
        self.encoder_embedding = nn.Embedding(shape.vocabulary, embedding)
        self.decoder_embedding = nn.Embedding(shape.vocabulary, embedding)
        self.encoder = module(embedding, hidden, shape.layers, bidirectional=shape.bidirectional)
        self.decoder = module(embedding, hidden, shape.layers)
        self.attention = None if shape.attention == "none" else Attention(shape)
        self.project = self.prior = self.latent = None
        if shape.mixtures > 1:
            self.prior = nn.Linear(hidden, shape.mixtures, bias=False)
            self.latent = nn.Linear(hidden, shape.mixtures * embedding)
        elif hidden != embedding:
            self.project = nn.Linear(hidden, embedding, bias=not shape.legacy)
        self.output = nn.Linear(embedding, shape.vocabulary, bias=shape.output_bias)

    def encode(self, source: Int[Tensor, "batch source"]) -> ParlaiMemory:
        """Read right-padded source ids, at least one a row."""
        mask = source != PAD
        lengths = mask.sum(dim=1)
        inputs = list(self.encoder_embedding(source[:, : int(lengths.max())]).unbind(dim=1))
        ways = (False, True) if self.shape.bidirectional else (False,)
        weights, states = self.encoder.all_weights, []
        for layer in range(self.shape.layers):
            runs = [
                self._run(inputs, lengths, weights[layer * len(ways) + backward], backward=backward)
                for backward in ways
            ]
            inputs = [
                torch.cat(step, dim=1) for step in zip(*(run for run, _ in runs), strict=True)
            ]
            states.append(self._merged([state for _, state in runs]))
        if self.attention is None:
            memory = inputs[0].new_zeros(*source.shape, 0)
        else:
            missing = source.shape[1] - len(inputs)
            memory = functional.pad(torch.stack(inputs, dim=1), (0, 0, 0, missing))
        return ParlaiMemory(torch.stack(states, dim=1), memory, mask)

    def step(
        self, tokens: Int[Tensor, " batch"], memory: ParlaiMemory
    ) -> tuple[Float[Tensor, "batch vocab"], ParlaiMemory]:
        """Take the last tokens; give the logits of the next and the memory to go on from."""
        inputs, first = self.decoder_embedding(tokens), self.shape.attends_first
        if self.attention is not None and first:
            inputs = self.attention(inputs, memory.state[0, -1], memory)
        states = []
        for layer, weights in enumerate(self.decoder.all_weights):
            states.append(self._cell(inputs, memory.state[:, layer], weights))
            inputs = states[-1][0]
        if self.attention is not None and not first:
            inputs = self.attention(inputs, inputs, memory)
        state = torch.stack(states, dim=1)
        return self._logits(inputs), ParlaiMemory(state, memory.outputs, memory.mask)

    def _logits(self, features: Float[Tensor, "batch hidden"]) -> Float[Tensor, "batch vocab"]:
        if self.latent is not None and self.prior is not None:
            parts = torch.tanh(self.latent(features)).view(len(features), -1, self.shape.embedding)
            prior = torch.log_softmax(self.prior(features), dim=1)
            # (B, M, V) -> (B, V)
            logits: Tensor = (self.output(parts).log_softmax(dim=2) + prior[..., None]).logsumexp(
                dim=1
            )
        else:
            logits = self.output(features if self.project is None else self.project(features))
        if not self.shape.legacy:
            logits[:, PAD] = NEVER
        return logits

    def _run(
        self,
        inputs: list[Tensor],
        lengths: Int[Tensor, " batch"],
        weights: list[Tensor],
        *,
        backward: bool,
    ) -> tuple[list[Tensor], Float[Tensor, "parts batch hidden"]]:
        """Give a layer's outputs, zero at padding, and its last state."""
        parts = 2 if self.shape.cell == "lstm" else 1
        state = inputs[0].new_zeros(parts, len(lengths), self.shape.hidden)
        outputs = list(inputs)
        steps = range(len(inputs))
        for time in reversed(steps) if backward else steps:
            live = (time < lengths)[:, None]
            state = torch.where(live, self._cell(inputs[time], state, weights), state)
            outputs[time] = torch.where(live, state[0], 0.0)
        return outputs, state

    def _merged(self, states: list[Tensor]) -> Float[Tensor, "parts batch hidden"]:
        if len(states) == 1:
            return states[0]
        return torch.maximum(*states) if self.shape.legacy else torch.add(*states)

    def _cell(
        self,
        inputs: Float[Tensor, "batch inputs"],
        state: Float[Tensor, "parts batch hidden"],
        weights: list[Tensor],
    ) -> Float[Tensor, "parts batch hidden"]:
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        new = functional.linear(inputs, weight_ih, bias_ih)
        old = functional.linear(state[0], weight_hh, bias_hh)
        if self.shape.cell == "rnn":
            return torch.tanh(new + old)[None]
        if self.shape.cell == "gru":
            (reset, keep, content), (was_reset, was_keep, was) = new.chunk(3, 1), old.chunk(3, 1)
            content = torch.tanh(content + torch.sigmoid(reset + was_reset) * was)
            return torch.lerp(content, state[0], torch.sigmoid(keep + was_keep))[None]
        enter, keep, content, leave = (new + old).chunk(4, dim=1)
        cell = keep.sigmoid() * state[1] + enter.sigmoid() * content.tanh()
        return torch.stack([leave.sigmoid() * cell.tanh(), cell])
