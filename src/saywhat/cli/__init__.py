"""The command line ``saywhat``: one file a verb, and nothing heavy imported before a verb runs."""

import sys
from collections.abc import Sequence
from typing import Annotated, Final, cast

import typer

from saywhat.cli.audit import audit
from saywhat.cli.chat import chat
from saywhat.cli.check import check
from saywhat.cli.elicit import SENTENCE, elicit
from saywhat.cli.exits import INTERRUPTED, SETUP
from saywhat.cli.experiment import PRESET, experiment
from saywhat.cli.flags import OUTPUT, SETTINGS, Argument, verb
from saywhat.cli.listing import KINDS, list_names
from saywhat.cli.report import report
from saywhat.cli.train import collect, pretrain, reinforce, train
from saywhat.cli.train_chatbot import train_chatbot

__all__ = ["app", "main", "run"]

app: Final = typer.Typer(
    name="saywhat",
    help="Which sentences can a chatbot be made to say, by which ordinary inputs, how fast?",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_ASKING: Final = (
    "chatbot",
    "generator",
    "method",
    "budget",
    "reference",
    "similarity",
    "threshold",
)
_LIMITS: Final = ("max-queries", "max-seconds", "rate", "concurrency", "timeout")
_TRAINING: Final = ("chatbot", "corpus", "similarity", *_LIMITS, "seed", "out", *SETTINGS, *OUTPUT)
# every usage mistake is one of these, whichever package typer has it from
_Mistake: Final[type[Exception]] = cast(type[Exception], typer.BadParameter.__mro__[1])


def _print_version(wanted: bool) -> bool:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"saywhat {version('saywhat')}")
        raise typer.Exit
    return wanted


@app.callback()
def _start(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    pass


verb(app, "audit", "targets", "limit", *_ASKING, *_LIMITS, "seed", "out", "dry-run", *SETTINGS,
     *OUTPUT, resumable=True)(audit)  # fmt: skip
verb(app, "elicit", *_ASKING, *_LIMITS, "seed", "out", *SETTINGS, *OUTPUT,
     argument=SENTENCE, resumable=True)(elicit)  # fmt: skip
verb(app, "check", "targets", "limit", *_ASKING, *_LIMITS, "seed", *SETTINGS, *OUTPUT)(check)
verb(app, "chat", "chatbot", *SETTINGS, *OUTPUT, talkative=True)(chat)
verb(app, "train", *_TRAINING, resumable=True)(train)
verb(app, "collect", *_TRAINING, resumable=True)(collect)
verb(app, "pretrain", *_TRAINING, resumable=True)(pretrain)
verb(app, "reinforce", *_TRAINING, resumable=True)(reinforce)
verb(app, "train-chatbot", "corpus", "seed", "out", *SETTINGS, *OUTPUT, resumable=True)(
    train_chatbot
)
verb(
    app,
    "experiment",
    "only",
    "parts",
    "out",
    "dry-run",
    "config",
    "set",
    *OUTPUT,
    argument=PRESET,
    resumable=True,
)(experiment)
verb(app, "report", *OUTPUT, argument=Argument("RUN", "A run's folder."))(report)
verb(
    app, "list", *OUTPUT, argument=Argument("[KIND]", f"One of {', '.join(KINDS)}.", required=False)
)(list_names)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code.

    Args:
        arguments: without the program's name; those of the process by default.
    """
    command = typer.main.get_command(app)
    given = sys.argv[1:] if arguments is None else list(arguments)
    if not given:
        with command.make_context("saywhat", [], resilient_parsing=True) as context:
            sys.stderr.write(command.get_help(context) + "\n")
        return SETUP
    try:
        code = command.main(args=given, prog_name="saywhat", standalone_mode=False, obj=given)
    except typer.Abort:
        return INTERRUPTED
    except _Mistake as mistake:
        message = mistake.format_message() if hasattr(mistake, "format_message") else str(mistake)
        sys.stderr.write(f"error: {message} See saywhat --help.\n")
        return SETUP
    return code if isinstance(code, int) else 0


def main() -> None:
    """Run the command line and exit: the entry point of ``saywhat``."""
    sys.exit(run())
