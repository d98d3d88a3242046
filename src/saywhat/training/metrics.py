"""What REINFORCE says of each step: one line of ``metrics.jsonl``."""

import dataclasses
import json
from pathlib import Path
from typing import Final, final

SUCCESS: Final = 0.7  # the similarity that ``StepMetrics.success`` counts from


@final
@dataclasses.dataclass(frozen=True, slots=True)
class StepMetrics:
    """One line of ``metrics.jsonl``. Means are over answered queries.

    Attributes:
        step: counted from 1.
        reward: mean reward after the cut.
        similarity: mean similarity before the cut.
        best: mean over targets of the best similarity among their samples.
        success: share of samples with similarity of at least 0.7.
        distinct_queries: share of distinct queries among this step's.
        distinct_replies: share of distinct replies among this step's.
        entropy: of the policy's next token, nats.
        kl: to the pre-trained generator, nats a query.
        gradient_norm: before clipping.
        asked: queries asked so far in this training, validation included.
        failed: of this step's queries, those without a reply.
        seconds: wall time of the step.
        validation: mean similarity of greedy queries on the validation list, when it was measured
            at this step.
    """

    step: int
    reward: float
    similarity: float
    best: float
    success: float
    distinct_queries: float
    distinct_replies: float
    entropy: float
    kl: float
    gradient_norm: float
    asked: int
    failed: int
    seconds: float
    validation: float | None = None


@final
class MetricsLog:
    """The file of one training, appended to step by step.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, metrics: StepMetrics) -> None:
        """Write one line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(metrics)) + "\n")

    def keep_until(self, step: int) -> None:
        """Drop what was written after ``step``: a resumed training does it over."""
        if not self._path.exists():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        partial = self._path.with_name(self._path.name + ".partial")
        partial.write_text(
            "".join(line for line in whole if json.loads(line)["step"] <= step), encoding="utf-8"
        )
        partial.replace(self._path)
