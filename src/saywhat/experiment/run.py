"""The experiment, part by part, in order: from nothing to every number of the page.

What is heavy (models, run folders) is not in the parts; where a later part needs it and it is gone,
it is made again.
"""

import fnmatch
from collections.abc import Callable
from typing import final

from saywhat.errors import SetupError
from saywhat.experiment.parts import Parts
from saywhat.experiment.steps import Step, Steps


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
        self._parts, self._tell = parts, tell

    def names(self) -> list[str]:
        """Give the names of all parts, in the order in which they need each other."""
        return list(self._steps)

    def run(self, only: str = "*") -> None:
        """Do every part whose name fits a pattern and that is not finished, and what it needs.

        Raises:
            SetupError: no part has such a name, or a finished one was made with other settings.
        """
        wanted = [name for name in self._steps if fnmatch.fnmatchcase(name, only)]
        if not wanted:
            raise SetupError(f"No part fits {only!r}; there are {', '.join(self._steps)}.")
        for step in self._steps.values():
            self._parts.check(step.name, step.settings)
        for name in wanted:
            if self._parts.outcome(name) is None:
                self._do(self._steps[name])

    def _do(self, step: Step) -> None:
        for name in step.needs:
            if self._parts.outcome(name) is None:
                self._do(self._steps[name])
            elif self._is_gone(name):
                self._do_again(self._steps[name])
        self._tell(step.name)
        self._parts.do(step.name, step.settings, step.make)

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
                step.make()
