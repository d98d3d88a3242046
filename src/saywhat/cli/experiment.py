"""``saywhat experiment``: the paper's experiment, part by part."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saywhat.cli.audit import AuditTalk
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
        asked = planned.most_queries(only, per_length=settings.train.lists.per_length)
        _list(call, asked, parts, settings.experiment.chatbot)
        planned.check_needed(only)
        return
    with Progress(call.output) as progress:
        told = TrainingTalk(call.output, progress)  # steps differ from part to part
        audits = AuditTalk(call.output, progress).reports(page=False)
        steps = Steps(settings, work, reports=told.reports(), audits=audits)
        running = Experiment(steps, parts, tell=told.stage)
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


def _list(call: Call, asked: Mapping[str, int], parts: "Parts", chatbot: str) -> None:
    """Say which of these parts are finished, and how much the others ask at most."""
    listed = [
        {"part": name, "finished": parts.outcome(name) is not None, "queries_at_most": most}
        for name, most in asked.items()
    ]
    # ablations are of the main chatbot; the others are trained here, and cost nothing but time
    mine = {name for name in asked if name.split("/")[1] == "main" or name.startswith("ablation/")}
    main = sum(asked[name] for name in mine)
    if call.output.as_json:
        call.output.document({"parts": listed, "queries_at_most": main})
        return
    for part in listed:
        state = "finished" if part["finished"] else "to do"
        most = f"  {part['queries_at_most']:,} queries at most" if part["queries_at_most"] else ""
        call.output.line(f"{state:8}  {part['part']}{most}")
    called = "the chatbot that is trained here" if chatbot == "train" else chatbot
    call.output.line(f"At most {main:,} queries to {called}, beside those that are tried again.")
