"""The experiment of the preset ``tiny``, with changes by dotted key."""

from pathlib import Path
from typing import Any

import yaml

import saywhat
from saywhat.config import AuditSettings, ChatbotSettings, ExperimentSettings, TrainSettings
from saywhat.experiment.evaluations import Settings
from saywhat.experiment.step import Step
from saywhat.experiment.steps import Steps

PRESET = Path(saywhat.__file__).parent / "presets" / "tiny.yaml"


def tiny(**changes: Any) -> Settings:
    """Give the preset's settings; ``audit__search__budget=3`` changes one of them."""
    plain = yaml.safe_load(PRESET.read_text(encoding="utf-8"))
    for key, value in changes.items():
        *sections, last = key.split("__")
        inner = plain
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    return Settings(
        ExperimentSettings.model_validate(plain["experiment"]),
        AuditSettings.model_validate(plain["audit"]),
        TrainSettings.model_validate(plain["train"]),
        ChatbotSettings.model_validate(plain["chatbot_training"]),
    )


def steps_of(settings: Settings, work: Path = Path("work")) -> dict[str, Step]:
    """Give an experiment's steps by name."""
    return {step.name: step for step in Steps(settings, work).all()}
