"""Where words go: results on stdout, talk, progress and errors on stderr."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO, cast, final

from saywhat.reports.visible import visible

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_WIDTH = 120


@final
class Output:
    """The two streams of one call of a verb.

    Args:
        as_json: results are one JSON document.
        quiet: no talk.
        verbose: more talk.
    """

    def __init__(self, *, as_json: bool, quiet: bool, verbose: bool) -> None:
        self.as_json, self.quiet, self.verbose = as_json, quiet, verbose and not quiet
        self._results, self._talk = sys.stdout, sys.stderr
        self._console: Console | None = None

    @property
    def interactive(self) -> bool:
        """Whether somebody watches stderr as it moves."""
        return self._talk.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"

    @property
    def console(self) -> "Console":
        """The console of stderr."""
        if self._console is None:
            self._console = _console(self._talk)
        return self._console

    def talk(self, text: str) -> None:
        """Say a line on stderr, unless quiet."""
        if not self.quiet:
            self._say(text)

    def detail(self, text: str) -> None:
        """Say a line on stderr if verbose."""
        if self.verbose:
            self._say(text)

    def error(self, text: str) -> None:
        """Say a line on stderr in any case."""
        self._say(text)

    def line(self, text: str) -> None:
        """Write one line of results as it is, but for characters that would not show."""
        self._results.write(visible(text) + "\n")
        self._results.flush()

    def results(self) -> "Console":
        """Give a console of stdout for tables."""
        return _console(self._results)

    def document(self, value: object) -> None:
        """Write the JSON document: pure ASCII, so that it is harmless on a terminal too."""
        self._results.write(json.dumps(value, indent=2, allow_nan=False) + "\n")
        self._results.flush()

    @contextlib.contextmanager
    def reserved(self) -> Iterator[None]:
        """Keep stdout for results: what a chatbot's own code prints goes to stderr."""
        with contextlib.redirect_stdout(self._talk):
            yield

    def _say(self, text: str) -> None:
        shown = "\n".join(map(visible, text.split("\n")))
        if self._console is None:
            self._talk.write(shown + "\n")
            self._talk.flush()
        else:  # above a progress bar
            self._console.print(shown, soft_wrap=True)


def _console(stream: TextIO | io.TextIOBase) -> "Console":
    from rich.console import Console

    piped = not stream.isatty() and "COLUMNS" not in os.environ
    return Console(
        file=cast("TextIO", stream),
        highlight=False,
        markup=False,
        emoji=False,
        width=_PIPE_WIDTH if piped else None,
    )
