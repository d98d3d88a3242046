"""The null: what replies score against targets that they do not answer."""

import numpy as np
import pytest

from saywhat.records import Target
from saywhat.similarity.embedding_average import EmbeddingAverage
from saywhat.similarity.exact import Exact
from saywhat.similarity.null import NullScores, null_by_group, null_scores
from saywhat.text.vectors import WordVectors

AXES = ("north", "east", "south", "west", "above", "below", "within", "beyond")
TOY = WordVectors(AXES, np.eye(8, dtype=np.float32))


def test_random_pairs_and_generic_replies_by_hand() -> None:
    replies = ["north"] * 6 + ["North!"] * 2 + ["east east", "?"]
    null = null_scores(
        EmbeddingAverage(TOY),
        ["north", "north east", "zzz"],  # "zzz" cannot be measured and is left out
        replies=replies,
        rng=np.random.default_rng(1),
        n=500,
    )
    # "north" and "North!" are one reply. Means over the two measurable targets:
    # north (1 + 1/sqrt 2) / 2, east (0 + 1/sqrt 2) / 2, "?" 0. Ties go by spelling.
    half = 0.5**0.5
    assert [(g.reply, g.share) for g in null.generic] == [
        ("north", 0.8),
        ("?", 0.1),
        ("east east", 0.1),
    ]
    assert [g.mean for g in null.generic] == pytest.approx([(1 + half) / 2, 0, half / 2], abs=1e-8)
    # Expected mean of a random pair: 0.8 (1 + h)/2 + 0.1 h/2 = 0.718, standard deviation 0.29; the
    # mean of 500 is within 0.06 of it but for a probability of 4e-6 (4.6 standard errors).
    assert null.mean == pytest.approx(0.8 * (1 + half) / 2 + 0.1 * half / 2, abs=0.06)
    assert null.p95 == 1.0
    assert null.pairs == 500


def test_top_bounds_the_generic_replies() -> None:
    rng = np.random.default_rng(1)
    null = null_scores(Exact(), ["a"], replies=["a", "b", "b", "c"], rng=rng, n=1, top=2)
    assert [(g.reply, g.mean) for g in null.generic] == [("b", 0.0), ("a", 1.0)]


def test_nothing_to_measure_gives_none() -> None:
    rng = np.random.default_rng(1)
    similarity = EmbeddingAverage(TOY)
    assert null_scores(similarity, ["north"], replies=[], rng=rng) == NullScores(0, None, None, ())
    unmeasurable = null_scores(similarity, ["zzz"], replies=["north"], rng=rng)
    assert (unmeasurable.mean, unmeasurable.generic[0].mean) == (None, None)


def test_the_same_rng_gives_the_same_pairs() -> None:
    def run(seed: int) -> float | None:
        rng = np.random.default_rng(seed)
        return null_scores(EmbeddingAverage(TOY), AXES, replies=AXES, rng=rng, n=50).mean

    assert run(3) == run(3)
    assert len({run(seed) for seed in range(5)}) > 1


def test_shuffled_targets_fall_to_the_null() -> None:
    # Each reply names its target's two axes in the other order: aligned, every pair scores 1.
    targets = [f"{a} {b}" for a in AXES for b in AXES if a < b]
    replies = [" ".join(reversed(target.split())) for target in targets]
    similarity = EmbeddingAverage(TOY)
    assert similarity.score(replies, targets) == [1.0] * 28
    rng = np.random.default_rng(5)
    shuffled = [
        np.mean(similarity.score(replies, [targets[i] for i in rng.permutation(28)]))
        for _ in range(40)
    ]
    null = null_scores(similarity, targets, replies=replies, rng=rng, n=2000)
    # Both have mean 1/4 (two axes, each shared with chance 2/8) and a standard deviation of 0.29 a
    # pair; standard errors 0.0087 and 0.0065. 0.06 is 5.5 of the difference's: below 1e-7.
    assert np.mean(shuffled) == pytest.approx(0.25, abs=0.06)
    assert null.mean == pytest.approx(float(np.mean(shuffled)), abs=0.06)


def test_a_groups_null_is_its_own() -> None:
    easy = [Target(text, list="real", length="1-3") for text in ("north", "north!")]
    hard = [Target(text, list="generated", length="1-3") for text in ("east", "west")]
    replies = ["north"] * 9 + ["south"]
    null = null_by_group(EmbeddingAverage(TOY), [*easy, *hard], replies=replies, seed=1, n=300)
    assert list(null) == ["real 1-3", "generated 1-3"]
    assert [g.mean for g in null["real 1-3"].generic] == [1.0, 0.0]
    assert [g.mean for g in null["generated 1-3"].generic] == [0.0, 0.0]
    # 9 of 10 replies are the targets: 0.9, standard error 0.017; 0.08 is 4.6 of them
    assert null["real 1-3"].mean == pytest.approx(0.9, abs=0.08)
    assert null["generated 1-3"].mean == 0.0
    alone = null_by_group(EmbeddingAverage(TOY), easy, replies=replies, seed=1, n=300)
    assert alone["real 1-3"] == null["real 1-3"]


def test_texts_that_repeat_are_scored_in_one_call() -> None:
    class Counting:
        name, calls = "counting", 0

        def score(self, replies: list[str], targets: list[str]) -> list[float]:
            self.calls += 1
            return [float(len(reply)) for reply in replies]

        def measurable(self, text: str) -> bool:
            return True

    similarity = Counting()
    rng = np.random.default_rng(1)
    null = null_scores(similarity, ["x", "y"], replies=["aa", "b", "b", "ccc"], rng=rng, n=5)
    assert [(g.reply, g.mean) for g in null.generic] == [("b", 1.0), ("aa", 2.0), ("ccc", 3.0)]
    assert similarity.calls == 2
