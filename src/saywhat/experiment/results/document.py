"""The results document of an experiment: everything that its page and the docs say, in one file.

It is made from the finished parts alone, with random draws of named sources, so the same parts give
the same bytes. What was not measured yet is ``None`` or an empty list.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from saywhat.experiment.parts import Parts
from saywhat.experiment.results import beside, comparing, others
from saywhat.experiment.results.ablating import ablations
from saywhat.experiment.results.claims import claims
from saywhat.experiment.results.pooling import pooled
from saywhat.experiment.results.reading import Reading
from saywhat.experiment.results.repeating import repeats
from saywhat.runs.files import write_atomically

SCHEMA: Final = 1


def document(
    parts: Parts,
    names: Sequence[str],
    *,
    preset: str,
    seeds: Sequence[int],
    chatbot: str,
    changes: Sequence[str] = (),
) -> dict[str, Any]:
    """Make the results document of the parts that are finished.

    Args:
        parts: the finished parts.
        names: of every part of the experiment, in order.
        preset: the settings' name.
        seeds: of the generator.
        chatbot: the spec of the main chatbot, or ``train``.
        changes: settings that are not the preset's, as ``--set`` takes them.

    Raises:
        SetupError: a part is damaged, or it has other targets than its lists.

    Example:
        >>> made = document(Parts(Path("nowhere")), ["human/main"],
        ...                 preset="tiny", seeds=[1], chatbot="builtin")
        >>> made["name"], made["parts"]["missing"], made["pooled"], made["oracle"]
        ('paper-tiny', ['human/main'], [], None)
    """
    reading = Reading(parts, names, chatbot=chatbot)
    rows = pooled(reading)
    return {
        "schema": SCHEMA,
        "name": f"paper-{preset.removeprefix('paper-')}",
        "command": _command(preset, changes),
        "seeds": list(seeds),
        "chatbot": reading.main,
        "corpus": reading.corpus,
        "vectors": reading.vectors,
        "settings": reading.settings,
        "methods": reading.methods,
        "threshold": reading.threshold,
        "similarities": reading.similarities,
        "judges": reading.judges,
        "parts": {
            "total": len(reading.names),
            "finished": len(reading.records),
            "missing": [name for name in reading.names if name not in reading.records],
        },
        "provenance": _provenance(reading),
        "rows": others.rows(reading),
        "pooled": rows,
        "gains": comparing.gains(reading),
        "curves": comparing.curves(reading),
        "comparisons": comparing.comparisons(reading),
        "budgets": beside.budgets(reading),
        "agent": beside.agent(reading),
        "oracle": beside.oracle(reading),
        "keywords": beside.keywords(reading),
        "ablations": ablations(reading),
        "chatbots": others.chatbots(reading, rows),
        "queries": beside.queries(reading),
        "probes": others.probes(reading),
        "edits": others.edits(reading),
        "repeats": repeats(reading),
        "bills": others.bills(reading),
        "phases": others.phases(reading),
        "times": others.times(reading),
        "examples": beside.examples(reading),
        "claims": claims(reading),
    }


def write(document: dict[str, Any], path: Path) -> None:
    """Write a document, one row a line: what changed can be read from a diff.

    Args:
        document: what ``document`` gives.
        path: the file; its folder is made if need be.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f" {json.dumps(key)}: {_lines(value)}" for key, value in document.items()]
    write_atomically(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())


def _lines(value: Any) -> str:
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return _json(value)
    return "[\n  " + ",\n  ".join(_json(item) for item in value) + "\n ]"


def _json(value: Any) -> str:
    # as ASCII: texts of a chatbot may hold what no terminal or diff should see raw
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


def _command(preset: str, changes: Sequence[str]) -> str:
    words = ["saywhat", "experiment", preset]
    for change in changes:
        words += ["--set", change]
    return shlex.join(words)


def _provenance(reading: Reading) -> dict[str, Any]:
    records = list(reading.records.values())
    dates = sorted(record["date"] for record in records)
    return {
        "commits": sorted({str(record["commit"]) for record in records}),
        "dirty": any(record["dirty"] for record in records),
        "hardware": sorted({record["hardware"] for record in records}),
        "first": dates[0] if dates else None,
        "last": dates[-1] if dates else None,
        "seconds": round(sum(record["seconds"] for record in records), 1),
        "packages": _packages(records),
    }


def _packages(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Give every version that parts were made with; of parts that wrote none, nothing is known."""
    found: dict[str, set[str]] = {}
    for record in records:
        for name, version in record.get("packages", {}).items():
            found.setdefault(name, set()).add(version)
    return {name: " or ".join(sorted(found[name])) for name in sorted(found)}
