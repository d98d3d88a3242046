"""Supervised sequence-to-sequence training: teacher forcing with checkpoints and resume.

It trains the chatbot (query -> reply, Section 4.1) and pre-trains the generator (reply -> query,
"Pre-training" in Section 5.1.2). The caller says which text is the source.
"""

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saywhat.config import SupervisedSettings, VariationalSettings
from saywhat.errors import CorpusError, SetupError
from saywhat.nn.checkpoint import (
    load_tensors,
    load_weights,
    optimizer_tensors,
    restore_optimizer,
    save_tensors,
)
from saywhat.nn.encoder_decoder import EncoderDecoder, Variational
from saywhat.nn.padding import shift_right
from saywhat.rng import derive, derive_seed
from saywhat.text.vocabulary import PAD
from saywhat.training.examples import Example, batches
from saywhat.training.losses import cross_entropy
from saywhat.training.state import load_state, save_state, with_prefix, without_prefix
from saywhat.training.step import autocast, dropout_from
from saywhat.training.variational import beyond_free, hide_words, kl_weight, mean_kl

_BEST: Final = "best.safetensors"
_LARGEST_EXPONENT: Final = 700.0  # math.exp overflows a little beyond it
_LEAST_RATE: Final = 0.05  # where the linear schedule ends, as a share of the initial rate


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """What the caller is told after each batch and each epoch.

    Attributes:
        epoch: counted from 1.
        fraction: of the epoch that is done, in (0, 1].
        loss: running training loss, nats a token; 0 at an epoch's end.
        valid_perplexity: at an epoch's end; ``None`` within it.
        learning_rate: in force, before the schedule's fall.
        tokens_per_second: label tokens; 0 at an epoch's end.
        kl: of a network with a latent variable, at an epoch's end: see ``mean_kl``.
    """

    epoch: int
    fraction: float
    loss: float
    valid_perplexity: float | None
    learning_rate: float
    tokens_per_second: float
    kl: float | None = None


Report = Callable[[Progress], None]


@torch.no_grad()
def perplexity(
    model: EncoderDecoder[Any], examples: Sequence[Example], *, batch_size: int = 256
) -> float:
    """Give ``exp`` of the mean negative log-likelihood a label token, end symbols included.

    A latent variable is the mean of its prior, as when the chatbot answers without drawing.

    Raises:
        CorpusError: there is no example.
    """
    if not examples:
        raise CorpusError("Perplexity needs at least one example with words on both sides; got 0.")
    was_training = model.training
    model.eval()
    total = tokens = 0.0
    for source, labels in batches(examples, batch_size, derive(0, "perplexity"), model.pad):
        logits, _ = model.decode(shift_right(labels), model.encode(source))
        count = float((labels != PAD).sum())
        total += float(cross_entropy(logits, labels)) * count
        tokens += count
    model.train(was_training)
    mean = total / tokens
    return math.inf if mean > _LARGEST_EXPONENT else math.exp(mean)


@final
class SupervisedTrainer:
    """Trains a network and can stop and go on at any batch.

    Args:
        model: trained in place; at the end it holds the weights of the best validation epoch.
        settings: of this stage.
        seed: the run's seed.
        folder: where the state and the best weights are kept; made if absent.
        report: called after each batch and each epoch.
        variational: for a network with a latent variable; others do not look at it.
        origin: where first weights come from, if not from the seed alone: hashes, by name. A saved
            training with others is refused.
    """

    def __init__(
        self,
        model: EncoderDecoder[Any],
        settings: SupervisedSettings,
        *,
        seed: int,
        folder: Path,
        report: Report = lambda _: None,
        variational: VariationalSettings | None = None,
        origin: Mapping[str, str] | None = None,
    ) -> None:
        self._model, self._settings, self._seed = model, settings, seed
        self._folder, self._report = folder, report
        self._variational = variational or VariationalSettings()
        self._origin = origin or {}
        kind = torch.optim.SGD if settings.optimizer == "sgd" else torch.optim.Adam
        self._optimizer = kind(model.parameters(), lr=settings.learning_rate)
        self._epoch, self._batch, self._best, self._stalls = 1, 0, math.inf, 0
        self._rate = settings.learning_rate
        self._history: list[float] = []
        self._identity: dict[str, Any] = {}

    def fit(self, train: Sequence[Example], valid: Sequence[Example]) -> list[float]:
        """Train to the end; goes on from the folder's state if there is one.

        Returns:
            The validation perplexity after each epoch.

        Raises:
            CorpusError: there is no example to train or to validate on.
            CheckpointError: the saved state is damaged or of another training.
            SetupError: training diverged: no epoch gave a finite validation loss.
        """
        if not train or not valid:
            raise CorpusError(
                "Training needs examples with words on both sides; got "
                f"{len(train)} to train on and {len(valid)} to validate on."
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        self._identity = self._identify(train, valid)
        self._restore()
        while self._epoch <= self._settings.epochs and self._stalls <= self._settings.patience:
            self._run_epoch(train)
            kl = mean_kl(self._model, valid) if isinstance(self._model, Variational) else None
            self._judge(perplexity(self._model, valid), kl)
            self._epoch, self._batch = self._epoch + 1, 0
            self._save()
        best = self._folder / _BEST
        if not best.exists():
            raise SetupError(
                f"Training diverged: validation perplexity was {self._history}; lower "
                f"training.learning_rate ({self._settings.learning_rate:g})."
            )
        load_weights(self._model, load_tensors(best), source=best)
        self._model.eval()
        return self._history

    def _judge(self, value: float, kl: float | None) -> None:
        self._history.append(value)
        if value < self._best:
            self._best, self._stalls = value, 0
            save_tensors(self._model.state_dict(), self._folder / _BEST)
        else:
            self._stalls += 1
            self._rate *= self._settings.decay
        self._report(Progress(self._epoch, 1.0, 0.0, value, self._rate, 0.0, kl))

    def _run_epoch(self, train: Sequence[Example]) -> None:
        settings = self._settings
        self._model.train()
        rng = derive(self._seed, "batches", self._epoch)
        total = math.ceil(len(train) / settings.batch_size)
        running, tokens, started, saved = math.nan, 0, time.monotonic(), time.monotonic()
        made = batches(train, settings.batch_size, rng, self._model.pad)
        for number, (source, labels) in enumerate(made):
            if number < self._batch:
                continue
            loss = self._step(source, labels, number / total)
            running = loss if math.isnan(running) else 0.98 * running + 0.02 * loss
            tokens += int((labels != PAD).sum())
            self._batch = number + 1
            speed = tokens / max(1e-9, time.monotonic() - started)
            self._report(
                Progress(self._epoch, self._batch / total, running, None, self._rate, speed)
            )
            if time.monotonic() - saved > settings.checkpoint_seconds:
                self._save()
                saved = time.monotonic()

    def _step(
        self,
        source: Int[Tensor, "batch *turns source"],
        labels: Int[Tensor, "batch time"],
        done: float,
    ) -> float:
        settings = self._settings
        for group in self._optimizer.param_groups:
            group["lr"] = self._scheduled_rate(done)
        seed = derive_seed(self._seed, "dropout", self._epoch, self._batch)
        rng = torch.Generator().manual_seed(seed)
        with dropout_from(rng), autocast(settings.precision):
            loss = self._loss(source, labels, rng, done)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), settings.clip)
        self._optimizer.step()
        return float(loss.detach())

    def _loss(
        self,
        source: Int[Tensor, "batch *turns source"],
        labels: Int[Tensor, "batch time"],
        rng: torch.Generator,
        done: float,
    ) -> Float[Tensor, ""]:
        model, inputs = self._model, shift_right(labels)
        memory, divergence = model.encode(source), None
        if isinstance(model, Variational):
            memory, divergence = model.infer(memory, labels, rng)
            inputs = hide_words(inputs, self._variational.word_dropout, rng)
        if self._settings.context_dropout > 0:
            rows = torch.rand(len(source), generator=rng) < self._settings.context_dropout
            memory = model.forget(memory, rows)
            divergence = None if divergence is None else divergence[~rows]
        logits, _ = model.decode(inputs, memory)
        loss = cross_entropy(logits, labels)
        if divergence is not None:
            weight = kl_weight(self._share(done), self._variational.kl_warmup)
            penalty = beyond_free(divergence, self._variational.free_nats)
            # nats a token, as the cross-entropy
            loss = loss + weight * penalty / (labels != PAD).sum()
        return loss

    def _share(self, done: float) -> float:
        """Give the share of all epochs that is done."""
        return (self._epoch - 1 + done) / self._settings.epochs

    def _scheduled_rate(self, done: float) -> float:
        settings = self._settings
        if settings.schedule == "stall":
            return self._rate
        return self._rate * max(_LEAST_RATE, 1.0 - self._share(done))

    def _identify(self, train: Sequence[Example], valid: Sequence[Example]) -> dict[str, Any]:
        data = hashlib.sha256(json.dumps([train, valid]).encode()).hexdigest()
        model = self._model
        identity = {
            "settings": self._settings.model_dump(),
            "seed": self._seed,
            "examples": len(train),
            "data": data,
            "network": {
                "architecture": model.architecture,
                **dataclasses.asdict(model.size),
                **self._origin,
            },
        }
        if isinstance(self._model, Variational):
            identity["variational"] = self._variational.model_dump()
        return identity

    def _save(self) -> None:
        numbers = {
            "identity": self._identity,
            "epoch": self._epoch,
            "batch": self._batch,
            "best": self._best,
            "stalls": self._stalls,
            "rate": self._rate,
            "history": self._history,
        }
        weights = with_prefix("model.", self._model.state_dict())
        tensors = {**weights, **optimizer_tensors(self._optimizer)}
        save_state(self._folder, f"{self._epoch}-{self._batch}", numbers=numbers, tensors=tensors)

    def _restore(self) -> None:
        found = load_state(self._folder, self._identity)
        if found is None:
            (self._folder / _BEST).unlink(missing_ok=True)
            return
        numbers, tensors = found
        load_weights(self._model, without_prefix("model.", tensors), source=self._folder)
        restore_optimizer(self._optimizer, tensors)
        self._epoch, self._batch, self._best = numbers["epoch"], numbers["batch"], numbers["best"]
        self._stalls, self._rate = numbers["stalls"], numbers["rate"]
        self._history = numbers["history"]
