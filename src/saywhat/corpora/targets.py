"""Target lists: *Generated* and *Real* (Section 5.2 of the paper), and lists that users bring.

*Generated* targets are the chatbot's own replies to utterances that no training saw; *Real* targets are human turns, each
with the real query before it. Both hold ``per_length`` distinct sentences for each length group. A generator must never have
seen them: ``hold_out`` removes from a reference corpus every pair that has one of these texts on either side, after
normalisation. The *generated-seen* list is the marked exception: replies that the reference corpus holds.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from saywhat.errors import CorpusError
from saywhat.records import Pair, Target, from_json
from saywhat.rng import fraction
from saywhat.text.normalise import LENGTH_GROUPS, length_group, normalise

MAX_TARGET_CHARACTERS: Final = 2000


def pick(candidates: Iterable[Target], *, per_length: int, seed: int) -> list[Target]:
    """Pick ``per_length`` distinct (normalised) targets of each length group, by hash: no order matters.

    Raises:
        CorpusError: a length group has too few candidates.
    """
    groups: dict[str, dict[str, Target]] = {name: {} for name in LENGTH_GROUPS}
    for target in candidates:
        if target.length in groups:
            groups[target.length].setdefault(normalise(target.text), target)
    picked = []
    for length, distinct in groups.items():
        ranked = sorted(distinct.items(), key=lambda item: fraction("target", seed, item[0]))
        if len(ranked) < per_length:
            raise CorpusError(
                f"Expected {per_length} distinct targets of {length} words, found {len(ranked)}; "
                "give more utterances or ask for fewer targets."
            )
        picked.extend(target for _, target in ranked[:per_length])
    return picked


def generated_candidates(replies: Iterable[str], *, name: str = "generated") -> list[Target]:
    """Make candidates of the chatbot's replies."""
    return [Target(reply, list=name, length=length_group(reply)) for reply in replies]


def real_candidates(pairs: Iterable[Pair], *, name: str = "real") -> list[Target]:
    """Make candidates of human turns; each keeps the human query before it."""
    return [Target(p.reply, list=name, length=length_group(p.reply), query=p.query) for p in pairs]


def hold_out(pairs: Iterable[Pair], targets: Iterable[Target]) -> list[Pair]:
    """Drop each pair whose query or reply equals a target after normalisation."""
    held = {normalise(target.text) for target in targets}
    return [p for p in pairs if normalise(p.reply) not in held and normalise(p.query) not in held]


def leaks(targets: Iterable[Target], training_texts: Iterable[str]) -> list[Target]:
    """Give the targets not marked *seen* whose text is among the training texts, after normalisation."""
    known = {normalise(text) for text in training_texts}
    return [target for target in targets if not target.seen and normalise(target.text) in known]


def mark_seen(candidates: Iterable[Target], pairs: Iterable[Pair], *, name: str) -> list[Target]:
    """Keep the candidates whose text is a reply of the reference corpus, marked as *seen*."""
    known = {normalise(pair.reply) for pair in pairs}
    return [
        Target(target.text, list=name, length=target.length, query=target.query, seen=True)
        for target in candidates
        if normalise(target.text) in known
    ]


def limit_per_group(targets: Sequence[Target], limit: int | None) -> list[Target]:
    """Keep the first ``limit`` targets of each list and length."""
    counts: dict[tuple[str, str], int] = {}
    kept = []
    for target in targets:
        key = (target.list, target.length)
        counts[key] = counts.get(key, 0) + 1
        if limit is None or counts[key] <= limit:
            kept.append(target)
    return kept


def read_targets(path: Path) -> list[Target]:
    """Read a target list: JSONL of targets, CSV or TSV with a ``text`` column, or plain text, one a line.

    Blank lines and, in plain text, lines that start with ``#`` are skipped; texts that repeat are kept once.

    Raises:
        CorpusError: the file is missing, not UTF-8, empty, or malformed (the message names the line).
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise CorpusError(f"There is no target list at {path}.") from error
    except IsADirectoryError as error:
        raise CorpusError(f"Expected a target list, but {path} is a folder.") from error
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8 and try again."
        ) from error
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}.") from error
    parse = {".jsonl": _from_jsonl, ".csv": _from_table, ".tsv": _from_table}.get(path.suffix.lower(), _from_lines)
    targets = list({target.text: target for target in parse(path, text)}.values())
    if not targets:
        raise CorpusError(f"{path} holds no target; write one sentence a line.")
    return targets


def _named(text: str, **fields: str) -> Target:
    return Target(text.strip(), length=length_group(text), **fields)


def _from_lines(_: Path, text: str) -> list[Target]:
    lines = (line.strip() for line in text.splitlines())
    return [_named(line) for line in lines if line and not line.startswith("#")]


def _from_table(path: Path, text: str) -> list[Target]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    table = csv.DictReader(text.splitlines(), delimiter=delimiter)
    if "text" not in (table.fieldnames or []):
        raise CorpusError(f"{path} needs a column named 'text'; its columns are {table.fieldnames}.")
    rows: Iterable[Mapping[str, str | None]] = table
    return [
        _named(row["text"] or "", list=row.get("list") or "custom", query=row.get("query") or "")
        for row in rows
        if (row["text"] or "").strip()
    ]


def _from_jsonl(path: Path, text: str) -> list[Target]:
    targets = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            targets.append(from_json(Target, line))
        except CorpusError as error:
            raise CorpusError(f"{path}, line {number}: {error}") from error
    return targets
