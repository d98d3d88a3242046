"""What there is to do, as a list: every part of an experiment, and what each needs.

::

    chatbot -> corpus and lists -> for each seed: pre-train, REINFORCE, evaluate every method
            -> searches by budget, agent, oracle, keywords
            -> ablations -> other chatbots, the same way -> probes -> what was found, asked again
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

from saywhat.audit import AuditReports
from saywhat.config import AuditSettings, ChatbotSettings, TrainSettings
from saywhat.corpora.load import load_conversations
from saywhat.corpora.pairs import posts
from saywhat.corpora.splits import split
from saywhat.experiment import extras, stages
from saywhat.experiment.binding import plain, searched_with
from saywhat.experiment.checks import check_needed, check_same_chatbot, check_same_corpus
from saywhat.experiment.design import (
    ABLATED,
    GUIDED,
    KEYWORDS,
    UNGUIDED,
    UNTRAINED,
    Ablation,
    Method,
    ablated,
    ablations,
    agent,
    chosen,
    other_chatbot,
    searches,
)
from saywhat.experiment.evaluate import FINDINGS, SILENT
from saywhat.experiment.evaluations import Evaluations, Settings, similarity_of
from saywhat.experiment.repeats import repeats
from saywhat.experiment.stages import Place
from saywhat.experiment.step import Step
from saywhat.nn.checkpoint import DESCRIPTION
from saywhat.nn.make import MULTI_TURN
from saywhat.pipeline import Reports
from saywhat.records import Finding, read_jsonl


@final
class Steps:
    """The parts of an experiment.

    Args:
        settings: all of it.
        work: where models and run folders go; heavy, and made anew if it is lost.
        reports: who is told of the progress of training.
        audits: who is told of that of evaluations.
    """

    def __init__(
        self,
        settings: Settings,
        work: Path,
        *,
        reports: Reports | None = None,
        audits: AuditReports = SILENT,
    ) -> None:
        self._settings, self._work, self._reports = settings, work, reports or Reports()
        self._evaluations = Evaluations(settings, audits)

    # ---------------------------------------------------------------- the list of parts

    def all(self) -> Iterator[Step]:
        """Give every part, in the order in which they need each other."""
        experiment = self._settings.experiment
        main = self._place("main", experiment.chatbot)
        first, *others = experiment.seeds
        if experiment.chatbot == "train":
            yield self._chatbot("main", self._settings.chatbot_training, main)
        train = self._train({})
        yield from self._road(main, train, first, experiment.per_group)
        yield from self._beside(main, first)
        for name, change in ablations(experiment).items():
            yield self._ablation(main, first, name, change)
        for name in experiment.others:
            yield from self._other(name, main, first)
        for seed in others:
            yield from self._seed(main, train, seed, experiment.per_group)
        if experiment.probe_posts:
            for name in ("main", *experiment.others):
                yield self._probes(main if name == "main" else self._place(name, "train"))
        if experiment.repeats and (self._not_built_in(main) or self._draws(main)):
            yield self._repeat(main, first, experiment.per_group)
        if experiment.repeats and "sampling" in experiment.others:
            sampling = self._place("sampling", "train")
            yield self._repeat(sampling, first, experiment.others_per_group)

    def check(self) -> None:
        """See that everything is as the parts need it: now, not days later.

        Raises:
            SetupError: it is not.
        """
        main = self._place("main", self._settings.experiment.chatbot)
        check_needed(self._settings)
        check_same_corpus(main, self._settings)
        if not self._made_here(main):
            check_same_chatbot(main, self._settings.train)

    def _draws(self, place: Place) -> bool:
        """Whether a chatbot of the built-in kind draws its replies; of others, nothing is known."""
        if self._made_here(place):
            return self._settings.chatbot_training.decoding.temperature > 0
        return place.model is not None and stages.draws(place.model)

    def _train(self, changes: Mapping[str, Mapping[str, Any]]) -> TrainSettings:
        """Give the training settings with changes by section."""
        dumped = self._settings.train.model_dump()
        dumped["corpus"] = self._settings.experiment.corpus
        for section, values in changes.items():
            dumped[section] |= values
        return TrainSettings.model_validate(dumped)

    def _place(self, name: str, spec: str) -> Place:
        folder = self._work / name
        if spec == "train":
            return Place(folder, f"seq2seq:{folder / 'chatbot' / 'model'}", name)
        return Place(folder, spec, spec)

    def _made_here(self, place: Place) -> tuple[str, ...]:
        """Name the step that makes a chatbot, if one does."""
        name = place.folder.name
        mine = name != "main" or self._settings.experiment.chatbot == "train"
        return (f"chatbot/{name}",) if mine else ()

    def _not_built_in(self, place: Place) -> dict[str, Any]:
        """Give what names a chatbot; nothing for the built-in one and for one that is made here."""
        if place.spec == "builtin" or self._made_here(place):
            return {}
        return {"chatbot": place.spec, **plain(self._settings.train, "model")}

    def _chatbot(self, name: str, settings: ChatbotSettings, place: Place) -> Step:
        experiment, folder = self._settings.experiment, place.folder / "chatbot"
        seed = experiment.seeds[0]
        return Step(
            f"chatbot/{name}",
            {"chatbot_training": plain(settings), "corpus": experiment.corpus, "seed": seed},
            lambda: stages.make_chatbot(
                settings, experiment.corpus, folder, seed=seed, reports=self._reports
            ),
            product=folder / "model" / DESCRIPTION,
        )

    def _road(
        self, place: Place, train: TrainSettings, seed: int, per_group: int | None
    ) -> Iterator[Step]:
        """Give the whole road of one chatbot: its corpus, and a generator's training and tests."""
        name, seeded = place.folder.name, train.model_copy(update={"seed": seed})
        yield Step(
            f"collect/{name}",
            {**plain(seeded, "corpus", "seed", "lists", "collect"), **self._not_built_in(place)},
            lambda: stages.collect(seeded, place, self._reports),
            self._made_here(place),
            place.corpus / "reference.jsonl.xz",
        )
        for method in chosen(self._settings.experiment, UNGUIDED):
            yield self._evaluation("evaluate", place, method, seed, per_group)
        yield from self._seed(place, train, seed, per_group)

    def _seed(
        self, place: Place, train: TrainSettings, seed: int, per_group: int | None
    ) -> Iterator[Step]:
        name, folder = place.folder.name, place.seed(seed)
        seeded = train.model_copy(update={"seed": seed})
        yield Step(
            f"pretrain/{name}/seed-{seed}",
            plain(seeded, "seed", "pretrain"),
            lambda: stages.pretrain(seeded, place, folder, self._reports),
            (f"collect/{name}",),
            folder / "pretrained" / DESCRIPTION,
        )
        yield Step(
            f"reinforce/{name}/seed-{seed}",
            plain(seeded, "seed", "reinforce", "similarity"),
            lambda: stages.reinforce(seeded, place, folder, self._reports),
            (*self._made_here(place), f"collect/{name}", f"pretrain/{name}/seed-{seed}"),
            folder / "generator" / DESCRIPTION,
        )
        for method in chosen(self._settings.experiment, GUIDED):
            yield self._evaluation("evaluate", place, method, seed, per_group)

    def _other(self, name: str, main: Place, seed: int) -> Iterator[Step]:
        experiment, place = self._settings.experiment, self._place(name, "train")
        settings = other_chatbot(
            name, self._settings.chatbot_training, epochs=experiment.others_epochs
        )
        if settings.network.architecture in MULTI_TURN:
            decoding = settings.decoding.model_copy(update={"context": experiment.others_context})
            settings = settings.model_copy(update={"decoding": decoding})
        if name == "sampling" and main.model is not None:
            model, decoding, folder = main.model, settings.decoding, place.folder / "chatbot"
            yield Step(
                f"chatbot/{name}",
                {"decoding": plain(decoding), **self._not_built_in(main)},
                lambda: stages.sampling_chatbot(model, decoding, folder),
                self._made_here(main),
                folder / "model" / DESCRIPTION,
            )
        else:
            yield self._chatbot(name, settings, place)
        train = self._train(
            {
                "collect": {"posts": experiment.others_posts},
                "reinforce": {"steps": experiment.others_steps},
            }
        )
        yield from self._road(place, train, seed, experiment.others_per_group)

    def _beside(self, place: Place, seed: int) -> Iterator[Step]:
        """Give what is asked of the main chatbot beside the paper's table."""
        experiment = self._settings.experiment
        if experiment.search_per_group:
            for method in searches(experiment.budgets):
                yield self._evaluation("search", place, method, seed, experiment.search_per_group)
        if experiment.agent_per_group:
            method = agent(experiment.budgets)
            yield self._evaluation("search", place, method, seed, experiment.agent_per_group)
        # the oracle follows the likeliest words: of drawn ones it would bound nothing
        if experiment.oracle_per_group and place.model is not None and not self._draws(place):
            yield self._oracle(place, seed)
        if experiment.keywords_per_count:
            for method in KEYWORDS:
                yield self._keywords(place, method, seed)
        yield Step(
            "human/main",
            {"corpus": experiment.corpus, "max_words": self._settings.train.collect.max_words},
            lambda: self._evaluations.measures().human(seed=1),  # whatever the others are
        )

    # ---------------------------------------------------------------- evaluating

    def _evaluation(
        self, kind: str, place: Place, method: Method, seed: int, per_group: int | None
    ) -> Step:
        def make() -> dict[str, Any]:
            targets = self._evaluations.targets(place, "test", per_group)
            folder = place.seed(seed) / kind / method.name
            return self._evaluations.evaluate(
                place, place.seed(seed), method, seed, targets, folder
            )

        name, search = place.folder.name, self._settings.audit.search
        return Step(
            f"{kind}/{name}/seed-{seed}/{method.name}",
            {
                **self._asked_with(place),
                **searched_with(search, method),
                "method": dataclasses.asdict(method),
                "per_group": per_group,
            },
            make,
            self._needs(place, method, seed),
            place.seed(seed) / kind / method.name / FINDINGS,
        )

    def _needs(self, place: Place, method: Method, seed: int) -> tuple[str, ...]:
        name = place.folder.name
        made = {"rl": "reinforce", "pretrained": "pretrain"}.get(method.generator)
        needs = (*self._made_here(place), f"collect/{name}")
        return (*needs, f"{made}/{name}/seed-{seed}") if made else needs

    def _asked_with(self, place: Place) -> dict[str, Any]:
        """Give what decides how a chatbot is asked and judged."""
        settings = self._settings
        return {
            "chatbot": "" if self._made_here(place) else place.spec,
            **plain(settings.audit, "similarity", "model"),
            "judge": settings.experiment.judge,
        }

    def _oracle(self, place: Place, seed: int) -> Step:
        per_group = self._settings.experiment.oracle_per_group

        def make() -> dict[str, Any]:
            targets = self._evaluations.targets(place, "test", per_group)
            similarity = similarity_of(self._settings.audit.similarity)
            settings = self._settings.audit.model_copy(update={"seed": seed})
            folder = place.folder / "oracle"
            return extras.oracle(place, targets, similarity, settings, folder=folder)

        name = place.folder.name
        settings = {**self._asked_with(place), "per_group": per_group, "seed": seed}
        return Step(f"oracle/{name}", settings, make, (*self._made_here(place), f"collect/{name}"))

    def _probes(self, place: Place) -> Step:
        experiment, name = self._settings.experiment, place.folder.name
        words, seed = self._settings.train.collect.max_words, experiment.seeds[0]

        def make() -> dict[str, Any]:
            held_out = posts(split(load_conversations(experiment.corpus))["real"], max_words=words)
            chosen = extras.some(held_out, experiment.probe_posts, seed=seed)
            similarity = similarity_of(self._settings.audit.similarity)
            settings = self._settings.audit.model_copy(update={"seed": seed})
            folder = place.folder / "probes"
            return extras.probes(place, chosen, similarity, settings, folder=folder)

        settings = {**self._asked_with(place), "posts": experiment.probe_posts, "seed": seed}
        return Step(f"probes/{name}", settings, make, self._made_here(place))

    def _repeat(self, place: Place, seed: int, per_group: int | None) -> Step:
        """Ask again what was found, of a chatbot that may answer otherwise."""
        name, times = place.folder.name, self._settings.experiment.repeats
        methods = [m.name for m in chosen(self._settings.experiment, (*UNGUIDED, *GUIDED))]

        def make() -> dict[str, Any]:
            runs = {method: place.seed(seed) / "evaluate" / method for method in methods}
            found = {m: list(read_jsonl(Finding, run / FINDINGS)) for m, run in runs.items()}
            found = {m: each for m, each in found.items() if each}  # some had nothing to ask
            similarity = similarity_of(self._settings.audit.similarity)
            audited = self._settings.audit.model_copy(update={"seed": seed})
            folder = place.folder / "repeat"
            return repeats(place, found, similarity, audited, times=times, folder=folder)

        settings = {"times": times, "methods": methods, "seed": seed, "per_group": per_group}
        needs = (f"evaluate/{name}/seed-{seed}/{method}" for method in methods)
        return Step(
            f"repeat/{name}",
            {**self._asked_with(place), **settings},
            make,
            (*self._made_here(place), *needs),
        )

    def _keywords(self, place: Place, method: Method, seed: int) -> Step:
        count, name = self._settings.experiment.keywords_per_count, place.folder.name
        dumped = self._settings.audit.model_dump()
        dumped["similarity"] |= {"name": "contains", "threshold": 1.0}
        settings = AuditSettings.model_validate(dumped)

        def make() -> dict[str, Any]:
            targets = extras.keywords(place, per_count=count, seed=seed, tell=self._reports.stage)
            folder = place.seed(seed) / "keywords" / method.name
            return self._evaluations.evaluate(
                place, place.seed(seed), method, seed, targets, folder, listed="", settings=settings
            )

        asked = {**self._asked_with(place), **plain(settings, "similarity")}
        return Step(
            f"keywords/{name}/seed-{seed}/{method.name}",
            {**asked, "method": dataclasses.asdict(method), "per_count": count},
            make,
            self._needs(place, method, seed),
        )

    def _ablation(self, place: Place, seed: int, name: str, change: Ablation) -> Step:
        experiment, folder = self._settings.experiment, self._work / "ablation" / name
        steps, per_group = experiment.ablation_steps, experiment.ablation_per_group
        train = self._train({}).model_copy(update={"seed": seed})
        settings = ablated(train, change, steps=steps)
        methods = UNTRAINED if change.reinforce is None else ABLATED

        def make() -> dict[str, Any]:
            stages.share(place.corpus, folder)
            outcome: dict[str, Any] = {"why": change.why}
            if change.pretrain:
                outcome["pretrain"] = stages.pretrain(settings, place, folder, self._reports)
            else:
                stages.lend(place.seed(seed) / "pretrained", folder / "pretrained")
            if change.reinforce is not None:
                outcome["reinforce"] = stages.reinforce(settings, place, folder, self._reports)
            targets = self._evaluations.targets(place, "validation", per_group)
            outcome["methods"] = {
                method.name: self._evaluations.evaluate(
                    place,
                    folder,
                    method,
                    seed,
                    targets,
                    folder / "evaluate" / method.name,
                    listed="validation",
                )
                for method in methods
            }
            return outcome

        needs = [*self._made_here(place), f"collect/{place.folder.name}"]
        if not change.pretrain:
            needs.append(f"pretrain/{place.folder.name}/seed-{seed}")
        return Step(
            f"ablation/{name}",
            {
                **self._asked_with(place),
                "train": plain(settings, "seed", "pretrain", "reinforce", "similarity"),
                "methods": [dataclasses.asdict(method) for method in methods],
                "per_group": per_group,
            },
            make,
            tuple(needs),
        )
