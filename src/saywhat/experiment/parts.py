"""The parts of an experiment: each is done once, and what came of it is one JSON file.

A file holds the part's ``outcome`` (plain JSON values), the settings that it depends on, the
seconds that it took (with those before an interruption; of a killed process none are known), and
where it comes from. A finished part is never done
again, so the same command goes on where it stopped, on another machine too if the files came along;
several processes can share the work, since each part is one process's at a time.
"""

import contextlib
import fcntl
import functools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, final

from saywhat.errors import SetupError
from saywhat.runs import provenance
from saywhat.runs.files import write_atomically
from saywhat.runs.provenance import utc_now

SCHEMA: Final = 1
_KEPT: Final = ("commit", "dirty", "hardware", "packages")
_NEEDED: Final = {"seconds", "settings", "outcome"}
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
            SetupError: the file is damaged, or not of this part.
        """
        path = self._path(name)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):  # the latter is said when a part begins
            return None
        except (OSError, ValueError) as error:
            raise SetupError(
                f"{path} cannot be read ({error}); remove it to do it again."
            ) from error
        if not isinstance(found, dict) or found.get("schema") != SCHEMA or _NEEDED - found.keys():
            raise SetupError(f"{path} is no part of schema {SCHEMA}; remove it to do it again.")
        if found.get("part") != name:
            raise SetupError(
                f"{path} holds the part {found.get('part')!r}, not {name}; move it to its place, "
                "or remove it."
            )
        return found

    def is_taken(self, name: str) -> bool:
        """Whether another process works on a part at this moment."""
        try:
            descriptor = os.open(self._lock(name), os.O_RDWR | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def check(self, name: str, settings: Mapping[str, Any]) -> None:
        """See that a part, if it is finished, was made with these settings.

        Raises:
            SetupError: it was made with others.
        """
        found = self.record(name)
        if found is None or found["settings"] == plain(settings):
            return
        different = sorted(_different(found["settings"], plain(settings)))
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

        Raises:
            SetupError: its file is there, and damaged.
            ValueError: what came of it has no JSON form; nothing is written.
        """
        with self.alone(name):
            if (found := self.outcome(name)) is not None:
                return found
            _origin()  # of the code as it is now, not as it is on the disk hours later
            with self._timed(name) as seconds:
                outcome = make()
                text = _json(
                    name,
                    {
                        "schema": SCHEMA,
                        "part": name,
                        "seconds": seconds(),
                        **_origin(),
                        "date": utc_now().isoformat(timespec="seconds"),
                        "settings": settings,
                        "outcome": outcome,
                    },
                )
            path = self._path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            for left in path.parent.glob(f".{path.name}.*"):  # by a process that was killed here
                left.unlink(missing_ok=True)
            write_atomically(path, f"{text}\n".encode())
            self._noted(name).unlink(missing_ok=True)
        return plain(outcome)  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Wait until no other process works on a part, and keep others away from it.

        Raises:
            SetupError: the folder of the parts cannot be made or written to.
        """
        lock = self._lock(name)
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SetupError(
                f"Cannot keep parts in {self.folder}: {error.strerror}. Choose another --out or "
                "--parts."
            ) from error
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

    def _lock(self, name: str) -> Path:
        return self._noted(name).with_suffix(".lock")


@functools.cache
def _origin() -> dict[str, Any]:
    """Give the code and the machine: once, since the code of a process does not change any more."""
    found = provenance()
    return {key: found[key] for key in _KEPT}


def _json(name: str, record: Mapping[str, Any]) -> str:
    try:
        return json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected plain JSON values of the part {name}: {error}.") from error


def plain(value: Any) -> Any:
    """Give a value as its file would read it back: tuples as lists."""
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
