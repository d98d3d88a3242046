"""Supervised sequence-to-sequence training: teacher forcing with checkpoints, resume and decay on a stall.

It trains the chatbot (query -> reply, Section 4.1) and pre-trains the generator (reply -> query, "Pre-training" in
Section 5.1.2). The caller says which text is the source.
"""

import contextlib
import dataclasses
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from saywhat.config import SupervisedSettings
from saywhat.errors import CheckpointError
from saywhat.nn.checkpoint import load_tensors, optimizer_tensors, restore_optimizer, save_tensors
from saywhat.nn.seq2seq import Seq2Seq, left_pad, right_pad
from saywhat.rng import derive, derive_seed
from saywhat.text.vocabulary import BOS, PAD, Vocabulary
from saywhat.training.losses import cross_entropy

Example = tuple[list[int], list[int]]


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """What the caller is told after each batch and each epoch.

    Attributes:
        epoch: counted from 1.
        fraction: of the epoch that is done, in (0, 1].
        loss: running training loss, nats a token.
        valid_perplexity: after an epoch's end; ``None`` within it.
        learning_rate: in force.
        tokens_per_second: label tokens.
    """

    epoch: int
    fraction: float
    loss: float
    valid_perplexity: float | None
    learning_rate: float
    tokens_per_second: float


Report = Callable[[Progress], None]


def encode_examples(
    texts: Sequence[tuple[str, str]], vocabulary: Vocabulary, *, max_tokens: int
) -> list[Example]:
    """Turn (source text, label text) into ids; texts without any token are left out."""
    examples = []
    for source, label in texts:
        pair = (
            vocabulary.encode(source, max_tokens=max_tokens),
            vocabulary.encode(label, max_tokens=max_tokens),
        )
        if len(pair[0]) > 1 and len(pair[1]) > 1:
            examples.append(pair)
    return examples


def batches(
    examples: Sequence[Example], size: int, rng: random.Random
) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffle, then group examples of like length, so that little is padding; batch order is random.

    Yields (left-padded source, right-padded labels).
    """
    order = list(range(len(examples)))
    rng.shuffle(order)
    order.sort(key=lambda i: (len(examples[i][0]) // 2, len(examples[i][1])))
    chunks = [order[start : start + size] for start in range(0, len(order), size)]
    rng.shuffle(chunks)
    for chunk in chunks:
        yield (
            left_pad([examples[i][0] for i in chunk]),
            right_pad([examples[i][1] for i in chunk]),
        )


def shift_right(labels: Tensor) -> Tensor:
    """Give the decoder's inputs: the begin symbol, then the labels but the last."""
    start = torch.full((labels.shape[0], 1), BOS, dtype=labels.dtype)
    return torch.cat([start, labels[:, :-1]], dim=1)


def autocast(precision: str) -> contextlib.AbstractContextManager[None]:
    """Give the mixed-precision context of a setting (``"bf16"`` or ``"fp32"``)."""
    if precision == "bf16":
        return torch.autocast("cpu", torch.bfloat16)
    return contextlib.nullcontext()


@torch.no_grad()
def perplexity(model: Seq2Seq, examples: Sequence[Example], *, batch_size: int = 256) -> float:
    """Give ``exp`` of the mean negative log-likelihood a label token, end symbols included."""
    was_training = model.training
    model.eval()
    total = tokens = 0.0
    for source, labels in batches(examples, batch_size, derive(0, "perplexity")):
        logits, _ = model.decode(shift_right(labels), model.encode(source))
        count = float((labels != PAD).sum())
        total += float(cross_entropy(logits, labels)) * count
        tokens += count
    model.train(was_training)
    return math.exp(total / tokens)


@final
class SupervisedTrainer:
    """Trains a ``Seq2Seq`` and can stop and go on at any batch.

    Args:
        model: trained in place; at the end it holds the weights of the best validation epoch.
        settings: of this stage.
        seed: the run's seed.
        folder: where ``state.safetensors`` and ``state.json`` are kept.
        report: called after each batch and each epoch.
    """

    def __init__(
        self,
        model: Seq2Seq,
        settings: SupervisedSettings,
        *,
        seed: int,
        folder: Path,
        report: Report = lambda progress: None,
    ) -> None:
        self._model, self._settings, self._seed = model, settings, seed
        self._folder, self._report = folder, report
        if settings.optimizer == "sgd":
            self._optimizer: torch.optim.Optimizer = torch.optim.SGD(
                model.parameters(), lr=settings.learning_rate
            )
        else:
            self._optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
        self._epoch, self._batch, self._best, self._stalls = 1, 0, math.inf, 0
        self._rate = settings.learning_rate
        self._history: list[float] = []

    def fit(self, train: Sequence[Example], valid: Sequence[Example]) -> list[float]:
        """Train to the end; goes on from the folder's state if there is one.

        Returns:
            The validation perplexity after each epoch.

        Raises:
            CheckpointError: the saved state is of another training.
        """
        self._restore(len(train))
        while self._epoch <= self._settings.epochs and self._stalls <= self._settings.patience:
            self._run_epoch(train)
            value = perplexity(self._model, valid)
            self._history.append(value)
            if value < self._best:
                self._best, self._stalls = value, 0
                save_tensors(dict(self._model.state_dict()), self._folder / "best.safetensors")
            else:
                self._stalls += 1
                self._rate *= self._settings.decay
            self._report(Progress(self._epoch, 1.0, 0.0, value, self._rate, 0.0))
            self._epoch, self._batch = self._epoch + 1, 0
            self._save(len(train))
        if (self._folder / "best.safetensors").exists():
            self._model.load_state_dict(load_tensors(self._folder / "best.safetensors"))
        self._model.eval()
        return self._history

    def _run_epoch(self, train: Sequence[Example]) -> None:
        settings = self._settings
        self._model.train()
        rng = derive(self._seed, "batches", self._epoch)
        total = math.ceil(len(train) / settings.batch_size)
        running, tokens, started, saved = math.nan, 0, time.monotonic(), time.monotonic()
        for number, (source, labels) in enumerate(batches(train, settings.batch_size, rng)):
            if number < self._batch:
                continue
            loss = self._step(source, labels, number / total)
            running = loss if math.isnan(running) else 0.98 * running + 0.02 * loss
            tokens += int((labels != PAD).sum())
            self._batch = number + 1
            speed = tokens / (time.monotonic() - started)
            self._report(
                Progress(self._epoch, self._batch / total, running, None, self._rate, speed)
            )
            if time.monotonic() - saved > settings.checkpoint_seconds:
                self._save(len(train))
                saved = time.monotonic()

    def _step(self, source: Tensor, labels: Tensor, position: float) -> float:
        settings = self._settings
        for group in self._optimizer.param_groups:
            group["lr"] = self._scheduled_rate(position)
        # dropout and context dropout draw from a source named by the step, so that a resumed run draws the same
        state = torch.random.get_rng_state()
        rng = torch.Generator().manual_seed(
            derive_seed(self._seed, "dropout", self._epoch, self._batch)
        )
        torch.random.set_rng_state(rng.get_state())
        try:
            with autocast(settings.precision):
                memory = self._model.encode(source)
                if settings.context_dropout > 0:
                    rows = torch.rand(len(source), generator=rng) < settings.context_dropout
                    memory = self._model.forget(memory, rows)
                logits, _ = self._model.decode(shift_right(labels), memory)
                loss = cross_entropy(logits, labels)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), settings.clip)
            self._optimizer.step()
        finally:
            torch.random.set_rng_state(state)
        return float(loss.detach())

    def _scheduled_rate(self, position: float) -> float:
        settings = self._settings
        if settings.schedule == "stall":
            return self._rate
        # linear to a twentieth over the planned epochs
        done = (self._epoch - 1 + position) / settings.epochs
        return self._rate * max(0.05, 1.0 - done)

    def _identity(self, size: int) -> dict[str, object]:
        return {"settings": self._settings.model_dump(), "seed": self._seed, "examples": size}

    def _save(self, size: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        weights = {f"model.{name}": value for name, value in self._model.state_dict().items()}
        state = {
            "identity": self._identity(size), "epoch": self._epoch, "batch": self._batch, "best": self._best,
            "stalls": self._stalls, "rate": self._rate, "history": self._history,
        }  # fmt: skip
        # the numbers travel inside the tensor file's name order: the JSON is written last and names the step it belongs to
        tensors = {**weights, **optimizer_tensors(self._optimizer)}
        name = f"state-{self._epoch}-{self._batch}.safetensors"
        save_tensors(tensors, self._folder / name)
        partial = self._folder / "state.json.partial"
        partial.write_text(json.dumps({**state, "tensors": name}), encoding="utf-8")
        partial.replace(self._folder / "state.json")
        for old in self._folder.glob("state-*.safetensors"):
            if old.name != name:
                old.unlink()

    def _restore(self, size: int) -> None:
        path = self._folder / "state.json"
        if not path.exists():
            return
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["identity"] != self._identity(size):
            raise CheckpointError(
                f"{self._folder} holds an unfinished training with other settings, seed or data; "
                "give another folder, or remove this one to start anew."
            )
        tensors = load_tensors(self._folder / state["tensors"])
        self._model.load_state_dict(
            {name[6:]: value for name, value in tensors.items() if name.startswith("model.")}
        )
        restore_optimizer(self._optimizer, tensors)
        self._epoch, self._batch, self._best = state["epoch"], state["batch"], state["best"]
        self._stalls, self._rate, self._history = state["stalls"], state["rate"], state["history"]
