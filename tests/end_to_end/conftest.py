"""The program as users meet it: no settings from outside, and an empty folder to work in."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from saywhat.cli import run

# arguments of the command line -> exit code, stdout, stderr
CommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("SAYWHAT_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Work in an empty folder that the tests of a module share."""
    folder = tmp_path_factory.mktemp("workplace")
    with contextlib.chdir(folder):
        yield folder


@pytest.fixture(scope="module")
def saywhat() -> CommandLine:
    """Run the command line in this process."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(list(map(str, arguments)))
        return code, out.getvalue(), err.getvalue()

    return call
