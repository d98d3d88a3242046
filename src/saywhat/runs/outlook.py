"""Where a run would go, before it goes there: nothing is made or locked."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from saywhat.errors import SetupError
from saywhat.runs.folder import (
    Status,
    read_run,
    refuse_differences,
    refuse_foreign,
    unfinished_runs,
)
from saywhat.runs.settings import settings_hash


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Outlook:
    """Where a run would go.

    Attributes:
        folder: its folder; ``<time>`` stands for the time at which a new one is made.
        status: of the run that is there; ``None`` for a new one.
    """

    folder: str
    status: Status | None

    @property
    def resumed(self) -> bool:
        """Whether an unfinished run would be carried on."""
        return self.status not in {None, "complete"}


def outlook(
    name: str, settings: Mapping[str, Any], *, seed: int, root: Path, out: Path | None = None
) -> Outlook:
    """Say where ``RunFolder.open_or_resume`` or, with ``out``, ``RunFolder.at`` would go.

    Args:
        name: of the run.
        settings: resolved settings in plain JSON values.
        seed: the run's seed.
        root: where run folders live.
        out: exactly this folder instead.

    Raises:
        SetupError: the folder ``out`` would be refused.

    Example:
        >>> outlook("demo", {"budget": 5}, seed=1, root=Path("nowhere"))
        Outlook(folder='nowhere/<time>-demo-8c34b74e', status=None)
    """
    if out is not None:
        return Outlook(str(out), _status(out, name, settings, seed=seed))
    for path in unfinished_runs(root, name, settings, seed=seed):
        return Outlook(str(path), read_run(path)["status"])
    return Outlook(str(root / f"<time>-{name}-{settings_hash(settings)}"), None)


def _status(path: Path, name: str, settings: Mapping[str, Any], *, seed: int) -> Status | None:
    if not path.exists():
        return None
    if not path.is_dir():
        raise SetupError(f"Expected a folder, but {path} is a file. Choose another folder.")
    refuse_foreign(path)
    if not (path / "run.json").exists():
        return None
    refuse_differences(path, name, settings, seed=seed)
    status: Status = read_run(path)["status"]
    return status
