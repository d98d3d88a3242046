"""Single steps of recurrent layers against torch's own, and the GRU in the encoder-decoder."""

import pytest
import torch
from torch import nn

from saywhat.nn.padding import left_pad, right_to_left
from saywhat.nn.recurrent import gru_step, lstm_step
from saywhat.text.vocabulary import PAD
from tests.tiny_networks import SOURCES, tiny_network


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("layers", [1, 3])
@torch.no_grad()
def test_a_step_of_a_gru_is_torchs(layers: int) -> None:
    gru = nn.GRU(4, 5, layers, batch_first=True)
    inputs, hidden = random(7, 4, seed=1), random(layers, 7, 5, seed=2)
    outputs, after = gru_step(gru, inputs, hidden)
    expected, expected_after = gru(inputs[:, None], hidden)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(after, expected_after, rtol=0, atol=1e-6)


@pytest.mark.parametrize("layers", [1, 3])
@torch.no_grad()
def test_a_step_of_an_lstm_is_torchs(layers: int) -> None:
    lstm = nn.LSTM(4, 5, layers, batch_first=True)
    inputs = random(7, 4, seed=1)
    hidden, cell = random(layers, 7, 5, seed=2), random(layers, 7, 5, seed=3)
    outputs, *after = lstm_step(lstm, inputs, hidden, cell)
    expected, expected_after = lstm(inputs[:, None], (hidden, cell))
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(tuple(after), expected_after, rtol=0, atol=1e-6)


@torch.no_grad()
def test_the_gru_variant_is_torchs_gru_from_end_to_end() -> None:
    # encoder, then decoder from its last state, then the tied output layer, by torch's modules
    network = tiny_network("gru", attention=False)
    encoder = nn.GRU(5, 6, 2, bias=False, batch_first=True)
    decoder = nn.GRU(5, 6, 2, batch_first=True)
    encoder.load_state_dict(network.encoder.state_dict())
    decoder.load_state_dict(network.decoder.state_dict())
    words = torch.tensor([[1, 5, 9, 4]])
    for source in SOURCES:
        _, hidden = encoder(network.embedding(torch.tensor([source])))
        outputs, _ = decoder(network.embedding(words), hidden)
        features = torch.tanh(network.project(outputs))
        expected = features @ network.embedding.weight.T + network.output_bias
        logits, _ = network.decode(words, network.encode(left_pad([source])))
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_padded_steps_of_the_gru_encoder_are_exactly_zero() -> None:
    network = tiny_network("gru")
    network.embedding.weight[PAD] = 3.0  # as an output it is trained
    memory = network.encode(left_pad(SOURCES, width=9))
    assert not memory.outputs[~memory.mask].any()
    assert memory.outputs[memory.mask].abs().min() > 0
    assert not network.encode(torch.full((2, 5), PAD)).hidden.any()


def test_padding_changes_sides() -> None:
    labels = torch.tensor([[5, 6, 2, 0, 0], [2, 0, 0, 0, 0], [4, 4, 4, 4, 2], [0, 0, 0, 0, 0]])
    assert right_to_left(labels).tolist() == [
        [0, 0, 5, 6, 2], [0, 0, 0, 0, 2], [4, 4, 4, 4, 2], [0, 0, 0, 0, 0],
    ]  # fmt: skip
