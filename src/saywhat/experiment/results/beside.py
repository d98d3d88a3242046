"""What was measured beside the paper's table: budgets, the agent, reachability, keywords."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from saywhat.evaluation.statistics import bootstrap_mean, wilson
from saywhat.evaluation.success import reaches, threshold_key
from saywhat.experiment.design import SEARCHES
from saywhat.experiment.paper import LISTS
from saywhat.experiment.results.pooling import BEST, drawing, ends, mean, rounded, share, weighted
from saywhat.experiment.results.reading import MAIN, Evaluation, Reading, Slot

AGENT: Final = "rnn-agent"
"""The search that retrains a language model for each target."""
_SHOWN: Final = (BEST, "rl-sampling-200")
_MEASURES: Final = ("queries", "perplexity", "ordinariness", "words", "content", "contained")
_STRATA: Final = ("reachable", "not found", "cannot be written")


def scored(
    run: Evaluation, similarity: str, threshold: float, slots: Sequence[Slot], *names: object
) -> dict[str, Any]:
    """Give how many of these targets were measured, their success and their mean score."""
    found = run.scores(similarity)
    scores = [found[slot] for slot in slots if slot in found]
    rate = share([float(reaches(x, threshold)) for x in scores], *names)
    return {
        "targets": len(scores),
        "success": rounded(rate.estimate) if rate else None,
        "ci95": ends(rate),
        "mean": rounded(mean(scores)),
        "mean_ci95": ends(bootstrap_mean(scores, drawing("mean", run.part, *names))),
    }


def budgets(reading: Reading) -> list[dict[str, Any]]:
    """Give the searches at every budget, on the targets that they have in common."""
    runs = [run for found in reading.of("search", MAIN).values() for run in found]
    made = [
        {
            "search": name,
            "budget": run.settings["budget"],
            "list": listed,
            **scored(run, reading.reward, reading.threshold or 0.0, _in(run.slots, listed), listed),
            "exact": rounded(mean(run.exact()[slot] for slot in _measured(run, reading, listed))),
        }
        for run in runs
        if (name := run.method.removesuffix(f"-{run.settings['budget']}")) in SEARCHES
        for listed in LISTS
    ]
    order = {name: n for n, name in enumerate(SEARCHES)}
    return sorted(made, key=lambda row: (order[row["search"]], row["budget"]))


def agent(reading: Reading) -> list[dict[str, Any]]:
    """Give the agent that is retrained for each target, and the other searches on its targets."""
    methods = reading.of("search", MAIN)
    mine = [runs[0] for runs in methods.values() if runs[0].settings["search"] == AGENT]
    if not mine:
        return []
    others = [runs[0] for runs in methods.values() if runs[0].settings["search"] != AGENT]
    return [
        {
            "method": run.method,
            "list": listed,
            "queries_per_target": weighted(_rows(run, reading, listed), "queries_per_target"),
            **scored(
                run,
                reading.reward,
                reading.threshold or 0.0,
                [slot for slot in _in(mine[0].slots, listed) if slot in run.slots],
                "agent",
                listed,
            ),
        }
        for run in [*mine, *others]
        for listed in LISTS
    ]


def oracle(reading: Reading) -> dict[str, Any] | None:
    """Give which targets an oracle reached, and how methods fare on those and on the others."""
    found = reading.outcome(f"oracle/{MAIN}")
    if found is None:
        return None
    findings = found["findings"]
    return {
        **_reached(findings),
        "by_list": {
            name: _reached([f for f in findings if f["list"] == name])
            for name in LISTS
            if any(f["list"] == name for f in findings)
        },
        **{key: found[key] for key in ("asked", "passes", "gradients")},
        "strata": _strata(reading, findings),
    }


def _reached(findings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    reachable = sum(bool(f["reachable"]) for f in findings)
    rate = wilson(reachable, len(findings))
    return {
        "targets": len(findings),
        "reachable": reachable,
        "unwritable": sum(_stratum(f) == _STRATA[2] for f in findings),
        "share": rounded(rate.estimate) if rate else None,
        "ci95": ends(rate),
    }


def _stratum(finding: Mapping[str, Any]) -> str:
    """Say how the oracle fared: a reason is given where it had nothing to search for."""
    if finding["reachable"]:
        return _STRATA[0]
    return _STRATA[2] if finding["reason"] else _STRATA[1]


def _strata(reading: Reading, findings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    slots = {(s.list, s.length, text): s for s, text in reading.texts(MAIN).items()}
    known = {
        slots[key]: _stratum(f)
        for f in findings
        if (key := (f["list"], f["length"], f["target"])) in slots
    }
    made = []
    for runs in reading.of("evaluate", MAIN).values():
        scores, exact = runs[0].scores(reading.reward), runs[0].exact()
        for listed in LISTS:
            for name in _STRATA:
                here = [
                    s for s, stratum in known.items()
                    if stratum == name and s.list == listed and s in scores
                ]  # fmt: skip
                hits = [reaches(scores[slot], reading.threshold or 0.0) for slot in here]
                made.append(
                    {
                        "method": runs[0].method,
                        "list": listed,
                        "stratum": name,
                        "targets": len(here),
                        "success": rounded(mean(hits)),
                        "exact": rounded(mean(exact[slot] for slot in here)),
                    }
                )
    return made


def keywords(reading: Reading) -> list[dict[str, Any]]:
    """Give how often a reply held the keywords that it should."""
    made = []
    for part, record in reading.records.items():
        if not part.startswith(f"keywords/{MAIN}/"):
            continue
        threshold = threshold_key(record["settings"]["similarity"]["threshold"])
        for row in record["outcome"]["rows"]:
            rate = wilson(
                round((row["success"][threshold] or 0) * row["measured"]), row["measured"]
            )
            made.append(
                {
                    "method": row["method"],
                    "keywords": row["length"],
                    "targets": row["measured"],
                    "success": rounded(rate.estimate) if rate else None,
                    "ci95": ends(rate),
                    "null_mean": rounded(row["null_mean"]),
                    "generic_best": rounded(row["generic_best"]),
                }
            )
    return made


def queries(reading: Reading) -> list[dict[str, Any]]:
    """Give how ordinary each method's best queries are and what they copy; then people's posts."""
    made = [
        {"method": method, "list": listed, "of": of, **_measures(found)}
        for method, runs in reading.of("evaluate", MAIN).items()
        for listed in LISTS
        for of in ("all", "elicited")
        if (found := _queries_of(runs, listed, of))
    ]
    human = reading.outcome(f"human/{MAIN}")
    if human is not None:
        made.append(
            {
                "method": "human",
                "list": None,
                "of": "all",
                **_measures([human["human"]]),
                "shuffle_auc": rounded(human["shuffle_auc"]),
            }
        )
    return made


def _queries_of(runs: Sequence[Evaluation], listed: str, of: str) -> list[Mapping[str, Any]]:
    measured = [run.outcome["queries"] for run in runs]
    return [lists[listed][of] for lists in measured if listed in lists]


def _measures(found: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Give the means over seeds, each over the seeds that have something to measure."""
    return {
        key: rounded(mean(each[key] for each in found if each[key] is not None))
        for key in _MEASURES
    }


def examples(reading: Reading) -> list[dict[str, Any]]:
    """Give elicited targets of the first seed, which a hash drew."""
    methods = reading.of("evaluate", MAIN)
    return [
        {"method": method, **example}
        for method in _SHOWN
        if method in methods
        for example in methods[method][0].outcome["examples"]
    ]


def _in(slots: Iterable[Slot], listed: str) -> list[Slot]:
    return [slot for slot in slots if slot.list == listed]


def _measured(run: Evaluation, reading: Reading, listed: str) -> list[Slot]:
    return _in(run.scores(reading.reward), listed)


def _rows(run: Evaluation, reading: Reading, listed: str) -> list[Mapping[str, Any]]:
    return [row for row in run.rows(reading.reward) if row["list"] == listed]
