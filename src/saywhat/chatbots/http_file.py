"""The file of an ``http:`` chatbot: how it is asked, or everything that is wrong with it, at once.

Values are never repeated in messages: a file may hold what should not be in it.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

from pydantic import ValidationError

from saywhat.chatbots.addresses import Address
from saywhat.chatbots.http_form import POST, RESET, WORD, HttpFile, ResetSettings, SessionSettings
from saywhat.chatbots.http_plan import Call, Plan, header_problem, header_value
from saywhat.chatbots.http_replies import Reading
from saywhat.chatbots.json_paths import ReplyPath
from saywhat.chatbots.secrets import Secret
from saywhat.chatbots.template import Slot, TemplateReader, Text, has_slot
from saywhat.config.yaml_files import YamlFile, read_yaml
from saywhat.errors import SetupError

_ANY: Final = frozenset(Slot)
_WHOLE_BODY: Final = "text"


def read_http_file(path: Path) -> tuple[Plan, bool]:
    """Read the file of an ``http:`` chatbot.

    Returns:
        How the chatbot is asked, and whether the user may ask it.

    Raises:
        SetupError: all that is wrong, one problem a line, each with its key and line.
    """
    file = read_yaml(path, "a file")
    values = file.values
    if not values:
        raise SetupError(f"Expected keys and values in {path}, such as url: and reply:.")
    problems = _Problems(path, file)
    settings = problems.validated(values)
    reader = _Reader(path.absolute().parent, problems)
    call = reader.call(values, "")
    reading = reader.reading(values.get("reply"))
    reset = None
    session = values.get("session")
    if isinstance(session, Mapping) and isinstance(session.get("reset"), Mapping):
        reset = reader.call(session["reset"], "session.reset.")
    reader.require_query(values)
    problems.tell()
    if settings is None or call is None or reading is None:
        raise RuntimeError("a problem was found, but not told")
    plan = Plan(
        settings.name or call.address.host.decode(),
        call,
        reading,
        shared=settings.session != "fresh",
        reset=reset,
        model_version=settings.model_version,
    )
    return plan, settings.authorised


@final
class _Problems:
    """What is wrong with a file."""

    def __init__(self, path: Path, file: YamlFile) -> None:
        self._path, self._file = path, file
        self._found: dict[tuple[str, str], int] = {
            (key, f"given twice, first in line {first}"): line for key, line, first in file.repeated
        }

    def add(self, key: str, message: str) -> None:
        """Add a problem of a dotted key."""
        self._found.setdefault((key, message), self._file.line_of(key))

    def is_any_in(self, places: tuple[str, ...]) -> bool:
        """Tell whether something is wrong in one of some top-level keys."""
        return any(key.partition(".")[0] in places for key, _ in self._found)

    def validated(self, values: Mapping[str, object]) -> HttpFile | None:
        """Judge the form."""
        try:
            return HttpFile.model_validate(values)
        except ValidationError as error:
            for one in error.errors(include_input=False, include_url=False):
                parts = [str(part) for part in one["loc"] if part not in {RESET, WORD}]
                self.add(".".join(parts), _explained(one["type"], parts, str(one["msg"])))
        return None

    def tell(self) -> None:
        """Raise ``SetupError`` if there is any."""
        if not self._found:
            return
        ordered = sorted(self._found.items(), key=lambda item: item[1])
        lines = [f"line {line}: {key}: {message}" for (key, message), line in ordered]
        if len(lines) == 1:
            raise SetupError(f"{self._path}, {lines[0]}")
        raise SetupError(f"{self._path}: {len(lines)} problems:\n  " + "\n  ".join(lines))


@final
class _Reader:
    """Reads requests from values whose form may be wrong; problems are collected."""

    def __init__(self, folder: Path, problems: _Problems) -> None:
        self._problems = problems
        self._templates = TemplateReader(folder, problems.add)
        self._carriers: list[str] = []

    def call(self, values: Mapping[str, Any], prefix: str) -> Call | None:
        """Read a request; ``None`` if its URL cannot be used."""
        headers = self._headers(values, prefix)
        params = self._templates.flat(f"{prefix}params", values.get("params"), slots=_ANY)
        is_form = values.get("form") is not None
        body = self._templates.data(f"{prefix}body", values.get("body"))
        form = self._templates.flat(f"{prefix}form", values.get("form"), slots=_ANY)
        kind, payload = ("form", form) if is_form else ("body", body)
        if is_form and values.get("body") is not None:
            self._problems.add(f"{prefix}form", "expected a body or a form, got both")
        if payload is not None and values.get("method") == "GET":
            self._problems.add(f"{prefix}{kind}", "GET sends no body; use params, or method: POST")
        parts = {"params": params, kind: payload}
        carriers = [name for name, part in parts.items() if has_slot(part, Slot.QUERY)]
        if prefix and carriers:
            self._problems.add(f"{prefix}{carriers[0]}", "{{query}} does not belong here")
        elif not prefix:
            self._carriers = carriers
        url = values.get("url")
        try:
            address = Address.parse(url) if isinstance(url, str) else None
        except SetupError as error:
            self._problems.add(f"{prefix}url", str(error))
            return None
        if address is None:
            return None
        method = str(values.get("method", POST))
        return Call(address, method, headers, params, payload, is_form)

    def reading(self, path: object) -> Reading | None:
        """Read where the reply is."""
        if path == _WHOLE_BODY:
            return Reading(None)
        if not isinstance(path, str):
            return None
        try:
            return Reading(ReplyPath(path))
        except SetupError as error:
            self._problems.add("reply", str(error))
            return None

    def require_query(self, values: Mapping[str, Any]) -> None:
        """Refuse a request without a query, or with one in several places."""
        if len(self._carriers) == 1:
            return
        if self._carriers:
            names = " and ".join(self._carriers)
            self._problems.add(
                self._carriers[0], f"{{{{query}}}} belongs in one place; is in {names}"
            )
            return
        places = ("body", "form", "params")
        if self._problems.is_any_in(places):
            return
        place = next((name for name in places if values.get(name)), "")
        self._problems.add(
            place or "body",
            '{{query}} is missing: the query goes where it stands, as in "{{query}}"',
        )

    def _headers(self, values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        key = f"{prefix}headers"
        headers = self._templates.flat(key, values.get("headers"), slots=frozenset({Slot.SESSION}))
        seen: set[str] = set()
        for name, template in list(headers.items()):
            problem = header_problem(name) or ("given twice" if name.lower() in seen else None)
            seen.add(name.lower())
            for text in _texts(template):
                try:
                    header_value(name, text)
                except SetupError:
                    problem = "a line break or another control character is in it"
            if problem:
                self._problems.add(f"{key}.{name}", problem)
                del headers[name]
        return headers


def _texts(template: str | Text | Secret) -> Sequence[str]:
    if isinstance(template, Text):
        return [part for part in template.parts if isinstance(part, str)]
    return [template.prefix if isinstance(template, Secret) else template]


def _explained(kind: str, parts: list[str], message: str) -> str:
    if kind == "missing":
        return "missing"
    if kind == "model_type":
        return "expected keys and values"
    if kind == "extra_forbidden":
        model = ResetSettings if "reset" in parts[:-1] else HttpFile
        known = SessionSettings if parts[:-1] == ["session"] else model
        near = difflib.get_close_matches(parts[-1], known.model_fields, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known.model_fields)}"
        return f"unknown key; {hint}"
    return message.removeprefix("Value error, ").replace("Input should be", "expected")
