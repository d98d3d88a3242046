"""The visible run folder ``runs/<time>-<name>-<hash>/``: the same command again resumes it.

Nothing in it is ever half-written: each file is written beside its place, flushed to the disk and
moved there in one step (the attempts log has its own rule). A run is finished only when its status
is ``complete``; ``running`` (a crash), ``partial`` (stopped at a limit, or interrupted) and
``failed`` are resumed. Files have mode 0600 and the folder 0700, since they hold inputs that work.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, final

import yaml

from saywhat.errors import SetupError
from saywhat.records import Attempt, Finding, Pair, Target, to_json
from saywhat.runs.attempts import AttemptLog
from saywhat.runs.files import LOCK, acquire, is_leftover, make_new_folder, write_atomically
from saywhat.runs.provenance import command_line, provenance, utc_now
from saywhat.runs.settings import binding, differences, plain, settings_hash

Status = Literal["running", "complete", "partial", "failed"]
SCHEMA: Final = 1
_RUN, _CONFIG = "run.json", "config.yaml"
_NEEDED: Final = {"name", "settings_hash", "status", "seeds", "device", "resumed"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@final
class RunFolder:
    """One run's folder, locked for this process until closed.

    Make it with :meth:`open_or_resume` or :meth:`at`, and use it in a ``with`` statement: an error
    that escapes marks the run ``failed``, an interruption ``partial``.

    Attributes:
        path: the folder.
        resumed: whether an earlier run is carried on.

    Example:
        >>> import tempfile
        >>> root = tempfile.TemporaryDirectory()
        >>> with RunFolder.open_or_resume(Path(root.name), "demo", {"budget": 5}, seed=1) as folder:
        ...     summary = folder.write_json("summary.json", {"schema": 1})
        ...     folder.finish("complete")
        ...     sorted(file.name for file in folder.path.iterdir())
        ['.lock', 'config.yaml', 'run.json', 'summary.json']
        >>> root.cleanup()
    """

    def __init__(self, path: Path, *, lock: int, clock: Callable[[], datetime]) -> None:
        """Wrap a folder that is locked already; use the class methods instead."""
        self.path = path
        self.resumed = False
        self._lock = lock
        self._clock = clock
        self._run: dict[str, Any] = {}

    @classmethod
    def open_or_resume(
        cls,
        root: Path,
        name: str,
        settings: Mapping[str, Any],
        *,
        seed: int,
        clock: Callable[[], datetime] = utc_now,
        device: str = "cpu",
    ) -> "RunFolder":
        """Resume the newest unfinished run of this name, settings and seed, or make a new folder.

        Args:
            root: where run folders live, for example ``runs``.
            name: letters, digits, ``.``, ``_`` and ``-``; part of the folder's name.
            settings: resolved settings in plain JSON values; secrets as references only.
            seed: the run's seed.
            clock: gives the time.
            device: where tensors live.

        Raises:
            SetupError: the name cannot be part of a folder's name, the folder cannot be made, or
                another process is using the folder that would be resumed.
        """
        _check_name(name)
        digest = settings_hash(settings)
        for path in unfinished_runs(root, name, settings, seed=seed):
            folder = cls(path, lock=acquire(path), clock=clock)
            if _unfinished(path, name, digest, seed):  # not finished before we had the lock
                folder._resume(settings)
                return folder
            folder.close()
        path = make_new_folder(root, f"{clock():%Y-%m-%dT%H-%M-%S}-{name}-{digest}")
        folder = cls(path, lock=acquire(path), clock=clock)
        folder._begin(name, settings, seed=seed, device=device)
        return folder

    @classmethod
    def at(
        cls,
        path: Path,
        name: str,
        settings: Mapping[str, Any],
        *,
        seed: int,
        clock: Callable[[], datetime] = utc_now,
        device: str = "cpu",
    ) -> "RunFolder":
        """Use exactly this folder (``--out``): resume it if its settings agree, else make it.

        A finished run with these settings is opened as it is: ``status`` says ``complete`` and
        nothing is written.

        Raises:
            SetupError: the folder holds a run with other settings (the message names the keys that
                differ) or something else than a run, cannot be made, or is in use.
        """
        _check_name(name)
        _make_or_refuse(path)
        folder = cls(path, lock=acquire(path), clock=clock)
        try:
            if (path / _RUN).exists():
                refuse_differences(path, name, settings, seed=seed)
                folder._resume(settings)
            else:
                path.chmod(0o700)
                folder._begin(name, settings, seed=seed, device=device)
        except BaseException:
            folder.close()
            raise
        return folder

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and self.status == "running":
            self.finish("partial" if issubclass(kind, KeyboardInterrupt) else "failed")
        self.close()

    @property
    def run(self) -> dict[str, Any]:
        """A copy of what ``run.json`` says."""
        return dict(self._run)

    @property
    def status(self) -> Status:
        """Where the run stands."""
        status: Status = self._run["status"]
        return status

    def file(self, name: str) -> Path:
        """Give a path in the folder, made as an empty file of mode 0600 if absent.

        SQLite keeps the mode, also for the files that it puts beside its database.
        """
        path = self.path / name
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        return path

    def attempts(self) -> AttemptLog:
        """Open ``attempts.jsonl``."""
        return AttemptLog(self.path / "attempts.jsonl")

    def write_text(self, name: str, text: str) -> Path:
        """Write a file in one step; lone surrogates, which UTF-8 cannot hold, become escapes."""
        path = self.path / name
        write_atomically(path, text.encode("utf-8", "backslashreplace"))
        return path

    def write_json(self, name: str, value: object) -> Path:
        """Write a JSON document in one step."""
        return self.write_text(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def write_jsonl(self, name: str, records: Iterable[Target | Pair | Attempt | Finding]) -> Path:
        """Write records, one a line, in one step."""
        return self.write_text(name, "".join(to_json(record) + "\n" for record in records))

    def annotate(self, **entries: object) -> None:
        """Add entries to ``run.json``, for example the chatbot's fingerprint."""
        self._run.update(entries)
        self.write_json(_RUN, self._run)

    def finish(self, status: Status) -> None:
        """Set the status and the time at which the run ended."""
        self.annotate(status=status, finished=self._clock().isoformat(timespec="seconds"))

    def close(self) -> None:
        """Give the lock back; closing twice is allowed."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _begin(self, name: str, settings: Mapping[str, Any], *, seed: int, device: str) -> None:
        self.write_text(_CONFIG, yaml.safe_dump(plain(settings), sort_keys=False))
        facts = provenance(device=device, clock=self._clock)
        self._run = {
            "schema": SCHEMA,
            "name": name,
            "settings_hash": settings_hash(settings),
            "status": "running",
            "command": command_line(),
            "seeds": {"run": seed},
            "created": facts.pop("date"),
            "finished": None,
            "resumed": [],
            **facts,
        }
        self.write_json(_RUN, self._run)  # last: a folder with run.json has everything

    def _resume(self, settings: Mapping[str, Any]) -> None:
        self.resumed = True
        self._run = read_run(self.path)
        if self.status == "complete":
            return
        for file in list(self.path.iterdir()):
            if is_leftover(file.name):
                file.unlink()
        self.write_text(_CONFIG, yaml.safe_dump(plain(settings), sort_keys=False))
        facts = provenance(device=self._run["device"], clock=self._clock)
        entry = {key: facts[key] for key in ("date", "version", "commit", "dirty")}
        self.annotate(status="running", finished=None, resumed=[*self._run["resumed"], entry])


def unfinished_runs(
    root: Path, name: str, settings: Mapping[str, Any], *, seed: int
) -> Iterator[Path]:
    """Give the folders of unfinished runs of this name, settings and seed, the newest first."""
    digest = settings_hash(settings)
    for path in sorted(root.glob(f"*-{name}-{digest}*"), reverse=True):
        if _unfinished(path, name, digest, seed):
            yield path


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise SetupError(
            "Expected a run name of at most 64 letters, digits, '.', '_' and '-', "
            f"got {name!r}. Rename the run."
        )


def _make_or_refuse(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"Cannot make the run folder {path}: {error}. Choose another folder."
        ) from error
    refuse_foreign(path)


def refuse_foreign(path: Path) -> None:
    """See that a folder holds a run, or nothing.

    Raises:
        SetupError: it holds something else.
    """
    if (path / _RUN).exists():
        return
    for file in sorted(path.iterdir()):
        if file.name not in {LOCK, _CONFIG} and not is_leftover(file.name):
            raise SetupError(
                f"Expected a run folder or an empty one, got {path} with {file.name!r} in it "
                f"and no {_RUN}. Choose another folder."
            )


def read_run(path: Path) -> dict[str, Any]:
    """Read ``run.json``.

    Raises:
        SetupError: it cannot be read, or is not what a run writes.
    """
    try:
        run = json.loads((path / _RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SetupError(f"Cannot read {path / _RUN}: {error}. Choose another folder.") from error
    if not isinstance(run, dict) or run.get("schema") != SCHEMA:
        raise SetupError(
            f"Expected {path / _RUN} to say schema {SCHEMA}: another version of saywhat wrote it. "
            "Use that version, or choose another folder."
        )
    if missing := sorted(_NEEDED - run.keys()):
        raise SetupError(
            f"Expected {path / _RUN} to have the keys {', '.join(missing)}; it was edited or is "
            "damaged. Choose another folder."
        )
    return run


def _unfinished(path: Path, name: str, digest: str, seed: int) -> bool:
    """Whether a folder holds this very run, not complete; what cannot be read is another's."""
    try:
        run = read_run(path)
    except SetupError:
        return False
    found = (run.get("name"), run.get("settings_hash"), run.get("seeds"))
    return found == (name, digest, {"run": seed}) and run.get("status") != "complete"


def refuse_differences(path: Path, name: str, settings: Mapping[str, Any], *, seed: int) -> None:
    """See that the run in a folder has these settings.

    Raises:
        SetupError: it has others; the message names the keys.
    """
    run = read_run(path)
    try:
        stored = yaml.safe_load((path / _CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SetupError(
            f"Cannot read {path / _CONFIG}: {' '.join(str(error).split())}. Choose another folder."
        ) from error
    if not isinstance(stored, dict):
        raise SetupError(
            f"Expected keys and values in {path / _CONFIG}, got {stored!r:.60}. "
            "Choose another folder."
        )
    different = differences(
        {**binding(stored), "name of the run": run["name"], "seed of the run": run["seeds"]["run"]},
        {**binding(settings), "name of the run": name, "seed of the run": seed},
    )
    if different:
        raise SetupError(
            f"The run in {path} has other settings: {'; '.join(different)}. "
            "Choose another folder, or use the settings in its config.yaml."
        )
