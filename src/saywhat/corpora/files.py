"""Conversations and pairs that users bring: JSONL, TSV, plain text, ParlAI format; plain or ``.xz``/``.gz``."""

import gzip
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from saywhat.corpora.conversations import Conversation, clean
from saywhat.errors import CorpusError
from saywhat.records import Pair, from_json, to_json


def open_text(path: Path, mode: str = "rt") -> TextIO:
    """Open a UTF-8 text file, decompressing by suffix.

    Raises:
        CorpusError: there is no such file.
    """
    openers: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
    try:
        return openers.get(path.suffix, open)(path, mode, encoding="utf-8")  # type: ignore[no-any-return]
    except OSError as error:
        raise CorpusError(f"Expected a corpus file at {path}: {error.strerror}.") from error


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Give (line number, text without its end) of each line that is not blank.

    Raises:
        CorpusError: the file is missing, damaged or not UTF-8.
    """
    number = 0
    try:
        with open_text(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path} is not UTF-8 after line {number}; save it as UTF-8.") from error
    except (EOFError, OSError, lzma.LZMAError) as error:
        raise CorpusError(f"{path} is damaged after line {number}: {error}.") from error


def read_pairs(path: Path) -> list[Pair]:
    """Read a reference corpus: JSONL of ``{"query", "reply"}`` or TSV ``query<TAB>reply``.

    Raises:
        CorpusError: the file cannot be used (the message names the line).
    """
    tabbed = ".tsv" in path.suffixes
    pairs = []
    for number, line in read_lines(path):
        try:
            pairs.append(_tab_pair(line) if tabbed else from_json(Pair, line))
        except CorpusError as error:
            raise CorpusError(f"{path}, line {number}: {error}") from error
    if not pairs:
        raise CorpusError(f"{path} holds no (query, reply) pair.")
    return pairs


def write_pairs(pairs: list[Pair], path: Path) -> None:
    """Write a reference corpus as JSONL, compressed by suffix."""
    with open_text(path, "wt") as file:
        file.writelines(to_json(pair) + "\n" for pair in pairs)


def read_conversations(path: Path) -> Iterator[Conversation]:
    """Read conversations, by suffix.

    ``.jsonl``: one conversation a line, a list of turns (text, or a list of texts) or ``{"key", "turns"}``;
    ``.tsv``: query<TAB>reply, each line a conversation of two turns; ``.parlai.txt`` (ParlAI format): ``text:...<TAB>labels:...``
    lines; ``.txt``: one turn a line, a blank line between conversations.

    Raises:
        CorpusError: the file cannot be used (the message names the line).
    """
    name = path.name.removesuffix(".gz").removesuffix(".xz")
    if name.endswith(".jsonl"):
        yield from _jsonl(path)
    elif name.endswith(".tsv"):
        for number, line in read_lines(path):
            pair = _tab_pair(line, where=f"{path}, line {number}: ")
            yield Conversation(f"{path.name}:{number}", ((pair.query,), (pair.reply,)))
    elif name.endswith(".parlai.txt"):
        yield from _parlai(path)
    else:
        yield from _plain(path)


def _tab_pair(line: str, where: str = "") -> Pair:
    fields = line.split("\t")
    if len(fields) != 2 or not all(map(str.strip, fields)):
        raise CorpusError(f"{where}Expected query<TAB>reply, got {line[:60]!r}.")
    return Pair(clean(fields[0]), clean(fields[1]))


def _jsonl(path: Path) -> Iterator[Conversation]:
    for number, line in read_lines(path):
        where = f"{path}, line {number}"
        try:
            data = json.loads(line)
        except ValueError as error:
            raise CorpusError(f"{where}: not JSON ({error}).") from error
        key, turns = (data.get("key"), data.get("turns")) if isinstance(data, dict) else (None, data)
        if not isinstance(turns, list) or not all(isinstance(t, str | list) for t in turns):
            raise CorpusError(f'{where}: expected a list of turns or {{"key": ..., "turns": [...]}}.')
        messages = [[turn] if isinstance(turn, str) else turn for turn in turns]
        if not all(isinstance(m, str) for turn in messages for m in turn):
            raise CorpusError(f"{where}: each turn is a text or a list of texts.")
        yield _conversation(str(key or f"{path.name}:{number}"), messages)


def _plain(path: Path) -> Iterator[Conversation]:
    turns: list[list[str]] = []
    first = previous = 0
    for number, line in read_lines(path):
        if turns and number > previous + 1:
            yield _conversation(f"{path.name}:{first}", turns)
            turns = []
        first = first if turns else number
        turns.append([line])
        previous = number
    if turns:
        yield _conversation(f"{path.name}:{first}", turns)


def _parlai(path: Path) -> Iterator[Conversation]:
    turns: list[list[str]] = []
    first = 0
    for number, line in read_lines(path):
        fields = dict(part.split(":", 1) for part in line.split("\t") if ":" in part)
        text, label = fields.get("text"), fields.get("labels", fields.get("eval_labels"))
        if text is None or label is None:
            raise CorpusError(f"{path}, line {number}: expected text:...<TAB>labels:..., got {line[:60]!r}.")
        first = first if turns else number
        turns += [[text.replace("\\n", " ")], [label.split("|")[0].replace("\\n", " ")]]
        if fields.get("episode_done", "").strip().lower() == "true":
            yield _conversation(f"{path.name}:{first}", turns)
            turns = []
    if turns:
        yield _conversation(f"{path.name}:{first}", turns)


def _conversation(key: str, turns: list[list[str]]) -> Conversation:
    cleaned = (tuple(filter(None, map(clean, turn))) for turn in turns)
    return Conversation(key, tuple(turn for turn in cleaned if turn))
