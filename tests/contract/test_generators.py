"""What every generator promises, run over each of them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from saywhat.generators import Generator, Seq2SeqGenerator
from saywhat.text.vocabulary import PAD, Vocabulary
from tests.tiny_networks import tiny_network

MakeGenerator = Callable[..., Seq2SeqGenerator]
WORDS = ("i", "you", "know", "not", "do", "n't", "?", ",", "see", "it")
TARGETS = ["i know", "do n't you see it ?", "unknown words entirely", ""]


@pytest.fixture(params=["attention", "no attention", "gru", "transformer", "hred", "vhred"])
def generator(request: pytest.FixtureRequest, make_generator: MakeGenerator) -> Generator:
    if "attention" in request.param:
        attention = request.param == "attention"
        return make_generator(WORDS, max_tokens=6, attention=attention, scale=6.0)
    network = tiny_network(request.param, len(WORDS) + 4)
    return Seq2SeqGenerator(network, Vocabulary(WORDS), max_tokens=6)


def rng(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_samples_are_grouped_by_target(generator: Generator) -> None:
    samples = generator.sample(TARGETS, 5, rng())
    assert [len(group) for group in samples.queries] == [5] * 4
    assert len(samples.labels) == 20


def test_no_targets_give_nothing(generator: Generator) -> None:
    assert generator.sample([], 5, rng()).queries == []
    assert generator.propose([], 3) == []


def test_every_query_has_words_and_no_special_symbols(generator: Generator) -> None:
    queries = [q for group in generator.sample(TARGETS, 30, rng()).queries for q in group]
    queries += [q for group in generator.propose(TARGETS, 20) for q in group]
    queries += [q for group in generator.propose(TARGETS, 1) for q in group]
    assert all(query.strip() for query in queries)
    assert not any("<" in query for query in queries)


def test_the_same_rng_draws_the_same(generator: Generator) -> None:
    first, second = (generator.sample(TARGETS, 5, rng()) for _ in range(2))
    assert first.queries == second.queries
    assert torch.equal(first.labels, second.labels)
    assert generator.sample(TARGETS, 5, rng(2)).queries != first.queries


def test_a_targets_samples_do_not_depend_on_the_others(generator: Generator) -> None:
    ours = generator.sample(TARGETS, 20, rng()).queries[0]
    others = generator.sample([TARGETS[0], "see", "see it", "you"], 20, rng())
    assert others.queries[0] == ours


def test_samples_have_the_log_probability_of_their_labels(generator: Generator) -> None:
    samples = generator.sample(TARGETS, 5, rng())
    log_prob = generator.log_prob(TARGETS, samples.labels)
    assert log_prob.shape == (20,)
    assert log_prob.isfinite().all()
    assert (log_prob < 0).all()
    # one target at a time, and one query at a time: the same
    alone = torch.cat(
        [
            generator.log_prob([target], samples.labels[row : row + 1])
            for row, target in enumerate([t for t in TARGETS for _ in range(5)])
        ]
    )
    torch.testing.assert_close(alone, log_prob, rtol=0, atol=1e-4)


def test_padding_contributes_nothing(generator: Generator) -> None:
    labels = generator.sample(TARGETS, 3, rng()).labels
    wider = torch.nn.functional.pad(labels, (0, 4), value=PAD)
    torch.testing.assert_close(
        generator.log_prob(TARGETS, wider), generator.log_prob(TARGETS, labels), rtol=0, atol=1e-5
    )


def test_the_log_probability_has_a_gradient(generator: Generator) -> None:
    labels = generator.sample(TARGETS, 3, rng()).labels
    generator.log_prob(TARGETS, labels).sum().backward()
    gradients = [p.grad for p in generator.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)


def test_queries_as_text_have_the_log_probability_of_their_samples(generator: Generator) -> None:
    # text may be read back as other tokens; where it is not, the two must agree
    samples = generator.sample(TARGETS[:1], 40, rng())
    labels = generator.encode_queries(samples.queries[0])
    width = max(labels.shape[1], samples.labels.shape[1])
    again, drawn = (
        torch.nn.functional.pad(x, (0, width - x.shape[1]), value=PAD)
        for x in (labels, samples.labels)
    )
    same = (again == drawn).all(dim=1)
    assert same.float().mean() > 0.5
    ours, theirs = (generator.log_prob(TARGETS[:1], x)[same] for x in (again, drawn))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_proposals_are_distinct_and_best_first(generator: Generator) -> None:
    proposals = generator.propose(TARGETS, 12)
    assert all(1 <= len(found) <= 12 for found in proposals)
    assert all(len(set(found)) == len(found) for found in proposals)
    assert [found[:1] for found in generator.propose(TARGETS, 1)] == generator.propose(TARGETS, 1)


def test_proposals_for_many_equal_those_for_each(generator: Generator) -> None:
    for n in (1, 7):
        together = generator.propose(TARGETS, n)
        assert together == [generator.propose([target], n)[0] for target in TARGETS]


def test_a_multiple_of_the_targets_is_needed(generator: Generator) -> None:
    with pytest.raises(ValueError, match="3 queries for 4 targets"):
        generator.log_prob(TARGETS, generator.encode_queries(["i", "you", "see"]))
    with pytest.raises(ValueError, match="1 queries for 0 targets"):
        generator.log_prob([], generator.encode_queries(["i"]))


def test_saved_and_loaded_copies_agree_bit_for_bit(generator: Generator, tmp_path: Path) -> None:
    assert isinstance(generator, Seq2SeqGenerator)
    generator.save(tmp_path, extra={})
    loaded = Seq2SeqGenerator.load(tmp_path)
    labels = generator.sample(TARGETS, 5, rng()).labels
    assert torch.equal(loaded.sample(TARGETS, 5, rng()).labels, labels)
    assert torch.equal(loaded.log_prob(TARGETS, labels), generator.log_prob(TARGETS, labels))
    assert loaded.propose(TARGETS, 6) == generator.propose(TARGETS, 6)


def test_a_frozen_copy_agrees_and_does_not_follow(generator: Generator) -> None:
    assert isinstance(generator, Seq2SeqGenerator)
    labels = generator.sample(TARGETS, 5, rng()).labels
    with torch.no_grad():
        before, copy = generator.log_prob(TARGETS, labels), generator.frozen_copy()
        for parameter in generator.parameters():
            parameter.add_(0.1)
        # weights that want no gradient have kernels of another rounding
        torch.testing.assert_close(copy.log_prob(TARGETS, labels), before, rtol=0, atol=1e-4)
        assert (generator.log_prob(TARGETS, labels) - before).abs().max() > 0.1
    assert not any(parameter.requires_grad for parameter in copy.parameters())
