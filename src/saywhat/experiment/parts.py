"""The parts of an experiment: each is done once, and what came of it is one JSON file.

A file holds the part's ``outcome`` (plain JSON values), the seconds that it took, interruptions
included, and where it comes from. A finished part is never done again, so the same command goes on
where it stopped, on another machine too if the files came along.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, final

from saywhat.errors import SetupError
from saywhat.runs import provenance

SCHEMA: Final = 1
_KEPT: Final = ("commit", "dirty", "hardware", "date")


@final
class Parts:
    """The finished parts in a folder.

    Args:
        folder: made when the first part is finished.
        settings: what the parts depend on; a folder of parts made with others is refused.
        clock: gives seconds, never going back.

    Raises:
        SetupError: the folder holds parts of another experiment.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     parts = Parts(Path(folder), {"seed": 1})
        ...     first = parts.do("sums/one", lambda: {"sum": 2})
        ...     parts.do("sums/one", lambda: {"sum": 3}) == first, parts.names()
        (True, ['sums/one'])
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self._clock = folder, clock
        self._settings = json.loads(json.dumps(settings))
        self._timing = folder / "unfinished.json"
        before = self._read(folder / "settings.json")
        if before is not None and before != self._settings:
            keys = sorted(k for k in {*before, *self._settings}
                          if before.get(k) != self._settings.get(k))  # fmt: skip
            raise SetupError(
                f"{folder} holds parts of an experiment with other settings of {', '.join(keys)}; "
                "give another --out, or the same settings."
            )

    def names(self) -> list[str]:
        """Give the names of the finished parts."""
        files = sorted(self.folder.glob("*/**/*.json"))
        return [str(file.relative_to(self.folder).with_suffix("")) for file in files]

    def outcome(self, name: str) -> dict[str, Any] | None:
        """Give what came of a part, or ``None`` if it is not finished."""
        found = self.record(name)
        return None if found is None else found["outcome"]

    def record(self, name: str) -> dict[str, Any] | None:
        """Give a part's whole file, or ``None`` if it is not finished.

        Raises:
            SetupError: the file is damaged.
        """
        path = self._path(name)
        found = self._read(path)
        if found is not None and (found.get("schema") != SCHEMA or "outcome" not in found):
            raise SetupError(f"{path} is no part of schema {SCHEMA}; remove it to do it again.")
        return found

    def do(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do a part unless it is finished, and give what came of it."""
        if (found := self.outcome(name)) is not None:
            return found
        spent = (self._read(self._timing) or {}).get(name, 0.0)
        started = self._clock()
        try:
            outcome = make()
        except BaseException:
            self._note(name, spent + self._clock() - started)
            raise
        seconds = round(spent + self._clock() - started, 1)
        origin = provenance()
        record = {
            "schema": SCHEMA,
            "part": name,
            "seconds": seconds,
            **{key: origin[key] for key in _KEPT},
            "outcome": outcome,
        }
        self._write(self.folder / "settings.json", self._settings)
        self._write(self._path(name), record)
        self._note(name, None)
        return json.loads(json.dumps(outcome))  # type: ignore[no-any-return]

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _note(self, name: str, seconds: float | None) -> None:
        notes = self._read(self._timing) or {}
        notes.pop(name, None)
        if seconds is not None:
            notes[name] = round(seconds, 1)
        if notes:
            self._write(self._timing, notes)
        else:
            self._timing.unlink(missing_ok=True)

    @staticmethod
    def _read(path: Path) -> Any:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise SetupError(f"{path} cannot be read ({error}); remove it.") from error

    @staticmethod
    def _write(path: Path, value: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")
        os.replace(partial, path)  # noqa: PTH105  (atomic, over an old file too)
