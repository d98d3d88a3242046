"""Losses by hand, and both estimators against the exact gradient over all queries there are."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from saywhat.generators import Seq2SeqGenerator
from saywhat.generators.policy import action_log_probs, action_mask
from saywhat.nn.decoding import sample
from saywhat.nn.steppers import Conditional
from saywhat.text.vocabulary import EOS, PAD
from saywhat.training import losses

MakeGenerator = Callable[..., Seq2SeqGenerator]
N = 12_000  # draws of a stochastic test
ALL = torch.tensor([[True, True, True]])


def row(*numbers: float) -> Tensor:
    return torch.tensor([numbers])


def test_cross_entropy_is_the_mean_over_real_positions() -> None:
    # uniform over 4 symbols: ln 4 each; the second row's first label has probability 1/2 instead:
    # (3 ln 4 + ln 2) / 4 positions; the padded position does not count
    logits = torch.zeros(2, 3, 4)
    logits[1, 0] = torch.tensor([0.0, 0.0, 0.0, math.log(3)])
    labels = torch.tensor([[1, 2, 2], [3, 2, PAD]])
    logits[1, 2] = torch.tensor([9.0, -9.0, 0.0, 3.0])
    expected = (4 * math.log(4) + math.log(2)) / 5
    assert float(losses.cross_entropy(logits, labels)) == pytest.approx(expected, abs=1e-6)


def test_padded_cross_entropy_equals_that_of_the_subset() -> None:
    rng = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 5, 7, generator=rng)
    labels = torch.randint(1, 7, (3, 5), generator=rng)
    labels[:, 3:] = PAD
    torch.testing.assert_close(
        losses.cross_entropy(logits, labels), losses.cross_entropy(logits[:, :3], labels[:, :3])
    )


def test_threshold_cuts_below_and_keeps_the_rest() -> None:
    cut = losses.threshold_rewards(row(-0.2, 0.49, 0.5, 0.9), 0.5)
    torch.testing.assert_close(cut, row(0.0, 0.0, 0.5, 0.9))


def test_leave_one_out_by_hand() -> None:
    # 0.9 - (0.1 + 0.2) / 2 = 0.75; 0.1 - (0.9 + 0.2) / 2 = -0.45; 0.2 - (0.9 + 0.1) / 2 = -0.3
    expected = row(0.75, -0.45, -0.3)
    torch.testing.assert_close(losses.leave_one_out(row(0.9, 0.1, 0.2), ALL), expected)


def test_equal_rewards_have_exactly_no_advantage() -> None:
    # 0.1 is no sum of powers of two: a mean of eight of them is not always itself
    for value in (0.1, 0.7, 1 / 3):
        rewards = torch.full((5, 8), value)
        assert not losses.leave_one_out(rewards, torch.ones(5, 8, dtype=torch.bool)).any()


def test_best_of_k_by_hand() -> None:
    # without the best, the best would be 0.4: it adds 0.5; the others add nothing
    torch.testing.assert_close(losses.best_of_k(row(0.4, 0.9, 0.1), ALL), row(0.0, 0.5, 0.0))
    # two are best: each alone adds nothing
    torch.testing.assert_close(losses.best_of_k(row(0.9, 0.1, 0.9), ALL), row(0.0, 0.0, 0.0))


@pytest.mark.parametrize("advantage", [losses.leave_one_out, losses.best_of_k])
def test_advantages_of_answered_samples_are_those_of_the_subset(
    advantage: Callable[[Tensor, Tensor], Tensor],
) -> None:
    rng = torch.Generator().manual_seed(2)
    rewards = torch.randn(50, 6, generator=rng)
    answered = torch.rand(50, 6, generator=rng) < 0.6
    found = advantage(rewards, answered)
    assert not found[~answered].any()
    for values, known, result in zip(rewards, answered, found, strict=True):
        if known.sum() >= 2:
            subset = values[known][None]
            alone = advantage(subset, torch.ones_like(subset, dtype=torch.bool))[0]
            torch.testing.assert_close(result[known], alone)
        else:  # nothing to compare with
            assert not result.any()


def test_estimators_by_hand() -> None:
    log_prob = torch.tensor([0.5, 0.25], requires_grad=True).log()
    # -(2 ln 1/2 + 3 ln 1/4) / 2 = 4 ln 2
    plain = losses.reinforce(log_prob, torch.tensor([2.0, 3.0]))
    assert float(plain.detach()) == pytest.approx(4 * math.log(2), abs=1e-6)
    # minus the mean of 2 * 1/2 and 3 * 1/4
    printed = losses.paper_reinforce(log_prob, torch.tensor([2.0, 3.0]))
    assert float(printed.detach()) == pytest.approx(-0.875, abs=1e-6)


def test_rewards_get_no_gradient() -> None:
    log_prob = torch.tensor([-1.0, -2.0], requires_grad=True)
    rewards = torch.tensor([1.0, 2.0], requires_grad=True)
    for estimator in (losses.reinforce, losses.paper_reinforce):
        estimator(log_prob, rewards).backward()
    assert rewards.grad is None
    # the slope along log p_i is minus half of R_i + R_i p_i
    expected = torch.tensor([-0.5 - 0.5 * math.exp(-1), -1.0 - math.exp(-2)])
    torch.testing.assert_close(log_prob.grad, expected)


# ------------------------------------------------------------------ against all queries there are


class World:
    """A generator with three words and at most three tokens: 39 queries, so all can be listed."""

    def __init__(self, generator: Seq2SeqGenerator, *, seed: int = 0) -> None:
        self.generator, self.target = generator, "a b"
        words, top = generator.vocabulary.words, generator.max_tokens
        self.queries = [
            " ".join(text)
            for length in range(1, top + 1)
            for text in itertools.product(words, repeat=length)
        ]
        self.labels = generator.encode_queries(self.queries)
        rng = torch.Generator().manual_seed(seed)
        self.rewards = torch.rand(len(self.queries), generator=rng)
        self.parameters = [p for p in generator.parameters() if p.requires_grad]

    def log_prob(self) -> Tensor:
        return self.generator.log_prob([self.target], self.labels)

    def chances(self) -> Tensor:
        return self.log_prob().detach().exp()

    def gradient(self, value: Tensor) -> Tensor:
        parts = torch.autograd.grad(value, self.parameters, allow_unused=True, retain_graph=True)
        flat = [
            torch.zeros_like(p) if g is None else g
            for p, g in zip(self.parameters, parts, strict=True)
        ]
        return torch.cat([g.flatten() for g in flat])

    def slopes(self, direction: Tensor) -> Tensor:
        """Give the slope of each query's log-probability along a direction."""
        log_prob = self.log_prob()
        return torch.stack([self.gradient(value) @ direction for value in log_prob])

    def sample(self, n: int, seed: int) -> tuple[Tensor, Tensor]:
        """Draw queries: their labels and their places in the list of all."""
        rng, generator = torch.Generator().manual_seed(seed), self.generator
        stepper = Conditional(generator.network, generator.memory([self.target], n))
        labels = sample(stepper, n, max_tokens=generator.max_tokens, rng=rng)
        digits = 10 ** torch.arange(4)
        places = torch.zeros(10_000, dtype=torch.long)
        places[(self.labels * digits).sum(1)] = torch.arange(len(self.labels))
        return labels, places[(labels * digits).sum(1)]

    def sampled_log_prob(self, labels: Tensor) -> Tensor:
        return self.generator.log_prob([self.target], labels)


@pytest.fixture
def world(make_generator: MakeGenerator) -> World:
    return World(make_generator(hidden=4, layers=1, scale=8.0, seed=3))


def cosine(a: Tensor, b: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


def test_the_policy_is_a_distribution_over_queries(world: World) -> None:
    assert float(world.chances().sum()) == pytest.approx(1.0, abs=1e-5)


def test_sampled_frequencies_are_the_probabilities(world: World) -> None:
    # Chi-squared over 39 queries, 38 degrees of freedom: 95.0 is exceeded with probability 1e-6
    # (Wilson-Hilferty: 38 (1 - 2/342 + 4.75 sqrt(2/342))^3). The seed is fixed.
    n = 20_000
    _, places = world.sample(n, seed=11)
    expected = world.chances() * n
    assert float(expected.min()) > 5, "too rare for the test"
    counts = torch.bincount(places, minlength=len(expected))
    assert float(((counts - expected) ** 2 / expected).sum()) < 95.0


def test_temperature_sharpens_and_flattens(world: World) -> None:
    # one-word queries: their share among first words follows p^(1/T), worked out from the scores
    generator, rng = world.generator, torch.Generator().manual_seed(1)
    one, everywhere = world.labels[:1], torch.ones_like(world.labels[:1], dtype=torch.bool)
    memory = generator.memory([world.target])
    first = action_log_probs(generator.network, memory, one, everywhere)[0].detach()
    for temperature in (0.5, 2.0):
        labels = generator.sample([world.target], 20_000, rng, temperature=temperature).labels
        shares = torch.bincount(labels[:, 0], minlength=7)[4:] / 20_000
        expected = (first[4:] / temperature).softmax(-1)
        # six standard errors of a share: below 1e-8 for three shares
        assert ((shares - expected).abs() < 6 * 0.5 / math.sqrt(20_000)).all()


def test_reinforce_estimates_the_gradient_of_the_expected_reward(world: World) -> None:
    exact = world.gradient((world.log_prob().exp() * world.rewards).sum())
    along = exact / exact.norm()
    labels, places = world.sample(N, seed=5)
    rewards = world.rewards[places]
    estimate = -world.gradient(losses.reinforce(world.sampled_log_prob(labels), rewards)) @ along
    terms = world.rewards * world.slopes(along)
    assert abs(estimate - exact.norm()) < 5 * standard_error(world, terms, N)


def standard_error(world: World, terms: Tensor, n: int) -> float:
    """Of a mean over n samples, exactly: five of them are exceeded with probability 6e-7."""
    chances = world.chances()
    mean = (chances * terms).sum()
    return float(((chances * (terms - mean) ** 2).sum() / n).sqrt())


@pytest.mark.parametrize("samples", [2, 5])
def test_leave_one_out_is_unbiased_and_has_less_variance(world: World, samples: int) -> None:
    exact = world.gradient((world.log_prob().exp() * world.rewards).sum())
    along = exact / exact.norm()
    slopes = world.slopes(along)
    _, places = world.sample(N, seed=6)
    grouped = world.rewards[places].reshape(-1, samples)
    advantage = losses.leave_one_out(grouped, torch.ones_like(grouped, dtype=torch.bool))
    terms = (advantage * slopes[places].reshape(-1, samples)).mean(dim=1)
    error = float(terms.std() / math.sqrt(len(terms)))
    # five standard errors: probability 6e-7 by the normal limit over 2,400 and more groups
    assert abs(float(terms.mean() - exact.norm())) < 5 * error
    assert error < standard_error(world, world.rewards * slopes, N)


def test_best_of_k_estimates_the_gradient_of_the_expected_maximum(world: World) -> None:
    chances = world.log_prob().exp()
    pairs = torch.maximum(world.rewards[:, None], world.rewards)
    exact = world.gradient((chances[:, None] * chances * pairs).sum())  # E[max(R_1, R_2)]
    along = exact / exact.norm()
    slopes = world.slopes(along)
    _, places = world.sample(N, seed=7)
    grouped = world.rewards[places].reshape(-1, 2)
    advantage = losses.best_of_k(grouped, torch.ones_like(grouped, dtype=torch.bool))
    terms = (advantage * slopes[places].reshape(-1, 2)).sum(dim=1)
    error = float(terms.std() / math.sqrt(len(terms)))
    assert abs(float(terms.mean() - exact.norm())) < 5 * error  # probability 6e-7
    mean = world.gradient((world.log_prob().exp() * world.rewards).sum())
    assert cosine(exact, mean) < 0.999, "the two objectives do not differ here"


def test_the_printed_estimator_is_of_another_objective(world: World) -> None:
    chances = world.log_prob().exp()
    expected_reward = world.gradient((chances * world.rewards).sum())
    half_square = world.gradient((chances**2 * world.rewards).sum() / 2)
    along = half_square / half_square.norm()
    labels, places = world.sample(N, seed=8)
    loss = losses.paper_reinforce(world.sampled_log_prob(labels), world.rewards[places])
    estimate = -world.gradient(loss)
    terms = world.rewards * chances.detach() * world.slopes(along)
    error = standard_error(world, terms, N)
    assert abs(estimate @ along - half_square.norm()) < 5 * error  # probability 6e-7
    # and not of E[R]: neither in length nor, which no step size can mend, in direction
    assert abs(estimate @ along - expected_reward @ along) > 10 * error
    assert cosine(half_square, expected_reward) < 0.9


def test_with_a_constant_reward_only_the_printed_estimator_moves(world: World) -> None:
    # E[1] = 1 whatever the policy: its gradient is 0; that of 1/2 sum pi^2 is not
    chances = world.log_prob().exp()
    assert float(world.gradient(chances.sum()).norm()) < 1e-4
    assert float(world.gradient((chances**2).sum() / 2).norm()) > 0.01
    labels, places = world.sample(N, seed=9)
    log_prob, rewards = world.sampled_log_prob(labels), torch.ones(len(places))
    printed = world.gradient(losses.paper_reinforce(log_prob, rewards)).norm()
    plain = world.gradient(losses.reinforce(log_prob, rewards)).norm()
    assert printed > 0.01
    # per parameter the plain one is noise of mean 0; six times its expected length is out of reach
    # (Markov's inequality on the square gives 1/36, the normal limit far below 1e-6)
    spread = sum(
        float(chance * world.gradient(value).square().sum())
        for chance, value in zip(chances.detach(), world.log_prob(), strict=True)
    )
    assert float(plain) < 6 * math.sqrt(spread / N)


# ----------------------------------------------------------------------------- KL and entropy


def steps_of(world: World) -> tuple[Tensor, Tensor]:
    generator = world.generator
    memory = generator.memory([world.target], len(world.labels))
    everywhere = torch.ones_like(world.labels, dtype=torch.bool)
    log_probs = action_log_probs(generator.network, memory, world.labels, everywhere)
    return log_probs.unflatten(0, world.labels.shape), action_mask(
        world.labels, generator.max_tokens
    )


def test_kl_of_steps_is_the_kl_of_whole_queries(
    world: World, make_generator: MakeGenerator
) -> None:
    # chain rule: E_{I ~ pi} sum_t KL_t = sum_I pi(I) ln(pi(I) / pi_0(I)), both over all 39 queries
    other = World(make_generator(hidden=4, layers=1, scale=8.0, seed=4))
    log_pi, log_pi0 = world.log_prob(), other.log_prob()
    exact = float((log_pi.exp() * (log_pi - log_pi0)).sum().detach())
    (log_probs, mask), (reference, _) = steps_of(world), steps_of(other)
    log_probs, reference = log_probs.detach(), reference.detach()
    steps = (log_probs, reference, mask)
    by_steps = sum(
        float(log_pi[i].detach().exp() * losses.kl_to_reference(*(x[i : i + 1] for x in steps)))
        for i in range(len(mask))
    )
    assert exact > 0.01
    assert by_steps == pytest.approx(exact, abs=1e-4)
    assert float(losses.kl_to_reference(log_probs, log_probs, mask)) == 0.0


def test_kl_and_entropy_equal_those_of_torch_distributions() -> None:
    rng = torch.Generator().manual_seed(3)
    p, q = torch.randn(2, 3, 4, 6, generator=rng).log_softmax(-1)
    mask = torch.tensor([[True, True, True, False], [True] * 4, [True, False, False, False]])
    first, second = (torch.distributions.Categorical(logits=x) for x in (p, q))
    divergence = torch.distributions.kl_divergence(first, second)
    torch.testing.assert_close(
        losses.kl_to_reference(p, q, mask), (divergence * mask).sum(-1).mean()
    )
    torch.testing.assert_close(losses.entropy(p, mask), first.entropy()[mask].mean())


def test_gradients_are_finite_although_some_tokens_are_impossible(world: World) -> None:
    log_probs, mask = steps_of(world)
    assert (log_probs == float("-inf")).any()
    reference = log_probs.detach() + torch.where(log_probs.isfinite(), 0.1, 0.0).detach()
    value = losses.kl_to_reference(log_probs, reference, mask) + losses.entropy(log_probs, mask)
    assert world.gradient(value).isfinite().all()
    impossible = torch.tensor([[4, 3, EOS, PAD], [EOS, PAD, PAD, PAD]])  # unknown word; no word
    log_prob = world.generator.log_prob([world.target], impossible)
    assert log_prob.tolist() == [float("-inf")] * 2
    assert world.gradient(losses.paper_reinforce(log_prob, torch.ones(2))).isfinite().all()
