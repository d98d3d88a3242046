"""How a verb ends: exit codes, one-line errors, interruptions and the command that goes on.

0 done; 1 unexpected (a traceback); 2 usage or set-up; 4 inconclusive, the chatbot kept
failing, or a budget stopped a training; 130 interrupted.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Final, NoReturn

from saywhat.cli.output import Output
from saywhat.errors import (
    BudgetError,
    ChatbotError,
    InconclusiveError,
    SayWhatError,
    SetupError,
    UnreachableError,
)

DONE: Final = 0
UNEXPECTED: Final = 1
SETUP: Final = 2
INCONCLUSIVE: Final = 4
INTERRUPTED: Final = 130
_CODES: Final = {
    SetupError: SETUP,
    InconclusiveError: INCONCLUSIVE,
    BudgetError: INCONCLUSIVE,
    ChatbotError: INCONCLUSIVE,
    UnreachableError: INCONCLUSIVE,
}


def guarded(
    body: Callable[[], None], output: Output, *, again: Callable[[], str] | None = None
) -> int:
    """Run a verb's body and give its exit code; what is not ours keeps its traceback.

    Args:
        body: what the verb does.
        output: where errors are said.
        again: gives the command that goes on after an interruption, if one does.
    """
    code = DONE
    try:
        with _termination_as_interruption():
            body()
    except KeyboardInterrupt:
        output.error("Interrupted." + (_how_to_go_on(again) if again else ""))
        code = INTERRUPTED
    except SayWhatError as error:
        stopped = again if isinstance(error, BudgetError | UnreachableError) else None
        limit = ", with a higher limit" if isinstance(error, BudgetError) else ""
        more = _how_to_go_on(stopped, limit=limit) if stopped else ""
        output.error(f"error: {error}{more}")
        code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), UNEXPECTED)
    except BrokenPipeError:  # the reader of our results has left
        with contextlib.suppress(OSError):  # else Python's last flush complains
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = UNEXPECTED
    return code


def _how_to_go_on(again: Callable[[], str], *, limit: str = "") -> str:
    return f" What was asked is saved; this goes on from there{limit}:\n  {again()}"


@contextlib.contextmanager
def _termination_as_interruption() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, so that state is saved; a second one does not disturb the saving."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, _: object) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
