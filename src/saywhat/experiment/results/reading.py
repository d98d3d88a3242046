"""Reading finished parts: what each evaluation scored, target by target.

A part holds scores without their targets; which those are follows from the part ``collect`` of the
chatbot and from the part's own settings. The lists come in the order in which ``collect`` counted
them, each length group after the other, and an evaluation has the first few of each group.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, final

from saywhat.errors import SetupError
from saywhat.experiment.paper import LISTS
from saywhat.experiment.parts import Parts

MAIN: Final = "main"
"""The folder of the main chatbot, in the names of parts."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Slot:
    """A target's place: number ``nth`` of its list and length group."""

    list: str
    length: str
    nth: int


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Evaluation:
    """One method on one list, with what each target scored.

    Attributes:
        part: the part's name.
        kind: ``evaluate``, ``search`` or ``ablation``.
        place: the chatbot's folder in the names of parts (``main``).
        seed: of the generator and the search.
        method: the method's name.
        settings: of the method: ``search``, ``budget``, ``generator``, ``temperature``.
        slots: the targets.
        outcome: what came, as ``experiment.evaluate.evaluate`` gives it.
    """

    part: str
    kind: str
    place: str
    seed: int
    method: str
    settings: Mapping[str, Any]
    slots: tuple[Slot, ...]
    outcome: Mapping[str, Any]

    def scores(self, similarity: str) -> dict[Slot, float]:
        """Give what each measured target scored; nothing under a similarity that was not used."""
        found = self.outcome["scores"].get(similarity, [None] * len(self.slots))
        return {s: float(x) for s, x in zip(self.slots, found, strict=True) if x is not None}

    def exact(self) -> dict[Slot, int]:
        """Give whether each target was said word for word in the reply that the reward chose."""
        return dict(zip(self.slots, self.outcome["exact"], strict=True))

    def rows(self, similarity: str) -> list[Mapping[str, Any]]:
        """Give the rows of one similarity."""
        return [row for row in self.outcome["rows"] if row["similarity"] == similarity]


@final
class Reading:
    """The finished parts of an experiment.

    Args:
        parts: the folder of parts.
        names: every part that the experiment consists of, in order; others are not looked at.
        chatbot: the spec of the main chatbot, or ``train``.

    Raises:
        SetupError: a part is damaged.
    """

    def __init__(self, parts: Parts, names: Sequence[str], *, chatbot: str) -> None:
        self.names = list(names)
        self.main = MAIN if chatbot == "train" else chatbot
        records = ((name, parts.record(name)) for name in self.names)
        self.records: dict[str, dict[str, Any]] = {n: r for n, r in records if r is not None}

    def outcome(self, name: str) -> Any:
        """Give what came of a part, or ``None`` if it is not finished."""
        return self.records[name]["outcome"] if name in self.records else None

    def label(self, place: str) -> str:
        """Give a chatbot's name from its folder."""
        return self.main if place == MAIN else place

    @functools.cached_property
    def places(self) -> list[str]:
        """The folders of the chatbots, the main one first."""
        named = (name.split("/") for name in self.names)
        kinds = ("chatbot", "collect")
        others = [path[1] for path in named if path[0] in kinds and path[1] != MAIN]
        return [MAIN, *dict.fromkeys(others)]

    @functools.cached_property
    def evaluations(self) -> list[Evaluation]:
        """The evaluations of the parts ``evaluate/...`` and ``search/...``, in order."""
        return list(self._evaluations())

    def of(self, kind: str, place: str) -> dict[str, list[Evaluation]]:
        """Give a chatbot's evaluations of a kind by method, the seeds in order."""
        found: dict[str, list[Evaluation]] = {}
        for each in self.evaluations:
            if (each.kind, each.place) == (kind, place):
                found.setdefault(each.method, []).append(each)
        return {name: sorted(runs, key=lambda run: run.seed) for name, runs in found.items()}

    @functools.cached_property
    def asked_with(self) -> Mapping[str, Any]:
        """The settings that all evaluations have in common; empty without any."""
        kinds = ("evaluate/", "search/", "ablation/", "oracle/", "probes/", "repeat/")
        named = (name for kind in kinds for name in self.records if name.startswith(kind))
        return self.records[name]["settings"] if (name := next(named, None)) else {}

    @functools.cached_property
    def methods(self) -> list[str]:
        """The methods that the main chatbot's test lists are tried with, done or not."""
        paths = (name.split("/") for name in self.names if name.startswith(f"evaluate/{MAIN}/"))
        return list(dict.fromkeys(path[-1] for path in paths))

    @property
    def corpus(self) -> str | None:
        """What posts and conversations come from, as the settings name it."""
        collected = self.records.get(f"collect/{MAIN}")
        return None if collected is None else collected["settings"].get("corpus")

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the main chatbot and its first generator, where they stand in a file."""
        keys = {
            f"collect/{MAIN}": ("lists", "collect"),
            f"pretrain/{MAIN}": ("pretrain",),
            f"reinforce/{MAIN}": ("reinforce", "similarity"),
        }
        made: dict[str, Any] = {"train": {}}
        for start, wanted in keys.items():
            name = next((each for each in self.records if each.startswith(start)), None)
            if name is not None:
                settings = self.records[name]["settings"]
                made["train"] |= {key: settings[key] for key in wanted if key in settings}
        chatbot = self.records.get(f"chatbot/{MAIN}", {}).get("settings", {})
        if "chatbot_training" in chatbot:
            made["chatbot_training"] = chatbot["chatbot_training"]
        return made

    @property
    def vectors(self) -> str | None:
        """The word vectors of the similarities."""
        return str(self.asked_with["similarity"]["vectors"]) if self.asked_with else None

    @property
    def reward(self) -> str:
        """The similarity that trained and selected; ``""`` while nothing says which."""
        return str(self.asked_with["similarity"]["name"]) if self.asked_with else ""

    @property
    def threshold(self) -> float | None:
        """The similarity from which a target counts as elicited."""
        return float(self.asked_with["similarity"]["threshold"]) if self.asked_with else None

    @property
    def judges(self) -> list[str]:
        """The similarities that selected nothing."""
        judge = self.asked_with.get("judge", "none")
        return [] if judge == "none" else [judge]

    @functools.cached_property
    def similarities(self) -> list[str]:
        """The reward, the other selectors, and the judges last."""
        used = dict.fromkeys(name for e in self.evaluations for name in e.outcome["scores"])
        first = [self.reward] if self.reward else []
        others = [name for name in used if name not in (*first, *self.judges)]
        return [*first, *others, *self.judges]

    def slots(self, place: str, name: str, per_group: int | None) -> tuple[Slot, ...] | None:
        """Give the targets of a list; ``None`` while ``collect`` is not finished.

        Args:
            place: the chatbot's folder.
            name: ``test`` or ``validation``.
            per_group: how many of each list and length; ``None`` for all.
        """
        collected = self.outcome(f"collect/{place}")
        if collected is None:
            return None
        groups = [(*key.rsplit(" ", 1), n) for key, n in collected["lists"][name].items()]
        return tuple(
            Slot(listed, length, nth)
            for listed, length, n in groups
            if listed in LISTS
            for nth in range(n if per_group is None else min(n, per_group))
        )

    def texts(self, place: str) -> dict[Slot, str]:
        """Give the test targets' texts.

        Raises:
            SetupError: ``collect`` counted other targets than it wrote down.
        """
        slots = self.slots(place, "test", None) or ()
        texts = self.outcome(f"collect/{place}")["test"] if slots else []
        _check(f"collect/{place}", "texts", len(texts), len(slots))
        return dict(zip(slots, texts, strict=True))

    def ablation(self, name: str) -> list[Evaluation]:
        """Give the evaluations of an ablation; none while it is not finished."""
        part = f"ablation/{name}"
        if part not in self.records:
            return []
        settings, methods = self.records[part]["settings"], self.outcome(part)["methods"]
        slots = self.slots(MAIN, "validation", settings["per_group"])
        return [
            _evaluation(part, settings["train"]["seed"], method, slots, methods[method["name"]])
            for method in settings["methods"]
            if slots is not None
        ]

    def _evaluations(self) -> Iterator[Evaluation]:
        for part, record in self.records.items():
            kind, place, *rest = part.split("/")
            if kind not in ("evaluate", "search"):
                continue
            slots = self.slots(place, "test", record["settings"]["per_group"])
            if slots is not None:
                seed, method = int(rest[0].removeprefix("seed-")), record["settings"]["method"]
                yield _evaluation(part, seed, method, slots, record["outcome"])


def _evaluation(
    part: str,
    seed: int,
    method: Mapping[str, Any],
    slots: Sequence[Slot],
    outcome: Mapping[str, Any],
) -> Evaluation:
    kind, place, *_ = part.split("/")
    for similarity, scores in outcome["scores"].items():
        _check(part, f"scores by {similarity}", len(scores), len(slots))
    _check(part, "marks of exactness", len(outcome["exact"]), len(slots))
    for row in outcome["rows"]:
        here = sum((slot.list, slot.length) == (row["list"], row["length"]) for slot in slots)
        _check(part, f"targets in {row['list']} {row['length']}", row["targets"], here)
    place = MAIN if kind == "ablation" else place
    return Evaluation(part, kind, place, seed, method["name"], method, tuple(slots), outcome)


def _check(part: str, what: str, came: int, expected: int) -> None:
    if came != expected:
        raise SetupError(
            f"The part {part} has {came} {what}, but its lists have {expected} targets; "
            "remove the part to do it again."
        )
