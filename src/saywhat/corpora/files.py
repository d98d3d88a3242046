"""Conversations and pairs that users bring: JSONL, TSV, plain text and ParlAI format.

Files are UTF-8, with or without a byte order mark, plain or compressed (``.xz``, ``.gz``).
"""

import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

from saywhat.corpora.conversations import Conversation, clean
from saywhat.errors import CorpusError
from saywhat.records import Pair, from_json, to_json

_OPENERS: Final[dict[str, Callable[..., Any]]] = {".gz": gzip.open, ".xz": lzma.open}
_FORMS: Final = {
    ".jsonl": "one conversation a line, as JSON",
    ".tsv": "query<TAB>reply, each line a conversation",
    ".parlai.txt": "ParlAI format",
    "": "plain text, one turn a line and a blank line between conversations",
}
"""By the end of a name, the first that fits."""
_OTHERS: Final = (".csv", ".json", ".ndjson", ".parquet", ".xlsx", ".zip", ".bz2", ".zst")
"""Ends of names of which plain text would be a misreading."""


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Give (line number, text without its end) of each line that is not blank.

    Raises:
        CorpusError: the file is missing, damaged or not UTF-8 (the message names the line).
    """
    number = 0
    try:
        # a byte that is no UTF-8 becomes a lone surrogate, so that its line can be named
        with _open(path, "rt", encoding="utf-8-sig", errors="surrogateescape") as file:
            for number, line in enumerate(file, start=1):
                if not _is_valid(line):
                    raise CorpusError(f"{path}, line {number}: not UTF-8; save the file as UTF-8.")
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        raise CorpusError(f"{path} is damaged after line {number}: {error}.") from error


def read_pairs(path: Path) -> list[Pair]:
    """Read a reference corpus: JSONL of ``{"query", "reply"}`` or TSV ``query<TAB>reply``.

    Texts are taken as they are: a query stands for exactly what was asked.

    Raises:
        CorpusError: the file cannot be used (the message names the line).
    """
    parse = _tab_pair if _plain_name(path).endswith(".tsv") else _json_pair
    pairs = []
    for number, line in read_lines(path):
        try:
            pairs.append(parse(line))
        except CorpusError as error:
            raise CorpusError(f"{path}, line {number}: {error}") from error
    if not pairs:
        raise CorpusError(f"{path} holds no (query, reply) pair.")
    return pairs


def write_pairs(pairs: Iterable[Pair], path: Path) -> None:
    """Write a reference corpus as JSONL, compressed by suffix."""
    with _open(path, "wt", encoding="utf-8", errors="strict") as file:
        file.writelines(to_json(pair) + "\n" for pair in pairs)


def read_conversations(path: Path) -> Iterator[Conversation]:
    """Read conversations, by suffix.

    - ``.jsonl``: one conversation a line, a list of turns (text, or a list of texts) or
      ``{"key", "turns"}``;
    - ``.tsv``: ``query<TAB>reply``, each line a conversation of two turns;
    - ``.parlai.txt`` (ParlAI format): ``text:...<TAB>labels:...`` lines;
    - any other: one turn a line, a blank line between conversations.

    Raises:
        CorpusError: the file cannot be used (the message names the line).
    """
    check_conversations(path)
    readers = {".jsonl": _jsonl, ".tsv": _tabs, ".parlai.txt": _parlai, "": _plain}
    yield from readers[_suffix(path)](path)


def check_conversations(path: Path) -> None:
    """See that a file is there, under a name by which it can be read.

    Raises:
        CorpusError: it is not.
    """
    name = _plain_name(path)
    if other := next((end for end in _OTHERS if name.lower().endswith(end)), ""):
        forms = "; ".join(f"{end or 'any other'}: {form}" for end, form in _FORMS.items())
        raise CorpusError(
            f"{path}: conversations are not read from {other} files. Convert it to one of these "
            f"forms, told apart by the end of the name ({forms})."
        )
    if not path.is_fifo():  # which can be opened but once
        _open(path, "rt", encoding="utf-8-sig", errors="strict").close()


def form_of(path: Path) -> str:
    """Say how a file of conversations is read.

    Example:
        >>> form_of(Path("talks.tsv.gz"))
        'query<TAB>reply, each line a conversation'
    """
    return _FORMS[_suffix(path)]


def _suffix(path: Path) -> str:
    return next(end for end in _FORMS if _plain_name(path).lower().endswith(end))


def _open(path: Path, mode: str, *, encoding: str, errors: str) -> TextIOWrapper:
    opener = _OPENERS.get(path.suffix, open)
    try:
        file: TextIOWrapper = opener(path, mode, encoding=encoding, errors=errors)
    except OSError as error:
        raise CorpusError(f"Expected a corpus file at {path}: {error.strerror}.") from error
    return file


def _plain_name(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".xz")


def _is_valid(line: str) -> bool:
    try:
        line.encode()
    except UnicodeEncodeError:
        return False
    return True


def _tab_pair(line: str) -> Pair:
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) != 2 or not all(fields):
        raise CorpusError(f"Expected query<TAB>reply, got {line[:60]!r}.")
    return Pair(query=fields[0], reply=fields[1])


def _json_pair(line: str) -> Pair:
    pair = from_json(Pair, line)
    fields: list[object] = [pair.query, pair.reply]
    if not all(isinstance(field, str) for field in fields):
        raise CorpusError(f"Expected a query and a reply that are texts, got {line[:60]!r}.")
    return pair


def _tabs(path: Path) -> Iterator[Conversation]:
    for number, line in read_lines(path):
        try:
            pair = _tab_pair(line)
        except CorpusError as error:
            raise CorpusError(f"{path}, line {number}: {error}") from error
        yield _conversation(f"{_plain_name(path)}:{number}", [[pair.query], [pair.reply]])


def _jsonl(path: Path) -> Iterator[Conversation]:
    for number, line in read_lines(path):
        where = f"{path}, line {number}"
        try:
            data = json.loads(line)
        except ValueError as error:
            raise CorpusError(f"{where}: not JSON ({error}).") from error
        key, turns = None, data
        if isinstance(data, dict):
            key, turns = data.get("key"), data.get("turns")
        if not isinstance(turns, list) or not all(isinstance(t, str | list) for t in turns):
            raise CorpusError(
                f'{where}: expected a list of turns or {{"key": ..., "turns": [...]}}.'
            )
        messages = [[turn] if isinstance(turn, str) else turn for turn in turns]
        if not all(isinstance(m, str) for turn in messages for m in turn):
            raise CorpusError(f"{where}: each turn is a text or a list of texts.")
        yield _conversation(str(key or f"{_plain_name(path)}:{number}"), messages)


def _plain(path: Path) -> Iterator[Conversation]:
    turns: list[list[str]] = []
    first = previous = 0
    for number, line in read_lines(path):
        if turns and number > previous + 1:
            yield _conversation(f"{_plain_name(path)}:{first}", turns)
            turns = []
        first = first if turns else number
        turns.append([line])
        previous = number
    if turns:
        yield _conversation(f"{_plain_name(path)}:{first}", turns)


def _parlai(path: Path) -> Iterator[Conversation]:
    turns: list[list[str]] = []
    first = 0
    for number, line in read_lines(path):
        fields = dict(part.split(":", 1) for part in line.split("\t") if ":" in part)
        text, label = fields.get("text"), fields.get("labels", fields.get("eval_labels"))
        if text is None or label is None:
            raise CorpusError(
                f"{path}, line {number}: expected text:...<TAB>labels:..., got {line[:60]!r}."
            )
        first = first if turns else number
        turns += [[text.replace("\\n", " ")], [label.split("|")[0].replace("\\n", " ")]]
        if fields.get("episode_done", "").strip().lower() == "true":
            yield _conversation(f"{_plain_name(path)}:{first}", turns)
            turns = []
    if turns:
        yield _conversation(f"{_plain_name(path)}:{first}", turns)


def _conversation(key: str, turns: list[list[str]]) -> Conversation:
    cleaned = (tuple(filter(None, map(clean, turn))) for turn in turns)
    return Conversation(key, tuple(turn for turn in cleaned if turn))
