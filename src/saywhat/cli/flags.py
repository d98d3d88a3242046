"""The flags of all verbs, declared once: each with its setting and its help.

A verb names the flags that it takes (``verb(app, "audit", "chatbot", "budget", ...)``) and gets
what was given as a ``Call``. Values of settings stay text here: ``cli.settings`` judges all of them
together, so that all mistakes are reported at once.
"""

import contextlib
import dataclasses
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, final

import typer

from saywhat.cli.exits import guarded
from saywhat.cli.output import Output


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Flag:
    """One flag.

    Attributes:
        help: one line.
        metavar: what stands for the value in the help.
        key: the setting that it sets, inside the verb's section; ``""`` if none.
        short: a one-letter form.
        kind: what it takes: one ``text``, nothing (``switch``), or any number of texts (``list``).
        environment: whether ``SAYWHAT_<NAME>`` stands for it.
    """

    help: str
    metavar: str = "TEXT"
    key: str = ""
    short: str = ""
    kind: Literal["text", "switch", "list"] = "text"
    environment: bool = True


FLAGS: Final[Mapping[str, Flag]] = {
    "chatbot": Flag("The chatbot: builtin, python:FILE.py:FUNCTION, ...", "SPEC", "chatbot"),
    "generator": Flag("The generator: builtin or a folder.", "SPEC", "generator"),
    "targets": Flag("Sentences to elicit: a list's name or a file.", "FILE|NAME", "targets"),
    "method": Flag("The search (saywhat list searches).", "NAME", "search.method"),
    "budget": Flag("Queries per target at most.", "N", "search.budget"),
    "limit": Flag("First N targets of each group only, for trying out.", "N", "limit"),
    "reference": Flag("Known replies: builtin, none or a file.", "FILE|NAME", "reference"),
    "corpus": Flag("Conversations to ask from: chitchat or a file.", "FILE|NAME", "corpus"),
    "similarity": Flag("How replies are compared with targets.", "NAME", "similarity.name"),
    "threshold": Flag("Similarity that counts as elicited.", "X", "similarity.threshold"),
    "max-queries": Flag("Queries sent in the whole run at most.", "N", "limits.queries"),
    "max-seconds": Flag("Seconds until nothing more is sent.", "X", "limits.seconds"),
    "rate": Flag("Queries a second at most.", "X", "limits.rate"),
    "concurrency": Flag("Queries under way together.", "N", "connection.concurrency", short="j"),
    "timeout": Flag("Seconds for a reply.", "X", "connection.timeout"),
    "seed": Flag("Seed of everything that draws.", "N", "seed"),
    "preset": Flag("Settings to start from (saywhat list presets).", "NAME"),
    "config": Flag("Settings file instead of ./saywhat.yaml.", "FILE", short="c"),
    "set": Flag("Any setting: search.budget=50.", "KEY=VALUE", kind="list", environment=False),
    "only": Flag("Parts whose names fit a pattern: 'evaluate/main/*'.", "PATTERN"),
    "parts": Flag("Folder of the finished parts, if not in --out.", "DIR"),
    "out": Flag("Folder to write to; the same again resumes.", "DIR", short="o"),
    "dry-run": Flag("Say what would be done; send and make nothing.", kind="switch"),
    "json": Flag("One JSON document on stdout and nothing else.", kind="switch"),
    "quiet": Flag("Only results and errors.", short="q", kind="switch"),
    "verbose": Flag("Also each finding as it comes.", short="v", kind="switch"),
}  # fmt: skip
SETTINGS: Final = ("preset", "config", "set")
OUTPUT: Final = ("json", "quiet", "verbose")


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Given:
    """The value of a flag, and where it came from: ``--budget`` or ``SAYWHAT_BUDGET``."""

    value: str
    origin: str

    @property
    def from_environment(self) -> bool:
        """Whether it came from an environment variable."""
        return not self.origin.startswith("-")


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Argument:
    """A verb's positional argument."""

    metavar: str
    help: str
    required: bool = True


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One call of a verb.

    Attributes:
        argument: the positional argument; ``""`` when there is none.
        texts: flag name -> what was given.
        assignments: the values of ``--set``.
        output: where results and talk go.
        words: the command line, without the program.
        switches: names of the switches that are on.
    """

    argument: str
    texts: Mapping[str, Given]
    assignments: tuple[str, ...]
    output: Output
    words: tuple[str, ...] = ()
    switches: frozenset[str] = frozenset()

    def command(self) -> str:
        """Give the command line, ready to paste, without credentials."""
        from saywhat.runs.provenance import command_line

        return command_line(["saywhat", *self.words])

    def text(self, name: str) -> str | None:
        """Give a flag's value, or ``None``."""
        return self.texts[name].value if name in self.texts else None

    def settings(self) -> dict[str, Given]:
        """Give what flags say of settings: key inside the verb's section -> value."""
        return {FLAGS[name].key: given for name, given in self.texts.items() if FLAGS[name].key}


def verb(
    app: typer.Typer,
    name: str,
    *flags: str,
    argument: Argument | None = None,
    resumable: bool = False,
    talkative: bool = False,
) -> Callable[[Callable[[Call], None]], Callable[[Call], None]]:
    """Make a verb of a function: the decorator that adds it to ``app``.

    Args:
        app: the command line.
        name: of the verb.
        flags: names of ``FLAGS``.
        argument: the positional argument, if any.
        resumable: whether the same command goes on after an interruption.
        talkative: whether it writes to stdout by itself; else stdout is kept for results.
    """

    def register(function: Callable[[Call], None]) -> Callable[[Call], None]:
        def command(**values: Any) -> None:
            call = _call(values.pop("context"), values)

            def body() -> None:
                with contextlib.nullcontext() if talkative else call.output.reserved():
                    function(call)

            again = call.command if resumable else None
            raise typer.Exit(guarded(body, call.output, again=again))

        _declare(command, flags, argument)
        app.command(name, help=function.__doc__)(command)
        return function

    return register


def _declare(command: Any, flags: tuple[str, ...], argument: Argument | None) -> None:
    """Give the command the signature that typer reads its parameters from."""
    keyword, empty = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.empty
    parameters = [inspect.Parameter("context", keyword, annotation=typer.Context)]
    if argument is not None:
        declared = typer.Argument(metavar=argument.metavar, help=argument.help)
        kind: Any = str if argument.required else str | None
        default = empty if argument.required else None
        parameters.append(
            inspect.Parameter(
                "argument", keyword, annotation=Annotated[kind, declared], default=default
            )
        )
    parameters += [_parameter(name, FLAGS[name]) for name in flags]
    command.__signature__ = inspect.Signature(parameters)
    command.__annotations__ = {p.name: p.annotation for p in parameters}


def _parameter(name: str, flag: Flag) -> inspect.Parameter:
    options = [f"--{name}", *([f"-{flag.short}"] if flag.short else [])]
    variable = environment_variable(name) if flag.environment else None
    switch = flag.kind == "switch"
    declared = typer.Option(
        *options, help=flag.help, metavar=None if switch else flag.metavar, envvar=variable
    )
    kind: Any = {"text": str | None, "switch": bool, "list": list[str] | None}[flag.kind]
    default = False if switch else None
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(
        name.replace("-", "_"), keyword, annotation=Annotated[kind, declared], default=default
    )


def environment_variable(flag: str) -> str:
    """Give the environment variable of a flag.

    Example:
        >>> environment_variable("max-queries")
        'SAYWHAT_MAX_QUERIES'
    """
    return f"SAYWHAT_{flag.upper().replace('-', '_')}"


def _call(context: Any, values: Mapping[str, Any]) -> Call:
    texts: dict[str, Given] = {}
    for name, flag in FLAGS.items():
        value = values.get(name.replace("-", "_"))
        if flag.kind == "text" and value is not None:
            source = context.get_parameter_source(name.replace("-", "_"))
            from_environment = source is not None and source.name == "ENVIRONMENT"
            origin = environment_variable(name) if from_environment else f"--{name}"
            texts[name] = Given(str(value), origin)
    output = Output(
        as_json=bool(values.get("json")),
        quiet=bool(values.get("quiet")),
        verbose=bool(values.get("verbose")),
    )
    argument = values.get("argument") or ""
    words = tuple(context.obj or sys.argv[1:])
    on = {name for name, flag in FLAGS.items() if flag.kind == "switch"}
    switches = frozenset(name for name in on if values.get(name.replace("-", "_")))
    return Call(argument, texts, tuple(values.get("set") or ()), output, words, switches)
