"""What a first minute costs: ``make bench NAME=footprint`` -> ``benchmarks/results/footprint.json``.

The start of ``saywhat --help`` against the start of Python alone, and time and peak memory of the default audit. Times are medians of
several runs; only ratios within one run of this file mean anything on a shared machine.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from saywhat.runs import provenance

RESULTS = Path(__file__).with_name("results") / "footprint.json"
REPEATS = 7


def seconds(*command: str) -> float:
    """Give the median wall time of a command."""
    times = []
    for _ in range(REPEATS):
        started = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.monotonic() - started)
    return statistics.median(times)


def main() -> None:
    """Measure and write the results."""
    program = str(Path(sys.executable).with_name("saywhat"))
    python = seconds(sys.executable, "-c", "pass")
    told = seconds(program, "--help")
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        command = [program, "audit", "--json", "--out", f"{folder}/run"]
        made = subprocess.run(command, check=True, capture_output=True, text=True)
        audited = time.monotonic() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    summary = json.loads(made.stdout)
    asked = summary["queries"]["asked"]
    facts = provenance()
    document = {
        "schema": 1,
        "name": "footprint",
        "command": "make bench NAME=footprint",
        "seeds": [1],
        **{key: facts[key] for key in ("commit", "dirty", "hardware", "packages", "date")},
        "rows": [
            {"what": "python -c pass", "seconds": round(python, 3)},
            {"what": "saywhat --help", "seconds": round(told, 3), "ratio_to_python": round(told / python, 2)},
            {"what": "saywhat audit", "seconds": round(audited, 1), "queries_asked": asked, "targets": summary["targets"],
             "peak_memory_bytes": peak},
        ],
    }  # fmt: skip
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document["rows"], indent=1))


if __name__ == "__main__":
    main()
