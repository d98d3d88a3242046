"""Greedy, beam and anti-LM decoding against exhaustive enumeration and against each other."""

import itertools
from collections.abc import Callable

import pytest
import torch

from saywhat.generators.policy import action_mask
from saywhat.nn.decoding import beam, greedy, sample
from saywhat.nn.padding import left_pad, right_pad, shift_right
from saywhat.nn.seq2seq import RecurrentMemory, Seq2Seq
from saywhat.nn.steppers import AntiLanguageModel, Conditional
from saywhat.text.vocabulary import BOS, EOS, PAD, UNK

MakeNetwork = Callable[..., Seq2Seq]
SOURCES = [[4, 5, 6, EOS], [6, EOS], [5, 5, EOS]]
networks = pytest.mark.parametrize(
    ("attention", "seed"), [(attention, seed) for attention in (False, True) for seed in range(4)]
)


def start(network: Seq2Seq, sources: list[list[int]] = SOURCES) -> RecurrentMemory:
    return network.encode(left_pad(sources))


def log_prob_of(network: Seq2Seq, source: list[int], labels: torch.Tensor, max_tokens: int):
    """Give log pi of rows of labels for one source, by teacher forcing."""
    memory = start(network, [source] * len(labels))
    logits = network.decode(shift_right(labels), memory)[0]
    # written out here, position by position: a second route to what generators.policy computes
    logits[..., [PAD, BOS, UNK]] = -torch.inf
    logits[:, 0, EOS] = -torch.inf
    chosen = logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0]
    return torch.where(action_mask(labels, max_tokens), chosen, 0.0).sum(-1).detach()


def score_of(network: Seq2Seq, source: list[int], labels: torch.Tensor, max_tokens: int):
    """Give the sum of the network's own log-probabilities, what a beam search adds up."""
    logits, _ = network.decode(shift_right(labels), start(network, [source] * len(labels)))
    chosen = logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0]
    return (chosen * action_mask(labels, max_tokens)).sum(-1).detach()


def all_texts(words: range, max_tokens: int) -> torch.Tensor:
    """Give every text of 1 to ``max_tokens`` words as labels."""
    texts = [
        [*text, EOS]
        for length in range(1, max_tokens + 1)
        for text in itertools.product(words, repeat=length)
    ]
    return right_pad(texts)


def padded(tokens: torch.Tensor, width: int) -> torch.Tensor:
    return torch.nn.functional.pad(tokens, (0, width - tokens.shape[-1]), value=PAD)


@networks
def test_one_beam_is_greedy(make_network: MakeNetwork, attention: bool, seed: int) -> None:
    network = make_network(attention=attention, seed=seed)
    by_greedy = greedy(Conditional(network, start(network)), 3, max_tokens=6)
    found = beam(Conditional(network, start(network)), 3, beams=1, max_tokens=6)
    assert padded(found.tokens[:, 0], 7).tolist() == padded(by_greedy, 7).tolist()


@networks
@pytest.mark.parametrize("beams", [39, 60])
def test_a_beam_as_wide_as_all_texts_enumerates_them(
    make_network: MakeNetwork, attention: bool, seed: int, beams: int
) -> None:
    # three words and at most three tokens: 3 + 9 + 27 = 39 texts
    network = make_network(7, attention=attention, seed=seed)
    texts = all_texts(range(4, 7), 3)
    found = beam(Conditional(network, start(network)), 3, beams=beams, max_tokens=3)
    for source, tokens, scores in zip(SOURCES, found.tokens, found.scores, strict=True):
        exact = score_of(network, source, texts, 3)
        order = exact.argsort(descending=True, stable=True)
        torch.testing.assert_close(scores[:39], exact[order], rtol=0, atol=1e-4)
        assert (scores[39:] == float("-inf")).all()
        listed = {tuple(row) for row in padded(tokens[:39], 4).tolist()}
        assert listed == {tuple(row) for row in texts.tolist()}


@networks
def test_beam_scores_are_the_log_probabilities_of_the_texts(
    make_network: MakeNetwork, attention: bool, seed: int
) -> None:
    network = make_network(attention=attention, seed=seed)
    found = beam(Conditional(network, start(network)), 3, beams=7, max_tokens=5)
    for source, tokens, scores in zip(SOURCES, found.tokens, found.scores, strict=True):
        again = score_of(network, source, tokens, 5)
        torch.testing.assert_close(scores, again, rtol=0, atol=1e-4)
        assert scores.tolist() == sorted(scores.tolist(), reverse=True)
        assert len({tuple(row) for row in tokens.tolist()}) == 7


@networks
@pytest.mark.parametrize("floor", [0.0, 0.3])
def test_anti_lm_of_weight_zero_is_plain_greedy(
    make_network: MakeNetwork, attention: bool, seed: int, floor: float
) -> None:
    network = make_network(attention=attention, seed=seed)
    plain = greedy(Conditional(network, start(network)), 3, max_tokens=6)
    stepper = AntiLanguageModel(network, start(network), weight=0.0, steps=5, floor=floor)
    assert torch.equal(greedy(stepper, 3, max_tokens=6), plain)


def test_anti_lm_scores_are_the_formula(make_network: MakeNetwork) -> None:
    network = make_network()
    stepper = AntiLanguageModel(network, start(network), weight=0.5, steps=2)
    given, prior = (
        Conditional(network, start(network)),
        Conditional(network, network.null_memory(3)),
    )
    for step in range(4):
        tokens = torch.tensor([BOS if step == 0 else 4 + step] * 3)
        expected = given.step(tokens) - (0.5 * prior.step(tokens) if step < 2 else 0.0)
        torch.testing.assert_close(stepper.step(tokens), expected, rtol=0, atol=1e-6)


def test_the_floor_keeps_only_what_is_likely_enough(make_network: MakeNetwork) -> None:
    network = make_network()
    tokens = torch.tensor([BOS] * 3)
    likely = Conditional(network, start(network)).step(tokens).exp()
    likely[:, [PAD, BOS, EOS, UNK]] = 0.0  # an empty text cannot be written, so sets no floor
    stepper = AntiLanguageModel(network, start(network), weight=3.0, steps=5, floor=0.5)
    stands = stepper.step(tokens).isfinite()
    assert torch.equal(stands, likely >= 0.5 * likely.max(-1, keepdim=True).values)
    assert (stands.sum(-1) >= 1).all()


def test_a_word_is_written_even_if_the_end_is_likeliest(make_network: MakeNetwork) -> None:
    network = make_network()
    with torch.no_grad():
        network.output_bias[EOS] = 50.0
    plain = greedy(Conditional(network, start(network)), 3, max_tokens=6)
    anti = AntiLanguageModel(network, start(network), weight=0.7, steps=5, floor=0.08)
    for tokens in (plain, greedy(anti, 3, max_tokens=6)):
        assert (tokens[:, 0] > UNK).all()
        assert (tokens[:, 1] == EOS).all()


@pytest.mark.parametrize("favoured", [PAD, BOS, UNK, EOS, 7])
@pytest.mark.parametrize("max_tokens", [1, 4])
def test_texts_hold_words_then_one_end_then_padding(
    make_network: MakeNetwork, favoured: int, max_tokens: int
) -> None:
    network = make_network()
    with torch.no_grad():
        network.output_bias[favoured] = 30.0
    rng = torch.Generator().manual_seed(1)
    wide = beam(Conditional(network, start(network)), 3, beams=5, max_tokens=max_tokens)
    written = [
        *greedy(Conditional(network, start(network)), 3, max_tokens=max_tokens).tolist(),
        *sample(Conditional(network, start(network)), 3, max_tokens=max_tokens, rng=rng).tolist(),
        *wide.tokens[wide.scores.isfinite()].tolist(),
    ]
    for row in written:
        text = row[: row.index(EOS)]
        assert 1 <= len(text) <= max_tokens
        assert min(text) > UNK
        assert set(row[len(text) + 1 :]) <= {PAD}


def test_rows_do_not_look_at_each_other(make_network: MakeNetwork) -> None:
    network = make_network()
    together = beam(Conditional(network, start(network)), 3, beams=4, max_tokens=5)
    for row, source in enumerate(SOURCES):
        alone = beam(Conditional(network, start(network, [source])), 1, beams=4, max_tokens=5)
        assert padded(alone.tokens[0], 6).tolist() == padded(together.tokens[row], 6).tolist()


class Recording:
    """A stepper that keeps what it said, by the row that it was said of."""

    def __init__(self, inner: Conditional, rows: int) -> None:
        self._inner, self._rows = inner, torch.arange(rows)
        self.said: list[dict[int, torch.Tensor]] = []

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        scores = self._inner.step(tokens)
        self.said.append(dict(zip(self._rows.tolist(), scores, strict=True)))
        return scores

    def reorder(self, rows: torch.Tensor) -> None:
        self._inner.reorder(rows)
        self._rows = self._rows[rows]


@networks
def test_the_log_probability_while_sampling_is_the_teacher_forced_one(
    make_network: MakeNetwork, attention: bool, seed: int
) -> None:
    network, words, max_tokens = make_network(7, attention=attention, seed=seed), [4, 5, 6], 3
    sources = [source for source in SOURCES for _ in range(20)]
    stepper = Recording(Conditional(network, start(network, sources)), 60)
    rng = torch.Generator().manual_seed(seed)
    labels = sample(stepper, 60, max_tokens=max_tokens, rng=rng)
    # by hand: the chance of a token among those that may be written at its step
    for row, (source, label) in enumerate(zip(sources, labels.tolist(), strict=True)):
        total = 0.0
        for step, token in enumerate(label[: label.index(EOS) + 1][:max_tokens]):
            scores, possible = stepper.said[step][row], words if step == 0 else [*words, EOS]
            total += float(scores[token] - scores[possible].logsumexp(0))
        forced = log_prob_of(network, source, labels[row : row + 1], max_tokens)
        assert float(forced) == pytest.approx(total, abs=1e-4)
    assert (labels == PAD).any(), "no text was short"
    assert (labels[:, max_tokens] == EOS).any(), "no text was full"


def test_finished_rows_leave_the_batch_and_nobody_notices(make_network: MakeNetwork) -> None:
    network = make_network(7, seed=2)
    sources = [SOURCES[i % 3] for i in range(80)]
    stepper = Recording(Conditional(network, start(network, sources)), 80)
    rng = torch.Generator().manual_seed(5)
    labels = sample(stepper, 80, max_tokens=6, rng=rng)
    sizes = [len(said) for said in stepper.said]
    assert sizes[0] == 80
    assert sizes[-1] <= 32, "no row left: the test shows nothing"
    assert all(size % 16 == 0 for size in sizes)
    # other company, of which other rows finish at other times: row 0 draws what it drew
    others = [sources[0], *([[5, 4, 5, EOS]] * 79)]
    rng = torch.Generator().manual_seed(5)
    again = sample(Conditional(network, start(network, others)), 80, max_tokens=6, rng=rng)
    assert padded(again[0], 7).tolist() == padded(labels[0], 7).tolist()
    assert padded(again, 7).tolist() != padded(labels, 7).tolist()
