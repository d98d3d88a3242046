"""Settings from all their sources: defaults < preset < file < environment < flags < ``--set``.

A file and a preset have the same form: ``version: 1`` and the sections ``audit``, ``train``,
``chatbot_training`` and ``experiment``. An environment variable spells a key with two underscores
between its parts (``SAYWHAT_AUDIT__SEARCH__BUDGET=50``). All mistakes are reported together, each
with its key, what was expected, the value that came, and where it came from.
"""

import dataclasses
import difflib
import json
import os
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, final

from pydantic import ValidationError

from saywhat.cli.flags import Call, Given
from saywhat.config import (
    AuditSettings,
    ChatbotSettings,
    ExperimentSettings,
    Section,
    TrainSettings,
)
from saywhat.config.yaml_files import YamlFile, read_yaml
from saywhat.errors import SetupError, UnknownNameError
from saywhat.registry import ASSETS
from saywhat.runs.provenance import masked

DEFAULT_FILE: Final = "saywhat.yaml"
PRESETS: Final = ASSETS.with_name("presets")
_PREFIX: Final = "SAYWHAT_"


class SettingsFile(Section):
    """Settings of saywhat: the form of ``saywhat.yaml`` and of the presets."""

    version: Literal[1] = 1
    """Version of this format."""
    audit: AuditSettings = AuditSettings()
    """Of ``saywhat audit`` and ``saywhat elicit``."""
    train: TrainSettings = TrainSettings()
    """Of ``saywhat train`` and its stages."""
    chatbot_training: ChatbotSettings = ChatbotSettings()
    """Of ``saywhat train-chatbot``."""
    experiment: ExperimentSettings = ExperimentSettings()
    """Of ``saywhat experiment``."""


def settings_of(call: Call, section: str, *, flag_section: str = "") -> SettingsFile:
    """Resolve the settings of one call of a verb.

    Args:
        call: what was given.
        section: the section that ``--set`` keys are in when they name none.
        flag_section: the section that the flags set, if it is another one.

    Raises:
        SetupError: all that is wrong, one mistake a line.
    """
    if (config := call.text("config")) is None and Path(DEFAULT_FILE).is_file():
        call.output.talk(f"Settings: {DEFAULT_FILE}")
        config = DEFAULT_FILE
    flags = {f"{flag_section or section}.{key}": given for key, given in call.settings().items()}
    return resolve(
        section,
        preset=call.text("preset"),
        config=None if config is None else Path(config),
        environment=os.environ,
        flags=flags,
        assignments=call.assignments,
    )


def resolve(
    section: str,
    *,
    preset: str | None = None,
    config: Path | None = None,
    environment: Mapping[str, str],
    flags: Mapping[str, Given],
    assignments: Sequence[str] = (),
) -> SettingsFile:
    """Put all sources together.

    Args:
        section: where keys of ``assignments`` are that name no section.
        preset: a preset's name.
        config: a settings file; one that holds a section's keys alone, as ``config.yaml`` in a run
            folder does, is read as ``section``.
        environment: variables.
        flags: dotted key -> value.
        assignments: ``KEY=VALUE`` texts.

    Raises:
        SetupError: all that is wrong, one mistake a line.
    """
    gathered = _Gathered(section)
    if preset is not None:
        gathered.add_file(read_yaml(_preset(preset)), f"preset {preset}")
    if config is not None:
        gathered.add_file(read_yaml(config), str(config))
    gathered.add_texts((k, g) for k, g in flags.items() if g.from_environment)
    gathered.add_environment(environment)
    gathered.add_texts((k, g) for k, g in flags.items() if not g.from_environment)
    gathered.add_assignments(assignments)
    return gathered.validated()


def changes(settings: SettingsFile, preset: str) -> list[str]:
    """Give the settings that are not a preset's, each as ``--set`` takes it.

    Whatever file, variable or flag they came from. What looks like a credential is hidden.
    """
    plain = resolve("experiment", preset=preset, environment={}, flags={}).model_dump(mode="json")
    given = settings.model_dump(mode="json")
    return [masked(f"{key}={_text(value)}") for key, value in _changed(plain, given, "")]


def _changed(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str
) -> Iterable[tuple[str, Any]]:
    for name in {**before, **after}:  # a key may be left out where it is null
        old, value, key = before.get(name), after.get(name), f"{prefix}{name}"
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            yield from _changed(old, value, f"{key}.")
        elif value != old:
            yield key, value


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def preset_names() -> dict[str, str]:
    """Give each preset's name and its first line."""
    files = sorted(PRESETS.glob("*.yaml"))
    return {f.stem: f.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for f in files}


def schema() -> dict[str, Any]:
    """Give the JSON Schema of settings files; ``presets/schema.json`` is its committed copy."""
    made = SettingsFile.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _preset(name: str) -> Path:
    if name not in (known := preset_names()):
        raise UnknownNameError("preset", name, known)
    return PRESETS / f"{name}.yaml"


@dataclasses.dataclass(frozen=True, slots=True)
class _Value:
    value: Any
    origin: str


@final
class _Gathered:
    """The values of all sources so far, later over earlier, and the mistakes in them.

    It starts from a complete dump: a section that is given in part keeps the defaults of its place
    (``train.pretrain.network`` has others than ``chatbot_training.network``).
    """

    def __init__(self, section: str) -> None:
        self._section = section
        self._sections = dict(_sections(SettingsFile, ""))
        self._lists = frozenset(_lists(SettingsFile, ""))
        self._problems: list[str] = []
        self._values: dict[str, _Value] = {}
        self._add(SettingsFile().model_dump(), "", lambda _: "default")

    def add_file(self, file: YamlFile, name: str) -> None:
        """Add what a file says; mistakes name the line."""
        self._problems += [
            f"{key}: given twice ({name}, line {line})" for key, line, _ in file.repeated
        ]
        own, prefix = self._sections[self._section], ""
        others = set(self._sections[""]) - {"version"}
        if not set(file.values) & others and set(own) & set(file.values) - {"version"}:
            prefix = f"{self._section}."
        skip = len(prefix)
        self._add(file.values, prefix, lambda key: f"{name}, line {file.line_of(key[skip:])}")

    def add_environment(self, environment: Mapping[str, str]) -> None:
        """Add the variables that spell a key."""
        for variable, text in sorted(environment.items()):
            if variable.startswith(_PREFIX) and "__" in variable and text:
                key = variable.removeprefix(_PREFIX).lower().replace("__", ".")
                self._add_text(key, text, variable)

    def add_texts(self, texts: Iterable[tuple[str, Given]]) -> None:
        """Add dotted keys with text values."""
        for key, given in texts:
            self._add_text(key, given.value, given.origin)

    def add_assignments(self, assignments: Sequence[str]) -> None:
        """Add ``KEY=VALUE`` texts."""
        for assignment in assignments:
            key, equals, text = assignment.partition("=")
            if not equals or not key:
                self._problems.append(f"--set: expected KEY=VALUE, got {assignment!r}")
                continue
            top = key.partition(".")[0]
            full = key if top in self._sections[""] else f"{self._section}.{key}"
            self._add_text(full, text, f"--set {assignment}")

    def validated(self) -> SettingsFile:
        """Judge all values.

        Raises:
            SetupError: all that is wrong.
        """
        try:
            settings = SettingsFile.model_validate(_nested(self._values))
        except ValidationError as errors:
            self._problems += [self._explained(dict(error)) for error in errors.errors()]
            settings = SettingsFile()
        if self._problems:
            count = len(self._problems)
            head = f"{count} settings cannot be used:\n  " if count > 1 else ""
            raise SetupError(head + "\n  ".join(self._problems))
        return settings

    def _add(self, values: Mapping[str, Any], prefix: str, origin: Any) -> None:
        for name, value in values.items():
            key = f"{prefix}{name}"
            if key in self._sections:
                if isinstance(value, Mapping):
                    self._add(value, f"{key}.", origin)
                elif value is not None:
                    self._problems.append(self._not_a_section(key, value, origin(key)))
            elif self._known(key, origin(key)):
                self._values[key] = _Value(value, origin(key))

    def _add_text(self, key: str, text: str, origin: str) -> None:
        if key in self._sections:
            self._problems.append(self._not_a_section(key, text, origin))
        elif self._known(key, origin):
            value = None if text in {"null", "~"} else text
            self._values[key] = _Value(_list_of(text) if key in self._lists else value, origin)

    def _known(self, key: str, origin: str) -> bool:
        parent, _, name = key.rpartition(".")
        if name in self._sections.get(parent, ()):
            return True
        self._problems.append(f"{key}: unknown key ({origin}).{self._hint(key, parent, name)}")
        return False

    def _hint(self, key: str, parent: str, name: str) -> str:
        siblings = self._sections.get(parent, ())
        top = f"{key.partition('.')[0]}."
        leaves = [
            f"{place}.{leaf}" for place, names in self._sections.items() for leaf in names if place
        ]
        near = (
            [
                f"{parent}.{close}".lstrip(".")
                for close in difflib.get_close_matches(name, siblings, n=1)
            ]
            or sorted(
                (leaf for leaf in leaves if leaf.rpartition(".")[2] == name),
                key=lambda leaf: (not leaf.startswith(top), leaf.count("."), leaf),
            )
            or difflib.get_close_matches(key, leaves, n=1)
        )
        if near:
            return f" Did you mean {near[0]}?"
        return f" Known here: {', '.join(siblings)}." if siblings else ""

    def _not_a_section(self, key: str, value: object, origin: str) -> str:
        known = ", ".join(self._sections[key])
        return f"{key}: expected a section with the keys {known}; got {value!r} ({origin})"

    def _explained(self, error: dict[str, Any]) -> str:
        key = ".".join(str(part) for part in error["loc"])
        whole = self._values.get(key.rpartition(".")[0])  # of which it is an element
        origin = "default" if whole is None else whole.origin
        given = self._values.get(key, _Value(error["input"], origin))
        message = str(error["msg"]).removeprefix("Input should be ").partition(", unable")[0]
        message = message.replace("a valid tuple", 'a list, as in ["one", "two"]')
        if error["type"] == "too_short":
            message = f"a list of at least {error['ctx']['min_length']}"
        number = "a number " if message.startswith(("greater", "less")) else ""
        return f"{key}: expected {number}{message}; got {given.value!r} ({given.origin})"


def _sections(model: type[Section], prefix: str) -> Iterable[tuple[str, tuple[str, ...]]]:
    """Give the dotted name of each section under a model, with its keys; ``""`` is the model."""
    yield prefix, tuple(model.model_fields)
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _sections(kind, f"{prefix}.{name}".lstrip("."))


def _lists(model: type[Section], prefix: str) -> Iterable[str]:
    """Give the dotted name of each key under a model that takes a list."""
    for name, field in model.model_fields.items():
        kind, key = field.annotation, f"{prefix}.{name}".lstrip(".")
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _lists(kind, key)
        elif any(typing.get_origin(part) is tuple for part in (kind, *typing.get_args(kind))):
            yield key


def _list_of(text: str) -> Any:
    """Read a list as JSON writes it; what is none stays text, and is told of with the rest."""
    if text in {"null", "~"}:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _nested(values: Mapping[str, _Value]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, given in values.items():
        *parents, name = key.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = given.value
    return tree
