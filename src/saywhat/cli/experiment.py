"""``saywhat experiment``: the paper's experiment, part by part."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saywhat.cli.flags import Argument, Call, Given
from saywhat.cli.progress import Progress
from saywhat.cli.train import TrainingTalk
from saywhat.errors import SetupError

if TYPE_CHECKING:
    from saywhat.experiment.parts import Parts

PRESET = Argument("PRESET", "Settings to run with (saywhat list presets).")


def experiment(call: Call) -> None:
    """Run the paper's experiment, and what goes beyond it.

    From a chatbot to the paper's figure and tables beside one's own. Each part is done once; the
    same command goes on, and several at a time share the work.
    """
    from saywhat.cli.settings import changes, settings_of
    from saywhat.experiment.evaluations import Settings
    from saywhat.experiment.parts import Parts
    from saywhat.experiment.results.document import document
    from saywhat.experiment.run import Experiment
    from saywhat.experiment.steps import Steps

    preset = {**call.texts, "preset": Given(call.argument, "PRESET")}
    made = settings_of(dataclasses.replace(call, texts=preset), "experiment")
    settings = Settings(made.experiment, made.audit, made.train, made.chatbot_training)
    out = Path(call.text("out") or f"runs/experiment-{call.argument}")
    parts = Parts(Path(call.text("parts") or out / "parts"))
    work = (out / "work").resolve()  # run folders remember paths: --out may be spelled otherwise
    only = call.text("only") or "*"
    if "dry-run" in call.switches:
        planned = Experiment(Steps(settings, work), parts)
        planned.check()  # parts of another experiment are not listed as this one's
        _list(call, planned.names(only), parts)
        planned.check_needed(only)
        return
    with Progress(call.output) as progress:
        told = TrainingTalk(call.output, progress, steps=settings.train.reinforce.steps)
        running = Experiment(Steps(settings, work, reports=told.reports()), parts, tell=told.stage)
        running.check()  # before its page takes the place of another experiment's
        try:
            running.run(only)
        finally:
            results = document(
                parts,
                running.names(),
                preset=call.argument,
                seeds=settings.experiment.seeds,
                chatbot=settings.experiment.chatbot,
                changes=changes(made, call.argument),
            )
            if results["parts"]["finished"]:  # of an interrupted experiment there is a page too
                _write(results, out)
    if call.output.as_json:
        call.output.document(results)
        return
    found = results["parts"]
    call.output.line(f"{found['finished']} of {found['total']} parts are finished.")
    for claim in results["claims"]:
        call.output.line(f"{claim['verdict']}: {claim['claim']} ({claim['figure']})")
    call.output.line(f"Page: {out / 'page.html'}")


def _write(results: dict[str, Any], out: Path) -> None:
    from saywhat.experiment.page import figures, html, markdown
    from saywhat.experiment.results.document import write
    from saywhat.runs.files import write_atomically

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(
            f"Cannot make the folder {out}: {error.strerror}. Choose another --out."
        ) from error
    write(results, out / "results.json")
    write_atomically(out / "page.html", html(results).encode())
    write_atomically(out / "page.md", markdown(results).encode())
    for name, text in figures(results).items():
        write_atomically(out / name, text.encode())


def _list(call: Call, names: Iterable[str], parts: "Parts") -> None:
    """Say which of these parts are finished."""
    states = {name: parts.outcome(name) is not None for name in names}
    if call.output.as_json:
        call.output.document({"parts": [{"part": n, "finished": f} for n, f in states.items()]})
        return
    for name, finished in states.items():
        call.output.line(f"{'finished' if finished else 'to do':8}  {name}")
