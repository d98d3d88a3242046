"""The attempts log: every attempt, written target by target, and cut clean after a crash.

A target's attempts are one *block*, written in one call and flushed to the disk. The last line of a
block ends with a space before its newline, which JSON readers ignore: a block without it was torn
by a crash, even when the crash fell between two of its lines, and is dropped when the log is next
opened. The ledger still holds its replies, so that asking again costs no query.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, final

from saywhat.errors import CorpusError
from saywhat.records import Attempt, from_json, to_json

_END_OF_BLOCK: Final = b" \n"


@final
class AttemptLog:
    r"""``attempts.jsonl``: append-only, mode 0600.

    Opening it drops a torn last block.

    Args:
        path: the file; made if absent.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> with AttemptLog(Path(folder.name) / "attempts.jsonl") as log:
        ...     log.append([Attempt(target="hi", query="hello", nth=1, reply="hi", similarity=1.0)])
        ...     [attempt.query for attempt in log.recover()]
        ['hello']
        >>> folder.cleanup()
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        whole, mark, _ = path.read_bytes().rpartition(_END_OF_BLOCK)
        self._cut(len(whole) + len(mark))

    def __enter__(self) -> "AttemptLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def append(self, attempts: Sequence[Attempt]) -> None:
        """Write all attempts of one target as one block and wait until they are on the disk.

        Raises:
            ValueError: the attempts are of more than one target.
        """
        if not attempts:
            return
        if len(names := {attempt.target for attempt in attempts}) > 1:
            raise ValueError(
                f"A block holds one target's attempts, got those of {len(names)} targets."
            )
        # A lone surrogate, which UTF-8 cannot hold, becomes the JSON escape that reads back as it.
        lines = [to_json(attempt).encode("utf-8", "backslashreplace") for attempt in attempts]
        data = memoryview(b"\n".join(lines) + _END_OF_BLOCK)
        while data:
            data = data[os.write(self._descriptor, data) :]
        os.fsync(self._descriptor)

    def recover(self, is_done: Callable[[Sequence[Attempt]], bool] | None = None) -> list[Attempt]:
        """Read back what an earlier run wrote and drop last blocks that do not count as done.

        Args:
            is_done: is told the attempts of one target. From the end of the log, targets for which
                it says no are dropped, up to the first for which it says yes. By default every
                whole block is done.

        Raises:
            CorpusError: a line is not an attempt (the message names it).
        """
        blocks = self._blocks()
        while is_done is not None and blocks and not is_done(blocks[-1][1]):
            blocks.pop()
        self._cut(sum(size for size, _ in blocks))
        return [attempt for _, attempts in blocks for attempt in attempts]

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _blocks(self) -> list[tuple[int, list[Attempt]]]:
        blocks: list[tuple[int, list[Attempt]]] = []
        size, attempts = 0, []
        for number, line in enumerate(self.path.read_bytes().splitlines(keepends=True), start=1):
            try:
                attempts.append(from_json(Attempt, line.decode("utf-8")))
            except (CorpusError, UnicodeDecodeError) as error:
                raise CorpusError(f"{self.path}, line {number}: {error}") from error
            size += len(line)
            if line.endswith(_END_OF_BLOCK):
                blocks.append((size, attempts))
                size, attempts = 0, []
        return blocks

    def _cut(self, size: int) -> None:
        if size < os.fstat(self._descriptor).st_size:
            os.ftruncate(self._descriptor, size)
            os.fsync(self._descriptor)
