"""The experiment, part by part, in order: from nothing to every number of the page.

::

    chatbot -> corpus and lists -> for each seed: pre-train, REINFORCE, evaluate every method
            -> searches by budget -> ablations -> other chatbots, the same way

``Experiment.steps`` is the whole list. Each is a part (``experiment.parts``): a finished one is
never done again.
"""

import dataclasses
import fnmatch
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from saywhat.config import (
    AuditSettings,
    ChatbotSettings,
    ExperimentSettings,
    SimilaritySettings,
    TrainSettings,
)
from saywhat.corpora.targets import limit_per_group
from saywhat.experiment import stages
from saywhat.experiment.design import (
    ABLATED,
    GUIDED,
    UNGUIDED,
    ablated,
    ablations,
    other_chatbot,
)
from saywhat.experiment.evaluate import Method, Scales, evaluate
from saywhat.experiment.parts import Parts
from saywhat.experiment.stages import Place
from saywhat.interfaces import Closable
from saywhat.records import Target, write_jsonl
from saywhat.registry import ASSETS, load_chatbot
from saywhat.rng import derive_seed
from saywhat.similarity.make import make_similarity
from saywhat.similarity.null import null_scores

RAW = "embedding-average"


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Everything that an experiment depends on: the sections of a settings file."""

    experiment: ExperimentSettings
    audit: AuditSettings
    train: TrainSettings
    chatbot_training: ChatbotSettings


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A part that is to be done: its name and how."""

    name: str
    make: Callable[[], dict[str, Any]]


@final
class Experiment:
    """The paper's experiment for one main chatbot and the others.

    Args:
        settings: all of it.
        work: where models and run folders go; heavy, and made anew if it is lost.
        parts: the finished parts.
        tell: is told what begins.
    """

    def __init__(
        self,
        settings: Settings,
        work: Path,
        parts: Parts,
        *,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings, self._work, self._parts, self._tell = settings, work, parts, tell
        self._scales: dict[str, Scales] = {}

    def run(self, only: str = "*") -> None:
        """Do every part whose name fits a pattern and that is not finished."""
        for step in self.steps():
            if fnmatch.fnmatch(step.name, only):
                if self._parts.outcome(step.name) is None:
                    self._tell(step.name)
                self._parts.do(step.name, step.make)

    def steps(self) -> Iterator[Step]:
        """Give every part, in the order in which they need each other."""
        experiment, train = self._settings.experiment, self._settings.train
        main = self._place("main", experiment.chatbot)
        first, *_ = experiment.seeds
        if experiment.chatbot == "train":
            yield self._chatbot("main", self._settings.chatbot_training, main)
        yield from self._road("main", main, train, experiment.seeds, experiment.per_group)
        yield from self._ablations(main, first)
        for name in experiment.others:
            yield from self._other(name, first)

    def rows(self) -> list[dict[str, Any]]:
        """Give the rows of all finished evaluations, each with the part that it comes from."""
        found: list[dict[str, Any]] = []
        for step in self.steps():
            outcome = self._parts.outcome(step.name) or {}
            for made in (outcome, *outcome.get("methods", {}).values()):
                found += [{"part": step.name, **row} for row in made.get("rows", [])]
        return found

    # ---------------------------------------------------------------- one chatbot

    def _place(self, name: str, spec: str) -> Place:
        folder = self._work / name
        trained = f"seq2seq:{folder / 'chatbot' / 'model'}"
        return Place(folder, trained if spec == "train" else spec)

    def _chatbot(self, name: str, settings: ChatbotSettings, place: Place) -> Step:
        corpus, seed = self._settings.experiment.corpus, self._settings.experiment.seeds[0]
        folder = place.folder / "chatbot"
        return Step(
            f"chatbot/{name}",
            lambda: stages.make_chatbot(settings, corpus, folder, seed=seed, tell=self._tell),
        )

    def _road(
        self,
        name: str,
        place: Place,
        train: TrainSettings,
        seeds: Sequence[int],
        per_group: int | None,
    ) -> Iterator[Step]:
        train = train.model_copy(update={"corpus": self._settings.experiment.corpus})
        collecting = train.model_copy(update={"seed": seeds[0]})
        yield Step(f"collect/{name}", lambda: stages.collect(collecting, place, self._tell))
        for seed in seeds:
            yield from self._generator(name, place, train, seed)
            methods = [*(UNGUIDED if seed == seeds[0] else ()), *GUIDED]
            for method in methods:
                yield self._evaluation(name, place, method, seed, per_group)

    def _generator(
        self, name: str, place: Place, train: TrainSettings, seed: int
    ) -> Iterator[Step]:
        seeded = train.model_copy(update={"seed": seed})
        folder = place.seed(seed)
        yield Step(
            f"pretrain/{name}/seed-{seed}",
            lambda: stages.pretrain(seeded, place, folder, self._tell),
        )
        yield Step(
            f"reinforce/{name}/seed-{seed}",
            lambda: stages.reinforce(seeded, place, folder, self._tell),
        )

    def _evaluation(
        self, name: str, place: Place, method: Method, seed: int, per_group: int | None
    ) -> Step:
        def make() -> dict[str, Any]:
            targets = self._targets(place, "test", per_group)
            return self._evaluate(place, place.seed(seed), method, seed, targets)

        return Step(f"evaluate/{name}/seed-{seed}/{method.name}", make)

    def _other(self, name: str, seed: int) -> Iterator[Step]:
        experiment = self._settings.experiment
        place = self._place(name, "train")
        settings = other_chatbot(
            name, self._settings.chatbot_training, epochs=experiment.others_epochs
        )
        yield self._chatbot(name, settings, place)
        plain = self._settings.train.model_dump()
        plain["collect"] |= {"posts": experiment.others_posts}
        plain["reinforce"] |= {"steps": experiment.others_steps}
        train = TrainSettings.model_validate(plain)
        yield from self._road(name, place, train, [seed], experiment.others_per_group)

    def _ablations(self, place: Place, seed: int) -> Iterator[Step]:
        experiment = self._settings.experiment
        for name, change in ablations(experiment).items():
            folder = self._work / "ablation" / name
            settings = ablated(
                self._settings.train.model_copy(update={"seed": seed}),
                change,
                steps=experiment.ablation_steps,
            )

            def make(
                folder: Path = folder,
                settings: TrainSettings = settings,
                own_pretraining: bool = bool(change.pretrain),
            ) -> dict[str, Any]:
                stages.share(place.corpus, folder)
                if not own_pretraining and not (folder / "pretrained").exists():
                    stages.lend(place.seed(seed) / "pretrained", folder / "pretrained")
                outcome: dict[str, Any] = {}
                if own_pretraining:
                    outcome["pretrain"] = stages.pretrain(settings, place, folder, self._tell)
                outcome["reinforce"] = stages.reinforce(settings, place, folder, self._tell)
                targets = self._targets(place, "validation", experiment.ablation_per_group)
                outcome["methods"] = {
                    method.name: self._evaluate(place, folder, method, seed, targets)
                    for method in ABLATED
                }
                return outcome

            yield Step(f"ablation/{name}", make)

    # ---------------------------------------------------------------- evaluating

    def _evaluate(
        self, place: Place, generators: Path, method: Method, seed: int, targets: list[Target]
    ) -> dict[str, Any]:
        folder = generators / "runs" / method.name
        folder.parent.mkdir(parents=True, exist_ok=True)
        listed = folder.parent / "targets.jsonl"
        write_jsonl(targets, listed)
        trained = {"rl": "generator", "pretrained": "pretrained"}.get(method.generator)
        plain = self._settings.audit.model_dump()
        plain |= {
            "chatbot": place.spec,
            "generator": str(generators / trained) if trained else "builtin",
            "targets": str(listed),
            "reference": str(place.corpus / "reference.jsonl.xz"),
            "limit": None,
            "seed": seed,
        }
        settings = AuditSettings.model_validate(plain)
        chatbot = load_chatbot(place.spec, connection=settings.connection, model=settings.model)
        try:
            return evaluate(
                method, settings, targets, self._scales_of(place), chatbot=chatbot, folder=folder
            )
        finally:
            if isinstance(chatbot, Closable):
                chatbot.close()

    def _targets(self, place: Place, name: str, per_group: int | None) -> list[Target]:
        targets = [t for t in stages.targets_of(place, name) if t.list in {"generated", "real"}]
        return limit_per_group(targets, per_group)

    def _scales_of(self, place: Place) -> Scales:
        key = str(place.folder)
        if key not in self._scales:
            settings = self._settings.audit.similarity
            names = list(dict.fromkeys([settings.name, RAW]))
            judge = self._settings.experiment.judge
            judges = [] if judge == "none" else [judge]
            made = {name: _similarity(name, settings) for name in [*names, *judges]}
            texts = [target.text for target in self._targets(place, "test", None)]
            replies = stages.replies_of(place)
            self._scales[key] = Scales(
                {name: made[name] for name in names},
                {name: made[name] for name in judges},
                {
                    name: null_scores(
                        similarity,
                        texts,
                        replies=replies,
                        rng=np.random.default_rng(derive_seed(1, "null", name)),
                    )
                    for name, similarity in made.items()
                },
            )
        return self._scales[key]


def _similarity(name: str, settings: SimilaritySettings) -> Any:
    return make_similarity(name, vectors=settings.vectors, centre=ASSETS / "centre.npy")


def plain(settings: Settings) -> dict[str, Any]:
    """Give what the parts depend on, as plain values: pace and budgets do not matter."""
    free = {"limits", "connection"}
    return {
        "experiment": settings.experiment.model_dump(mode="json"),
        "audit": settings.audit.model_dump(mode="json", exclude=free),
        "train": settings.train.model_dump(mode="json", exclude=free),
        "chatbot_training": settings.chatbot_training.model_dump(mode="json"),
    }
