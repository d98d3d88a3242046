"""A child process that answers each line with a line, under a deadline.

One thread at a time moves all three pipes: it writes the question while it reads the answer and
what the process says on stderr, so that neither side can block the other. The process has a session
of its own: an interruption from the keyboard does not reach it, and it ends with all its children.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import IO, Final, cast, final

from saywhat.chatbots.secrets import Mask
from saywhat.errors import ChatbotError, Retry

MAX_LINE: Final = 4_000_000  # bytes
REPLIES_ONLY: Final = "its stdout is for replies only, one line for each query"
_QUOTED: Final = 200  # characters of what is quoted in a message
_KEPT: Final = 4_096  # bytes of stderr in which its last line is looked for
_CHUNK: Final = 65_536
_LOOK: Final = 0.2  # seconds between looks whether it lives: its children may hold the pipes open
_GRACE: Final = 2.0  # seconds between asking processes to end and ending them
_STEP: Final = 0.01  # seconds between looks whether they have


@final
class LineProcess:
    """One child process, from its start to its end.

    Args:
        arguments: the program and its arguments; no shell sees them.
        name: what it is called in messages.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, arguments: Sequence[str], *, name: str) -> None:
        self._name = name
        self._process = subprocess.Popen(  # noqa: S603  (the user's own command)
            arguments,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            # else a Python program would keep its replies in a buffer
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._using = threading.Lock()
        self._end = weakref.finalize(self, _end, self._process, self._using)
        self._unread, self._said, self._closed = bytearray(), bytearray(), False
        for pipe in _pipes(self._process):
            os.set_blocking(pipe.fileno(), False)

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return not self._closed and not _has_ended(self._process)

    def exchange(self, line: bytes, *, seconds: float, query: str) -> bytes:
        """Write a line and give the line that answers it.

        Args:
            line: the line, with its end.
            seconds: how long the answer may take.
            query: the query that the line is about.

        Raises:
            ChatbotError: there was no answer, or more than one. Do not ask this process again: it
                is no longer known which answer belongs to which line.
        """
        with self._using, selectors.DefaultSelector() as pipes:
            stdin, stdout, stderr = _pipes(self._process)
            pipes.register(stdout, selectors.EVENT_READ, self._read)
            pipes.register(stderr, selectors.EVENT_READ, self._listen)
            self._move(pipes, 0.0)
            self._refuse_more(query)
            pending = bytearray(line)
            pipes.register(stdin, selectors.EVENT_WRITE, lambda pipe: _write(pipe, pending))
            answer = self._answer(pipes, seconds, query)
            self._refuse_more(query)
            return answer

    def failure(self, what: str, kind: str, query: str, retry: Retry = "later") -> ChatbotError:
        """Make an error of what the process did; it quotes the process's last words."""
        lines = self._said.split(b"\n")
        last = next((line for line in reversed(lines) if line.strip()), b"")
        said = f"; its last line on stderr: {quoted(last.decode(errors='replace'))}" if last else ""
        return ChatbotError(f"{self._name} {what}{said}", query=query, kind=kind, retry=retry)

    def end(self) -> None:
        """End the process and all its children; ending twice is harmless."""
        self._end()

    def _answer(self, pipes: selectors.BaseSelector, seconds: float, query: str) -> bytes:
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            self._move(pipes, max(0.0, min(_LOOK, left)))
            answer, newline, rest = self._unread.lstrip().partition(b"\n")
            if len(answer) > MAX_LINE:
                much = f"wrote a line of more than {MAX_LINE:,} bytes"
                raise self.failure(much, "line too long", query)
            if newline:
                self._unread = rest
                return bytes(answer)
            if self._closed:
                raise self._dead(pipes, query)
            if left <= 0:
                what = f"gave no reply within {seconds:g} seconds (connection.timeout)"
                raise self.failure(what, "timeout", query)

    def _refuse_more(self, query: str) -> None:
        if more := self._unread.strip():
            first = quoted(more.partition(b"\n")[0].decode(errors="replace"))
            what = f"wrote a line that answers no query: {first}; {REPLIES_ONLY}"
            raise self.failure(what, "extra line", query)

    def _move(self, pipes: selectors.BaseSelector, seconds: float) -> bool:
        """Wait for pipes that can be read or written, and do it; say whether there were any."""
        ready = pipes.select(seconds)
        for key, _ in ready:
            move: Callable[[int], bool] = key.data
            if not move(key.fd):
                pipes.unregister(key.fileobj)
        if not ready and _has_ended(self._process):
            self._closed = True
        return bool(ready)

    def _read(self, stdout: int) -> bool:
        chunk = _chunk(stdout)
        self._unread += chunk or b""
        self._closed = self._closed or chunk == b""
        return chunk != b""

    def _listen(self, stderr: int) -> bool:
        chunk = _chunk(stderr)
        self._said += chunk or b""
        del self._said[:-_KEPT]
        return chunk != b""

    def _dead(self, pipes: selectors.BaseSelector, query: str) -> ChatbotError:
        _has_ended(self._process, within=1.0)
        for _ in range(64):  # its last words; a child of its own may never stop
            if not self._move(pipes, 0.0):
                break
        code = self._process.returncode
        kind = "closed its stdout" if code is None else f"exited with code {code}"
        more = "; it must go on until its stdin ends" if code == 0 else ""
        return self.failure(kind + more, kind, query)


def quoted(text: str) -> str:
    """Quote what a program wrote: one line, cut short, and no credential of the environment.

    Example:
        >>> quoted("red" + chr(7)) == "'red" + chr(92) + "x07'"
        True
    """
    text = Mask.of_environment().piece(text.strip())
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:_QUOTED])
    return f"'{shown[:_QUOTED]}'"


def _pipes(process: "subprocess.Popen[bytes]") -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    pipes = (process.stdin, process.stdout, process.stderr)
    return cast("tuple[IO[bytes], IO[bytes], IO[bytes]]", pipes)  # all were asked for


def _write(pipe: int, pending: bytearray) -> bool:
    """Write what fits; say whether there is more."""
    try:
        written = os.write(pipe, pending[:_CHUNK])
    except BlockingIOError:
        return True
    except OSError:  # it reads no more; what it still says tells why
        return False
    del pending[:written]
    return bool(pending)


def _chunk(pipe: int) -> bytes | None:
    """Read what there is: ``None`` if nothing yet, and nothing at the end."""
    try:
        return os.read(pipe, _CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _has_ended(process: "subprocess.Popen[bytes]", *, within: float = 0.0) -> bool:
    """Whether a process has ended. Whoever finds that out also ends what it has left behind.

    Its number is the group's, and may be another process's once the group has gone too: the group
    must not be signalled later.
    """
    if process.returncode is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(within)
            _end_group(process)
    return process.returncode is not None


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process and its children to end, and end those that are there after the grace."""
    deadline = time.monotonic() + _GRACE
    there = _signal(process, signal.SIGTERM)
    while there and time.monotonic() < deadline:
        process.poll()  # one that has ended is there until somebody asks
        there = _signal(process, 0)
        time.sleep(_STEP if there else 0.0)
    if there:
        _signal(process, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)


def _signal(process: "subprocess.Popen[bytes]", number: int) -> bool:
    """Signal a process and its children; say whether there are any that can be signalled."""
    try:
        os.killpg(process.pid, number)
    except OSError:
        return False
    return True


def _end(process: "subprocess.Popen[bytes]", using: threading.Lock) -> None:
    if process.returncode is None:
        _end_group(process)
    # whoever moves the pipes sees that it has died, and lets go of them
    held = using.acquire(timeout=_GRACE)
    for pipe in _pipes(process):
        with contextlib.suppress(OSError):
            pipe.close()
    if held:
        using.release()
