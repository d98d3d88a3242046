"""The experiment, part by part, in order: from nothing to every number of the page.

What is heavy (models, run folders) is not in the parts; where a later part needs it and it is gone,
it is made again. Processes that run the same experiment take different parts as far as they can.
"""

import contextlib
import fnmatch
from collections.abc import Callable, Iterator
from typing import Any, Final, final

from saywhat.errors import NothingToLearnError, SetupError
from saywhat.experiment.estimate import most_queries
from saywhat.experiment.parts import Parts, plain
from saywhat.experiment.step import Step
from saywhat.experiment.steps import Steps

_VARYING: Final = {"queries", "metrics"}  # what is asked again is cached, what is timed differs
_DIGITS: Final = 1e-4


@final
class Experiment:
    """The paper's experiment for one main chatbot and the others.

    Args:
        steps: what it consists of.
        parts: the finished parts.
        tell: is told what begins.
    """

    def __init__(
        self, steps: Steps, parts: Parts, *, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self._steps = {step.name: step for step in steps.all()}
        self._parts, self._tell, self._check_needed = parts, tell, steps.check
        self._failed: dict[str, NothingToLearnError] = {}

    def names(self, only: str = "*") -> list[str]:
        """Name the parts that fit a pattern and what they need, in the order of being done.

        Raises:
            SetupError: no part has such a name.
        """
        named: set[str] = set()
        open_ = self._fitting(only)
        while open_:
            name = open_.pop()
            if name not in named:
                named.add(name)
                open_ += self._steps[name].needs
        return [name for name in self._steps if name in named]

    def most_queries(self, only: str = "*", *, per_length: int) -> dict[str, int]:
        """Give the most queries of each part that ``names`` names; 0 for one that is finished.

        A finished one whose files are gone is asked again if another one needs them.

        Args:
            only: as for ``names``.
            per_length: as for ``estimate.most_queries``.
        """
        names = self.names(only)
        asking = {name for name in names if self._parts.outcome(name) is None}
        for name in reversed(names):  # what a step needs stands before it
            if name in asking:
                asking |= {need for need in self._steps[name].needs if self._is_lost(need)}
        return {
            name: most_queries(self._steps[name], per_length=per_length) if name in asking else 0
            for name in names
        }

    def run(self, only: str = "*") -> None:
        """Do every part whose name fits a pattern and that is not finished, and what it needs.

        A part of which nothing can come does not keep the others from being done.

        Raises:
            SetupError: no part has such a name, a finished one was made with other settings or
                from a part that is not finished any more, or a file that one needs is missing.
            NothingToLearnError: at the end, if nothing could come of some parts.
            InconclusiveError: at once, if a limit ended a part or a chatbot does not answer.
        """
        wanted = self._fitting(only)
        self.check()
        self.check_needed(only)
        while wanted := [name for name in wanted if self._is_open(name)]:
            free = (
                name for name in wanted if not any(map(self._parts.is_taken, self._to_do(name)))
            )
            with contextlib.suppress(NothingToLearnError):
                self._do(self._steps[next(free, wanted[0])])
        if self._failed:
            reasons = " ".join(f"{name}: {error}" for name, error in self._failed.items())
            raise NothingToLearnError(
                f"Nothing came of some parts, nor of what needs them. {reasons}"
            )

    def check_needed(self, only: str = "*") -> None:
        """See that everything is there that the parts need that are still to be done.

        Raises:
            SetupError: it is not, or no part has such a name.
        """
        if any(self._parts.outcome(name) is None for name in self._fitting(only)):
            self._check_needed()

    def check(self) -> None:
        """See that what is finished belongs to this experiment, and together.

        Raises:
            SetupError: a part was made with other settings, or from one that is not finished any
                more.
        """
        for step in self._steps.values():
            self._parts.check(step.name, step.settings)
        finished = {name for name in self._steps if self._parts.outcome(name) is not None}
        lost = {need for name in finished for need in self._steps[name].needs} - finished
        if lost:
            stale = [
                name for name in self._steps if name in finished and self._rests_on(name, lost)
            ]
            raise SetupError(
                f"Parts that others were made from are gone: {', '.join(sorted(lost))}. Bring them "
                f"back, or remove what was made from them in {self._parts.folder} to do it all "
                f"again: {', '.join(stale)}."
            )

    def _is_open(self, name: str) -> bool:
        """Whether a part is to be done, and can be for all that is known."""
        failed = set(self._failed)
        if self._parts.outcome(name) is not None or name in failed:
            return False
        return not self._rests_on(name, failed)

    @contextlib.contextmanager
    def _making(self, name: str) -> Iterator[None]:
        """Note of which part nothing came."""
        try:
            yield
        except NothingToLearnError as error:
            self._failed[name] = error
            self._tell(f"Nothing came of {name}: {error}")
            raise

    def _fitting(self, only: str) -> list[str]:
        fitting = [name for name in self._steps if fnmatch.fnmatchcase(name, only)]
        if not fitting:
            raise SetupError(f"No part fits {only!r}; there are {', '.join(self._steps)}.")
        return fitting

    def _rests_on(self, name: str, lost: set[str]) -> bool:
        needs = self._steps[name].needs
        return not lost.isdisjoint(needs) or any(self._rests_on(need, lost) for need in needs)

    def _to_do(self, name: str) -> Iterator[str]:
        """Name a part and what has to be done for it."""
        yield name
        for need in self._steps[name].needs:
            if self._parts.outcome(need) is None:
                yield from self._to_do(need)

    def _do(self, step: Step) -> None:
        for name in step.needs:
            if self._parts.outcome(name) is None:
                self._do(self._steps[name])
            elif self._is_gone(name):
                self._do_again(self._steps[name])
        self._tell(step.name)
        with self._making(step.name):
            self._parts.do(step.name, step.settings, step.make)

    def _is_lost(self, name: str) -> bool:
        """Whether a part is finished, and its product is not there."""
        return self._parts.outcome(name) is not None and self._is_gone(name)

    def _is_gone(self, name: str) -> bool:
        product = self._steps[name].product
        return product is not None and not product.exists()

    def _do_again(self, step: Step) -> None:
        for name in step.needs:
            if self._is_gone(name):
                self._do_again(self._steps[name])
        with self._parts.alone(step.name):
            if self._is_gone(step.name):
                self._tell(f"{step.name}: finished, but its files are gone; making them again")
                with self._making(step.name):
                    outcome = step.make()
                self._compare(step.name, outcome)

    def _compare(self, name: str, outcome: dict[str, Any]) -> None:
        before = self._parts.outcome(name) or {}
        keys = outcome.keys() - _VARYING
        if other := sorted(key for key in keys if not alike(before.get(key), plain(outcome[key]))):
            self._tell(
                f"Warning: {name} did not come out as it was ({', '.join(other)}); what is made "
                "from now on does not match what was made before. Begin anew with another --out "
                "to be sure."
            )


def alike(before: Any, now: Any) -> bool:
    """Whether two JSON values are equal, numbers up to the digits that older parts hold."""
    if isinstance(before, dict) and isinstance(now, dict):
        return before.keys() == now.keys() and all(alike(before[key], now[key]) for key in now)
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(alike, before, now))
    if isinstance(before, float) or isinstance(now, float):
        numbers = isinstance(before, float | int) and isinstance(now, float | int)
        return numbers and abs(before - now) <= _DIGITS
    return bool(before == now)
