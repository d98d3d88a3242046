"""``saywhat experiment``: the paper's experiment, part by part."""

import dataclasses
from pathlib import Path

from saywhat.cli.flags import Argument, Call, Given

PRESET = Argument("PRESET", "Settings to run with (saywhat list presets).")


def experiment(call: Call) -> None:
    """Run the paper's experiment, and what goes beyond it.

    From a chatbot to the paper's figure and tables beside one's own. Each part is done once; the
    same command goes on, and several at a time share the work.
    """
    from saywhat.cli.settings import settings_of
    from saywhat.experiment.evaluations import Settings
    from saywhat.experiment.parts import Parts
    from saywhat.experiment.run import Experiment
    from saywhat.experiment.steps import Steps

    preset = {**call.texts, "preset": Given(call.argument, "PRESET")}
    made = settings_of(dataclasses.replace(call, texts=preset), "experiment")
    settings = Settings(made.experiment, made.audit, made.train, made.chatbot_training)
    out = Path(call.text("out") or f"runs/experiment-{call.argument}")
    parts = Parts(Path(call.text("parts") or out / "parts"))
    steps = Steps(settings, out / "work", tell=call.output.talk)
    running = Experiment(steps, parts, tell=call.output.talk)
    running.run(call.text("only") or "*")
    finished = [name for name in running.names() if parts.outcome(name) is not None]
    call.output.line(f"{len(finished)} of {len(running.names())} parts are finished.")
