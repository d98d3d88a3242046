"""``saywhat train`` and its stages ``collect``, ``pretrain`` and ``reinforce``."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from saywhat.cli.flags import Call
from saywhat.cli.output import Output
from saywhat.cli.progress import Progress, SendingRate
from saywhat.errors import SetupError

if TYPE_CHECKING:
    from saywhat.pipeline import Reports
    from saywhat.training.metrics import StepMetrics
    from saywhat.training.supervised import Progress as Epochs


def train(call: Call) -> None:
    """Train a generator: all three stages."""
    _run_stage(call, "run")


def collect(call: Call) -> None:
    """Stage 1: ask ordinary posts; make lists."""
    _run_stage(call, "collect")


def pretrain(call: Call) -> None:
    """Stage 2: learn reply -> query from them."""
    _run_stage(call, "pretrain")


def reinforce(call: Call) -> None:
    """Stage 3: learn from asking (REINFORCE)."""
    _run_stage(call, "reinforce")


def out_folder(call: Call) -> Path:
    """Give the folder of ``--out``, which a training needs."""
    if (out := call.text("out")) is None:
        raise SetupError("Expected --out DIR, the folder that keeps all of the training; got none.")
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise SetupError(f"Expected a folder for --out, but {folder} is a file; choose another.")
    return folder


@final
class TrainingTalk:
    """What a training says while it runs.

    Args:
        output: where talk goes.
        progress: shows how far it is.
        steps: of REINFORCE, at most.
    """

    def __init__(self, output: Output, progress: Progress, *, steps: int = 0) -> None:
        self._output, self._progress, self._steps = output, progress, steps
        self._rate, self._loss = SendingRate(), float("nan")

    def reports(self) -> "Reports":
        """Give it as the pipeline takes it."""
        from saywhat.pipeline import Reports

        return Reports(
            stage=self.stage,
            asked=self.asked,
            sent=self.sent,
            supervised=self.supervised,
            reinforce=self.reinforce,
        )

    def stage(self, text: str) -> None:
        """Say which stage begins."""
        self._output.talk(text)
        self._progress.another()
        self._rate = SendingRate()

    def sent(self, number: int) -> None:
        """Count queries that left."""
        self._rate.add(number)

    def asked(self, done: int, total: int) -> None:
        """Show how many posts are asked."""
        self._progress.show("Asking", done, total, f"{done:,} of {total:,} · {self._rate}")

    def supervised(self, at: "Epochs") -> None:
        """Show a batch; say the end of an epoch."""
        if at.valid_perplexity is not None:
            latent = "" if at.kl is None else f" · KL {at.kl:.2f} nats a reply"
            self._output.talk(
                f"Epoch {at.epoch}: loss {self._loss:.3f} · validation perplexity "
                f"{at.valid_perplexity:.1f}{latent} · learning rate {at.learning_rate:.2g}"
            )
            return
        self._loss = at.loss
        note = f"loss {at.loss:.3f} · {at.tokens_per_second:,.0f} tokens/s"
        self._progress.show(f"Epoch {at.epoch}", at.fraction, 1.0, note)

    def reinforce(self, at: "StepMetrics") -> None:
        """Show a step; say an evaluation."""
        note = (
            f"reward {at.reward:.3f} · success {at.success:.0%} · distinct "
            f"{at.distinct_queries:.0%} · entropy {at.entropy:.2f} · "
            f"kl {round(at.kl, 3) + 0.0:.3f} · {self._rate}"
        )
        if at.validation is not None:
            self._output.talk(f"Step {at.step}: validation similarity {at.validation:.3f} · {note}")
        self._progress.show("Reinforce", at.step, self._steps or None, note)


def _run_stage(call: Call, stage: str) -> None:
    from saywhat.cli.settings import settings_of
    from saywhat.pipeline import Training

    settings = settings_of(call, "train").train
    folder = out_folder(call)
    with Progress(call.output) as progress:
        told = TrainingTalk(call.output, progress, steps=settings.reinforce.steps)
        with Training(settings, folder, told.reports()) as training:
            getattr(training, stage)()
    made = _made(folder)
    if call.output.as_json:
        call.output.document({**made, "queries": _queries(folder)})
        return
    for name, path in made.items():
        call.output.line(f"{name:14}{path}")
    if "generator" in made:
        words = ["saywhat", "audit", "--chatbot", settings.chatbot]
        for flag in ("generator", "targets", "reference"):
            words += [f"--{flag}", made[flag]]
        call.output.talk(f"Next: {shlex.join(words)}")


def _made(folder: Path) -> dict[str, str]:
    places = {
        "reference": folder / "reference.jsonl.xz",
        "targets": folder / "targets" / "test.jsonl",
        "pretrained": folder / "pretrained",
        "generator": folder / "generator",
    }
    return {name: str(path) for name, path in places.items() if path.exists()}


def _queries(folder: Path) -> dict[str, Any]:
    import dataclasses

    from saywhat.ledger import Ledger

    ledger = folder / "ledger.sqlite"
    counts = Ledger.counts_of(ledger) if ledger.exists() else {}
    return {phase: dataclasses.asdict(count) for phase, count in counts.items() if count.asked}
