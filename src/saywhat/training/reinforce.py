r"""REINFORCE: the generator learns from what the chatbot really says (Section 4.2 of the paper).

A step: draw targets; draw queries from the policy; ask the chatbot, through the ledger; score the replies; update.

Departures from the paper, each by a setting:

1. ``estimator: reinforce`` drops the extra factor pi of equations (4) and (5), which sampling already supplies, and takes a
   leave-one-out baseline. ``estimator: paper`` is the paper's, as printed.
2. A KL term to the pre-trained generator keeps the queries ordinary, an entropy term keeps them diverse.
3. Part of the targets are human posts, not only the chatbot's own replies.
4. Training stops early on a validation list that is disjoint from the test lists.
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from saywhat.config import ReinforceSettings
from saywhat.errors import CheckpointError, SetupError
from saywhat.generators import Seq2SeqGenerator
from saywhat.generators.policy import action_mask, policy_log_softmax, sequence_log_prob
from saywhat.interfaces import Similarity
from saywhat.ledger import LedgeredChatbot
from saywhat.nn.checkpoint import load_tensors, optimizer_tensors, restore_optimizer, save_tensors
from saywhat.records import Target
from saywhat.rng import derive, derive_seed
from saywhat.training import losses
from saywhat.training.supervised import autocast


@dataclasses.dataclass(frozen=True, slots=True)
class StepMetrics:
    """One line of ``metrics.jsonl``.

    Attributes:
        step: counted from 1.
        reward: mean reward after the cut.
        similarity: mean similarity before the cut.
        best: mean over targets of the best similarity among their samples.
        success: share of samples with similarity of at least 0.7.
        distinct_queries: share of distinct queries among this step's.
        distinct_replies: share of distinct replies among this step's.
        entropy: of the policy's next token, nats.
        kl: to the pre-trained generator, nats a query.
        gradient_norm: before clipping.
        asked: queries asked so far in this training, validation included.
        failed: of this step's queries, those without a reply.
        seconds: wall time of the step.
        validation: mean similarity of greedy queries on the validation list, when it was measured at this step.
    """

    step: int
    reward: float
    similarity: float
    best: float
    success: float
    distinct_queries: float
    distinct_replies: float
    entropy: float
    kl: float
    gradient_norm: float
    asked: int
    failed: int
    seconds: float
    validation: float | None = None


Report = Callable[[StepMetrics], None]


@dataclasses.dataclass(frozen=True, slots=True)
class TargetPool:
    """What targets are drawn from: the chatbot's distinct replies, and human sentences."""

    replies: Sequence[str]
    human: Sequence[str]

    def draw(self, step: int, settings: ReinforceSettings, seed: int) -> list[str]:
        """Draw a step's targets, uniformly over distinct texts so that generic replies do not fill the batch."""
        rng = derive(seed, "reinforce-targets", step)
        drawn = []
        for _ in range(settings.targets):
            human = self.human and rng.random() < settings.human_share
            drawn.append(rng.choice(self.human if human else self.replies))
        return drawn


@final
class Reinforce:
    """The training loop: readable from top to bottom in ``train`` and ``_step``.

    Args:
        generator: the policy, trained in place.
        chatbot: the environment, behind the ledger in phase ``reinforce``.
        similarity: gives the rewards.
        settings: of this stage.
        seed: the run's seed.
        folder: for checkpoints, the best weights and ``metrics.jsonl``.
        report: called after each step.
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
        report: Report = lambda metrics: None,
    ) -> None:
        if settings.advantage != "reward" and settings.samples < 2 and settings.estimator != "paper":
            raise SetupError("reinforce.samples must be at least 2 for a baseline; or set reinforce.advantage: reward.")
        self._generator, self._chatbot, self._similarity = generator, chatbot, similarity
        self._settings, self._seed, self._folder, self._report = settings, seed, folder, report
        generator.network.dropout.p = settings.dropout
        self._reference = {k: v.clone() for k, v in generator.state_dict().items()}
        self._frozen = _frozen_copy(generator)
        self._optimizer = torch.optim.Adam(generator.parameters(), lr=settings.learning_rate)
        self._step_number, self._asked, self._best, self._stalls = 0, 0, -math.inf, 0

    def train(self, pool: TargetPool, validation: Sequence[Target]) -> float:
        """Train to the end; goes on from the folder's checkpoint if there is one.

        Returns:
            The best validation similarity; the generator then holds the weights that reached it.

        Raises:
            BudgetError: the ledger's limit was reached; the last checkpoint and the best weights are kept.
            CheckpointError: the folder's checkpoint is of another training.
        """
        settings = self._settings
        self._folder.mkdir(parents=True, exist_ok=True)
        chosen = list(validation)[: settings.validation_targets]
        self._restore()
        if self._step_number == 0:
            self._judge(self._validate(chosen, 0))
            self._save()
        saved = time.monotonic()
        while self._step_number < settings.steps and self._stalls < settings.patience:
            step = self._step_number + 1
            metrics = self._step(step, pool.draw(step, settings, self._seed))
            self._step_number = step
            if step % settings.validate_every == 0 or step == settings.steps:
                value = self._validate(chosen, step)
                self._judge(value)
                metrics = dataclasses.replace(metrics, validation=value, asked=self._asked)
            self._log(metrics)
            if metrics.validation is not None or time.monotonic() - saved > settings.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
        self._generator.load_state_dict(load_tensors(self._folder / "best.safetensors"))
        self._generator.eval()
        return self._best

    def _step(self, step: int, targets: list[str]) -> StepMetrics:
        settings, generator, started = self._settings, self._generator, time.monotonic()
        rng = torch.Generator().manual_seed(derive_seed(self._seed, "reinforce-samples", step))
        generator.eval()
        samples = generator.sample(targets, settings.samples, rng, temperature=settings.temperature)
        queries = [query for group in samples.queries for query in group]
        similarity, replies = self._ask(targets, queries, f"step {step}")
        answered = similarity.isfinite()
        # a query without a reply teaches nothing: it takes the mean of its group, so that its advantage is 0
        known = torch.where(answered, similarity, torch.zeros_like(similarity))
        mean = known.sum(1, keepdim=True) / answered.sum(1, keepdim=True).clamp(min=1)
        filled = torch.where(answered, similarity, mean)
        rewards = losses.threshold_rewards(filled, settings.reward_cut)
        divergence, spread, norm = self._update(targets, samples.labels, rewards, step)
        return StepMetrics(
            step=step,
            reward=float(rewards.mean()),
            similarity=float(filled.mean()),
            best=float(filled.max(dim=1).values.mean()),
            success=float((filled >= 0.7).float().mean()),
            distinct_queries=len(set(queries)) / len(queries),
            distinct_replies=len(set(replies)) / max(1, len(replies)),
            entropy=spread,
            kl=divergence,
            gradient_norm=norm,
            asked=self._asked,
            failed=int((~answered).sum()),
            seconds=time.monotonic() - started,
        )

    def _ask(self, targets: list[str], queries: list[str], scope: str) -> tuple[Tensor, list[str]]:
        answers = self._chatbot.ask(queries, scope=scope)
        self._asked += len(queries)
        per_target = len(queries) // len(targets)
        against = [target for target in targets for _ in range(per_target)]
        replies = [answer.reply or "" for answer in answers]
        scores = torch.tensor(self._similarity.score(replies, against))
        failed = torch.tensor([answer.reply is None for answer in answers])
        scores = torch.where(failed, torch.full_like(scores, math.nan), scores)
        return scores.reshape(len(targets), per_target), [a.reply for a in answers if a.reply is not None]

    def _update(
        self, targets: list[str], labels: Tensor, rewards: Tensor, step: int
    ) -> tuple[float, float, float]:
        settings, generator = self._settings, self._generator
        mask = action_mask(labels, generator.max_tokens)
        generator.train(settings.dropout > 0)
        state = torch.random.get_rng_state()
        dropout_rng = torch.Generator().manual_seed(derive_seed(self._seed, "reinforce-dropout", step))
        torch.random.set_rng_state(dropout_rng.get_state())
        try:
            with autocast(settings.precision):
                logits = generator.logits(generator.memory(targets, settings.samples), labels)
            with torch.no_grad(), autocast(settings.precision):
                frozen = self._frozen.logits(self._frozen.memory(targets, settings.samples), labels)
        finally:
            torch.random.set_rng_state(state)
        log_probs, reference = policy_log_softmax(logits), policy_log_softmax(frozen)
        chosen = sequence_log_prob(log_probs, labels, mask)
        divergence = losses.kl_to_reference(log_probs, reference, mask)
        spread = losses.entropy(log_probs, mask)
        loss = self._policy_loss(chosen, rewards)
        loss = loss + settings.kl * divergence - settings.entropy * spread
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(generator.parameters(), settings.clip)
        self._optimizer.step()
        return float(divergence.detach()), float(spread.detach()), float(norm)

    def _policy_loss(self, chosen: Tensor, rewards: Tensor) -> Tensor:
        if self._settings.estimator == "paper":
            return losses.paper_reinforce(chosen, rewards.flatten())
        if self._settings.advantage == "reward":
            advantage = rewards
        elif self._settings.advantage == "best_of_k":
            advantage = losses.best_of_k(rewards)
        else:
            advantage = losses.leave_one_out(rewards)
        return losses.reinforce(chosen, advantage.flatten())

    def _validate(self, targets: Sequence[Target], step: int) -> float:
        self._generator.eval()
        texts = [target.text for target in targets]
        queries = [proposal[0] for proposal in self._generator.propose(texts, 1)]
        scores, _ = self._ask(texts, queries, f"validation {step}")
        return float(scores[scores.isfinite()].mean())

    def _judge(self, value: float) -> None:
        if value > self._best:
            self._best, self._stalls = value, 0
            save_tensors(dict(self._generator.state_dict()), self._folder / "best.safetensors")
        else:
            self._stalls += 1

    def _log(self, metrics: StepMetrics) -> None:
        with (self._folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(metrics)) + "\n")
        self._report(metrics)

    def _identity(self) -> dict[str, Any]:
        # how long to train and how often to save may change between a run and its resumption
        free = {"steps", "patience", "checkpoint_seconds"}
        return {
            "settings": self._settings.model_dump(exclude=free),
            "seed": self._seed,
            "chatbot": self._chatbot.fingerprint,
            "similarity": self._similarity.name,
        }

    def _save(self) -> None:
        tensors = {f"model.{k}": v for k, v in self._generator.state_dict().items()}
        tensors |= {f"reference.{k}": v for k, v in self._reference.items()}
        tensors |= optimizer_tensors(self._optimizer)
        name = f"state-{self._step_number}.safetensors"
        save_tensors(tensors, self._folder / name)
        state = {
            "identity": self._identity(), "tensors": name, "step": self._step_number, "asked": self._asked,
            "best": self._best, "stalls": self._stalls,
        }  # fmt: skip
        partial = self._folder / "state.json.partial"
        partial.write_text(json.dumps(state), encoding="utf-8")
        partial.replace(self._folder / "state.json")
        for old in self._folder.glob("state-*.safetensors"):
            if old.name != name:
                old.unlink()

    def _restore(self) -> None:
        path = self._folder / "state.json"
        if not path.exists():
            (self._folder / "metrics.jsonl").unlink(missing_ok=True)
            return
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["identity"] != self._identity():
            raise CheckpointError(
                f"{self._folder} holds a training with other settings, seed, chatbot or similarity; "
                "give another folder, or remove this one to start anew."
            )
        tensors = load_tensors(self._folder / state["tensors"])
        for prefix, module in (("model.", self._generator), ("reference.", self._frozen)):
            module.load_state_dict(
                {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            )
        self._reference = {k: v.clone() for k, v in self._frozen.state_dict().items()}
        restore_optimizer(self._optimizer, tensors)
        self._step_number, self._asked = state["step"], state["asked"]
        self._best, self._stalls = state["best"], state["stalls"]
        self._drop_metrics_after(self._step_number)

    def _drop_metrics_after(self, step: int) -> None:
        path = self._folder / "metrics.jsonl"
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
            path.write_text("".join(kept), encoding="utf-8")


def _frozen_copy(generator: Seq2SeqGenerator) -> Seq2SeqGenerator:
    from saywhat.nn.seq2seq import Seq2Seq  # noqa: PLC0415

    network = Seq2Seq(generator.network.size, dropout=0.0, rng=torch.Generator())
    copy = Seq2SeqGenerator(network, generator.vocabulary, max_tokens=generator.max_tokens)
    copy.load_state_dict(generator.state_dict())
    return copy.eval().requires_grad_(False)
