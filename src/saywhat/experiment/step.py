"""One part of an experiment that is to be done."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """A part that is to be done.

    Attributes:
        name: of the part.
        settings: all that it depends on, as plain values.
        make: does it.
        needs: names of the steps whose products it works on.
        product: a file that is there when its product is; ``None`` for a step without any.
    """

    name: str
    settings: Mapping[str, Any]
    make: Callable[[], dict[str, Any]]
    needs: tuple[str, ...] = ()
    product: Path | None = None
