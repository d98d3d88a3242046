"""Write the reference pages that come from the code: settings, command line, and one line a file.

python docs/generate.py            writes docs/reference/{settings,cli,modules}.md and, from
                                   benchmarks/results, docs/results.md, docs/reproduction.md and
                                   the README's table
python docs/generate.py --check    writes nothing; exit code 1 if a page is stale
"""

import argparse
import ast
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pydantic
import reproduction
import road
import typer.main
from pydantic.fields import FieldInfo

from saywhat import cli
from saywhat.cli.settings import SettingsFile

REFERENCE: Final = Path(__file__).with_name("reference")
PACKAGE: Final = Path(__file__).parents[1] / "src" / "saywhat"
README: Final = Path(__file__).parents[1] / "README.md"
ROAD_BEGIN: Final = "<!-- road: written by docs/generate.py -->"
ROAD_END: Final = "<!-- /road -->"
NOTE: Final = "<!-- Written by docs/generate.py: change the code, then run `make docs`. -->"
SETTINGS_INTRODUCTION: Final = """\
Every setting, its default and what it does. A default is written in one place, the code, and this
page is generated from it. A key that is not listed is refused, and all mistakes are reported at
once.

A settings file (`saywhat.yaml` in the working directory, or `--config FILE`) has the line
`version: 1` and the sections below. `--set KEY=VALUE` reaches every key; a key without its section
belongs to the verb's own. The environment variable of a key doubles the underscore between its
parts: `SAYWHAT_AUDIT__SEARCH__BUDGET`. Later wins: defaults, preset, file, environment, flags and
`--set`."""
CLI_INTRODUCTION: Final = """\
Results go to standard output, talk and progress to standard error.

| exit code | meaning |
| :-- | :-- |
| 0 | done |
| 1 | unexpected: a bug, with its traceback |
| 2 | usage or set-up: the message says what to change |
| 4 | inconclusive: nothing could be measured, or a budget ended a training |
| 130 | interrupted: what was asked is saved, and the command that goes on is printed |"""
TYPES: Final = {int: "whole number", float: "number", bool: "true or false", str: "text"}
SIGNS: Final = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def type_text(annotation: Any) -> str:
    """Say in words what a setting takes.

    Example:
        >>> type_text(int | None)
        'whole number or none'
    """
    if annotation is type(None):
        return "none"
    if typing.get_origin(annotation) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(annotation))
    if typing.get_origin(annotation) is tuple:
        return f"list of {type_text(typing.get_args(annotation)[0])}"
    if isinstance(annotation, types.UnionType):
        return " or ".join(type_text(part) for part in typing.get_args(annotation))
    return TYPES[annotation]


def limits_text(field: FieldInfo) -> str:
    """Give a field's bounds, for example ``≥ 1``."""
    bounds = [
        f"{sign} {getattr(item, name):g}"
        for item in field.metadata
        for name, sign in SIGNS.items()
        if getattr(item, name, None) is not None
    ]
    return ", ".join(bounds)


def setting_rows(section: pydantic.BaseModel, prefix: str = "") -> Iterator[str]:
    """Give a table row for each setting of a section, and of the sections in it."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, pydantic.BaseModel):
            yield from setting_rows(value, f"{prefix}{name}.")
            continue
        if not field.description:
            sys.exit(f"{type(section).__name__}.{name} has no docstring; write one below it.")
        default = (
            "none"
            if value is None
            else str(value).lower()
            if isinstance(value, bool)
            else f"`{value}`"
        )
        kind, _, optional = type_text(field.annotation).partition(" or none")
        takes = " ".join(filter(None, (kind, limits_text(field)))) + optional
        text = cell(field.description.replace("``", "`"))
        yield f"| `{prefix}{name}` | {takes} | {default} | {text} |"


def cell(text: str) -> str:
    """Fit a text into a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def settings_page() -> str:
    """Write the page of all settings."""
    parts = [
        NOTE,
        "# Settings",
        SETTINGS_INTRODUCTION,
    ]
    everything = SettingsFile()
    for name, field in SettingsFile.model_fields.items():
        section = getattr(everything, name)
        if not isinstance(section, pydantic.BaseModel):
            continue
        rows = "\n".join(setting_rows(section))
        table = f"| setting | takes | default | what it does |\n| :-- | :-- | :-- | :-- |\n{rows}"
        parts += [f"## Section `{name}`", (field.description or "").replace("``", "`"), table]
    return "\n\n".join(parts) + "\n"


def cli_page() -> str:
    """Write the page of all verbs and their options."""
    command = typer.main.get_command(cli.app)
    parts = [
        NOTE,
        "# Command line",
        CLI_INTRODUCTION,
        *command_parts("saywhat", command, level=2),
    ]
    return "\n\n".join(parts) + "\n"


def command_parts(path: str, command: Any, *, level: int) -> Iterator[str]:
    """Give the paragraphs on a command, then those on its subcommands."""
    inner = getattr(command, "commands", {})
    given = [p for p in command.params if not getattr(p, "hidden", False)]
    arguments = [argument_name(p) for p in given if p.param_type_name == "argument"]
    usage = " ".join([path, "[OPTIONS]", *arguments, *(["VERB"] if inner else [])])
    yield f"{'#' * level} `{path}`"
    yield (command.help or "").replace("``", "`").strip()
    yield f"```text\n{usage}\n```"
    if given:
        yield "| option | what it does |\n| :-- | :-- |\n" + "\n".join(map(parameter_row, given))
    for name, each in inner.items():
        yield from command_parts(f"{path} {name}", each, level=level + 1)


def argument_name(parameter: Any) -> str:
    """Give what stands for an argument in the usage line."""
    return str(parameter.metavar or parameter.name).upper()


def parameter_row(parameter: Any) -> str:
    """Give an option's or argument's row."""
    if parameter.param_type_name == "argument":
        names = f"`{argument_name(parameter)}`"
    else:
        takes = f" {parameter.metavar}" if parameter.metavar and not parameter.is_flag else ""
        names = ", ".join(f"`{name}{takes}`" for name in parameter.opts)
    variable = f" Environment: `{parameter.envvar}`." if parameter.envvar else ""
    return f"| {cell(names)} | {cell((parameter.help or '').replace('``', '`') + variable)} |"


def modules_page() -> str:
    """Write one line a file of the package: the first line of its docstring."""
    files: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        summary = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition(
            "\n\n"
        )[0]
        if not summary and path.name in {"__init__.py", "__main__.py"}:
            continue
        line = cell(" ".join(summary.split()).replace("``", "`"))
        files.setdefault(inside.parent.as_posix(), []).append(f"| `{path.name}` | {line} |")
    parts = [
        NOTE,
        "# Files",
        "One line a file, taken from it. [Architecture](../architecture.md) says how they fit.",
    ]
    for folder, rows in files.items():
        title = "`src/saywhat/`" if folder == "." else f"`{folder}/`"
        parts += [f"## {title}", "| file | what it is |\n| :-- | :-- |\n" + "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def pages() -> dict[Path, str]:
    """Give each generated page and what belongs in it."""
    made = {
        REFERENCE / "settings.md": settings_page(),
        REFERENCE / "cli.md": cli_page(),
        REFERENCE / "modules.md": modules_page(),
    }
    if road.RESULTS.exists():
        results = road.load()
        made[Path(__file__).with_name("results.md")] = road.results_page(results)
        before, rest = README.read_text(encoding="utf-8").split(ROAD_BEGIN)
        after = rest.split(ROAD_END)[1]
        block = road.readme_block(results)
        made[README] = f"{before}{ROAD_BEGIN}\n{block}\n{ROAD_END}{after}"
    if reproduction.RESULTS.exists():
        results = reproduction.load()
        made[Path(__file__).with_name("reproduction.md")] = reproduction.reproduction_page(results)
        for name, text in reproduction.figures(results).items():
            made[Path(__file__).with_name(name)] = text
    return made


def is_stale(path: Path, text: str) -> bool:
    """Whether a page is not what it should be; of a figure, whether it shows other numbers.

    How a figure is drawn may differ in the last digit from machine to machine.
    """
    if not path.exists():
        return True
    found = path.read_text(encoding="utf-8")
    if path.suffix == ".svg":
        return found.partition("\n")[0] != text.partition("\n")[0]
    return found != text


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a page is stale"
    )
    check = parser.parse_args().check
    made = pages()
    stale = [path for path, text in made.items() if is_stale(path, text)]
    for path in stale:
        if check:
            print(f"{path} is stale: run `make docs` and commit it.", file=sys.stderr)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(made[path], encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
