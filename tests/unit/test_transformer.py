"""The transformer against torch's own layers, and its positions against numbers worked out."""

import math

import pytest
import torch
from torch import nn

from saywhat.nn.attention import Attention, sinusoids
from saywhat.nn.transformer import Transformer, TransformerSize
from saywhat.text.vocabulary import PAD

HIDDEN, HEADS, WIDE, LAYERS = 12, 3, 20, 2


@pytest.fixture
def network() -> Transformer:
    size = TransformerSize(15, 8, HIDDEN, LAYERS, HEADS, WIDE)
    made = Transformer(size, dropout=0.0, rng=torch.Generator().manual_seed(1)).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if parameter.ndim == 1:  # biases and normalisations that are not the usual 0 and 1
                rng = torch.Generator().manual_seed(len(name))
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=rng))
    return made


def copy_attention(ours: Attention, theirs: nn.MultiheadAttention) -> None:
    theirs.in_proj_weight.copy_(torch.cat([ours.q.weight, ours.kv.weight]))
    theirs.in_proj_bias.zero_()
    theirs.out_proj.weight.copy_(ours.out.weight)
    theirs.out_proj.bias.zero_()


def copy_rest(pairs: list[tuple[nn.Module, nn.Module]]) -> None:
    for ours, theirs in pairs:
        theirs.load_state_dict(ours.state_dict())


def torch_encoder(network: Transformer) -> list[nn.Module]:
    layers = []
    for ours in network.encoder:
        theirs = nn.TransformerEncoderLayer(
            HIDDEN, HEADS, WIDE, 0.0, batch_first=True, norm_first=True
        )
        copy_attention(ours.own, theirs.self_attn)
        forward = ours.feed_forward
        copy_rest([(ours.norm, theirs.norm1), (forward.norm, theirs.norm2),
                   (forward.widen, theirs.linear1), (forward.narrow, theirs.linear2)])  # fmt: skip
        layers.append(theirs)
    return layers


def torch_decoder(network: Transformer) -> list[nn.Module]:
    layers = []
    for ours in network.decoder:
        theirs = nn.TransformerDecoderLayer(
            HIDDEN, HEADS, WIDE, 0.0, batch_first=True, norm_first=True
        )
        copy_attention(ours.own, theirs.self_attn)
        copy_attention(ours.cross, theirs.multihead_attn)
        forward = ours.feed_forward
        copy_rest([(ours.norm, theirs.norm1), (ours.cross_norm, theirs.norm2),
                   (forward.norm, theirs.norm3), (forward.widen, theirs.linear1),
                   (forward.narrow, theirs.linear2)])  # fmt: skip
        layers.append(theirs)
    return layers


@torch.no_grad()
def test_it_is_torchs_transformer(network: Transformer) -> None:
    source = torch.tensor([[0, 0, 5, 6, 2], [7, 8, 9, 10, 2], [0, 0, 0, 0, 2]])
    words = torch.randint(4, 15, (3, 6), generator=torch.Generator().manual_seed(3))
    hidden_from = source == PAD

    def entered(ids: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        return network.enter(network.embedding(ids) * math.sqrt(8)) + sinusoids(places, HIDDEN)

    # the first real word of each source is at place 0
    places = torch.tensor([[0, 0, 0, 1, 2], [0, 1, 2, 3, 4], [0, 0, 0, 0, 0]])
    x = entered(source.masked_fill(hidden_from, 4), places)  # any word: it is masked
    for layer in torch_encoder(network):
        x = layer(x, src_key_padding_mask=hidden_from)
    memory = network.encoder_norm(x)
    y = entered(words, torch.arange(6).expand(3, 6))
    later = torch.ones(6, 6, dtype=torch.bool).triu(1)
    for layer in torch_decoder(network):
        y = layer(y, memory, tgt_mask=later, memory_key_padding_mask=hidden_from)
    features = network.project(network.decoder_norm(y))
    expected = features @ network.embedding.weight.T + network.output_bias

    logits, _ = network.decode(words, network.encode(source))
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)
    assert logits.std() > 0.3, "no opinions: the test shows nothing"


def test_positions_are_sines_and_cosines() -> None:
    # 4 units: wavelengths 2 pi and 2 pi * 10000 ** (1/2) = 2 pi * 100
    found = sinusoids(torch.tensor([[0, 1, 50]]), 4)[0]
    expected = [
        [0.0, 0.0, 1.0, 1.0],
        [math.sin(1), math.sin(0.01), math.cos(1), math.cos(0.01)],
        [math.sin(50), math.sin(0.5), math.cos(50), math.cos(0.5)],
    ]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-5)
    assert sinusoids(torch.tensor([[3]]), 5).shape == (1, 1, 5)


@torch.no_grad()
def test_attention_by_hand() -> None:
    # one head of one unit, all weights 1: q = k = v = x, and the score of i for j is x_i x_j
    attention = Attention(1, 1)
    for parameter in attention.parameters():
        parameter.fill_(1.0)
    x = torch.tensor([[[0.0], [math.log(2)]]])
    given = attention.keys_values(x)
    # position 0 scores both 0: the mean. Position 1 scores 0 and ln(2)^2
    weight = math.exp(math.log(2) ** 2)
    expected = [[0.5 * math.log(2)], [weight / (1 + weight) * math.log(2)]]
    torch.testing.assert_close(attention(x, given, None)[0], torch.tensor(expected))
    # masked, position 0 sees itself alone
    causal = torch.tensor([[True, False], [True, True]])
    assert attention(x, given, causal)[0, 0, 0] == 0.0


def test_heads_share_the_units() -> None:
    with pytest.raises(ValueError, match="5 heads cannot share 12 units"):
        TransformerSize(15, 8, 12, 1, 5, 4)
