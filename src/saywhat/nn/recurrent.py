"""Recurrent layers: their small uniform start, and single steps of them written out.

The fused kernels pack their weights anew in each call, which costs more than one step.
"""

from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from saywhat.nn.encoder_decoder import EncoderDecoder
from saywhat.text.vocabulary import PAD

_INIT_RANGE: Final = 0.08


@torch.no_grad()
def uniform_(network: EncoderDecoder[Any], rng: torch.Generator) -> None:
    """Draw weights uniformly from [-0.08, 0.08] (Sutskever et al., 2014).

    The padding's embedding and the bias of the output layer are 0.
    """
    for parameter in network.parameters():
        parameter.uniform_(-_INIT_RANGE, _INIT_RANGE, generator=rng)
    network.embedding.weight[PAD].zero_()
    network.output_bias.zero_()


def run_lstm(
    lstm: nn.LSTM,
    inputs: Float[Tensor, "batch time units"],
    hidden: Float[Tensor, "layers batch hidden"],
    cell: Float[Tensor, "layers batch hidden"],
) -> tuple[
    Float[Tensor, "batch time hidden"],
    Float[Tensor, "layers batch hidden"],
    Float[Tensor, "layers batch hidden"],
]:
    """Run all layers over all steps, in the faster way; gives outputs, hidden and cell."""
    if _is_one_step(inputs):
        return lstm_step(lstm, inputs[:, 0], hidden, cell)
    outputs, (hidden, cell) = lstm(inputs, (hidden, cell))
    return outputs, hidden, cell


def run_gru(
    gru: nn.GRU,
    inputs: Float[Tensor, "batch time units"],
    hidden: Float[Tensor, "layers batch hidden"],
) -> tuple[Float[Tensor, "batch time hidden"], Float[Tensor, "layers batch hidden"]]:
    """Run all layers over all steps, in the faster way; gives outputs and hidden."""
    if _is_one_step(inputs):
        return gru_step(gru, inputs[:, 0], hidden)
    outputs, hidden = gru(inputs, hidden)
    return outputs, hidden


def _is_one_step(inputs: Float[Tensor, "batch time units"]) -> bool:
    """Whether what is written out below will do: it has no dropout, which comes with gradients."""
    return inputs.shape[1] == 1 and not torch.is_grad_enabled()


def lstm_step(
    lstm: nn.LSTM,
    inputs: Float[Tensor, "batch units"],
    hidden: Float[Tensor, "layers batch hidden"],
    cell: Float[Tensor, "layers batch hidden"],
) -> tuple[
    Float[Tensor, "batch 1 hidden"],
    Float[Tensor, "layers batch hidden"],
    Float[Tensor, "layers batch hidden"],
]:
    """Move all layers on by one step, without dropout; gives outputs, hidden and cell."""
    hiddens, cells = [], []
    for layer in range(lstm.num_layers):
        weight_ih, weight_hh, bias_ih, bias_hh = lstm.all_weights[layer]
        gates = functional.linear(inputs, weight_ih, bias_ih)
        gates = gates + functional.linear(hidden[layer], weight_hh, bias_hh)
        # (B, 4H) -> 4 x (B, H), in torch's order
        enter, keep, content, leave = gates.chunk(4, dim=-1)
        new = keep.sigmoid() * cell[layer] + enter.sigmoid() * content.tanh()
        inputs = leave.sigmoid() * new.tanh()
        hiddens.append(inputs)
        cells.append(new)
    return inputs[:, None], torch.stack(hiddens), torch.stack(cells)


def gru_step(
    gru: nn.GRU,
    inputs: Float[Tensor, "batch units"],
    hidden: Float[Tensor, "layers batch hidden"],
) -> tuple[Float[Tensor, "batch 1 hidden"], Float[Tensor, "layers batch hidden"]]:
    """Move all layers on by one step, without dropout; gives outputs and hidden."""
    hiddens = []
    for layer in range(gru.num_layers):
        weight_ih, weight_hh, bias_ih, bias_hh = gru.all_weights[layer]
        # (B, 3H) -> 3 x (B, H), in torch's order: reset, update, new
        reset, update, new = functional.linear(inputs, weight_ih, bias_ih).chunk(3, dim=-1)
        past = functional.linear(hidden[layer], weight_hh, bias_hh).chunk(3, dim=-1)
        kept = (update + past[1]).sigmoid()
        content = (new + (reset + past[0]).sigmoid() * past[2]).tanh()
        inputs = (1 - kept) * content + kept * hidden[layer]
        hiddens.append(inputs)
    return inputs[:, None], torch.stack(hiddens)
