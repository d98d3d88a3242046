"""The measures of an experiment, made once for each chatbot, and evaluations with them."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

from saywhat.audit import AuditReports
from saywhat.config import (
    AuditSettings,
    ChatbotSettings,
    ExperimentSettings,
    SimilaritySettings,
    TrainSettings,
)
from saywhat.corpora.targets import limit_per_group
from saywhat.experiment import stages
from saywhat.experiment.design import Method
from saywhat.experiment.evaluate import SILENT, Scales, evaluate
from saywhat.experiment.paper import LISTS, RAW
from saywhat.experiment.queries import QueryMeasures
from saywhat.experiment.sources import renew
from saywhat.experiment.stages import Place
from saywhat.interfaces import Similarity
from saywhat.nn.checkpoint import WEIGHTS
from saywhat.records import Target, write_jsonl
from saywhat.registry import ASSETS
from saywhat.similarity.make import make_similarity
from saywhat.similarity.null import null_by_group


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Everything that an experiment depends on: the sections of a settings file."""

    experiment: ExperimentSettings
    audit: AuditSettings
    train: TrainSettings
    chatbot_training: ChatbotSettings


@final
class Evaluations:
    """Evaluates methods, with the similarities and the language model that all have in common.

    Args:
        settings: of the experiment.
        audits: who is told of the progress of each.
    """

    def __init__(self, settings: Settings, audits: AuditReports = SILENT) -> None:
        self._settings, self._audits = settings, audits
        self._scales: dict[tuple[str, str, str], Scales] = {}

    def evaluate(
        self,
        place: Place,
        generators: Path,
        method: Method,
        seed: int,
        targets: Sequence[Target],
        folder: Path,
        *,
        listed: str = "test",
        settings: AuditSettings | None = None,
    ) -> dict[str, Any]:
        """Evaluate a method.

        Args:
            place: of the chatbot.
            generators: the folder of the generators ``generator`` and ``pretrained``.
            method: the method.
            seed: of the search.
            targets: what it shall say.
            folder: the run folder.
            listed: the list that the targets are of, over which the null is; ``""`` for none, and
                then it is over the targets themselves.
            settings: of the audit, if not those of the experiment.

        Returns:
            As ``experiment.evaluate.evaluate``. A run that asked other targets, or was guided by
            another generator, is not gone on with.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        file = folder.with_name(f"{folder.name}.targets.jsonl")
        write_jsonl(targets, file)
        trained = {"rl": "generator", "pretrained": "pretrained"}.get(method.generator)
        plain = (settings or self._settings.audit).model_dump()
        plain |= {
            "chatbot": place.spec,
            "generator": str(generators / trained) if trained else "builtin",
            "targets": str(file),
            "reference": str(place.corpus / "reference.jsonl.xz"),
            "limit": None,
            "seed": seed,
        }
        plain["search"]["agent"] |= {"folder": str(place.folder / "agent")}
        made = AuditSettings.model_validate(plain)
        weights = [generators / trained / WEIGHTS] if trained else []
        sources = [file, Path(plain["reference"]), *weights]
        note = folder.with_name(f"{folder.name}.sources.json")
        renew([folder], sources, note, at=folder.resolve())
        scales = self.scales_of(place, listed, targets, made.similarity)
        return evaluate(
            method, made, targets, scales, label=place.label, folder=folder, reports=self._audits
        )

    def targets(self, place: Place, name: str, per_group: int | None) -> list[Target]:
        """Give the held-out targets of a chatbot's list, the first of each group."""
        targets = [t for t in stages.targets_of(place, name) if t.list in LISTS]
        return limit_per_group(targets, per_group)

    @functools.cache  # noqa: B019  (an experiment lives as long as its process)
    def measures(self) -> QueryMeasures:
        """Give what queries are measured by."""
        corpus, words = self._settings.experiment.corpus, self._settings.train.collect.max_words
        return QueryMeasures.of_corpus(corpus, max_words=words)

    def scales_of(
        self, place: Place, listed: str, targets: Sequence[Target], settings: SimilaritySettings
    ) -> Scales:
        """Give what a chatbot's replies are measured by; the arguments are those of ``evaluate``.

        Targets of no list are the same ones at every call.
        """
        key = (str(place.folder), listed, settings.name)
        if key not in self._scales:
            paper = [] if settings.name == "contains" else [RAW]
            names = list(dict.fromkeys([settings.name, *paper]))
            judge = self._settings.experiment.judge
            judges = [] if judge == "none" or not paper else [judge]
            made = {
                name: similarity_of(settings.model_copy(update={"name": name}))
                for name in [*names, *judges]
            }
            whole = self.targets(place, listed, None) if listed else targets
            replies = [pair.reply for pair in stages.pairs_of(place)]
            self._scales[key] = Scales(
                {name: made[name] for name in names},
                {name: made[name] for name in judges},
                {
                    name: null_by_group(similarity, whole, replies=replies, seed=1)
                    for name, similarity in made.items()
                },
                self.measures(),
            )
        return self._scales[key]


@functools.cache
def similarity_of(settings: SimilaritySettings) -> Similarity:
    """Make the similarity that settings name, once; every chatbot has the same centre."""
    return make_similarity(settings.name, vectors=settings.vectors, centre=ASSETS / "centre.npy")
