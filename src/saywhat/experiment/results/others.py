"""Every chatbot beside the others, what they were asked, and how long it all took."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from saywhat.evaluation.success import threshold_key
from saywhat.experiment.results.pooling import ALL, mean, rounded
from saywhat.experiment.results.reading import MAIN, Reading

_PHASES: Final = ("reference", "reinforce", "search", "verify")
_COUNTS: Final = ("asked", "unique", "sent")
_KINDS: Final = (
    "chatbot",
    "collect",
    "pretrain",
    "reinforce",
    "evaluate",
    "search",
    "oracle",
    "keywords",
    "human",
    "ablation",
    "probes",
    "repeat",
)


def chatbots(reading: Reading, pooled: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give the chatbots, the main one first, with every method under the reward.

    Args:
        reading: the finished parts.
        pooled: what ``pooling.pooled`` gives.
    """
    mine = {place: _parts(reading, place) for place in reading.places}
    return [_chatbot(reading, place, pooled) for place in reading.places if mine[place]]


def _chatbot(reading: Reading, place: str, pooled: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    label = reading.label(place)
    card = reading.outcome(f"chatbot/{place}") or {}
    corpus = reading.outcome(f"collect/{place}") or {}
    found = [row for row in probes(reading) if row["chatbot"] == label]
    parts = _parts(reading, place)
    perplexities: list[float] = card.get("validation_perplexity") or []
    return {
        "name": label,
        "size": card.get("size"),
        "decoding": card.get("decoding"),
        # of the weights that were kept, which need not be the last ones
        "validation_perplexity": rounded(min(perplexities, default=None)),
        "distinct_replies": corpus.get("distinct_replies"),
        "pairs": corpus.get("pairs"),
        "methods": [
            {
                **{key: row[key] for key in ("method", "list", "targets", "mean", "ci95")},
                "success": row["success"][threshold_key(reading.threshold or 0.0)]["share"],
                "null_mean": row["null_mean"],
                "generic_best": row["generic_best"],
            }
            for row in pooled
            if (row["chatbot"], row["length"]) == (label, ALL)
            and row["similarity"] == reading.reward
        ],
        "probes": {row["kind"]: row for row in found} or None,
        **_scale(reading, place, pooled),
        "seconds": round(sum(reading.records[part]["seconds"] for part in parts), 1),
        "queries": sum(c["sent"] for part in parts for _, c in _counts(reading.outcome(part))),
    }


def _scale(
    reading: Reading, place: str, pooled: Sequence[Mapping[str, Any]]
) -> dict[str, int | None]:
    """Give a chatbot's epochs, its generator's steps and seeds, and the targets of a list."""
    records = reading.records
    trained = [part for part in records if part.startswith(f"reinforce/{place}/")]
    steps = {records[part]["settings"]["reinforce"]["steps"] for part in trained}
    made = records.get(f"chatbot/{place}", {}).get("settings", {}).get("chatbot_training")
    sizes = [
        row["targets"]
        for row in pooled
        if (row["chatbot"], row["length"]) == (reading.label(place), ALL)
    ]
    return {
        # one that only decodes otherwise was not trained again
        "epochs": made and made["training"]["epochs"],
        "steps": max(steps, default=None),
        "seeds": len(trained) or None,
        "per_list": max(sizes, default=None),
    }


def probes(reading: Reading) -> list[dict[str, Any]]:
    """Give how replies change with edits of the query, for each chatbot."""
    made = []
    for place in reading.places:
        found = reading.outcome(f"probes/{place}")
        if found is None:
            continue
        of = {"chatbot": reading.label(place), "posts": found["posts"], "asked": found["asked"]}
        made += [
            {
                **of,
                "kind": kind["name"],
                "similarity": rounded(kind["similarity"]),
                "ci95": _ends(kind["similarity_ci"]),
                "unchanged": rounded(kind["unchanged"]),
                "unchanged_ci95": _ends(kind["unchanged_ci"]),
            }
            for kind in found["kinds"]
        ]
        made += [
            {
                **of,
                "kind": name,
                "similarity": rounded(found[name]["estimate"]) if found[name] else None,
                "ci95": _ends(found[name]),
                "unchanged": None,
                "unchanged_ci95": None,
            }
            for name in ("contrast", "unrelated")
        ]
    return made


def edits(reading: Reading) -> list[dict[str, Any]]:
    """Give how replies change with each single edit of the query, for each chatbot."""
    return [
        {
            "chatbot": reading.label(place),
            "kind": edit["kind"],
            "edit": edit["name"],
            "edits": edit["edits"],
            "similarity": rounded(edit["similarity"]),
            "ci95": _ends(edit["similarity_ci"]),
            "unchanged": rounded(edit["unchanged"]),
            "unchanged_ci95": _ends(edit["unchanged_ci"]),
        }
        for place in reading.places
        for edit in (reading.outcome(f"probes/{place}") or {}).get("edits", ())
    ]


def _ends(interval: Mapping[str, float] | None) -> list[float] | None:
    return None if interval is None else [round(interval["low"], 4), round(interval["high"], 4)]


def bills(reading: Reading) -> list[dict[str, Any]]:
    """Give what one seed's attack by each method asks for, before and for all test targets."""
    made = []
    for method, runs in reading.of("evaluate", MAIN).items():
        found = [run.rows(reading.reward) for run in runs]
        before = [_training(reading, MAIN, f"seed-{run.seed}", run.settings) for run in runs]
        searched = [sum(row["queries_total"] for row in each) for each in found]
        targets = [sum(row["targets"] for row in each) for each in found]
        known = [count for count in before if count is not None]
        made.append(
            {
                "method": method,
                "before": rounded(mean(known)) if len(known) == len(before) else None,
                "search": rounded(mean(searched)),
                "targets": rounded(mean(targets)),
                "a_target": rounded(sum(searched) / sum(targets)) if sum(targets) else None,
            }
        )
    return made


def phases(reading: Reading) -> list[dict[str, Any]]:
    """Give what each chatbot was asked in each phase; each part counts its own."""
    totals: dict[tuple[str, str], dict[str, int]] = {}
    for place in reading.places:
        for part in _parts(reading, place):
            for phase, counts in _counts(reading.outcome(part)):
                total = totals.setdefault((place, phase), dict.fromkeys(_COUNTS, 0))
                for key in _COUNTS:
                    total[key] += counts[key]
    return [
        {"phase": phase, "chatbot": reading.label(place), **totals[place, phase]}
        for phase in _PHASES
        for place in reading.places
        if (place, phase) in totals
    ]


def _parts(reading: Reading, place: str) -> list[str]:
    """Name the finished parts of a chatbot; ablations are the main one's."""
    return [
        part
        for part in reading.records
        if part.split("/")[0] != "human"
        and (part.split("/")[1] == place or (place == MAIN and part.startswith("ablation/")))
    ]


def _counts(outcome: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, int]]]:
    """Give the phases of a part with their counts, of all that a part may hold."""
    if "counts" in outcome:
        yield from outcome["counts"]["detail"].items()
    elif "queries" in outcome:
        yield from outcome["queries"].items()
    for inner in (outcome.get("reinforce"), *outcome.get("methods", {}).values()):
        if inner:
            yield from _counts(inner)


def times(reading: Reading) -> list[dict[str, Any]]:
    """Give how long the parts of each kind took."""
    seconds: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    for part, record in reading.records.items():
        seconds[part.split("/")[0]].append(record["seconds"])
    return [
        {"kind": kind, "parts": len(each), "seconds": round(sum(each), 1)}
        for kind, each in seconds.items()
        if each
    ]


def rows(reading: Reading) -> list[dict[str, Any]]:
    """Give the rows of every evaluation, with what training asked and the seconds of its part."""
    made = []
    for part, record in reading.records.items():
        if part.split("/")[0] not in ("evaluate", "search", "keywords"):
            continue
        place, seed = part.split("/")[1], part.split("/")[2]
        training = _training(reading, place, seed, record["settings"]["method"])
        found = record["outcome"]["rows"]
        for row in found:
            alike = [r["queries_total"] for r in found if r["similarity"] == row["similarity"]]
            total = sum(alike)
            own = record["seconds"] * row["queries_total"] / total if total else None
            made.append(
                {
                    **{key: _plain(value) for key, value in row.items()},
                    "training_queries": training,
                    "seconds": None if own is None else round(own, 1),
                    "part": part,
                }
            )
    return made


def _training(reading: Reading, place: str, seed: str, method: Mapping[str, Any]) -> int | None:
    """Count what was sent to make what guides a method; ``None`` if that is not known."""
    needed = {
        "rl": [f"collect/{place}", f"reinforce/{place}/{seed}"],
        "pretrained": [f"collect/{place}"],
    }.get(method["generator"], [f"collect/{place}"] if method["search"] == "retrieval" else [])
    outcomes = [reading.outcome(part) for part in needed]
    if None in outcomes:
        return None
    return sum(counts["sent"] for each in outcomes for _, counts in _counts(each))


def _plain(value: Any) -> Any:
    return rounded(value) if isinstance(value, float) else value
