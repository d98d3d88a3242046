"""``saywhat report``: rebuild a run's report from its folder; nothing is asked."""

import json
import os
from pathlib import Path
from typing import Any

from saywhat.cli.flags import Call
from saywhat.errors import SetupError


def report(call: Call) -> None:
    """Rebuild a run's report; asks nothing."""
    from saywhat.audit import report as build
    from saywhat.records import Attempt, Finding, read_jsonl
    from saywhat.runs.files import acquire, write_atomically

    folder = Path(call.argument)
    summary, run = _read(folder / "summary.json"), _read(folder / "run.json")
    lock = acquire(folder)
    try:
        findings = list(read_jsonl(Finding, folder / "findings.jsonl"))
        asked: dict[str, list[Attempt]] = {}
        for attempt in read_jsonl(Attempt, folder / "attempts.jsonl"):
            asked.setdefault(attempt.target, []).append(attempt)
        try:
            text = build(summary, findings, run, [asked.get(f.target, []) for f in findings])
        except (KeyError, TypeError, ValueError) as error:  # somebody edited the files
            raise SetupError(
                f"The files of the run in {folder} do not fit together ({error}). "
                "Run its command again."
            ) from error
        path = folder / "report.html"
        write_atomically(path, text.encode("utf-8", "backslashreplace"))
    finally:
        os.close(lock)
    if call.output.as_json:
        call.output.document({"report": str(path)})
    else:
        call.output.line(str(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError(
            f"Expected a finished run in {path.parent}, but {path.name} cannot be read "
            f"({error.strerror}). Give a run's folder, or run its command again to finish it."
        ) from error
    except ValueError as error:
        raise SetupError(f"{path} is not JSON ({error}). Run its command again.") from error
    if not isinstance(value, dict):
        raise SetupError(f"Expected a JSON object in {path}, got a {type(value).__name__}.")
    return value
