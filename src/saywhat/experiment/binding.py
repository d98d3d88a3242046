"""What a part depends on, as the plain JSON values that its file records."""

from typing import Any, Final

from saywhat.config import SearchSettings, Section
from saywhat.experiment.design import Method

_FREE: Final = {"limits", "connection"}  # pace and budgets change no outcome
_AGENT: Final = (
    "model",
    "seed",
    "samples",
    "learning_rate",
    "clip",
    "reward_cut",
    "patience",
)


def plain(section: Section, *keys: str) -> dict[str, Any]:
    """Give what a section's outcome depends on; of these keys only, if any are given.

    Example:
        >>> from saywhat.config import CollectSettings
        >>> plain(CollectSettings(), "posts")
        {'posts': 64000}
    """
    return section.model_dump(mode="json", include=set(keys) if keys else None, exclude=_FREE)


def searched_with(search: SearchSettings, method: Method) -> dict[str, Any]:
    """Give the settings of a search that are no part of its method.

    Those of ``diverse-beam`` only where they are not the defaults: files that were made before
    they were recorded are still good.
    """
    if method.search == "rnn-agent":
        return {"agent": plain(search.agent, *_AGENT)}
    if method.search == "diverse-beam":
        keys = {"diversity_groups", "diversity_strength"}
        changed = search.model_dump(mode="json", include=keys, exclude_defaults=True)
        return {"diversity": changed} if changed else {}
    return {}
