"""The network: padding leaves no trace, and step by step is the same as all at once."""

from collections.abc import Callable

import pytest
import torch

from saywhat.nn.padding import left_pad, right_pad, shift_right
from saywhat.nn.seq2seq import Seq2Seq
from saywhat.text.vocabulary import BOS, EOS, PAD
from saywhat.training.losses import cross_entropy

SOURCES = [[4, 5, 6, EOS], [7, EOS], [8, 9, 10, 11, 4, EOS], [EOS]]
MakeNetwork = Callable[..., Seq2Seq]
both = pytest.mark.parametrize("attention", [False, True])


def logits_of(network: Seq2Seq, sources: list[list[int]], *, width: int = 0) -> torch.Tensor:
    inputs = torch.tensor([[BOS, 5, 9, 4]] * len(sources))
    logits, _ = network.decode(inputs, network.encode(left_pad(sources, width=width)))
    return logits.detach()


def train_a_little(network: Seq2Seq) -> None:
    """Take steps in which the tied matrix learns, its padding row as an output included."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    labels = right_pad([[5, 6, EOS], [7, EOS], [8, EOS], [9, EOS]])
    for _ in range(5):
        logits, _ = network.decode(shift_right(labels), network.encode(left_pad(SOURCES)))
        optimizer.zero_grad()
        cross_entropy(logits, labels).backward()
        optimizer.step()


@both
@pytest.mark.parametrize("trained", [False, True])
def test_padding_leaves_no_trace(make_network: MakeNetwork, attention: bool, trained: bool) -> None:
    network = make_network(attention=attention)
    if trained:
        train_a_little(network)
        assert network.embedding.weight[PAD].norm() > 0.01, "the padding row was not trained"
    together = logits_of(network, SOURCES)
    wider = logits_of(network, SOURCES, width=40)
    alone = torch.cat([logits_of(network, [source]) for source in SOURCES])
    torch.testing.assert_close(wider, together, rtol=0, atol=1e-5)
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-5)


def test_padded_encoder_steps_are_exactly_zero(make_network: MakeNetwork) -> None:
    network = make_network()
    train_a_little(network)
    memory = network.encode(left_pad(SOURCES, width=9))
    assert not memory.outputs[~memory.mask].any()
    assert memory.outputs[memory.mask].abs().min() > 0
    nothing = network.encode(torch.full((2, 5), PAD))
    assert not nothing.hidden.any()
    assert not nothing.cell.any()


@both
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("gradient", [False, True])
def test_decoding_step_by_step_equals_all_at_once(
    make_network: MakeNetwork, attention: bool, layers: int, gradient: bool
) -> None:
    network = make_network(attention=attention, layers=layers)
    memory = network.encode(left_pad(SOURCES))
    inputs = torch.randint(4, 12, (4, 7), generator=torch.Generator().manual_seed(1))
    at_once, _ = network.decode(inputs, memory)
    steps = []
    with torch.set_grad_enabled(gradient):  # without a gradient a single step has its own code
        for column in inputs.T:
            logits, memory = network.decode(column[:, None], memory)
            steps.append(logits)
    torch.testing.assert_close(torch.cat(steps, dim=1), at_once, rtol=0, atol=1e-5)


@both
def test_the_null_context_is_what_context_dropout_leaves(
    make_network: MakeNetwork, attention: bool
) -> None:
    network = make_network(attention=attention)
    inputs = torch.tensor([[BOS, 5, 6]] * 4)
    memory = network.encode(left_pad(SOURCES))
    null, _ = network.decode(inputs, network.null_memory(4))
    known, _ = network.decode(inputs, memory)
    rows = torch.tensor([True, False, True, False])
    mixed, _ = network.decode(inputs, network.forget(memory, rows))
    torch.testing.assert_close(mixed[rows], null[rows], rtol=0, atol=1e-6)
    assert torch.equal(mixed[~rows], known[~rows])
    assert (known - null).abs().max() > 0.01
    # it tells nothing of the source: the rows are alike
    torch.testing.assert_close(null, null[:1].expand_as(null), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "choices",
    [
        [[2, 0, 0]],
        [[0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]],
        [[0, 0, 1, 1, 2, 2, 3, 3], [7, 0, 1, 1]],
        [[0, 0, 1, 1, 2, 2, 3, 3], [1, 0, 3, 2, 5, 5, 6, 7], [0, 2, 4, 6]],
        [[0, 0, 1, 1, 2, 2, 3, 3], [4, 5], [1, 1, 0]],
    ],
)
def test_memory_rows_can_be_chosen_again_and_again(
    make_network: MakeNetwork, choices: list[list[int]]
) -> None:
    network = make_network()
    memory, owners = network.encode(left_pad(SOURCES)), [0, 1, 2, 3]
    for rows in choices:
        memory, owners = memory.select(torch.tensor(rows)), [owners[row] for row in rows]
    inputs = torch.randint(4, 12, (len(owners), 3), generator=torch.Generator().manual_seed(1))
    chosen, _ = network.decode(inputs, memory)
    direct, _ = network.decode(inputs, network.encode(left_pad([SOURCES[i] for i in owners])))
    torch.testing.assert_close(chosen, direct, rtol=0, atol=1e-5)


def test_initial_weights_are_the_rng_and_nothing_else(make_network: MakeNetwork) -> None:
    first, second, other = make_network(seed=1), make_network(seed=1), make_network(seed=2)
    assert all(map(torch.equal, first.parameters(), second.parameters()))
    assert not torch.equal(first.project.weight, other.project.weight)


@pytest.mark.parametrize("layers", [1, 2])
def test_dropout_is_set_between_layers_too(make_network: MakeNetwork, layers: int) -> None:
    network = make_network(layers=layers)
    network.set_dropout(0.3)
    between = 0.3 if layers == 2 else 0.0
    dropouts = (network.dropout.p, network.encoder.dropout, network.decoder.dropout)
    assert dropouts == (0.3, between, between)


def test_padding_of_no_rows_has_no_rows() -> None:
    assert tuple(left_pad([], width=3).shape) == (0, 3)
    assert tuple(right_pad([]).shape) == (0, 0)
