r"""REINFORCE: the generator learns from what the chatbot really says (Section 4.2 of the paper).

A step: draw targets; draw queries from the policy; ask the chatbot, through the ledger; score the
replies; update.

Departures from the paper, each by a setting:

1. ``estimator: reinforce`` drops the extra factor pi of equations (4) and (5), which sampling
   already supplies, and takes a leave-one-out baseline. ``estimator: paper`` is the paper's, as
   printed.
2. A KL term to the pre-trained generator keeps the queries ordinary, an entropy term keeps them
   diverse.
3. Part of the targets are human posts, not only the chatbot's own replies.
4. Training stops early on a validation list that is disjoint from the test lists.
5. ``reward: constant`` and ``reward: shuffled`` are negative controls: the same training on rewards
   that say nothing of the target.
"""

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from saywhat.config import ReinforceSettings
from saywhat.errors import InconclusiveError, SetupError
from saywhat.generators import Seq2SeqGenerator
from saywhat.generators.policy import action_log_probs, action_mask, query_log_prob
from saywhat.interfaces import Similarity
from saywhat.ledger import Answer, LedgeredChatbot
from saywhat.nn.checkpoint import (
    load_tensors,
    load_weights,
    optimizer_tensors,
    restore_optimizer,
    save_tensors,
)
from saywhat.records import Target, to_json
from saywhat.rng import derive_seed
from saywhat.training import losses
from saywhat.training.metrics import SUCCESS, MetricsLog, StepMetrics
from saywhat.training.pool import TargetPool
from saywhat.training.state import load_state, save_state, with_prefix, without_prefix
from saywhat.training.step import autocast, dropout_from

Report = Callable[[StepMetrics], None]

_BEST: Final = "best.safetensors"
_METRICS: Final = "metrics.jsonl"


@final
class Reinforce:
    """The training loop: readable from top to bottom in ``train`` and ``_step``.

    Args:
        generator: the policy, trained in place.
        chatbot: the environment, behind the ledger in phase ``reinforce``.
        similarity: gives the rewards.
        settings: of this stage.
        seed: the run's seed.
        folder: for checkpoints, the best weights and ``metrics.jsonl``; made if absent.
        report: called after each step.

    Raises:
        SetupError: a baseline is wanted and there is one sample a target.
    """

    def __init__(
        self,
        generator: Seq2SeqGenerator,
        chatbot: LedgeredChatbot,
        similarity: Similarity,
        settings: ReinforceSettings,
        *,
        seed: int,
        folder: Path,
        report: Report = lambda _: None,
    ) -> None:
        alone = settings.estimator == "paper" or settings.advantage == "reward"
        if settings.samples < 2 and not alone:
            raise SetupError(
                "reinforce.samples must be at least 2 for a baseline; got "
                f"{settings.samples}. Or set reinforce.advantage: reward."
            )
        if settings.reward == "shuffled" and settings.targets < 2:
            raise SetupError(
                "reinforce.reward: shuffled takes another target of the step, so reinforce.targets "
                f"must be at least 2; got {settings.targets}."
            )
        self._generator, self._chatbot, self._similarity = generator, chatbot, similarity
        self._settings, self._seed, self._folder, self._report = settings, seed, folder, report
        generator.network.set_dropout(settings.dropout)
        self._frozen = generator.frozen_copy()
        self._optimizer = torch.optim.Adam(generator.parameters(), lr=settings.learning_rate)
        self._step_number, self._asked, self._best, self._stalls = 0, 0, -math.inf, 0
        self._metrics = MetricsLog(folder / _METRICS)
        self._identity: dict[str, Any] = {}

    def train(self, pool: TargetPool, validation: Sequence[Target]) -> float:
        """Train to the end; goes on from the folder's checkpoint if there is one.

        Args:
            pool: what targets are drawn from.
            validation: the first ``validation_targets`` of these decide when to stop.

        Returns:
            The best validation similarity; the generator then holds the weights that reached it.

        Raises:
            BudgetError: the ledger's limit was reached; the last checkpoint and the best weights
                are kept.
            CheckpointError: the folder's checkpoint is damaged or of another training.
            InconclusiveError: the chatbot answered no query of a whole step.
            SetupError: there is no validation target.
        """
        settings = self._settings
        chosen = list(validation)[: settings.validation_targets]
        if not chosen:
            raise SetupError(
                "REINFORCE needs a validation list to know when to stop; got 0 targets."
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        self._identity = self._identify(pool, chosen)
        if not self._restore():
            self._judge(self._validate(chosen, 0))
            self._save()
        saved = time.monotonic()
        while self._step_number < settings.steps and self._stalls < settings.patience:
            step = self._step_number + 1
            metrics = self._step(step, pool.draw(step, settings, self._seed))
            self._step_number = step
            judged = step % settings.validate_every == 0 or step == settings.steps
            if judged:
                value = self._validate(chosen, step)
                self._judge(value)
                metrics = dataclasses.replace(metrics, validation=value, asked=self._asked)
            self._metrics.append(metrics)
            self._report(metrics)
            if judged or time.monotonic() - saved > settings.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
        best = self._folder / _BEST
        load_weights(self._generator, load_tensors(best), source=best)
        self._generator.eval()
        return self._best

    def _step(self, step: int, targets: list[str]) -> StepMetrics:
        settings, generator, started = self._settings, self._generator, time.monotonic()
        rng = torch.Generator().manual_seed(derive_seed(self._seed, "reinforce-samples", step))
        generator.eval()
        samples = generator.sample(targets, settings.samples, rng, temperature=settings.temperature)
        queries = [query for group in samples.queries for query in group]
        answers = self._ask(queries, f"step {step}")
        similarity = self._score(targets, answers)
        answered = similarity.isfinite()
        rewards = self._rewards(targets, answers, similarity)
        replies = [answer.reply for answer in answers if answer.reply is not None]
        divergence, spread, norm = self._update(targets, samples.labels, (rewards, answered), step)
        best = similarity.nan_to_num(nan=-math.inf).max(dim=1).values
        return StepMetrics(
            step=step,
            reward=float(rewards[answered].mean()),
            similarity=float(similarity[answered].mean()),
            best=float(best[answered.any(dim=1)].mean()),
            success=float((similarity[answered] >= SUCCESS).float().mean()),
            distinct_queries=len(set(queries)) / len(queries),
            distinct_replies=len(set(replies)) / len(replies),
            entropy=spread,
            kl=divergence,
            gradient_norm=norm,
            asked=self._asked,
            failed=int((~answered).sum()),
            seconds=time.monotonic() - started,
        )

    def _ask(self, queries: list[str], scope: str) -> list[Answer]:
        answers = self._chatbot.ask(queries, scope=scope)
        self._asked += len(queries)
        if all(answer.reply is None for answer in answers):
            raise InconclusiveError(
                f"The chatbot answered none of the {len(queries)} queries of {scope}: "
                f"{answers[0].error} Run it again to go on from the last checkpoint."
            )
        return answers

    def _score(
        self, targets: list[str], answers: Sequence[Answer]
    ) -> Float[Tensor, "targets samples"]:
        """Give similarities, not a number where there is no reply."""
        per_target = len(answers) // len(targets)
        against = [target for target in targets for _ in range(per_target)]
        scores = self._similarity.score([answer.reply or "" for answer in answers], against)
        known = [
            math.nan if answer.reply is None else score
            for answer, score in zip(answers, scores, strict=True)
        ]
        return torch.tensor(known).reshape(len(targets), per_target)

    def _rewards(
        self,
        targets: list[str],
        answers: Sequence[Answer],
        similarity: Float[Tensor, "targets samples"],
    ) -> Float[Tensor, "targets samples"]:
        """Give the rewards, 0 where there is no reply."""
        if self._settings.reward == "constant":
            similarity = torch.where(similarity.isfinite(), 1.0, similarity)
        elif self._settings.reward == "shuffled":
            similarity = self._score(targets[1:] + targets[:1], answers)
        return losses.threshold_rewards(similarity.nan_to_num(nan=0.0), self._settings.reward_cut)

    def _update(
        self,
        targets: list[str],
        labels: Int[Tensor, "batch time"],
        outcome: tuple[Float[Tensor, "targets samples"], Bool[Tensor, "targets samples"]],
        step: int,
    ) -> tuple[float, float, float]:
        settings, generator = self._settings, self._generator
        mask = action_mask(labels, generator.max_tokens)
        generator.train(settings.dropout > 0)
        rng = torch.Generator().manual_seed(derive_seed(self._seed, "reinforce-dropout", step))
        with dropout_from(rng), autocast(settings.precision):
            memory = generator.memory(targets, settings.samples)
            log_probs = action_log_probs(generator.network, memory, labels, mask)
        with torch.no_grad(), autocast(settings.precision):
            memory = self._frozen.memory(targets, settings.samples)
            reference = action_log_probs(self._frozen.network, memory, labels, mask)
        log_prob = query_log_prob(log_probs, labels, mask)
        each = torch.ones(len(log_probs), 1, dtype=torch.bool)
        divergence = losses.kl_to_reference(log_probs[:, None], reference[:, None], each)
        divergence = divergence * (len(log_probs) / len(labels))
        # without a weight it is only watched: no graph over (actions x vocabulary) for it
        with torch.set_grad_enabled(settings.entropy > 0):
            spread = losses.entropy(log_probs[:, None], each)
        loss = self._policy_loss(log_prob, *outcome)
        loss = loss + settings.kl * divergence - settings.entropy * spread
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(generator.parameters(), settings.clip)
        self._optimizer.step()
        return float(divergence.detach()), float(spread.detach()), float(norm)

    def _policy_loss(
        self,
        log_prob: Float[Tensor, " batch"],
        rewards: Float[Tensor, "targets samples"],
        answered: Bool[Tensor, "targets samples"],
    ) -> Float[Tensor, ""]:
        rows = answered.flatten()
        log_prob = log_prob[rows]
        if self._settings.estimator == "paper":
            return losses.paper_reinforce(log_prob, rewards.flatten()[rows])
        if self._settings.advantage == "reward":
            advantage = rewards
        elif self._settings.advantage == "best_of_k":
            advantage = losses.best_of_k(rewards, answered)
        else:
            advantage = losses.leave_one_out(rewards, answered)
        return losses.reinforce(log_prob, advantage.flatten()[rows])

    def _validate(self, targets: Sequence[Target], step: int) -> float:
        self._generator.eval()
        texts = [target.text for target in targets]
        queries = [proposal[0] for proposal in self._generator.propose(texts, 1)]
        scores = self._score(texts, self._ask(queries, f"validation {step}"))
        return float(scores[scores.isfinite()].mean())

    def _judge(self, value: float) -> None:
        if value > self._best:
            self._best, self._stalls = value, 0
            save_tensors(self._generator.state_dict(), self._folder / _BEST)
        else:
            self._stalls += 1

    def _identify(self, pool: TargetPool, validation: Sequence[Target]) -> dict[str, Any]:
        # how long to train and how often to save may change between a run and its resumption; an
        # earlier end between two validations has one more of them than going through, and keeps it
        free = {"steps", "patience", "checkpoint_seconds"}
        lines = "\n".join(map(to_json, validation))
        weights = hashlib.sha256()
        for name, tensor in sorted(self._frozen.state_dict().items()):
            weights.update(name.encode() + tensor.numpy().tobytes())
        return {
            "settings": self._settings.model_dump(exclude=free),
            "seed": self._seed,
            "chatbot": self._chatbot.fingerprint,
            "similarity": self._similarity.name,
            "generator": weights.hexdigest(),
            "targets": pool.digest(),
            "validation targets": hashlib.sha256(lines.encode()).hexdigest(),
        }

    def _save(self) -> None:
        numbers = {
            "identity": self._identity,
            "step": self._step_number,
            "asked": self._asked,
            "best": self._best,
            "stalls": self._stalls,
        }
        tensors = {
            **with_prefix("model.", self._generator.state_dict()),
            **with_prefix("reference.", self._frozen.state_dict()),
            **optimizer_tensors(self._optimizer),
        }
        save_state(self._folder, str(self._step_number), numbers=numbers, tensors=tensors)

    def _restore(self) -> bool:
        found = load_state(self._folder, self._identity)
        if found is None:
            self._metrics.keep_until(0)
            return False
        numbers, tensors = found
        for prefix, module in (("model.", self._generator), ("reference.", self._frozen)):
            load_weights(module, without_prefix(prefix, tensors), source=self._folder)
        restore_optimizer(self._optimizer, tensors)
        self._step_number, self._asked = numbers["step"], numbers["asked"]
        self._best, self._stalls = numbers["best"], numbers["stalls"]
        self._metrics.keep_until(self._step_number)
        return True
