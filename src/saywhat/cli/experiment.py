"""``saywhat experiment``: the paper's experiment, part by part."""

import dataclasses
from pathlib import Path
from typing import Any

from saywhat.cli.flags import Argument, Call, Given

PRESET = Argument("PRESET", "Settings to run with (saywhat list presets).")


def experiment(call: Call) -> None:
    """Run the paper's experiment, and what goes beyond it.

    From a chatbot to the rows of the paper's figure and table. Each part is done once; the same
    command goes on.
    """
    from saywhat.cli.settings import settings_of
    from saywhat.experiment.parts import Parts
    from saywhat.experiment.run import Experiment, Settings, plain

    preset = {**call.texts, "preset": Given(call.argument, "PRESET")}
    made = settings_of(dataclasses.replace(call, texts=preset), "experiment")
    settings = Settings(made.experiment, made.audit, made.train, made.chatbot_training)
    out = Path(call.text("out") or f"runs/experiment-{call.argument}")
    parts = Parts(out / "parts", plain(settings))
    running = Experiment(settings, out / "work", parts, tell=call.output.talk)
    running.run(call.text("only") or "*")
    names = [step.name for step in running.steps()]
    finished = [name for name in names if parts.outcome(name) is not None]
    document = {"parts": len(names), "finished": finished, "rows": running.rows()}
    _write(document, out, call)


def _write(document: dict[str, Any], out: Path, call: Call) -> None:
    from saywhat.nn.checkpoint import write_json

    write_json(document, out / "results.json")
    if call.output.as_json:
        call.output.document(document)
        return
    call.output.line(f"{len(document['finished'])} of {document['parts']} parts are finished.")
    call.output.line(f"Results: {out / 'results.json'}")
