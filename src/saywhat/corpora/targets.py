"""Target lists: *Generated* and *Real* (Section 5.2 of the paper), and lists that users bring.

*Generated* targets are the chatbot's own replies to utterances that no training saw; *Real* targets
are human turns, each with the real query before it. Both hold ``per_length`` distinct sentences for
each length group. A generator must never have seen them: ``hold_out`` removes from a reference
corpus every pair that has one of these texts on either side, after normalisation. The
*generated-seen* list is the marked exception: replies that the reference corpus holds.
"""

import csv
import dataclasses
import functools
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from saywhat.errors import CorpusError
from saywhat.records import Pair, Target, from_json
from saywhat.rng import fraction
from saywhat.text.normalise import LENGTH_GROUPS, length_group, normalise


def pick(
    candidates: Iterable[Target],
    *,
    per_length: int,
    seed: int,
    short: Callable[[str], None] | None = None,
) -> list[Target]:
    """Pick ``per_length`` distinct (normalised) targets of each length group, by hash.

    The order of the candidates does not matter: of those that normalise alike, the first by
    spelling and then by query stands for all.

    Args:
        candidates: what to pick from.
        per_length: how many of each length group.
        seed: which ones.
        short: is told of a group with too few candidates, of which half are then picked: a chatbot
            with few replies keeps some to be learned from. ``None``: that is an error.

    Raises:
        CorpusError: a length group has too few candidates, and ``short`` is ``None``.
    """
    groups: dict[str, dict[str, Target]] = {name: {} for name in LENGTH_GROUPS}
    for target in candidates:
        if target.length in groups:
            group, key = groups[target.length], normalise(target.text)
            group[key] = min(group.get(key, target), target, key=lambda t: (t.text, t.query))
    picked: list[Target] = []
    for length, distinct in groups.items():
        ranked = sorted(distinct.items(), key=lambda item: fraction("target", seed, item[0]))
        wanted = per_length
        if len(ranked) < per_length:
            shortage = (
                f"Expected {per_length} distinct targets of {length} words, found {len(ranked)}"
            )
            if short is None:
                raise CorpusError(f"{shortage}; give more utterances or ask for fewer targets.")
            wanted = len(ranked) // 2
            short(f"{shortage}; {wanted} are taken.")
        picked.extend(target for _, target in ranked[:wanted])
    return picked


def pick_lists(
    candidates: Iterable[Target],
    *,
    per_length: int,
    seed: int,
    without: Iterable[Target] = (),
    short: Callable[[str], None] | None = None,
) -> list[Target]:
    """Pick from each list of the candidates, the lists in the order in which they first come.

    No sentence is in two lists, nor equal to one of ``without``, after normalisation.

    Args:
        candidates: of one or more lists.
        per_length: how many of each list and length group.
        seed: which ones.
        without: what may not be picked.
        short: as in ``pick``; it is told the list's name too.

    Raises:
        CorpusError: a length group of a list has too few candidates, and ``short`` is ``None``.
    """
    groups: dict[str, list[Target]] = {}
    for target in candidates:
        groups.setdefault(target.list, []).append(target)
    taken = {normalise(target.text) for target in without}
    picked: list[Target] = []
    for name, group in groups.items():
        free = (target for target in group if normalise(target.text) not in taken)
        told = None if short is None else functools.partial(_tell, short, name)
        new = pick(free, per_length=per_length, seed=seed, short=told)
        taken |= {normalise(target.text) for target in new}
        picked += new
    return picked


def _tell(short: Callable[[str], None], name: str, text: str) -> None:
    short(f"List {name}: {text}")


def generated_candidates(replies: Iterable[str], *, name: str = "generated") -> list[Target]:
    """Make candidates of the chatbot's replies."""
    return [Target(reply, list=name, length=length_group(reply)) for reply in replies]


def real_candidates(pairs: Iterable[Pair], *, name: str = "real") -> list[Target]:
    """Make candidates of human turns; each keeps the human query before it."""
    return [Target(p.reply, list=name, length=length_group(p.reply), query=p.query) for p in pairs]


def frequent_replies(pairs: Sequence[Pair], *, share: float) -> list[str]:
    """Give the (normalised) replies that make up more than ``share`` of the pairs.

    Example:
        >>> pairs = [Pair("a", "Yes!"), Pair("b", "yes"), Pair("c", "no")]
        >>> frequent_replies(pairs, share=0.5)
        ['yes']
    """
    counts = Counter(normalise(pair.reply) for pair in pairs)
    return sorted(reply for reply, count in counts.items() if count > share * len(pairs))


def hold_out(pairs: Iterable[Pair], targets: Iterable[Target]) -> list[Pair]:
    """Drop each pair whose query or reply equals a target after normalisation."""
    held = {normalise(target.text) for target in targets}
    return [p for p in pairs if normalise(p.reply) not in held and normalise(p.query) not in held]


def leaks(targets: Iterable[Target], training_texts: Iterable[str]) -> list[Target]:
    """Give the targets, but those marked *seen*, that are among the normalised training texts."""
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
    """Read a target list: JSONL of targets, CSV or TSV with a ``text`` column, or plain text.

    Blank lines and, in plain text (one target a line), lines that start with ``#`` are skipped;
    texts that repeat are kept once. A target without a length group gets the one of its text.

    Raises:
        CorpusError: the file is missing, not UTF-8, empty, or malformed (the message names the
            line).
    """
    text = _read_text(path)
    parsers = {".jsonl": _from_jsonl, ".csv": _from_table, ".tsv": _from_table}
    parse = parsers.get(path.suffix.lower(), _from_lines)
    targets: dict[str, Target] = {}
    for target in parse(path, text):
        targets.setdefault(target.text, target)
    if not targets:
        raise CorpusError(f"{path} holds no target; write one sentence a line.")
    return list(targets.values())


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise CorpusError(f"There is no target list at {path}.") from error
    except IsADirectoryError as error:
        raise CorpusError(f"Expected a target list, but {path} is a folder.") from error
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CorpusError(f"{path}, line {line}: not UTF-8; save the file as UTF-8.") from error


def _named(text: str, *, name: str = "custom", query: str = "") -> Target:
    return Target(text.strip(), list=name, length=length_group(text), query=query)


def _lines(text: str) -> list[str]:
    # not str.splitlines: a text may hold U+2028 and other line ends that JSON does not escape
    return io.StringIO(text, newline=None).read().split("\n")


def _from_lines(_: Path, text: str) -> list[Target]:
    lines = (line.strip() for line in _lines(text))
    return [_named(line) for line in lines if line and not line.startswith("#")]


def _from_table(path: Path, text: str) -> list[Target]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows: list[Mapping[str, str | None]] = list(table)
    except csv.Error as error:
        raise CorpusError(f"{path}, line {table.line_num + 1}: not a table ({error}).") from error
    if "text" not in (table.fieldnames or []):
        raise CorpusError(
            f"{path} needs a column named 'text'; its columns are {table.fieldnames}."
        )
    return [
        _named(row["text"] or "", name=row.get("list") or "custom", query=row.get("query") or "")
        for row in rows
        if (row["text"] or "").strip()
    ]


def _from_jsonl(path: Path, text: str) -> list[Target]:
    targets = []
    for number, line in enumerate(_lines(text), start=1):
        if not line.strip():
            continue
        try:
            targets.append(_checked(from_json(Target, line)))
        except CorpusError as error:
            raise CorpusError(f"{path}, line {number}: {error}") from error
    return targets


def _checked(target: Target) -> Target:
    texts = (target.text, target.list, target.length, target.query)
    if not all(isinstance(field, str) for field in texts) or not isinstance(target.seen, bool):
        raise CorpusError("Expected texts, and for 'seen' true or false.")
    if not target.text.strip():
        raise CorpusError("Expected a sentence in 'text', got none.")
    return dataclasses.replace(target, length=target.length or length_group(target.text))
