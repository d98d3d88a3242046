"""The page of the paper's experiment from ``benchmarks/results/paper-small.json``."""

import json
from pathlib import Path
from typing import Any, Final

from saywhat.experiment import page

RESULTS: Final = Path(__file__).parents[1] / "benchmarks" / "results" / "paper-small.json"
STEM: Final = "reproduction"
NOTE: Final = "<!-- Written by docs/generate.py from benchmarks/results/paper-small.json -->"


def load() -> dict[str, Any]:
    """Read the committed results."""
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return results


def reproduction_page(results: dict[str, Any]) -> str:
    """Write ``docs/reproduction.md``."""
    return f"{NOTE}\n\n{page.markdown(results, stem=STEM)}"


def figures(results: dict[str, Any]) -> dict[str, str]:
    """Draw the figures that the page shows."""
    return page.figures(results, stem=STEM)
