"""What every architecture owes to training, decoding and the chatbots."""

from pathlib import Path

import pytest
import torch

from saywhat.config import NetworkSettings, SupervisedSettings, VariationalSettings
from saywhat.errors import CheckpointError
from saywhat.nn.checkpoint import load_model, save_model
from saywhat.nn.decoding import beam, greedy, sample, sample_at
from saywhat.nn.make import make_network
from saywhat.nn.padding import right_pad, shift_right
from saywhat.nn.steppers import AntiLanguageModel, Conditional
from saywhat.rng import derive
from saywhat.text.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
from saywhat.training.examples import batches
from saywhat.training.losses import cross_entropy
from saywhat.training.supervised import SupervisedTrainer, perplexity
from tests.tiny_networks import ARCHITECTURES, MULTI_TURN, sources_for, tiny_network

each = pytest.mark.parametrize("architecture", ARCHITECTURES)
INPUTS = torch.randint(4, 12, (4, 7), generator=torch.Generator().manual_seed(1))


def train_a_little(network) -> None:
    """Take steps in which the tied matrix learns, its padding row as an output included."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
    labels = right_pad([[5, 6, EOS], [7, EOS], [8, EOS], [9, EOS]])
    for _ in range(5):
        memory = network.encode(network.pad(sources_for(network)))
        logits, _ = network.decode(shift_right(labels), memory)
        optimizer.zero_grad()
        cross_entropy(logits, labels).backward()
        optimizer.step()


@each
@pytest.mark.parametrize("trained", [False, True])
def test_padding_leaves_no_trace(architecture: str, trained: bool) -> None:
    network = tiny_network(architecture)
    sources = sources_for(network)
    if trained:
        train_a_little(network)
        assert network.embedding.weight[PAD].norm() > 0.01, "the padding row was not trained"

    def logits_of(some: list[list[int]], width: int = 0) -> torch.Tensor:
        memory = network.encode(network.pad(some, width=width))
        return network.decode(INPUTS[: len(some)], memory)[0].detach()

    together, wider = logits_of(sources), logits_of(sources, width=40)
    torch.testing.assert_close(wider, together, rtol=0, atol=1e-5)
    for row, source in enumerate(sources):
        memory = network.encode(network.pad([source]))
        alone, _ = network.decode(INPUTS[row : row + 1], memory)
        torch.testing.assert_close(alone[0].detach(), together[row], rtol=0, atol=1e-5)
    assert (together[0] - together[1]).abs().max() > 0.01, "no opinions: the test shows nothing"


@each
@pytest.mark.parametrize("gradient", [False, True])
def test_decoding_step_by_step_equals_all_at_once(architecture: str, gradient: bool) -> None:
    network = tiny_network(architecture)
    memory = network.encode(network.pad(sources_for(network)))
    at_once, _ = network.decode(INPUTS, memory)
    steps = []
    with torch.set_grad_enabled(gradient):  # without a gradient a single step may have its own code
        for column in INPUTS.T:
            logits, memory = network.decode(column[:, None], memory)
            steps.append(logits)
    torch.testing.assert_close(torch.cat(steps, dim=1), at_once, rtol=0, atol=1e-5)


@each
def test_decoding_goes_on_from_several_words(architecture: str) -> None:
    network = tiny_network(architecture)
    memory = network.encode(network.pad(sources_for(network)))
    at_once, _ = network.decode(INPUTS, memory)
    first, memory = network.decode(INPUTS[:, :3], memory)
    second, _ = network.decode(INPUTS[:, 3:], memory)
    torch.testing.assert_close(torch.cat([first, second], dim=1), at_once, rtol=0, atol=1e-5)


@each
def test_a_word_does_not_see_the_ones_after_it(architecture: str) -> None:
    network = tiny_network(architecture)
    memory = network.encode(network.pad(sources_for(network)))
    changed = INPUTS.clone()
    changed[:, 4] = (changed[:, 4] - 3) % 8 + 4
    first, second = network.decode(INPUTS, memory)[0], network.decode(changed, memory)[0]
    assert torch.equal(first[:, :4], second[:, :4])
    assert (first[:, 4:] - second[:, 4:]).abs().max() > 0.01


@each
def test_the_null_context_is_what_context_dropout_leaves(architecture: str) -> None:
    network = tiny_network(architecture)
    memory = network.encode(network.pad(sources_for(network)))
    null, _ = network.decode(INPUTS, network.null_memory(4))
    known, _ = network.decode(INPUTS, memory)
    rows = torch.tensor([True, False, True, False])
    mixed, _ = network.decode(INPUTS, network.forget(memory, rows))
    torch.testing.assert_close(mixed[rows], null[rows], rtol=0, atol=1e-5)
    torch.testing.assert_close(mixed[~rows], known[~rows], rtol=0, atol=1e-6)
    assert (known - null).abs().max() > 0.01


@each
@pytest.mark.parametrize(
    "choices",
    [
        [[2, 0, 0]],
        [[0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]],
        [[0, 0, 1, 1, 2, 2, 3, 3], [1, 0, 3, 2, 5, 5, 6, 7], [0, 2, 4, 6]],
        [[0, 0, 1, 1, 2, 2, 3, 3], [4, 5], [1, 1, 0]],
    ],
)
def test_memory_rows_can_be_chosen_again_and_again(
    architecture: str, choices: list[list[int]]
) -> None:
    # with a word written between the choices, so that the past is chosen too
    network, owners = tiny_network(architecture), [0, 1, 2, 3]
    sources = sources_for(network)
    memory, written = network.encode(network.pad(sources)), torch.zeros(4, 0, dtype=torch.long)
    for number, rows in enumerate(choices):
        words = (torch.arange(len(owners)) + number) % 8 + 4
        _, memory = network.decode(words[:, None], memory)
        written = torch.cat([written, words[:, None]], dim=1)
        memory, written = memory.select(torch.tensor(rows)), written[rows]
        owners = [owners[row] for row in rows]
    assert memory.rows == len(owners)
    inputs = torch.randint(4, 12, (len(owners), 3), generator=torch.Generator().manual_seed(1))
    chosen, _ = network.decode(inputs, memory)
    again = network.encode(network.pad([sources[i] for i in owners]))
    direct, _ = network.decode(torch.cat([written, inputs], dim=1), again)
    torch.testing.assert_close(chosen, direct[:, written.shape[1] :], rtol=0, atol=1e-5)


def padded(tokens: torch.Tensor, width: int) -> list[list[int]]:
    return torch.nn.functional.pad(tokens, (0, width - tokens.shape[-1]), value=PAD).tolist()


@each
@pytest.mark.parametrize("seed", range(3))
def test_all_decoding_rules_work_unchanged(architecture: str, seed: int) -> None:
    network = tiny_network(architecture, seed=seed)
    sources = sources_for(network)

    def start() -> Conditional:
        return Conditional(network, network.encode(network.pad(sources)))

    by_greedy = greedy(start(), 4, max_tokens=6)
    assert padded(beam(start(), 4, beams=1, max_tokens=6).tokens[:, 0], 7) == padded(by_greedy, 7)
    memory = network.encode(network.pad(sources))
    plain = AntiLanguageModel(network, memory, weight=0.0, steps=5)
    assert torch.equal(greedy(plain, 4, max_tokens=6), by_greedy)
    # the scores of a beam are the sums of the teacher-forced log-probabilities
    found = beam(start(), 4, beams=5, max_tokens=5)
    for row, source in enumerate(sources):
        labels = found.tokens[row]
        memory = network.encode(network.pad([source] * 5))
        log_probs = network.decode(shift_right(labels), memory)[0].log_softmax(-1)
        chosen = log_probs.gather(-1, labels[..., None])[..., 0]
        free = torch.arange(labels.shape[1]) < 5  # the sixth symbol is an end for nothing
        total = (chosen * ((labels != PAD) & free)).sum(-1)
        torch.testing.assert_close(found.scores[row], total.detach(), rtol=0, atol=1e-4)


@each
def test_draws_are_those_of_the_points_given(architecture: str) -> None:
    network = tiny_network(architecture)
    memory = network.encode(network.pad(sources_for(network)))
    rng = torch.Generator().manual_seed(4)
    points = torch.cat(
        [torch.rand((4, 1), generator=rng, dtype=torch.float64) for _ in range(6)], 1
    )
    drawn = sample_at(Conditional(network, memory), points, temperature=0.7)
    rng = torch.Generator().manual_seed(4)
    stepper = Conditional(network, memory)
    assert torch.equal(drawn, sample(stepper, 4, max_tokens=6, rng=rng, temperature=0.7))
    assert (drawn[:, 0] > UNK).all()


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_network_comes_back_bit_for_bit(
    architecture: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    network, vocabulary = tiny_network(architecture), Vocabulary([f"w{i}" for i in range(8)])
    save_model(network, vocabulary, tmp_path, kind="chatbot", extra={}, dtype=dtype)
    loaded, _, description = load_model(tmp_path, kind="chatbot")
    assert description["architecture"] == loaded.architecture == architecture
    assert loaded.size == network.size
    ours, theirs = network.state_dict(), loaded.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name].to(dtype).float(), theirs[name]) for name in ours)


@pytest.mark.parametrize("change", ["architecture", "sizes"])
def test_an_architecture_that_does_not_fit_is_told(change: str, tmp_path: Path) -> None:
    vocabulary = Vocabulary([f"w{i}" for i in range(8)])
    save_model(tiny_network("gru"), vocabulary, tmp_path, kind="chatbot", extra={})
    path = tmp_path / "model.json"
    text = path.read_text()
    was, now = ('"gru"', '"perceptron"') if change == "sizes" else (
        '"architecture": "gru"', '"architecture": "lstm"'
    )  # fmt: skip
    assert was in text
    path.write_text(text.replace(was, now))
    with pytest.raises(CheckpointError, match="does not describe a chatbot"):
        load_model(tmp_path, kind="chatbot")


@each
def test_initial_weights_are_the_rng_and_nothing_else(architecture: str) -> None:
    first, second, other = (tiny_network(architecture, seed=seed) for seed in (1, 1, 2))
    assert all(map(torch.equal, first.parameters(), second.parameters()))
    different = [not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters())]  # noqa: B905
    assert sum(different) >= len(different) // 3


@each
def test_dropout_can_be_set_everywhere(architecture: str) -> None:
    network = tiny_network(architecture, dropout=0.9)
    memory = network.encode(network.pad(sources_for(network)))
    quiet, _ = network.decode(INPUTS, memory)
    network.train()
    with torch.random.fork_rng():
        memory = network.encode(network.pad(sources_for(network)))
        assert (network.decode(INPUTS, memory)[0] - quiet).abs().max() > 0.1
        network.set_dropout(0.0)
        memory = network.encode(network.pad(sources_for(network)))
        loud, _ = network.decode(INPUTS, memory)
    torch.testing.assert_close(loud, quiet, rtol=0, atol=1e-5)


@each
def test_it_overfits_twenty_examples(architecture: str, tmp_path: Path) -> None:
    rng = derive(0, "pairs")

    def text() -> list[int]:
        return [rng.randrange(4, 12) for _ in range(rng.randint(1, 5))] + [EOS]

    # what tells the examples apart is in the turn before, where there is one
    before = [EOS] if architecture in MULTI_TURN else []
    data = [([4 + i % 8, 4 + i // 8, *before, *text()], text()) for i in range(20)]
    sizes = {"hidden": 48, "embedding": 32, "layers": 1, "feed_forward": 64, "scale": 1.0}
    model = tiny_network(architecture, **sizes)
    rate = 0.01 if architecture == "transformer" else 0.03
    settings = SupervisedSettings(
        epochs=1, batch_size=20, dropout=0.0, precision="fp32", learning_rate=rate
    )
    trainer = SupervisedTrainer(
        model, settings, seed=1, folder=tmp_path, variational=VariationalSettings(word_dropout=0.1)
    )
    model.train()
    [(source, labels)] = batches(data, 20, rng, model.pad)
    for trainer._batch in range(steps := 150):
        trainer._step(source, labels, trainer._batch / steps)
    # a perplexity of 1.1 is 0.1 nats a token; the vocabulary's is 12
    assert perplexity(model, data) < 1.1
    model.eval()
    memory = model.encode(model.pad([source for source, _ in data]))
    written = greedy(Conditional(model, memory), 20, max_tokens=6)
    assert padded(written, 7) == padded(right_pad([label for _, label in data]), 7)


def test_settings_of_other_architectures_are_not_looked_at() -> None:
    for architecture in ARCHITECTURES:
        settings = NetworkSettings(architecture=architecture, hidden=6, embedding=4, heads=3)
        made = make_network(settings, 9, dropout=0.0, rng=torch.Generator())
        assert made.architecture == architecture
        assert made.size.vocabulary == 9


def test_heads_that_cannot_share_the_units_are_told() -> None:
    assert NetworkSettings(hidden=6).heads == 8  # an lstm has none
    with pytest.raises(ValueError, match=r"heads\n.*a divisor of hidden \(6\)"):
        NetworkSettings(architecture="transformer", hidden=6)


def test_begin_and_padding_are_as_the_networks_expect() -> None:
    assert (PAD, BOS, EOS, UNK) == (0, 1, 2, 3)
