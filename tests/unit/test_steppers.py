"""Decoders step by step: what is computed once for several rows is what each row would get."""

import pytest
import torch

from saywhat.config import NetworkSettings
from saywhat.nn.make import make_network
from saywhat.nn.steppers import AntiLanguageModel, Conditional, ban

SOURCES = [[5, 6, 2], [7, 8, 9, 2], [5, 2]]
STEPS = ([1, 1, 1], [5, 5, 7], [6, 9, 6])
"""The first two rows begin alike, and then part."""


@pytest.mark.parametrize("architecture", ["lstm", "transformer"])
def test_the_language_model_is_that_of_each_rows_own_beginning(architecture: str) -> None:
    settings = NetworkSettings(
        architecture=architecture, embedding=8, hidden=8, layers=1, heads=2, feed_forward=8
    )
    network = make_network(settings, 12, dropout=0.0, rng=torch.Generator().manual_seed(1)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(8)  # small first weights would hide which beginning a row has
        memory = network.encode(network.pad(SOURCES))
        stepper = AntiLanguageModel(network, memory, weight=0.7, steps=9)
        given = Conditional(network, memory)
        prior = Conditional(network, network.null_memory(len(SOURCES)))
        for number, tokens in enumerate(STEPS):
            written = torch.tensor(tokens)
            expected = ban(given.step(written) - 0.7 * prior.step(written), end=number == 0)
            scores = ban(stepper.step(written), end=number == 0)
            torch.testing.assert_close(scores, expected, atol=1e-3, rtol=1e-3)
            order = torch.tensor([2, 0, 1])
            for each in (stepper, given, prior):
                each.reorder(order)
