"""Files that are never half-written, their hashes, private folders, and a lock on one."""

import fcntl
import hashlib
import os
import tempfile
from pathlib import Path

from saywhat.errors import SetupError

LOCK = ".lock"
_SUFFIX = ".tmp"


def file_hash(path: Path) -> str:
    """Give the SHA-256 of a file, in hex, or ``""`` when it is not there.

    Raises:
        OSError: it is there, and cannot be read.
    """
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 in one step: a reader, or a crash, sees the old one or the new.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomically(Path(folder) / "a.txt", b"hi")
        ...     (Path(folder) / "a.txt").read_bytes()
        b'hi'
    """
    descriptor, temporary = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=_SUFFIX
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def is_leftover(name: str) -> bool:
    """Whether a file of this name is what a crash left of :func:`write_atomically`."""
    return name.startswith(".") and name.endswith(_SUFFIX)


def make_new_folder(root: Path, stem: str) -> Path:
    """Make ``root/stem``, or ``root/stem-2`` and so on if it exists, with mode 0700.

    Raises:
        SetupError: it cannot be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            path = root / (stem if number == 1 else f"{stem}-{number}")
            try:
                path.mkdir(mode=0o700)
            except FileExistsError:
                continue
            return path
    except OSError as error:
        raise SetupError(
            f"Cannot make a run folder in {root}: {error}. Choose another folder."
        ) from error
    raise SetupError(f"{root} holds 999 folders named {stem}. Choose another folder.")


def acquire(folder: Path) -> int:
    """Lock a folder for this process; closing the descriptor that comes back gives it free.

    The lock is the kernel's (``flock``): it ends with the process, however that ends. The file only
    tells others whom to wait for.

    Raises:
        SetupError: another process has it; the message gives that process's number.
    """
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise SetupError(
            f"The run folder {folder} is in use by process {owner}. "
            "Wait for it, stop it, or choose another folder."
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock
