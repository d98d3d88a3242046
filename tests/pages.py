"""The fenced blocks of a page of the guide, for tests that do what the page says.

A block that begins with a file's name in a comment is that file.
"""

import dataclasses
import re
from pathlib import Path

GUIDE = Path(__file__).parents[1] / "docs" / "guide" / "chatbots"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"# (\w+\.\w+)\n")


@dataclasses.dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    language: str
    text: str

    @property
    def file(self) -> str:
        """The file that it is; ``""`` if it is none."""
        match = _NAME.match(self.text)
        return match[1] if match else ""


def blocks(page: str, *languages: str) -> list[Block]:
    """Give the fenced blocks of a page, in order; of some languages only, if any are named."""
    text = GUIDE.joinpath(page).read_text(encoding="utf-8")
    found = [Block(*groups) for groups in _BLOCK.findall(text)]
    assert text.count("```") == 2 * len(found)
    return [block for block in found if not languages or block.language in languages]


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Give the commands of a console block, each with the lines that it is to print."""
    parts = [part.splitlines() for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]
    return [(command, lines) for command, *lines in parts]
