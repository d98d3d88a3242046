"""Diverse beam search, against the plain one and against a search written out with lists."""

from collections import Counter
from collections.abc import Callable, Sequence

import pytest
import torch

from saywhat.generators import Seq2SeqGenerator
from saywhat.nn.decoding import beam
from saywhat.nn.diverse_beam import diverse_beam, group_sizes
from saywhat.nn.padding import left_pad, shift_right
from saywhat.nn.seq2seq import Seq2Seq
from saywhat.nn.steppers import Conditional
from saywhat.text.vocabulary import BOS, EOS, PAD, UNK

MakeNetwork = Callable[..., Seq2Seq]
SOURCES = [[4, 5, EOS], [6, EOS], [5, 5, 6, EOS]]


def stepper(network: Seq2Seq, sources: Sequence[list[int]] = SOURCES) -> Conditional:
    return Conditional(network, network.encode(left_pad(list(sources))))


def next_scores(network: Seq2Seq, source: list[int], prefix: list[int]) -> dict[int, float]:
    """Give log P of each token that may follow a prefix, by running the decoder from its start."""
    memory = network.encode(left_pad([source]))
    logits, _ = network.decode(shift_right(torch.tensor([[*prefix, PAD]])), memory)
    scores = logits[0, -1].log_softmax(-1).tolist()
    banned = {PAD, BOS, UNK, *([] if prefix else [EOS])}
    return {token: score for token, score in enumerate(scores) if token not in banned}


def by_hand(
    network: Seq2Seq, source: list[int], sizes: Sequence[int], strength: float, max_tokens: int
) -> list[list[tuple[float, list[int]]]]:
    """Search with lists, one hypothesis at a time; gives each group's (log-probability, ids)."""
    groups: list[list[tuple[float, list[int]]]] = [[(0.0, [])] for _ in sizes]
    for step in range(max_tokens + 1):
        given: Counter[int] = Counter()
        for number, size in enumerate(sizes):
            candidates = []
            for total, ids in groups[number]:
                if ids and ids[-1] == EOS:
                    candidates.append((total, total, ids))
                    continue
                options = next_scores(network, source, ids) if step < max_tokens else {EOS: 0.0}
                candidates += [
                    (total + score - strength * given[token], total + score, [*ids, token])
                    for token, score in options.items()
                ]
            candidates.sort(key=lambda each: -each[0])
            kept = candidates[:size]
            groups[number] = [(total, ids) for _, total, ids in kept]
            given.update(ids[step] for _, ids in groups[number] if len(ids) == step + 1)
    return groups


def texts(tokens: torch.Tensor) -> list[list[int]]:
    return [[token for token in row if token != PAD] for row in tokens.tolist()]


def test_groups_differ_by_one_at_most() -> None:
    assert group_sizes(200, 10) == [20] * 10
    assert group_sizes(5, 3) == [2, 2, 1]
    assert group_sizes(3, 9) == [1, 1, 1]


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("beams", [1, 5, 60])
def test_one_group_is_beam_search(make_network: MakeNetwork, attention: bool, beams: int) -> None:
    network = make_network(7, attention=attention)
    for strength in (0.0, 2.0):
        found = diverse_beam(
            stepper(network), 3, beams=beams, groups=1, strength=strength, max_tokens=4
        )
        plain = beam(stepper(network), 3, beams=beams, max_tokens=4)
        assert torch.equal(found.tokens, plain.tokens)
        assert torch.equal(found.scores, plain.scores)


def test_without_strength_all_groups_are_the_same_beam(make_network: MakeNetwork) -> None:
    network = make_network()
    found = diverse_beam(stepper(network), 3, beams=6, groups=3, strength=0.0, max_tokens=5)
    plain = beam(stepper(network), 3, beams=2, max_tokens=5)
    for row in range(3):
        expected = sorted(texts(plain.tokens[row]) * 3)
        assert sorted(texts(found.tokens[row])) == expected


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("beams", "groups"), [(4, 2), (5, 3), (3, 3), (8, 2)])
def test_it_is_the_search_written_out_with_lists(
    make_network: MakeNetwork, seed: int, beams: int, groups: int
) -> None:
    network = make_network(8, seed=seed, attention=bool(seed % 2), scale=4.0)
    sizes, strength = group_sizes(beams, groups), 0.7
    found = diverse_beam(
        stepper(network), 3, beams=beams, groups=groups, strength=strength, max_tokens=4
    )
    for row, source in enumerate(SOURCES):
        hypotheses = [h for g in by_hand(network, source, sizes, strength, 4) for h in g]
        assert sorted(texts(found.tokens[row])) == sorted(ids for _, ids in hypotheses)
        expected = sorted((total for total, _ in hypotheses), reverse=True)
        assert found.scores[row].tolist() == pytest.approx(expected, abs=1e-4)


class Scripted:
    """A stepper that scores by the last token alone."""

    def __init__(self, scores: dict[int, dict[int, float]]) -> None:
        self._scores = scores

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        rows = torch.full((len(tokens), 7), -50.0)
        for row, token in zip(rows, tokens.tolist(), strict=True):
            for following, score in self._scores.get(token, {}).items():
                row[following] = score
        return rows

    def reorder(self, rows: torch.Tensor) -> None:
        """Nothing is kept of the rows."""


def test_a_finished_hypothesis_costs_later_groups_nothing() -> None:
    # at the third step each group holds "4 </s>" (-0.9), finished, and "5 6" (-1.0). In the second
    # group "5 6 4" pays one nat; were the finished one to pay too, "5 6 6" (-1.5) would oust it
    steps = Scripted(
        {
            BOS: {4: -0.9, 5: -1.0},
            4: {EOS: 0.0},
            5: {6: 0.0},
            6: {4: -0.2, 5: -0.4, 6: -0.5},
        }
    )
    found = diverse_beam(steps, 1, beams=4, groups=2, strength=1.0, max_tokens=3)
    expected = [[4, EOS], [4, EOS], [5, 6, 4, EOS], [5, 6, 5, EOS]]
    assert texts(found.tokens[0]) == expected
    assert found.scores[0].tolist() == pytest.approx([-0.9, -0.9, -1.2, -1.4])


def test_groups_differ_and_more_so_with_strength(make_network: MakeNetwork) -> None:
    network = make_network(12, scale=3.0)
    distinct = []
    for strength in (0.0, 0.5, 50.0):
        found = diverse_beam(
            stepper(network), 3, beams=6, groups=6, strength=strength, max_tokens=5
        )
        distinct.append([len({tuple(t) for t in texts(found.tokens[row])}) for row in range(3)])
        first = [{ids[0] for ids in texts(found.tokens[row])} for row in range(3)]
    assert distinct[0] == [1, 1, 1]
    assert distinct[2] == [6, 6, 6]
    assert all(a <= b <= c for a, b, c in zip(*distinct, strict=True))
    # at a price that nothing outweighs, no two groups begin alike
    assert all(len(tokens) == 6 for tokens in first)


def test_rows_do_not_look_at_each_other(make_network: MakeNetwork) -> None:
    network = make_network()
    rule = {"beams": 6, "groups": 3, "strength": 0.5, "max_tokens": 5}
    together = diverse_beam(stepper(network), 3, **rule)
    for row, source in enumerate(SOURCES):
        alone = diverse_beam(stepper(network, [source]), 1, **rule)
        assert texts(alone.tokens[0]) == texts(together.tokens[row])


def test_a_generator_proposes_distinct_texts(
    make_generator: Callable[..., Seq2SeqGenerator],
) -> None:
    generator = make_generator(("a", "b", "c"), max_tokens=3)
    proposals = generator.propose_diversely(["a b", "c"], 9, groups=3, strength=0.5)
    assert [len(set(texts)) == len(texts) > 0 for texts in proposals] == [True, True]
    assert generator.propose_diversely([], 9, groups=3, strength=0.5) == []
    plain = generator.propose_diversely(["a b", "c"], 9, groups=1, strength=0.5)
    assert plain == generator.propose(["a b", "c"], 9)
