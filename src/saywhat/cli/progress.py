"""Progress of long work: a bar on a terminal, elsewhere a plain line about every ten seconds."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, final

from typing_extensions import override

from saywhat.cli.output import Output

if TYPE_CHECKING:
    import rich.progress

SECONDS_BETWEEN_LINES: Final = 10.0


@final
class Progress:
    """Shows one piece of work at a time. Use it in a ``with`` statement.

    Args:
        output: where talk goes.
        clock: gives seconds.
    """

    def __init__(self, output: Output, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._output, self._clock = output, clock
        self._bar: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None
        self._title, self._said = "", clock()

    def __enter__(self) -> "Progress":
        if self._output.interactive and not self._output.quiet:
            self._bar = _bar(self._output)
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(
        self, title: str, done: int | float, total: int | float | None, note: str = ""
    ) -> None:
        """Show how far the work is.

        Args:
            title: what it is; another title is another piece of work.
            done: how much of it is done.
            total: how much there is; ``None`` while nobody knows.
            note: what else there is to say.
        """
        if self._bar is not None:
            self._show_bar(self._bar, title, done, total, note)
            return
        now = self._clock()
        if title != self._title:
            self._title = title
        elif now - self._said < SECONDS_BETWEEN_LINES:
            return
        else:
            of = f" {done / total:.0%}" if total else ""
            self._output.talk(f"{title}{of}{' · ' if note else ''}{note}")
        self._said = now

    def another(self) -> None:
        """Say that another piece of work begins, even if it has the same title."""
        self._title = ""

    def _show_bar(
        self,
        bar: "rich.progress.Progress",
        title: str,
        done: int | float,
        total: int | float | None,
        note: str,
    ) -> None:
        if self._task is None or title != self._title:
            if self._task is not None:
                bar.remove_task(self._task)
            self._task = bar.add_task(title, total=total, note=note)
            self._title = title
        bar.update(self._task, completed=done, total=total, note=note)


@final
class SendingRate:
    """Queries that left for the chatbot in this process, and how fast.

    Answers from the ledger are not among them: a resumed run looks no faster than it is.

    Args:
        clock: gives seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._started = clock, clock()
        self.sent = 0

    def add(self, number: int) -> None:
        """Count queries that left."""
        self.sent += number

    @override
    def __str__(self) -> str:
        seconds = self._clock() - self._started
        speed = f" · {self.sent / seconds:,.1f} queries/s" if self.sent and seconds > 0 else ""
        return f"{self.sent:,} sent{speed}"


def _bar(output: Output) -> "rich.progress.Progress":
    from rich.progress import (
        BarColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as RichProgress

    return RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=output.console,
        transient=True,
    )
