"""The training stages of an experiment, one part each, for a chatbot and a generator seed."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, final

import torch

from saywhat.config import ChatbotSettings, DecodingSettings, TrainSettings
from saywhat.corpora.files import read_pairs
from saywhat.corpora.load import load_conversations
from saywhat.corpora.targets import read_targets
from saywhat.errors import SetupError
from saywhat.experiment.sources import renew, set_aside
from saywhat.ledger import Ledger
from saywhat.nn.chatbot_checkpoint import load_chatbot
from saywhat.nn.checkpoint import DESCRIPTION, WEIGHTS, read_json, save_model
from saywhat.pipeline import Reports, Training, train_chatbot
from saywhat.records import Pair, Target
from saywhat.registry import ASSETS
from saywhat.runs.files import file_hash, write_atomically

_CARD: Final = ("validation_perplexity", "validation_kl", "training_pairs")
_TRAINED: Final = ("pretrain", "pretrained", "reinforce", "generator")
_SHARED: Final = ("reference.jsonl.xz", "targets/test.jsonl", "targets/validation.jsonl")


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where the stages of one chatbot leave their work.

    Attributes:
        folder: of this chatbot.
        spec: how to ask it.
        label: its name in result files, which hold no path of a machine.
    """

    folder: Path
    spec: str
    label: str

    @property
    def model(self) -> Path | None:
        """The checkpoint of a chatbot of the built-in kind; of another, nothing is known."""
        kind, _, path = self.spec.partition(":")
        if self.spec == "builtin":
            return ASSETS / "chatbot"
        return Path(path) if kind == "seq2seq" else None

    @property
    def corpus(self) -> Path:
        """The folder of the reference corpus and the target lists."""
        return self.folder / "corpus"

    def seed(self, seed: int) -> Path:
        """Give the folder of a generator."""
        return self.folder / f"seed-{seed}"


def make_chatbot(
    settings: ChatbotSettings, corpus: str, folder: Path, *, seed: int, reports: Reports
) -> dict[str, Any]:
    """Train a chatbot; give its size and validation perplexities."""
    reports.stage("Training the chatbot")
    conversations, report = load_conversations(corpus), reports.supervised
    model = train_chatbot(settings, conversations, seed=seed, folder=folder, report=report)
    return _chatbot_card(model)


def sampling_chatbot(model: Path, settings: DecodingSettings, folder: Path) -> dict[str, Any]:
    """Make a chatbot of the same network that draws its replies; give what ``make_chatbot`` does.

    Args:
        model: the checkpoint of the chatbot that does not.
        settings: how it is to write.
        folder: of the new one.
    """
    found = load_chatbot(model)
    description = read_json(model / DESCRIPTION, what="a chatbot")
    kept: dict[str, Any] = {key: description[key] for key in _CARD if key in description}
    save_model(
        found.model,
        found.vocabulary,
        folder / "model",
        kind="chatbot",
        extra={**kept, "decoding": settings.model_dump()},
        dtype=torch.float16,
    )
    return _chatbot_card(folder / "model")


def draws(model: Path) -> bool:
    """Whether a checkpoint's chatbot draws its replies; one that is not there does not."""
    path = model / DESCRIPTION
    decoding = read_json(path, what="a chatbot").get("decoding") if path.exists() else None
    return float((decoding or {}).get("temperature") or 0.0) > 0


def reseeded(model: Path, folder: Path, *, seed: int) -> Path:
    """Make a chatbot that writes as another does but draws otherwise; give its checkpoint."""
    settings = load_chatbot(model).decoding
    sampling_chatbot(model, DecodingSettings.model_validate({**settings, "seed": seed}), folder)
    return folder / "model"


def _chatbot_card(model: Path) -> dict[str, Any]:
    description = read_json(model / DESCRIPTION, what="a chatbot")
    return {key: description.get(key) for key in ("size", "decoding", *_CARD)}


@contextmanager
def training(
    settings: TrainSettings, place: Place, folder: Path, reports: Reports
) -> Iterator[Training]:
    """Open a work folder for stages."""
    of_this = settings.model_copy(update={"chatbot": place.spec})
    with Training(of_this, folder, reports) as opened:
        yield opened


def collect(settings: TrainSettings, place: Place, reports: Reports) -> dict[str, Any]:
    """Ask for the reference corpus and the lists; give their sizes and what they cost."""
    with training(settings, place, place.corpus, reports) as stages:
        pairs = stages.collect()
    lists: dict[str, dict[str, int]] = {}
    for name in ("test", "validation"):
        for target in targets_of(place, name):
            group = lists.setdefault(name, {})
            key = f"{target.list} {target.length}"
            group[key] = group.get(key, 0) + 1
    return {
        "pairs": len(pairs),
        "distinct_replies": len({pair.reply for pair in pairs}),
        "lists": lists,
        "test": [target.text for target in targets_of(place, "test") if not target.seen],
        "queries": counts(place.corpus),
    }


def pretrain(
    settings: TrainSettings, place: Place, folder: Path, reports: Reports
) -> dict[str, Any]:
    """Pre-train a generator; give its validation perplexities."""
    share(place.corpus, folder)
    with training(settings, place, folder, reports) as stages:
        stages.check_targets()
        generator = stages.pretrain()
    description = read_json(folder / "pretrained" / DESCRIPTION, what="a generator")
    return {
        "pairs": len(read_pairs(folder / _SHARED[0])),
        "parameters": sum(p.numel() for p in generator.parameters()),
        "validation_perplexity": description.get("validation_perplexity"),
    }


def reinforce(
    settings: TrainSettings, place: Place, folder: Path, reports: Reports
) -> dict[str, Any]:
    """Train a generator by REINFORCE; give its learning curve and what it cost."""
    if share(place.corpus, folder):
        raise SetupError(
            f"{place.corpus} did not come out as the corpus that the generator in {folder} was "
            "pre-trained on. Run the same command again to pre-train it anew; or begin anew with "
            "another --out, since what is finished is of the corpus before."
        )
    made = [folder / "reinforce", folder / "generator"]
    renew(made, [folder / "pretrained" / WEIGHTS], folder / "reinforce.sources.json")
    with training(settings, place, folder, reports) as stages:
        stages.reinforce()
    description = read_json(folder / "generator" / DESCRIPTION, what="a generator")
    return {
        "validation_similarity": description.get("validation_similarity"),
        "metrics": _metrics(folder / "reinforce" / "metrics.jsonl"),
        "queries": counts(folder),
    }


def targets_of(place: Place, name: str) -> list[Target]:
    """Read a target list that ``collect`` made: ``test`` or ``validation``."""
    return list(read_targets(place.corpus / "targets" / f"{name}.jsonl"))


def share(corpus: Path, folder: Path) -> bool:
    """Give a generator's folder the corpus and the lists of its chatbot.

    A generator that was trained on others is set aside. Runs are not: they know their own sources.

    Returns:
        Whether anything was set aside.
    """
    other = [
        name
        for name in _SHARED
        if not (folder / name).exists()
        or (folder / name).read_bytes() != (corpus / name).read_bytes()
    ]
    stale = [path for name in _TRAINED if (path := folder / name).exists()]
    stale = stale if any((folder / name).exists() for name in other) else []
    for path in stale:
        set_aside(path)
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    for name in other:
        write_atomically(folder / name, (corpus / name).read_bytes())
    return bool(stale)


def counts(folder: Path) -> dict[str, Any]:
    """Give what a folder's ledger counted, by phase."""
    found = Ledger.counts_of(folder / "ledger.sqlite")
    return {phase: dataclasses.asdict(c) for phase, c in found.items() if c.asked}


def _metrics(path: Path, *, every: int = 50) -> list[dict[str, Any]]:
    """Give every fiftieth line of the learning curve, those that validated, and the last."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        line
        for n, line in enumerate(lines, start=1)
        if n % every == 0 or n == len(lines) or line["validation"] is not None
    ]


def pairs_of(place: Place) -> list[Pair]:
    """Give ordinary posts and the chatbot's replies to them."""
    return read_pairs(place.corpus / _SHARED[0])


def lend(generator: Path, folder: Path) -> None:
    """Copy a generator to where a stage will look for it, unless the same one is there."""
    if folder.exists():
        if file_hash(folder / WEIGHTS) == file_hash(generator / WEIGHTS):
            return
        set_aside(folder)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.copytree(generator, partial, dirs_exist_ok=True)
    partial.replace(folder)
