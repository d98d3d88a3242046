"""Finished parts of a made-up experiment, whose figures can be worked out by hand."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from saywhat.evaluation.success import THRESHOLDS, reaches, threshold_key
from saywhat.experiment.parts import Parts

REWARD = "embedding-average-centred"
RAW = "embedding-average"
JUDGE = "sentence-encoder"
LENGTHS = ("1-3", "4-6", "7-10")
GROUPS = tuple((listed, length) for listed in ("generated", "real") for length in LENGTHS)

Scores = Sequence[float | None]


@dataclasses.dataclass
class Made:
    """A folder of parts, each written as ``Parts`` would.

    Args:
        folder: where.
        size: test and validation targets of each list and length.
        judge: ``none`` for no judge.
        threshold: of success.
    """

    folder: Path
    size: int = 2
    judge: str = "none"
    threshold: float = 0.7
    names: list[str] = dataclasses.field(default_factory=list)

    @property
    def targets(self) -> int:
        return len(GROUPS) * self.size

    def write(self, name: str, settings: Mapping[str, Any], outcome: Mapping[str, Any]) -> None:
        path = self.folder / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {
            "schema": 1,
            "part": name,
            "seconds": 12.0,
            "commit": "c0ffee",
            "dirty": False,
            "hardware": "a machine",
            "date": "2026-01-01T00:00:00+00:00",
            "settings": settings,
            "outcome": outcome,
        }
        path.write_text(json.dumps(record))
        self.names.append(name)

    def parts(self) -> Parts:
        return Parts(self.folder)

    def asked_with(self) -> dict[str, Any]:
        similarity = {"name": REWARD, "vectors": "glove-6b-50d", "threshold": self.threshold}
        return {"chatbot": "builtin", "similarity": similarity, "judge": self.judge}

    def collect(self, place: str = "main") -> None:
        groups = {f"{listed} {length}": self.size for listed, length in GROUPS}
        self.write(
            f"collect/{place}",
            {},
            {
                "pairs": 100,
                "distinct_replies": 50,
                "lists": {
                    "test": {**groups, "generated-seen 1-3": 3},
                    "validation": dict(groups),
                },
                "test": [f"target {n}" for n in range(self.targets)],
                "queries": {"reference": {"asked": 110, "unique": 105, "sent": 107, "failed": 0}},
            },
        )

    def reinforce(self, seed: int, place: str = "main") -> None:
        queries = {"reinforce": {"asked": 40, "unique": 30, "sent": 33, "failed": 0}}
        outcome = {"validation_similarity": 0.5, "metrics": [], "queries": queries}
        settings = {"seed": seed, "reinforce": {"steps": 1000, "samples": 8}}
        self.write(f"reinforce/{place}/seed-{seed}", settings, outcome)

    def evaluate(
        self,
        method: str,
        scores: Scores | Mapping[str, Scores],
        *,
        seed: int = 1,
        place: str = "main",
        kind: str = "evaluate",
        per_group: int | None = None,
        ordinariness: float = 0.45,
    ) -> None:
        self.write(
            f"{kind}/{place}/seed-{seed}/{method}",
            {**self.asked_with(), "method": settings_of(method), "per_group": per_group},
            self.outcome(method, scores, seed, per_group or self.size, ordinariness),
        )

    def outcome(
        self,
        method: str,
        scores: Scores | Mapping[str, Scores],
        seed: int = 1,
        size: int | None = None,
        ordinariness: float = 0.45,
    ) -> dict[str, Any]:
        """Give what came; one sequence of scores is the reward's and the paper's similarity's."""
        by_name = scores if isinstance(scores, Mapping) else {REWARD: scores, RAW: scores}
        reward = by_name[REWARD]
        size = size or self.size
        measures = {
            "queries": 3, "perplexity": 90.0, "ordinariness": ordinariness,
            "words": 0.25, "content": 0.5, "contained": 0.0,
        }  # fmt: skip
        example = {
            "list": "real", "length": "1-3", "target": "t", "query": "<b>", "reply": "r",
            "similarity": 0.9,
        }  # fmt: skip
        asked = 2 * len(reward)
        counts = {"asked": asked, "unique": asked, "sent": asked, "failed": 0}
        return {
            "rows": [r for name, s in by_name.items() for r in rows(method, name, s, seed, size)],
            "scores": {name: list(each) for name, each in by_name.items()},
            "exact": [int(score is not None and reaches(score, 1.0)) for score in reward],
            "first": [None] * len(reward),
            "queries": {n: {"all": measures, "elicited": measures} for n in ("generated", "real")},
            "examples": [example],
            "counts": {**counts, "by_phase": {"search": asked}, "detail": {"search": counts}},
        }

    def ablation(
        self,
        name: str,
        methods: Mapping[str, Any],
        *,
        reward: str = REWARD,
        metrics: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        trained = {"validation_similarity": 0.5, "metrics": list(metrics), "queries": {
            "reinforce": {"asked": 20, "unique": 15, "sent": 17, "failed": 0}}}  # fmt: skip
        reinforce = {"steps": 200, "validate_every": 100}
        train = {"seed": 1, "reinforce": reinforce, "similarity": {"name": reward}}
        settings = {
            **self.asked_with(),
            "train": train,
            "methods": [settings_of(method) for method in methods],
            "per_group": self.size,
        }
        outcome: dict[str, Any] = {"why": f"why {name}"}
        if name != "no-rl":
            outcome["reinforce"] = trained
        outcome["methods"] = {m: self.outcome(m, scores) for m, scores in methods.items()}
        self.write(f"ablation/{name}", settings, outcome)

    def repeat(
        self,
        place: str,
        methods: Mapping[str, tuple[Scores, Any]],
        *,
        per_group: int,
        times: int = 2,
    ) -> None:
        """Write what the best queries of methods got, and got again."""
        told = {n: {"found": f, "again": a, "query": q} for n, (f, a, q) in methods.items()}
        queries = {"verify": {"asked": 14, "unique": 14, "sent": 14, "failed": 0}}
        self.write(
            f"repeat/{place}",
            {**self.asked_with(), "per_group": per_group, "times": times},
            {"times": times, "methods": told, "queries": queries},
        )

    def oracle(self, reachable: Sequence[bool], unwritable: Sequence[int] = ()) -> None:
        """Write what an oracle found for the first target of each group.

        Args:
            reachable: whether it was, one a group.
            unwritable: the groups whose target was not searched for.
        """
        findings = [
            {
                "list": listed,
                "length": length,
                "target": f"target {n * self.size}",
                "reachable": r,
                "reason": "its decoder can never write it" if n in unwritable else "",
            }
            for n, ((listed, length), r) in enumerate(zip(GROUPS, reachable, strict=True))
        ]
        outcome = {"findings": findings, "asked": 9, "passes": 8, "gradients": 7}
        self.write("oracle/main", {**self.asked_with(), "per_group": 1}, outcome)


def settings_of(method: str) -> dict[str, Any]:
    generator = next((g for g in ("rl", "pretrained") if method.startswith(f"{g}-")), "")
    search = method.removeprefix(f"{generator}-") if generator else method
    name, _, budget = search.rpartition("-")
    if not budget.isdecimal():
        name, budget = search, "1"
    return {
        "name": method, "search": name, "budget": int(budget), "generator": generator,
        "temperature": 1.0,
    }  # fmt: skip


def rows(
    method: str, similarity: str, scores: Scores, seed: int, size: int
) -> Iterator[dict[str, Any]]:
    for n, (listed, length) in enumerate(GROUPS):
        known = [s for s in scores[n * size : (n + 1) * size] if s is not None]
        yield {
            "chatbot": "builtin",
            "method": method,
            "similarity": similarity,
            "seed": seed,
            "list": listed,
            "length": length,
            "targets": size,
            "measured": len(known),
            "mean_similarity": sum(known) / len(known) if known else None,
            "ci95": None,
            "exact": sum(reaches(s, 1.0) for s in known) / len(known) if known else None,
            "success": {
                threshold_key(t): sum(reaches(s, t) for s in known) / len(known) if known else None
                for t in THRESHOLDS
            },
            "queries_per_target": 2.0,
            "queries_total": 2 * size,
            "training_queries": 0,
            "distinct_replies": 10 + seed,
            "null_mean": 0.1 * n,
            "seconds": 0.0,
            "generic_best": 0.5,
        }
