"""Documentation names what exists, links to what is there; generated pages are fresh."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from saywhat import registry
from saywhat.cli import app
from saywhat.cli.settings import SettingsFile

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    p for p in [*ROOT.glob("*.md"), *ROOT.joinpath("docs").rglob("*.md")] if "_build" not in p.parts
)
LINK = re.compile(r"\]\(([^)#\s]*)(?:#[^)\s]*)?\)")
CODE = re.compile(r"```\w*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
SECTIONS = (
    "What it does", "Paper", "Formula", "Where in our code", "Departures from the paper",
    "Meaning of each logged metric", "Results", "Known failures",
)  # fmt: skip


def built_in(kind: str) -> list[str]:
    """Give the names that the package itself registers."""
    return [name for name, text in registry.names(kind).items() if not text.startswith("from ")]


def code_spans(path: Path) -> Iterator[str]:
    """Give the code in a page, inline and in blocks."""
    for block, inline in CODE.findall(path.read_text(encoding="utf-8")):
        yield block or inline


def test_generated_pages_are_fresh() -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    links = [link for link in LINK.findall(path.read_text(encoding="utf-8")) if link]
    local = [link for link in links if not link.startswith(("http:", "https:", "mailto:"))]
    assert [link for link in local if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("name", built_in("searches"))
def test_every_search_has_its_page(name: str) -> None:
    page = ROOT / "docs" / "algorithms" / f"{name}.md"
    assert f"`{name}`" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", built_in("similarities"))
def test_every_similarity_has_a_page(name: str) -> None:
    pages = ROOT.joinpath("docs", "algorithms").glob("*.md")
    naming = [p.name for p in pages if f"`{name}`" in p.read_text(encoding="utf-8")]
    assert {f"{name}.md", "embedding-average.md"} & set(naming)


@pytest.mark.parametrize("name", built_in("chatbots"))
def test_every_chatbot_is_in_the_guide(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "guide" / "chatbots.md").read_text(encoding="utf-8")


def test_algorithm_pages_have_all_parts() -> None:
    pages = [p for p in ROOT.joinpath("docs", "algorithms").glob("*.md") if p.name != "index.md"]
    assert len(pages) >= 10
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == SECTIONS, page.name


def test_named_files_exist() -> None:
    files = {
        p.relative_to(base).as_posix()
        for base in (ROOT, ROOT / "src" / "saywhat")
        for p in base.rglob("*.py")
    }
    missing = [
        (path.name, name)
        for path in PAGES
        if path.parent.name in {"algorithms", "decisions"}
        or path.name in {"architecture.md", "paper-index.md"}
        for span in code_spans(path)
        for name in re.findall(r"^[\w/]+\.py$", span)
        if name not in files
    ]
    assert missing == []


def test_named_verbs_and_flags_exist() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    flags = {
        option for command in commands.values() for p in command.params for option in p.opts
    } | {"--version", "--help"}
    wrong = []
    for path in PAGES:
        for span in code_spans(path):
            for line in span.replace("\\\n", " ").splitlines():
                match = re.match(r"(?:\$ )?saywhat ([a-z-]+)?", line)
                if not match:
                    continue
                if match[1] and not match[1].startswith("-") and match[1] not in commands:
                    wrong.append((path.name, match[1]))
                given = re.findall(r"(?<=\s)--[a-z-]+", line.partition("#")[0])
                wrong += [(path.name, flag) for flag in given if flag not in flags]
    assert wrong == []


def test_named_targets_of_make_exist() -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    named = {
        target
        for path in PAGES
        for span in code_spans(path)
        for target in re.findall(r"^make ([a-z-]+)", span, re.MULTILINE)
    }
    assert {"audit", "test"} <= named <= targets


def test_the_readme_shows_every_folder() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = text.partition("src/saywhat/\n")[2].partition("```")[0]
    for base, shown in ((ROOT / "src" / "saywhat", "  {}/ "), (ROOT / "tests", "  {}/ ")):
        for folder in base.iterdir():
            if folder.is_dir() and not folder.name.startswith("_"):
                assert shown.format(folder.name) in tree, folder


def test_examples_are_accepted() -> None:
    import yaml

    from saywhat.corpora.targets import read_targets

    text = (ROOT / "examples" / "saywhat.yaml").read_text(encoding="utf-8")
    settings = SettingsFile.model_validate(yaml.safe_load(text)).audit
    targets = [target.text for target in read_targets(ROOT / settings.targets)]
    chatbot = registry.load_chatbot(f"python:{ROOT}/examples/bot.py:reply")
    # the second target is the reply to "love", worked out from the file
    assert chatbot.reply(["do you love me?"]) == [targets[1]] == ["i love you too"]
