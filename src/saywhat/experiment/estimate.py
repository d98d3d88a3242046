"""How many queries a part asks at most, before any is asked: for who pays for each."""

import math
from collections.abc import Mapping
from typing import Any, Final

from saywhat.evaluation.edits import edits
from saywhat.experiment.paper import LISTS
from saywhat.experiment.step import Step
from saywhat.text.normalise import LENGTH_GROUPS

_GROUPS: Final = len(LISTS) * len(LENGTH_GROUPS)


def most_queries(step: Step, *, per_length: int) -> int:
    """Give the most queries that a part sends to its chatbot; answers from a ledger are fewer.

    Failures that are tried again are not counted, nor is the oracle, which asks nobody but itself.

    Args:
        step: the part.
        per_length: test targets of each list and length, where a part is not limited to fewer.

    Example:
        >>> step = Step("repeat/main", {"times": 5, "methods": ["a"]}, dict)
        >>> most_queries(step, per_length=200)
        6000
    """
    kind, settings = step.name.partition("/")[0], step.settings
    targets = _GROUPS * (settings.get("per_group") or per_length)
    asked = 0
    if kind == "collect":
        asked = settings["collect"]["posts"] + 2 * settings["lists"]["utterances"]
    elif kind == "reinforce":
        asked = _training(settings["reinforce"])
    elif kind in {"evaluate", "search"}:
        asked = settings["method"]["budget"] * targets
    elif kind == "keywords":
        asked = settings["method"]["budget"] * 3 * settings["per_count"]
    elif kind == "ablation":
        methods = settings["methods"]
        asked = targets * sum(method["budget"] for method in methods)
        if any(method["generator"] == "rl" for method in methods):
            asked += _training(settings["train"]["reinforce"])
    elif kind == "probes":
        asked = settings["posts"] * (1 + len(edits([])))
    elif kind == "repeat":
        asked = settings["times"] * len(settings["methods"]) * targets
    return asked


def _training(reinforce: Mapping[str, Any]) -> int:
    steps = int(reinforce["steps"])
    drawn = steps * int(reinforce["targets"]) * int(reinforce["samples"])
    judged = 1 + math.ceil(steps / int(reinforce["validate_every"]))
    return drawn + judged * int(reinforce["validation_targets"])
