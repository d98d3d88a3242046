"""HRED and VHRED: turns are read in order, padding is nothing, and the latent variable's sums."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from saywhat.nn.encoder_decoder import Variational
from saywhat.nn.hierarchy import pad_turns, split_turns
from saywhat.nn.vhred import Gaussian, kl_divergence
from saywhat.text.vocabulary import EOS, PAD
from tests.tiny_networks import ARCHITECTURES, CONVERSATIONS, MULTI_TURN, tiny_network

both = pytest.mark.parametrize("architecture", MULTI_TURN)
WORDS = torch.tensor([[1, 5, 9, 4]])


def test_turns_are_told_apart_by_their_ends() -> None:
    assert split_turns([4, 5, EOS, EOS, 6, EOS]) == [[4, 5, EOS], [EOS], [6, EOS]]
    padded = pad_turns([[4, EOS, 5, 6, EOS], [7, EOS]], width=4)
    assert padded.tolist() == [
        [[0, 0, 4, EOS], [0, 5, 6, EOS]],
        [[0, 0, 0, 0], [0, 0, 7, EOS]],
    ]
    assert tuple(pad_turns([]).shape) == (0, 0, 0)


@torch.no_grad()
def test_one_turn_from_nothing_is_one_step_of_the_network_over_turns() -> None:
    # a GRU without bias, from the zero state: h' = (1 - z) tanh(W_n s), z = sigmoid(W_z s); the
    # reset gate multiplies a state that is zero
    network = tiny_network("hred")
    encoder = network.encoder
    source = torch.tensor([[[4, 5, 6, EOS]]])
    reader = nn.GRU(5, 6, 2, bias=False, batch_first=True)
    reader.load_state_dict(encoder.words.state_dict())
    summary = reader(network.embedding(source[:, 0]))[1][-1]
    _, update, new = (summary @ encoder.turns.weight_ih_l0.T).chunk(3, dim=-1)
    expected = (1 - update.sigmoid()) * new.tanh()
    memory = network.encode(source)
    torch.testing.assert_close(memory.condition, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        memory.hidden.transpose(0, 1).flatten(1),
        torch.tanh(expected @ network.decoder.begin.weight.T),
        rtol=0,
        atol=1e-6,
    )


@both
@torch.no_grad()
def test_the_null_context_leaves_a_plain_recurrent_language_model(architecture: str) -> None:
    network = tiny_network(architecture)
    condition = network.null_memory(1).condition
    assert not condition.any()
    plain = nn.GRU(5, 6, 2, batch_first=True)
    state = network.decoder.cells.state_dict()
    state["weight_ih_l0"] = state["weight_ih_l0"][:, :5]  # the words' part of the input
    plain.load_state_dict(state)
    outputs, _ = plain(network.embedding(WORDS))
    features = torch.tanh(network.decoder.project(outputs))
    expected = features @ network.embedding.weight.T + network.output_bias
    logits, _ = network.decode(WORDS, network.null_memory(1))
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_hreds_output_layer_is_told_the_context_and_vhreds_is_not() -> None:
    for architecture, told in (("hred", True), ("vhred", False)):
        network = tiny_network(architecture)
        memory = network.encode(network.pad([[4, 5, EOS, 6, EOS]]))
        inputs = [network.embedding(WORDS), memory.condition[:, None].expand(-1, 4, -1)]
        outputs, _ = network.decoder.cells(torch.cat(inputs, dim=-1), memory.hidden)
        features = network.decoder.project(outputs)
        if told:
            own = memory.condition @ network.decoder.tell.weight.T
            assert own.abs().max() > 1e-3
            features += own[:, None]
        expected = features.tanh() @ network.embedding.weight.T + network.output_bias
        logits, _ = network.decode(WORDS, memory)
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


@both
def test_at_first_padding_and_the_bias_of_the_output_are_nothing(architecture: str) -> None:
    network = tiny_network(architecture)
    assert not network.embedding.weight[PAD].any()
    assert not network.output_bias.any()
    assert network.embedding.weight[PAD + 1 :].all()


@both
@torch.no_grad()
def test_turns_count_and_so_does_their_order(architecture: str) -> None:
    network = tiny_network(architecture)
    query = [4, EOS]
    conversations = [query, [5, EOS, *query], [6, EOS, 5, EOS, *query], [5, EOS, 6, EOS, *query]]
    memory = network.encode(network.pad(conversations))
    contexts = memory.condition
    distances = torch.cdist(contexts, contexts) + torch.eye(4)
    assert distances.min() > 1e-3
    # an absent turn is not an empty one
    absent = network.encode(network.pad([query])).condition
    empty = network.encode(network.pad([[EOS, *query]])).condition
    assert (absent - empty).abs().max() > 1e-3


@both
def test_reading_by_length_changes_nothing(architecture: str) -> None:
    # with a gradient the turns of a batch are read in groups of like length
    network = tiny_network(architecture)
    sources = network.pad(CONVERSATIONS + CONVERSATIONS[::-1])
    with torch.no_grad():
        plain = network.encode(sources).condition
    torch.testing.assert_close(network.encode(sources).condition, plain, rtol=0, atol=1e-6)


@torch.no_grad()
def test_padding_is_exactly_nothing_to_the_hierarchy() -> None:
    network = tiny_network("hred")
    network.embedding.weight[PAD] = 3.0  # as an output it is trained
    nothing = torch.full((2, 3, 4), PAD)
    assert not network.encode(nothing).condition.any()


def gaussian(mean: list[float], variance: list[float]) -> Gaussian:
    return Gaussian(torch.tensor([mean]), torch.tensor([variance]).log())


def test_kl_by_hand() -> None:
    # KL(N(m, v) || N(0, 1)) = (v + m^2 - 1 - ln v) / 2; N(2, 1): 2. N(0, 4): (3 - ln 4) / 2
    standard = gaussian([0.0, 0.0], [1.0, 1.0])
    found = kl_divergence(gaussian([2.0, 0.0], [1.0, 4.0]), standard)
    assert float(found) == pytest.approx(2.0 + (3.0 - math.log(4.0)) / 2)
    # the other way round: N(0, 1) || N(0, 4) is (1/4 - 1 + ln 4) / 2
    found = kl_divergence(standard, gaussian([0.0, 0.0], [1.0, 4.0]))
    assert float(found) == pytest.approx((0.25 - 1.0 + math.log(4.0)) / 2)
    assert float(kl_divergence(standard, standard)) == 0.0


def test_kl_is_torchs() -> None:
    rng = torch.Generator().manual_seed(1)
    q, p = (
        Gaussian(torch.randn(9, 4, generator=rng), torch.randn(9, 4, generator=rng))
        for _ in range(2)
    )
    ours, theirs = kl_divergence(q, p), torch_kl(
        Normal(q.mean, (q.log_variance / 2).exp()), Normal(p.mean, (p.log_variance / 2).exp())
    )  # fmt: skip
    torch.testing.assert_close(ours, theirs.sum(-1), rtol=1e-5, atol=1e-6)
    assert (ours > 0).all()


def test_only_vhred_has_a_latent_variable() -> None:
    found = [name for name in ARCHITECTURES if isinstance(tiny_network(name), Variational)]
    assert found == ["vhred"]


@torch.no_grad()
def test_z_is_the_priors_mean_and_the_posterior_is_not_looked_at() -> None:
    network = tiny_network("vhred")
    sources = network.pad(CONVERSATIONS)
    before = network.encode(sources)
    for parameter in network.posterior.parameters():
        parameter.fill_(math.nan)
    after = network.encode(sources)
    assert torch.equal(after.condition, before.condition)
    context, z = before.condition.split([6, 3], dim=-1)
    assert torch.equal(z, network.prior(context).mean)


@torch.no_grad()
def test_draws_from_the_prior_are_mean_plus_noise_times_deviation() -> None:
    network = tiny_network("vhred")
    memory = network.encode(network.pad(CONVERSATIONS))
    noise = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    context, mean = memory.condition.split([6, 3], dim=-1)
    deviation = (network.prior(context).log_variance / 2).exp()
    drawn = network.draw(memory, noise)
    torch.testing.assert_close(drawn.condition[:, 6:], mean + deviation * noise)
    assert torch.equal(drawn.condition[:, :6], context)
    # the decoder starts from it too
    assert (drawn.hidden - memory.hidden).abs().max() > 0.01
    none = network.draw(memory, torch.zeros(4, 3))
    torch.testing.assert_close(none.condition, memory.condition)


@torch.no_grad()
def test_the_posterior_has_seen_the_reply_and_nothing_of_its_padding() -> None:
    network = tiny_network("vhred")
    memory = network.encode(network.pad([[4, 5, EOS]] * 3))
    labels = torch.tensor([[5, 6, EOS, 0, 0], [5, 6, EOS, 0, 0], [7, EOS, 0, 0, 0]])
    rng = torch.Generator
    told, kl = network.infer(memory, labels, rng().manual_seed(1))
    again, kl_alone = network.infer(memory.select(torch.arange(2)), labels[:2, :3], rng())
    torch.testing.assert_close(kl[:2], kl_alone, rtol=0, atol=1e-6)
    assert float(kl[0]) == float(kl[1]) != float(kl[2])
    assert (kl > 0).all()
    # rows draw on their own, and another source of noise draws otherwise
    assert (told.condition[0] - told.condition[1]).abs().max() > 1e-3
    assert (told.condition[:2] - again.condition).abs().max() > 1e-3
