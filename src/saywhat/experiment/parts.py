"""The parts of an experiment: each is done once, and what came of it is one JSON file.

A file holds the part's ``outcome`` (plain JSON values), the settings that it depends on, the
seconds that it took, interruptions included, and where it comes from. A finished part is never done
again, so the same command goes on where it stopped, on another machine too if the files came along;
several processes can share the work, since each part is one process's at a time.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, final

from saywhat.errors import SetupError
from saywhat.runs import provenance
from saywhat.runs.files import write_atomically

SCHEMA: Final = 1
_KEPT: Final = ("commit", "dirty", "hardware", "date")
_UNFINISHED: Final = ".unfinished"


@final
class Parts:
    """The finished parts in a folder.

    Args:
        folder: made when the first part begins.
        clock: gives seconds, never going back.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     parts = Parts(Path(folder))
        ...     first = parts.do("sums/one", {"of": [1, 1]}, lambda: {"sum": 2})
        ...     parts.do("sums/one", {"of": [1, 1]}, lambda: {"sum": 3}) == first, parts.names()
        (True, ['sums/one'])
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self._clock = folder, clock

    def names(self) -> list[str]:
        """Give the names of the finished parts."""
        files = (file.relative_to(self.folder) for file in self.folder.glob("**/*.json"))
        return sorted(str(file.with_suffix("")) for file in files if file.parts[0] != _UNFINISHED)

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
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise SetupError(
                f"{path} cannot be read ({error}); remove it to do it again."
            ) from error
        if not isinstance(found, dict) or found.get("schema") != SCHEMA or "outcome" not in found:
            raise SetupError(f"{path} is no part of schema {SCHEMA}; remove it to do it again.")
        return found

    def check(self, name: str, settings: Mapping[str, Any]) -> None:
        """See that a part, if it is finished, was made with these settings.

        Raises:
            SetupError: it was made with others.
        """
        found = self.record(name)
        if found is None or found["settings"] == _plain(settings):
            return
        different = sorted(_different(found["settings"], _plain(settings)))
        raise SetupError(
            f"{self._path(name)} was made with other settings of {', '.join(different)}; remove it "
            "to do it again, give another --out, or the same settings."
        )

    def do(
        self, name: str, settings: Mapping[str, Any], make: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Do a part unless it is finished, and give what came of it.

        Args:
            name: of the part, ``kind/.../detail``.
            settings: all that it depends on, as plain values.
            make: does it; called in one process at a time.
        """
        with self.alone(name):
            if (found := self.outcome(name)) is not None:
                return found
            with self._timed(name) as seconds:
                outcome = make()
                record = {
                    "schema": SCHEMA,
                    "part": name,
                    "seconds": seconds(),
                    **{key: value for key, value in provenance().items() if key in _KEPT},
                    "settings": settings,
                    "outcome": outcome,
                }
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            write_atomically(path, f"{text}\n".encode())
            self._noted(name).unlink(missing_ok=True)
        return _plain(outcome)  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Wait until no other process works on a part, and keep others away from it."""
        lock = self._noted(name).with_suffix(".lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)  # and with it the lock; the file stays, others may wait for it

    @contextlib.contextmanager
    def _timed(self, name: str) -> Iterator[Callable[[], float]]:
        """Give what tells the seconds that a part took until now, in earlier processes too."""
        path, started = self._noted(name), self._clock()
        before = float(path.read_text(encoding="utf-8")) if path.exists() else 0.0

        def seconds() -> float:
            return round(before + self._clock() - started, 1)

        try:
            yield seconds
        except BaseException:
            write_atomically(path, str(seconds()).encode())
            raise

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _noted(self, name: str) -> Path:
        return self.folder / _UNFINISHED / f"{name.replace('/', '.')}.seconds"


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _different(one: Any, other: Any, prefix: str = "") -> Iterator[str]:
    """Give the dotted keys at which two trees differ."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        if one != other:
            yield prefix.rstrip(".")
        return
    for key in {*one, *other}:
        if key not in one or key not in other:
            yield f"{prefix}{key}"
        else:
            yield from _different(one[key], other[key], f"{prefix}{key}.")
