"""Tables from ``benchmarks/results/road.json`` for the results page and the README."""

import json
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parents[1] / "benchmarks" / "results" / "road.json"
NOTE: Final = "<!-- Written by docs/generate.py from benchmarks/results/road.json -->"
CENTRED: Final = "embedding-average-centred"
RAW: Final = "embedding-average"
LENGTHS: Final = ("1-3", "4-6", "7-10")
LISTS: Final = {
    "generated": "Generated: the chatbot's own replies, never seen by the generator",
    "generated-seen": "Generated, marked *seen*: replies that the reference corpus holds",
    "real": "Real: what people said",
}
INTRODUCTION: Final = """\
# Results

The built-in generator against the built-in chatbot on the test lists, which chose nothing. *Similarity* is `embedding-average-centred` unless said
otherwise; the cells give the mean over targets with its 95 % bootstrap interval. `real-input` asks what a person really said before the
target; `retrieval` asks nothing and looks the target up in the reference corpus; `random-200` asks 200 ordinary posts. Held-out targets are in
no training text and not in the reference corpus.
"""


def load() -> dict[str, Any]:
    """Read the committed results."""
    results: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return results


def results_page(results: dict[str, Any]) -> str:
    """Write ``docs/results.md``."""
    parts = [NOTE, "", INTRODUCTION]
    for name, title in LISTS.items():
        parts += [
            f"## {title}",
            "",
            "Mean similarity.",
            "",
            similarity_table(results, name, CENTRED),
            "",
        ]
        parts += ["Success by threshold, and exact replies.", "", success_table(results, name), ""]
    parts += ["## The paper's raw embedding average", ""]
    parts += [
        "The same replies under the paper's formula. The null is what unrelated replies score.",
        "",
    ]
    for name in ("generated", "real"):
        parts += [f"{LISTS[name]}.", "", similarity_table(results, name, RAW), ""]
    parts += ["## Compared on the same targets", ""]
    parts += [
        "Paired bootstrap of the difference in mean similarity.",
        "",
        comparison_table(results),
        "",
    ]
    parts += ["## Queries", "", effort_table(results), "", source(results), ""]
    return "\n".join(parts)


def readme_block(results: dict[str, Any]) -> str:
    """Write the README's table: mean similarity on both lists, all lengths side by side."""
    head = (
        "| method | queries a target | "
        + " | ".join(f"{name} {length}" for name in ("generated", "real") for length in LENGTHS)
        + " |"
    )
    lines = [head, "|:--|" + "--:|" * 7]
    for method in methods(results):
        cells = []
        asked = ""
        for name in ("generated", "real"):
            for length in LENGTHS:
                row = find(results, method, name, length, CENTRED)
                cells.append(
                    "-"
                    if row is None or row["mean_similarity"] is None
                    else f"{row['mean_similarity']:.2f}"
                )
                if row is not None and row["measured"]:
                    asked = f"{row['queries_per_target']:.0f}"
        lines.append(f"| `{method}` | {asked} | " + " | ".join(cells) + " |")
    null = results["nulls"][CENTRED]
    note = (
        f"Mean centred similarity by list and words in the target; unrelated replies score "
        f"{null['mean']:.2f}, {null['p95']:.2f} at the 95th percentile. {source(results)} "
        "More in [Results](docs/results.md)."
    )
    lines += ["", note]
    return "\n".join(lines)


def methods(results: dict[str, Any]) -> list[str]:
    """List the methods in their order."""
    return list(dict.fromkeys(row["method"] for row in results["rows"]))


def find(
    results: dict[str, Any], method: str, name: str, length: str, similarity: str
) -> dict[str, Any] | None:
    """Find one row."""
    wanted = (method, name, length, similarity)
    for row in results["rows"]:
        if (row["method"], row["list"], row["length"], row["similarity"]) == wanted:
            found: dict[str, Any] = row
            return found
    return None


def similarity_table(results: dict[str, Any], name: str, similarity: str) -> str:
    """Write mean similarities with intervals, one row a method."""
    lines = [
        "| method | " + " | ".join(f"{length} words" for length in LENGTHS) + " |",
        "|:--|--:|--:|--:|",
    ]
    for method in methods(results):
        cells = []
        for length in LENGTHS:
            row = find(results, method, name, length, similarity)
            cells.append(
                "-" if row is None or row["mean_similarity"] is None else with_interval(row)
            )
        if any(cell != "-" for cell in cells):
            lines.append(f"| `{method}` | " + " | ".join(cells) + " |")
    null = results["nulls"][similarity]
    lines.append(
        f"| null (unrelated replies) | {null['mean']:.3f} | {null['mean']:.3f} | {null['mean']:.3f} |"
    )
    return "\n".join(lines)


def with_interval(row: dict[str, Any]) -> str:
    """Write a mean and its interval."""
    if not row["ci95"]:
        return f"{row['mean_similarity']:.3f}"
    return f"{row['mean_similarity']:.3f} ({row['ci95'][0]:.3f} to {row['ci95'][1]:.3f})"


def success_table(results: dict[str, Any], name: str) -> str:
    """Write success at thresholds, exact rate and distinct replies."""
    thresholds = ("0.5", "0.6", "0.7", "0.8", "0.9", "1.0")
    lines = [
        "| method | words | " + " | ".join(thresholds) + " | exact | distinct replies |",
        "|:--|:--|" + "--:|" * 8,
    ]
    for method in methods(results):
        for length in LENGTHS:
            row = find(results, method, name, length, CENTRED)
            if row is None or not row["measured"]:
                continue
            cells = [f"{100 * row['success'][t]:.0f} %" for t in thresholds]
            lines.append(
                f"| `{method}` | {length} | "
                + " | ".join(cells)
                + f" | {100 * row['exact']:.1f} % | {row['distinct_replies']:,} |"
            )
    return "\n".join(lines)


def comparison_table(results: dict[str, Any]) -> str:
    """Write the paired comparisons under the centred similarity, and the relative gain under both."""
    lines = [
        "| a | b | list | words | a - b | 95 % interval | gain | gain, raw | paper's gain |",
        "|:--|:--|:--|:--|--:|--:|--:|--:|--:|",
    ]
    raw = {key(c): c for c in results["comparisons"] if c["similarity"] == RAW}
    for entry in results["comparisons"]:
        if entry["similarity"] != CENTRED or entry["difference"] is None:
            continue
        other = raw.get(key(entry), {})
        lines.append(
            f"| `{entry['a']}` | `{entry['b']}` | {entry['list']} | {entry['length']} | {entry['difference']:+.3f} "
            f"| {entry['ci95'][0]:+.3f} to {entry['ci95'][1]:+.3f} | {gain(entry.get('relative_gain_percent'))} "
            f"| {gain(other.get('relative_gain_percent'))} | {gain(entry.get('paper_gain_percent'))} |"
        )
    return "\n".join(lines)


def key(entry: dict[str, Any]) -> tuple[str, str, str, str]:
    """Name what a comparison compares."""
    return entry["a"], entry["b"], entry["list"], entry["length"]


def gain(value: float | None) -> str:
    """Write a relative gain in percent."""
    return "-" if value is None else f"{value:+.1f} %"


def effort_table(results: dict[str, Any]) -> str:
    """Write queries and time by method."""
    lines = ["| method | queries asked | training queries | seconds |", "|:--|--:|--:|--:|"]
    for method in methods(results):
        rows = [
            row
            for row in results["rows"]
            if row["method"] == method and row["similarity"] == CENTRED
        ]
        seconds = sum(row["seconds"] or 0 for row in rows)
        lines.append(
            f"| `{method}` | {sum(row['queries_total'] for row in rows):,} | {rows[0]['training_queries']:,} | {seconds:,.0f} |"
        )
    return "\n".join(lines)


def source(results: dict[str, Any]) -> str:
    """Say how the figures were made."""
    commit = (results["commit"] or "unknown")[:12]
    return (
        f"`{results['command']}`, seed {', '.join(map(str, results['seeds']))}, commit {commit}, {results['hardware']}, "
        f"{results['date'][:10]}."
    )
