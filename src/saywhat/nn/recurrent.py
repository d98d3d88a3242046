"""Single steps of recurrent layers, written out.

The fused kernels pack their weights anew in each call, which costs more than one step.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


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
