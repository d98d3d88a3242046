"""The settings of a run beside those of the paper's preset, where they differ."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

import yaml

from saywhat.experiment.page.cells import made_table
from saywhat.experiment.page.lookup import Document
from saywhat.reports.table import Table

PAPER_PRESET: Final = "paper-2019.yaml"
_WITHOUT_EFFECT: Final = ("heads", "feed_forward", "latent", "checkpoint_seconds")
"""Of other networks, or of no result."""


def settings_table(document: Document) -> Table:
    """Give each setting of the main chatbot and its generator that is not the paper's."""
    paper = dict(flat(yaml.safe_load(paper_preset())))
    mine = dict(flat(document["settings"]))
    rows = [
        (key, _shown(paper[key]), _shown(value))
        for key, value in mine.items()
        if key in paper and key.rpartition(".")[2] not in _WITHOUT_EFFECT and paper[key] != value
    ]
    return made_table(
        "Settings of this run that are not paper-2019's",
        "Setting|paper-2019|This run",
        rows,
        labels=3,
        note="Of the main chatbot's first seed. Ablations and other chatbots change what their "
        "names and tables say.",
    )


def paper_preset() -> str:
    """Give the text of the paper's preset."""
    return files("saywhat").joinpath("presets", PAPER_PRESET).read_text(encoding="utf-8")


def flat(settings: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Give nested settings with dotted keys.

    Example:
        >>> dict(flat({"a": {"b": 1, "c": [2]}, "d": None}))
        {'a.b': 1, 'a.c': [2], 'd': None}
    """
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def _shown(value: Any) -> str:
    """Write a value as a settings file does.

    Example:
        >>> [_shown(value) for value in (None, True, 0.25, 6000, "adam")]
        ['null', 'true', '0.25', '6000', 'adam']
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
