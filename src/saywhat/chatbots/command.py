r"""A program as a chatbot: ``command:PROGRAM ARGS``, in any language, by lines of JSON.

The program reads ``{"query": "..."}`` from stdin, a line each, and answers each with one line on
stdout: ``{"reply": "..."}``, or ``{"error": "..."}`` if it failed, or the reply as a JSON string.
Queries come as ASCII (``\u00e9``); replies are UTF-8. It is started at the first query and stays.

Whatever else it writes to stdout ends it: nobody could tell any more which reply belongs to which
query, and a reply given to the wrong query would be a false finding. So does a reply that is late.
It is started again for the next query.
"""

import hashlib
import json
import shlex
import shutil
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, final

from saywhat.chatbots.line_process import REPLIES_ONLY, LineProcess, quoted
from saywhat.chatbots.loop import BackgroundLoop, reply_to_all
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import ChatbotError, SetupError
from saywhat.runs.files import file_hash

_EXPECTED: Final = "command:PROGRAM ARGS"


@final
class CommandChatbot:
    """Answers with a program.

    Args:
        arguments: the program's path, and its arguments.
        name: for tables.
        fingerprint: a hash of all that determines the replies.
        timeout: seconds for a reply.
    """

    def __init__(
        self, arguments: Sequence[str], *, name: str, fingerprint: str, timeout: float
    ) -> None:
        self._arguments, self._name, self._fingerprint = tuple(arguments), name, fingerprint
        self._timeout = timeout
        self._loop, self._closing = BackgroundLoop(), False
        self._process: LineProcess | None = None

    @property
    def name(self) -> str:
        """The name of the first argument that is a file, or the program's."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """A hash of the arguments, and of the program and all arguments that are files."""
        return self._fingerprint

    @property
    def concurrency(self) -> int:
        """1: replies come in the order of the queries."""
        return 1

    def submit(self, query: str) -> Future[str]:
        """Ask one query, after those before it."""
        return self._loop.submit(self._ask(query))

    def reply(self, queries: Sequence[str]) -> list[str]:
        """Answer a batch.

        Raises:
            ChatbotError: the program failed. It tells what came of each query if there were
                several.
        """
        return reply_to_all(self, queries)

    def close(self) -> None:
        """End the program; another query would start it again."""
        self._closing = True
        self._drop()
        self._loop.close()
        self._drop()  # it may have been starting
        self._closing = False

    async def _ask(self, query: str) -> str:
        # It never awaits: the loop's thread is the one worker, and queries wait for it in order.
        process = self._running(query)
        line = json.dumps({"query": query}).encode() + b"\n"
        try:
            answer = process.exchange(line, seconds=self._timeout, query=query)
            reply, error = _parsed(answer, process, query)
        except ChatbotError:
            self._drop()
            raise
        if error:
            raise process.failure(f"reported an error: {error}", "reported error", query, "now")
        return reply

    def _running(self, query: str) -> LineProcess:
        if self._closing:
            raise ChatbotError(f"{self._name} was closed", query=query, retry="never")
        if self._process is not None and self._process.alive:
            return self._process
        self._drop()
        try:
            self._process = LineProcess(self._arguments, name=self._name)
        except (OSError, ValueError) as error:
            raise ChatbotError(
                f"{self._name} cannot be started: {error}",
                query=query,
                kind="cannot be started",
                retry="never",
            ) from error
        return self._process

    def _drop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()


def make(command: str, connection: ConnectionSettings, _: ModelSettings) -> CommandChatbot:
    """Make the chatbot that a command line names: the factory of ``command:PROGRAM ARGS``.

    Args:
        command: split as a shell would, but no shell sees it: no variables, pipes or wildcards.
        connection: how long a reply may take.

    Raises:
        SetupError: it cannot be split, or there is no such program.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SetupError(f"Expected {_EXPECTED}, got one with {str(error).lower()}.") from error
    if not words or not words[0]:
        raise SetupError(f"Expected {_EXPECTED}, got no program.")
    program = _found(words[0])
    files = [word for word in words[1:] if _is_file(word)]
    return CommandChatbot(
        [program, *words[1:]],
        name=Path(files[0] if files else program).name,
        fingerprint=_fingerprint(program, words),
        timeout=connection.timeout,
    )


def _found(program: str) -> str:
    """Find a program on the PATH or from the working directory, and give its absolute path."""
    found = shutil.which(program) or shutil.which(str(Path.cwd() / program))
    if found is not None:
        return str(Path(found).absolute())  # a link stays one: a Python's environment hangs on it
    if _is_file(program):
        raise SetupError(
            f"Expected a program, got the file {program}, which may not be run; make it executable "
            "(chmod +x) or put its interpreter before it."
        )
    raise SetupError(
        f"Expected a program on the PATH or from the working directory, found no {program!r}."
    )


def _fingerprint(program: str, words: Sequence[str]) -> str:
    """Hash the words, and the program and all words that are files, also after ``--option=``."""
    contents = [_content(Path(program))]
    for word in words[1:]:
        paths = [path for path in (word, word.partition("=")[2]) if _is_file(path)]
        contents += [_content(Path(path)) for path in paths]
    identity = json.dumps(["command-1", list(words), contents])
    return hashlib.sha256(identity.encode()).hexdigest()


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except OSError:  # too long for a name: a program's text, as in python -c
        return False


def _content(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError:  # a program that may be run but not read
        status = path.stat()
        return f"{status.st_size} {status.st_mtime_ns}"


def _parsed(answer: bytes, process: LineProcess, query: str) -> tuple[str, str]:
    """Read the reply, or else the error, that a line holds.

    Raises:
        ChatbotError: it holds neither.
    """
    try:
        found: Any = json.loads(answer.decode())
    except UnicodeDecodeError:
        raise process.failure("wrote a line that is not UTF-8", "invalid UTF-8", query) from None
    except (ValueError, RecursionError):
        shown = quoted(answer.decode())
        what = f"wrote a line that is not JSON: {shown}; {REPLIES_ONLY}"
        raise process.failure(what, "malformed JSON", query) from None
    if isinstance(found, str):
        return found, ""
    if isinstance(found, dict) and found.get("error"):
        error = found["error"]
        return "", quoted(error if isinstance(error, str) else json.dumps(error))
    if isinstance(found, dict) and isinstance(found.get("reply"), str):
        return found["reply"], ""
    what = f'wrote JSON that is not {{"reply": "..."}}: {quoted(answer.decode())}'
    raise process.failure(what, "wrong reply", query, "never")
