"""The guide to one's own chatbots does what it says: its files are written, its commands run.

A block that begins with a file's name in a comment is that file; another ``python`` block is run.
In a ``console`` block each line after ``$`` is run and must print the lines below it, where ``...``
stands for any.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from saywhat import registry
from saywhat.ledger import Ledger
from tests.pages import GUIDE, blocks, commands

pytestmark = pytest.mark.timeout(300)  # the machine may be busy

PAGES = ("python.md", "command.md", "plugins.md")


def run(folder: Path, *command: str) -> str:
    """Run a command with this environment's programs; installing goes to a folder beside."""
    site = folder.parent / f"{folder.name}-site"
    done = subprocess.run(
        command,
        cwd=folder,
        env={
            **{name: text for name, text in os.environ.items() if not name.startswith("SAYWHAT_")},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(site),
            "PIP_TARGET": str(site),
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip's way of saying so
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_the_page_does_what_it_says(page: str, tmp_path: Path) -> None:
    ran = 0
    for block in blocks(page):
        if block.file:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            run(tmp_path, sys.executable, "-c", block.text)
        else:
            assert block.language == "console"
            for command, lines in commands(block.text):
                pattern = "\n".join(".*" if line == "..." else re.escape(line) for line in lines)
                printed = run(tmp_path, "sh", "-c", command)
                assert re.fullmatch(pattern, printed.rstrip("\n"), re.DOTALL), (command, printed)
                ran += 1
    assert ran >= 2


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_the_page_is_used(page: str) -> None:
    """Named in a command of the page, or in the test after this one."""
    used = "".join(block.text for block in blocks(page) if not block.file) + "service.py"
    used += "pyproject.toml our_bots.py" if "pip install" in used else ""
    assert [block.file for block in blocks(page) if block.file not in used] == []


def test_patience_is_kept_with_the_service(tmp_path: Path) -> None:
    [service] = [block for block in blocks("python.md") if block.file == "service.py"]
    (tmp_path / service.file).write_text(service.text, encoding="utf-8")
    chatbot = registry.load_chatbot(f"python:{tmp_path / service.file}:reply")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        [answer] = ledger.chatbot(chatbot, phase="search", attempts=1).ask(["hi"], scope="a")
        assert (answer.reply, answer.error) == ("at your service", "")
        assert ledger.total().sent == 2


def test_each_table_row_is_a_form_that_is_taken() -> None:
    """A signature of the table is made a function, and the function a chatbot."""
    text = GUIDE.joinpath("python.md").read_text(encoding="utf-8")
    signatures = re.findall(r"^\| `(async )?(\w+\(.*?\))` \|", text, re.MULTILINE)
    assert len(signatures) == 5
    for prefix, signature in signatures:
        space: dict[str, object] = {}
        exec(f"{prefix}def {signature}:\n    pass", space)  # noqa: S102  (the guide's own text)
        function = space[signature.partition("(")[0]]
        assert registry.load_chatbot(function).fingerprint  # type: ignore[arg-type]
