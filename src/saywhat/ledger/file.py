"""The ledger as an SQLite file: one owner, one schema, and errors that say what to do."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from saywhat.errors import CheckpointError, SetupError
from saywhat.records import PHASES

SCHEMA_VERSION: Final = 2
_APPLICATION_ID: Final = 0x53617957  # "SayW": tells a ledger from any other SQLite file
_CHECKPOINT_PAGES: Final = 4000  # 16 MB; each checkpoint waits for the disk
_SCHEMA: Final = (
    "CREATE TABLE chatbots (id INTEGER PRIMARY KEY, fingerprint UNIQUE NOT NULL, name NOT NULL)",
    """CREATE TABLE replies (
        id INTEGER PRIMARY KEY, key BLOB UNIQUE NOT NULL, chatbot INTEGER NOT NULL,
        repeat INTEGER NOT NULL, phase TEXT NOT NULL, query NOT NULL, reply NOT NULL)""",
    """CREATE TABLE calls (
        phase TEXT, scope, part INTEGER, asked INTEGER NOT NULL, failed INTEGER NOT NULL,
        PRIMARY KEY (phase, scope, part)) WITHOUT ROWID""",
    """CREATE TABLE counts (
        phase TEXT PRIMARY KEY, asked INTEGER NOT NULL, "unique" INTEGER NOT NULL,
        sent INTEGER NOT NULL, failed INTEGER NOT NULL)""",
    """CREATE TABLE charges (
        phase TEXT, target, sent INTEGER NOT NULL, PRIMARY KEY (phase, target)) WITHOUT ROWID""",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


def lock(path: Path) -> int:
    """Take the lock beside the file, and give its descriptor: closing that gives it back.

    Raises:
        SetupError: the folder cannot be written to, or another process has the lock.
    """
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SetupError(
            f"The ledger {path} cannot be opened ({error.strerror}). Give a path in an"
            " existing folder that you may write to."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise SetupError(
            f"The ledger {path} is in use by another process ({error.strerror}). One process owns a"
            " ledger: wait for it to end, or choose another run folder."
        ) from error
    return descriptor


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for writing, and make it (mode 0600) and its tables if absent.

    Raises:
        SetupError: it cannot be opened.
        CheckpointError: it is not a ledger, is damaged, or was written by another version.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would use the umask's mode
    except OSError as error:
        raise SetupError(f"The ledger {path} cannot be opened ({error.strerror}).") from error
    with guarded(path):
        db = sqlite3.connect(path, isolation_level=None)
        try:
            if is_new(db, path):
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("BEGIN IMMEDIATE")
                for statement in _SCHEMA:
                    db.execute(statement)
                db.executemany("INSERT INTO counts VALUES (?, 0, 0, 0, 0)", [(p,) for p in PHASES])
                db.execute("COMMIT")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        except BaseException:
            db.close()
            raise
    return db


def is_new(db: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is empty; refuses what is not a ledger of this schema."""
    db.execute("BEGIN")  # one moment for all three: another process may be making the tables
    try:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    finally:
        db.execute("ROLLBACK")
    if application == version == tables == 0:
        return True
    if application != _APPLICATION_ID:
        raise CheckpointError(
            f"Expected a ledger at {path}, found another program's file; choose another path."
        )
    if version != SCHEMA_VERSION:
        raise CheckpointError(
            f"Expected a ledger of schema {SCHEMA_VERSION} at {path}, found schema {version}:"
            " it was written by another version of saywhat; use that one, or another path."
        )
    return False


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open the file for reading only, without owning it: a run may be using it meanwhile.

    Raises:
        SetupError: there is no such file, or it cannot be opened.
    """
    if not path.is_file():
        raise SetupError(f"Expected a ledger file at {path}; there is none.")
    # Without a WAL file nobody is writing; "immutable" then works in a read-only folder too.
    mode = "mode=ro" if path.with_name(path.name + "-wal").exists() else "immutable=1"
    with guarded(path):
        return sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, isolation_level=None)


@contextlib.contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, except for misuse (a closed ledger), which is a bug."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except sqlite3.OperationalError as error:
        raise SetupError(
            f"The ledger {path} cannot be read or written ({error}). Check the disk's free"
            " space and the file's permissions; what was stored stays valid."
        ) from error
    except sqlite3.DatabaseError as error:
        raise CheckpointError(
            f"Expected a ledger at {path}, but the file is not one or is damaged ({error});"
            " move it away or choose another path."
        ) from error
