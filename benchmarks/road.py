"""The whole road on the test lists: ``make bench NAME=road`` -> ``benchmarks/results/road.json``.

Real input, pre-trained greedy, RL greedy, RL beam 50, RL beam 200, retrieval and random 200, each an audit of the built-in
chatbot. Every method is also scored with the paper's raw embedding average, from the stored replies, without a query. The test
lists are used for nothing else.
"""

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from saywhat.audit import audit
from saywhat.config import AuditSettings, SearchSettings, TrainSettings
from saywhat.corpora.files import read_pairs
from saywhat.corpora.targets import read_targets
from saywhat.evaluation.statistics import paired_bootstrap
from saywhat.evaluation.tables import rows, summarise, with_null
from saywhat.experiment.evaluate import attempts_by_target, distinct_by_group, rescored
from saywhat.pipeline import Training
from saywhat.records import Finding
from saywhat.registry import ASSETS
from saywhat.rng import derive_seed
from saywhat.runs import provenance
from saywhat.similarity import make_similarity
from saywhat.similarity.null import null_scores

SEED = 1
RESULTS = Path(__file__).with_name("results") / "road.json"
PAPER_GAIN = {"1-3": 41.5, "4-6": 34.0, "7-10": 28.3}


@dataclasses.dataclass(frozen=True)
class Method:
    """One row of the table: a search, its budget and the generator that guides it."""

    name: str
    search: str
    budget: int
    trained: bool = True


METHODS = (
    Method("real-input", "real-input", 1),
    Method("retrieval", "retrieval", 1),
    Method("random-200", "random", 200),
    Method("pretrained-greedy", "greedy", 1, trained=False),
    Method("pretrained-beam-200", "beam", 200, trained=False),
    Method("rl-greedy", "greedy", 1),
    Method("rl-beam-50", "beam", 50),
    Method("rl-beam-200", "beam", 200),
    Method("rl-sampling-200", "sampling", 200),
)


def main(work: Path) -> None:
    """Run every method and write the results."""
    pretrained = pretrained_folder(work)
    card = json.loads((ASSETS / "generator" / "model.json").read_text())["queries"]
    reference_queries = card["reference"]["sent"]
    training = {
        "pretrained": reference_queries,
        "rl": reference_queries + card["reinforce"]["sent"],
        "retrieval": reference_queries,
    }
    targets = read_targets(ASSETS / "targets" / "test.jsonl")
    similarities = {
        name: make_similarity(name, vectors="glove-6b-50d", centre=ASSETS / "centre.npy")
        for name in ("embedding-average-centred", "embedding-average")
    }
    replies = [pair.reply for pair in read_pairs(ASSETS / "reference.jsonl.xz")]
    nulls = {
        name: null_scores(
            similarity,
            [t.text for t in targets],
            replies=replies,
            rng=np.random.default_rng(derive_seed(SEED, "null")),
        )
        for name, similarity in similarities.items()
    }
    all_rows: list[dict[str, Any]] = []
    found: dict[tuple[str, str], list[Finding]] = {}
    for method in METHODS:
        started = time.monotonic()
        generator = "builtin" if method.trained else str(pretrained)
        settings = AuditSettings(
            generator=generator,
            targets="test",
            search=SearchSettings(method=method.search, budget=method.budget, real_input=False),
            seed=SEED,
        )
        result = audit(settings, out=work / "runs" / method.name)
        seconds = time.monotonic() - started
        attempts = attempts_by_target(result.folder)
        for name, similarity in similarities.items():
            findings = rescored(targets, attempts, similarity, threshold=0.7)
            found[method.name, name] = findings
            summary = with_null(
                summarise(
                    findings, counts=result.summary["queries"], chatbot="builtin", method=method.name, similarity=name,
                    threshold=0.7, status="complete", rng=np.random.default_rng(derive_seed(SEED, "road", method.name, name)),
                ), nulls[name],
            )  # fmt: skip
            all_rows += rows(
                summary,
                seed=SEED,
                training_queries=training.get(method.name.partition("-")[0], 0),
                seconds=seconds,
                distinct_replies=distinct_by_group(targets, attempts),
            )
        print(
            f"{method.name}: {seconds:.0f} s, mean {result.summary['mean_similarity']}", flush=True
        )
    document = {
        "schema": 1,
        "name": "road",
        "command": "make bench NAME=road",
        "seeds": [SEED],
        **{key: provenance()[key] for key in ("commit", "dirty", "hardware", "packages", "date")},
        "rows": all_rows,
        "comparisons": comparisons(found),
        "nulls": {name: dataclasses.asdict(null) for name, null in nulls.items()},
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def pretrained_folder(work: Path) -> Path:
    """Give the pre-trained generator: the one that ``make builtin`` left, else made again from the shipped corpus."""
    left = Path("work/builtin/generator")
    if (left / "pretrained").exists():
        return left / "pretrained"
    (work / "targets").mkdir(parents=True, exist_ok=True)
    for name in ("reference.jsonl.xz", "targets/test.jsonl", "targets/validation.jsonl"):
        (work / name).write_bytes((ASSETS / name).read_bytes())
    Training(TrainSettings(seed=SEED), work).pretrain()
    return work / "pretrained"


def comparisons(found: dict[tuple[str, str], list[Finding]]) -> list[dict[str, Any]]:
    """Compare methods on the same targets: paired bootstrap of the mean similarity."""
    wanted = [("rl-greedy", "pretrained-greedy"), ("rl-beam-200", "real-input"), ("rl-beam-200", "retrieval"),
              ("rl-beam-200", "random-200"), ("rl-beam-200", "pretrained-beam-200"), ("rl-beam-200", "rl-beam-50"),
              ("rl-sampling-200", "rl-beam-200")]  # fmt: skip
    result = []
    for (better, worse), name in (
        (pair, n) for pair in wanted for n in sorted({k[1] for k in found})
    ):
        pairs = zip(found[better, name], found[worse, name], strict=True)
        groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for a, b in pairs:
            if a.similarity is not None and b.similarity is not None:
                for length in (a.length, "all"):
                    groups.setdefault((a.list, length), []).append((a.similarity, b.similarity))
        for (target_list, length), values in sorted(groups.items()):
            rng = np.random.default_rng(
                derive_seed(SEED, "compare", better, worse, name, target_list, length)
            )
            interval = paired_bootstrap([a for a, _ in values], [b for _, b in values], rng=rng)
            base = float(np.mean([b for _, b in values]))
            gain = None if interval is None or base <= 0 else 100 * interval.estimate / base
            result.append({
                "a": better, "b": worse, "similarity": name, "list": target_list, "length": length, "targets": len(values),
                "difference": None if interval is None else interval.estimate,
                "ci95": None if interval is None else [interval.low, interval.high],
                "relative_gain_percent": gain,
                "paper_gain_percent": PAPER_GAIN.get(length) if (better, worse, target_list) == ("rl-beam-200", "real-input", "real") else None,
            })  # fmt: skip
    return result


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "work/road"))
