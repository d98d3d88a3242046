"""What the ledger keeps, and its durable writes: replies, calls and counts.

Each writing method is one transaction, so that after ``kill -9`` the file holds whole batches and
counts that agree with them. WAL with ``synchronous=NORMAL`` survives the death of the process at
any moment; a power cut may lose the last commits but never damages the file.
"""

import contextlib
import dataclasses
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

from saywhat.errors import UnknownNameError
from saywhat.ledger.file import connect, connect_to_read, guarded, is_new, lock
from saywhat.records import PHASES, Pair

_CHUNK: Final = 500  # SQLite before 3.32 takes at most 999 parameters a statement
_PAGE: Final = 1000


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
    """How many queries, in the three senses that differ in money, and how many came to nothing.

    Attributes:
        asked: asked, whether answered from the cache or not; what papers quote.
        unique: answered by the chatbot for the first time.
        sent: left for the chatbot, retries included; what budgets bind.
        failed: given up on.

    Example:
        >>> Counts(asked=3, unique=2, sent=2) + Counts(asked=1)
        Counts(asked=4, unique=2, sent=2, failed=0)
    """

    asked: int = 0
    unique: int = 0
    sent: int = 0
    failed: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.asked + other.asked,
            self.unique + other.unique,
            self.sent + other.sent,
            self.failed + other.failed,
        )


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One ``ask``, and how far it is: the ``part``-th of its scope in one process."""

    phase: str
    scope: str
    part: int
    asked: int = 0
    failed: int = 0


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Bought:
    """One reply to store under its cache key."""

    key: bytes
    query: str
    reply: str


@final
class Store:
    """The open file.

    Args:
        path: the file; made with mode 0600 if absent.

    Raises:
        SetupError: the file cannot be opened, or another process has it open.
        CheckpointError: it is not a ledger, is damaged, or was written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = lock(path)
        try:
            self._db = connect(path)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Close the file and let the next process have it; closing twice is harmless."""
        if self._lock >= 0:
            self._db.close()
            os.close(self._lock)
            self._lock = -1

    def chatbot_id(self, fingerprint: str, name: str) -> int:
        """Give the row of a chatbot, made at its first appearance."""
        packed = pack(fingerprint)
        with self._writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO chatbots (fingerprint, name) VALUES (?, ?)",
                (packed, pack(name)),
            )
            row = db.execute("SELECT id FROM chatbots WHERE fingerprint = ?", (packed,)).fetchone()
        return int(row[0])

    def replies(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Give the stored replies among ``keys``."""
        sql = "SELECT key, reply FROM replies WHERE key IN ({})"
        return {key: unpack(reply) for key, reply in self._among(sql, keys)}

    def charges(self, phase: str, targets: Sequence[str]) -> dict[str, int]:
        """Give the queries sent in a phase for each of ``targets`` that any was sent for."""
        sql = "SELECT target, sent FROM charges WHERE target IN ({}) AND phase = ?"
        packed = [pack(target) for target in targets]
        return {unpack(target): sent for target, sent in self._among(sql, packed, phase)}

    def record_call(
        self,
        call: Call,
        *,
        since: Call | None,
        sent: int = 0,
        charged: Mapping[str, int] | None = None,
    ) -> None:
        """Write how far a call is and, with it, that ``sent`` queries are about to leave.

        Args:
            call: how far it is.
            since: how far it was when this process last wrote it. ``None`` for never: then it
                replaces what an earlier process wrote of the scope from this part on, so that
                resuming does not count twice.
            sent: how many leave.
            charged: target -> how many of them leave for it.
        """
        with self._writing() as db:
            before = _replaced(db, call) if since is None else (since.asked, since.failed)
            asked, failed = call.asked - before[0], call.failed - before[1]
            if since is not None and (asked or failed):
                db.execute(
                    "UPDATE calls SET asked = ?, failed = ?"
                    " WHERE phase = ? AND scope = ? AND part = ?",
                    (call.asked, call.failed, call.phase, pack(call.scope), call.part),
                )
            if asked or failed or sent:
                db.execute(
                    "UPDATE counts SET asked = asked + ?, sent = sent + ?, failed = failed + ?"
                    " WHERE phase = ?",
                    (asked, sent, failed, call.phase),
                )
            if charged:
                db.executemany(
                    "INSERT INTO charges VALUES (?, ?, ?)"
                    " ON CONFLICT (phase, target) DO UPDATE SET sent = sent + excluded.sent",
                    [(call.phase, pack(target), number) for target, number in charged.items()],
                )

    def record_replies(
        self, bought: Sequence[Bought], *, phase: str, chatbot: int, repeat: int
    ) -> None:
        """Write replies; from here on they are answered from the cache."""
        rows = [(b.key, chatbot, repeat, phase, pack(b.query), pack(b.reply)) for b in bought]
        with self._writing() as db:
            stored = db.executemany(
                "INSERT OR IGNORE INTO replies (key, chatbot, repeat, phase, query, reply)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            ).rowcount
            db.execute('UPDATE counts SET "unique" = "unique" + ? WHERE phase = ?', (stored, phase))

    def counts(self) -> dict[str, Counts]:
        """Give the counts of every phase."""
        with guarded(self._path):
            return _counts(self._db)

    def pairs(self, phase: str, fingerprint: str | None) -> Iterator[Pair]:
        """Give a phase's pairs in the order first answered; paged, so that writing may go on."""
        only = (
            ""
            if fingerprint is None
            else " AND chatbot = (SELECT id FROM chatbots WHERE fingerprint = ?)"
        )
        sql = (
            f"SELECT id, query, reply FROM replies WHERE phase = ?{only}"  # noqa: S608  (fixed text)
            f" AND id > ? ORDER BY id LIMIT {_PAGE}"
        )
        given = (phase,) if fingerprint is None else (phase, pack(fingerprint))
        last = 0
        while True:
            with guarded(self._path):
                page = self._db.execute(sql, (*given, last)).fetchall()
            if not page:
                return
            yield from (Pair(query=unpack(query), reply=unpack(reply)) for _, query, reply in page)
            last = page[-1][0]

    def _among(self, sql: str, values: Sequence[bytes | str], *more: str) -> list[tuple[Any, Any]]:
        """Give the rows of a statement with one ``IN ({})``, for any number of values."""
        rows: list[tuple[Any, Any]] = []
        with guarded(self._path):
            for start in range(0, len(values), _CHUNK):
                chunk = values[start : start + _CHUNK]
                filled = sql.format(",".join("?" * len(chunk)))
                rows += self._db.execute(filled, (*chunk, *more)).fetchall()
        return rows

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with guarded(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def read_counts(path: Path) -> dict[str, Counts]:
    """Give the counts of a ledger without owning it.

    Raises:
        SetupError: there is no such file, or it cannot be read.
        CheckpointError: it is not a ledger, is damaged, or was written by another version.
    """
    with guarded(path), contextlib.closing(connect_to_read(path)) as db:
        return {phase: Counts() for phase in PHASES} if is_new(db, path) else _counts(db)


def require_phase(phase: str) -> None:
    """Refuse a phase that does not exist.

    Raises:
        UnknownNameError: with the list of those that do.
    """
    if phase not in PHASES:
        raise UnknownNameError("phase", phase, PHASES)


def pack(text: str) -> str | bytes:
    """Give what SQLite keeps unchanged: bytes if the text holds a NUL or a lone surrogate."""
    if "\0" not in text:
        with contextlib.suppress(UnicodeEncodeError):
            text.encode()
            return text
    return text.encode("utf-8", "surrogatepass")


def unpack(stored: str | bytes) -> str:
    """Undo ``pack``."""
    return stored if isinstance(stored, str) else stored.decode("utf-8", "surrogatepass")


def _replaced(db: sqlite3.Connection, call: Call) -> tuple[int, int]:
    """Put a call in the place of what is there of its scope, and give what that had counted."""
    place = (call.phase, pack(call.scope), call.part)
    there = "SELECT sum(asked), sum(failed) FROM calls WHERE phase = ? AND scope = ? AND part >= ?"
    asked, failed = db.execute(there, place).fetchone()
    if asked is not None:
        db.execute("DELETE FROM calls WHERE phase = ? AND scope = ? AND part >= ?", place)
    db.execute("INSERT INTO calls VALUES (?, ?, ?, ?, ?)", (*place, call.asked, call.failed))
    return asked or 0, failed or 0


def _counts(db: sqlite3.Connection) -> dict[str, Counts]:
    rows = db.execute('SELECT phase, asked, "unique", sent, failed FROM counts')
    by_phase = {phase: Counts(*numbers) for phase, *numbers in rows}
    return {phase: by_phase[phase] for phase in PHASES}
