"""Where a number comes from: code, packages, machine, date and command.

Run folders, benchmark results and model cards share it.
"""

import importlib.metadata
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_PACKAGE_FOLDER = Path(__file__).resolve().parent.parent
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_USER_IN_URL = re.compile(r"://[^/@\s]+@")
_SECRET_VALUE = re.compile(
    r"((?:api[_-]?key|token|secret|password|authorization)\s*[=:]\s*)(?!env:)\S.*", re.IGNORECASE
)


def utc_now() -> datetime:
    """Give the present time in UTC: the default clock, which tests replace."""
    return datetime.now(UTC)


def provenance(*, device: str = "cpu", clock: Callable[[], datetime] = utc_now) -> dict[str, Any]:
    """Describe the code and the machine in plain JSON values.

    Args:
        device: where tensors live, for example ``"cpu"``; without torch nobody can look.
        clock: gives the date.

    Returns:
        ``version`` (of saywhat), ``commit`` and ``dirty`` (whether the package's folder differs
        from it; both ``None`` when the code is in no git repository), ``packages`` (name to
        version), ``python``, ``platform``, ``machine``, ``cpu``, ``cores``, ``device``,
        ``hardware`` (the last three in one line) and ``date`` (ISO 8601).

    Example:
        >>> sorted(provenance())[:5]
        ['commit', 'cores', 'cpu', 'date', 'device']
    """
    commit, dirty = _commit(_PACKAGE_FOLDER)
    cpu, cores = _cpu(), _cores()
    return {
        "version": _version(),
        "commit": commit,
        "dirty": dirty,
        "packages": _packages(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": cpu,
        "cores": cores,
        "device": device,
        "hardware": f"{cpu}, {cores} cores, device {device}",
        "date": clock().isoformat(timespec="seconds"),
    }


def command_line(arguments: Sequence[str] | None = None) -> str:
    """Give the command that started this process, ready to paste, without credentials.

    Args:
        arguments: program and arguments; those of this process by default.

    Example:
        >>> command_line(["/usr/bin/saywhat", "audit", "--chatbot", "openai:https://me:pw@host/v1#m"])
        "saywhat audit --chatbot 'openai:https://***@host/v1#m'"
    """
    program, *rest = sys.argv if arguments is None else arguments
    path = Path(program)
    words = ["saywhat"] if path.name in {"saywhat", "__main__.py"} else ["python", program]
    return shlex.join([*words, *map(masked, rest)])


def masked(word: str) -> str:
    """Hide what looks like a credential in a word of a command line, such as a chatbot's spec.

    Example:
        >>> masked("openai:https://me:pw@host/v1#m")
        'openai:https://***@host/v1#m'
    """
    return _SECRET_VALUE.sub(r"\1***", _USER_IN_URL.sub("://***@", word))


def _version() -> str:
    try:
        return importlib.metadata.version("saywhat")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _packages() -> dict[str, str]:
    """Versions of what saywhat asks for, extras included, as far as installed."""
    try:
        requirements = importlib.metadata.requires("saywhat") or []
    except importlib.metadata.PackageNotFoundError:
        requirements = []
    names = {match[0] for line in requirements if (match := _REQUIREMENT.match(line))}
    versions = {}
    for name in sorted(names, key=str.lower):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _commit(folder: Path) -> tuple[str | None, bool | None]:
    """Commit and dirty flag of the repository that tracks ``folder``.

    A package installed inside someone else's repository (a virtual environment in it) is not
    tracked there, and that repository's commit would say nothing about our code.
    """
    if not _git(folder, "ls-files", "--", "__init__.py"):
        return None, None
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    status = _git(folder, "status", "--porcelain", "--", ".")
    if not commit or status is None:
        return None, None
    return commit, bool(status)


def _git(folder: Path, *arguments: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603  (fixed arguments, no shell)
            [program, "--no-optional-locks", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine() or "unknown"


def _cores() -> int:
    """The cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
