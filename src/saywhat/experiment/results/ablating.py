"""What each change to the training did: every ablation against the baseline at the same scale."""

from collections.abc import Mapping, Sequence
from typing import Any

from saywhat.evaluation.statistics import bootstrap_mean
from saywhat.evaluation.success import reaches
from saywhat.experiment.design import ABLATIONS
from saywhat.experiment.paper import LISTS
from saywhat.experiment.results.comparing import difference
from saywhat.experiment.results.pooling import (
    drawing,
    ends,
    mean,
    mean_over,
    rounded,
    share,
    weighted,
)
from saywhat.experiment.results.reading import Evaluation, Reading


def ablations(reading: Reading) -> list[dict[str, Any]]:
    """Give the ablations, the baseline first; without it there are no differences."""
    baseline = {run.method: run for run in reading.ablation("baseline")}
    return [_ablation(reading, name, baseline) for name in ABLATIONS if reading.ablation(name)]


def _ablation(reading: Reading, name: str, baseline: Mapping[str, Evaluation]) -> dict[str, Any]:
    record = reading.records[f"ablation/{name}"]
    outcome, train = record["outcome"], record["settings"]["train"]
    trained = outcome.get("reinforce") or {}
    judges = [judge for judge in reading.judges if train["similarity"]["name"] != judge]
    return {
        "name": name,
        # a part holds the words of its day
        "why": ABLATIONS[name].why,
        "by": record["settings"]["train"]["similarity"]["name"],
        "steps": train["reinforce"]["steps"] if trained else 0,
        "methods": {
            run.method: _method(reading, run, baseline, judges) for run in reading.ablation(name)
        },
        "kept": _kept(trained, train["reinforce"]),
        "validation_similarity": rounded(trained.get("validation_similarity")),
        "asked": sum(count["asked"] for count in trained.get("queries", {}).values()),
        "queries": sum(count["sent"] for count in trained.get("queries", {}).values()),
        "seconds": record["seconds"],
    }


def _kept(trained: Mapping[str, Any], settings: Mapping[str, Any]) -> int | None:
    """Give the step whose weights were kept, the best on validation; 0 is before the first.

    ``None`` if the part does not tell: it may hold some lines of the learning curve only.
    """
    lines = trained.get("metrics", ())
    known = {line["step"]: line["validation"] for line in lines if line["validation"] is not None}
    best = trained.get("validation_similarity")
    if found := [step for step, score in known.items() if score == best]:
        return int(found[0])
    steps, every = settings["steps"], settings.get("validate_every", 0)
    judged = {*range(every, steps + 1, every), steps} if trained and every else set()
    return 0 if judged <= known.keys() else None


def _method(
    reading: Reading,
    run: Evaluation,
    baseline: Mapping[str, Evaluation],
    judges: Sequence[str],
) -> dict[str, Any]:
    # without REINFORCE the same search is guided by the generator as it was pre-trained
    other = baseline.get(run.method.replace("pretrained-", "rl-", 1))
    made: dict[str, Any] = {}
    for listed in LISTS:
        scores = mean_over([run], reading.reward, listed=listed)
        hits = [float(reaches(score, reading.threshold or 0.0)) for score in scores.values()]
        rate = share(hits)
        rows = [row for row in run.rows(reading.reward) if row["list"] == listed]
        made[listed] = {
            **_against(run, other, reading.reward, listed),
            "targets": len(scores),
            "success": rounded(rate.estimate) if rate else None,
            **{key: weighted(rows, key) for key in ("null_mean", "generic_best")},
            "judge": _against(run, other, judges[0], listed) if judges else None,
        }
    return {"list": made}


def _against(
    run: Evaluation, other: Evaluation | None, similarity: str, listed: str
) -> dict[str, Any]:
    """Give a mean, and by how much it is above the baseline's; of the baseline itself, nothing."""
    scores = mean_over([run], similarity, listed=listed)
    found = None
    if other is not None and other.part != run.part:
        found = difference([run], [other], similarity, listed)
    rng = drawing("mean", run.part, run.method, listed, similarity)
    return {
        "mean": rounded(mean(scores.values())),
        "mean_ci95": ends(bootstrap_mean(list(scores.values()), rng)),
        "difference": rounded(found.estimate) if found else None,
        "ci95": ends(found.interval) if found else None,
    }
