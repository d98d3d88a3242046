"""The records that cross stages, and their JSON Lines form.

They are frozen, hold text and numbers only, and know nothing of models. The words are those of the
project's glossary:
a *target* is the sentence we want to hear, a *query* what is sent, a *reply* what came back.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

from saywhat.errors import CorpusError

Outcome = Literal["elicited", "not_elicited", "unmeasured"]
PHASES = ("reference", "reinforce", "search", "verify")


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A sentence that we want the chatbot to say.

    Attributes:
        text: the sentence (O* in the paper).
        list: the target list that it belongs to, for example ``"generated"``, ``"real"`` or
            ``"custom"``.
        length: its length group, for example ``"4-6"`` words; ``""`` when it has none.
        query: for *real* targets the human query that came before it; else ``""``.
        seen: whether the same text (normalised) is among the generator's training replies.
    """

    text: str
    list: str = "custom"
    length: str = ""
    query: str = ""
    seen: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """One line of a reference corpus or of a conversation: what was said to whom."""

    query: str
    reply: str


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """One query asked for one target.

    Attributes:
        target: the target's text.
        query: what was asked (``I`` in the paper).
        nth: 1 for the first query of this target, in the order asked; 0 for a free look-up of a
            known pair.
        reply: what came back (``O``); ``None`` when the chatbot failed, which is never a result.
        similarity: of the reply to the target; ``None`` when there is no reply.
        error: why there is no reply; ``""`` otherwise.
    """

    target: str
    query: str
    nth: int
    reply: str | None = None
    similarity: float | None = None
    error: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What an audit found for one target: one line of ``findings.jsonl``.

    Attributes:
        target: the target's text.
        list: its target list.
        length: its length group.
        group: ``"<list> <length>"``.
        outcome: ``elicited``, ``not_elicited`` or ``unmeasured``.
        query: the best query: of the highest similarity, then exact, then the earliest.
        reply: the chatbot's reply to it.
        similarity: of that reply to the target; ``None`` if unmeasured.
        exact: whether the reply equals the target after normalisation.
        queries_to_first_success: ``nth`` of the first attempt at or over the threshold; ``None``
            if there is none.
        asked: the number of queries asked for this target.
        failed: how many of them the chatbot failed to answer.
        echo: share of the target's words that the query already holds, in [0, 1].
        seen: copied from the target.
        reason: why it is unmeasured; ``""`` otherwise.
    """

    target: str
    list: str
    length: str
    group: str
    outcome: Outcome
    query: str
    reply: str
    similarity: float | None
    exact: bool
    queries_to_first_success: int | None
    asked: int
    failed: int
    echo: float
    seen: bool
    reason: str = ""


Record = TypeVar("Record", Target, Pair, Attempt, Finding)


def to_json(record: Target | Pair | Attempt | Finding) -> str:
    """Write a record as one line of JSON.

    Example:
        >>> to_json(Pair(query="hi", reply="hello"))
        '{"query": "hi", "reply": "hello"}'
    """
    return json.dumps(dataclasses.asdict(record), ensure_ascii=False)


def from_json(kind: type[Record], line: str) -> Record:
    """Read a record from one line of JSON; keys that it does not know are refused.

    Raises:
        CorpusError: the line is not a JSON object with the record's fields.

    Example:
        >>> from_json(Pair, '{"query": "hi", "reply": "hello"}')
        Pair(query='hi', reply='hello')
    """
    fields = {field.name for field in dataclasses.fields(kind)}
    try:
        data: Any = json.loads(line)
    except ValueError as error:
        raise CorpusError(
            f"Expected one JSON object a line, got {line[:60]!r} ({error})."
        ) from error
    if not isinstance(data, dict):
        raise CorpusError(
            f"Expected a JSON object with the keys {sorted(fields)}, got {line[:60]!r}."
        )
    if unknown := set(data) - fields:
        raise CorpusError(
            f"Unknown keys {sorted(unknown)} in a {kind.__name__}; expected {sorted(fields)}."
        )
    try:
        return kind(**data)
    except TypeError as error:
        raise CorpusError(f"A {kind.__name__} lacks a field ({error}) in {line[:60]!r}.") from error


def read_jsonl(kind: type[Record], path: Path) -> Iterator[Record]:
    """Read records from a JSON Lines file; a torn last line, as after a crash, is ignored.

    Raises:
        CorpusError: the file is missing or not UTF-8, or a complete line is not a record of this
            kind (the message names the line).
    """
    number = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):  # noqa: B007  (named in the error)
                if not line.endswith("\n"):
                    return
                yield from_json(kind, line)
    except CorpusError as error:
        raise CorpusError(f"{path}, line {number}: {error}") from error
    except OSError as error:
        raise CorpusError(f"Expected a JSON Lines file at {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path} is not UTF-8 (after line {number}); save it as UTF-8."
        ) from error


def write_jsonl(records: Iterable[Target | Pair | Attempt | Finding], path: Path) -> None:
    """Write records to a new file, one a line."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(to_json(record) + "\n" for record in records)
