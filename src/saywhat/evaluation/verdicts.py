"""What the probes of a check show: verdicts, each with the one thing to change."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Literal, final

from saywhat.evaluation.probes import LONG, TIMED, Probed, latency
from saywhat.text.amounts import count, milliseconds

Status = Literal["ok", "warning", "failed", "unknown"]


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """One line of a check.

    Attributes:
        name: what was looked at.
        status: ``ok``; ``warning``: an audit works, but read on; ``failed``: there can be none;
            ``unknown``: it could not be seen.
        text: what was seen; it may hold text of the chatbot.
        advice: the one thing to change; ``""`` if nothing is.
    """

    name: str
    status: Status
    text: str
    advice: str = ""


def judge(
    probed: Sequence[Probed], *, secret: str, advise: Callable[[Probed], str] = lambda _: ""
) -> list[Verdict]:
    """Say what the probes show.

    Args:
        probed: what came of ``PROBES`` and ``BATCH``, in order; the last ones may be missing.
        secret: the word that the chatbot was told, in small letters.
        advise: says what to change about a failure.

    Example:
        >>> silent = [Probed("post", "hi", None, 0.1, "It hung up", "dropped")]
        >>> [(verdict.name, verdict.status, verdict.text) for verdict in judge(silent, secret="x")]
        [('reachable', 'failed', 'no: It hung up')]
    """
    reachable = _reachable(probed, advise)
    if reachable.status == "failed":
        return [reachable]
    replies = [p for p in probed if p.reply is not None]
    verdicts = [reachable, _reply(replies)]
    if verdicts[-1].status == "failed":
        return verdicts
    state = _state(probed, secret)
    return [
        *verdicts,
        _characters(replies),
        _distinct(replies),
        _deterministic(probed, stateful=state.status == "warning"),
        state,
        _answered(probed, "long", f"{len(LONG.split())} words", advise),
        _answered(probed, "odd", "emoji, quotes, a line end", advise),
        *_batch(probed, advise),
    ]


def _reachable(probed: Sequence[Probed], advise: Callable[[Probed], str]) -> Verdict:
    took = latency(probed)
    failures = [p for p in probed if p.kind in TIMED and p.reply is None]
    if took is None:
        if not failures:
            return Verdict("reachable", "failed", "no: nothing could be asked")
        last = failures[-1]
        return Verdict("reachable", "failed", f"no: {last.error}", advise(last))
    times = f"{milliseconds(took.median)} median, {milliseconds(took.slowest)} slowest"
    if failures:
        calls = took.calls + len(failures)
        text = f"{took.calls} of {calls} calls, {times}; one said: {failures[0].error}"
        return Verdict("reachable", "warning", text, advise(failures[0]))
    return Verdict("reachable", "ok", f"yes, {times} ({count(took.calls, 'call')})")


def _reply(replies: Sequence[Probed]) -> Verdict:
    texts = [p.reply or "" for p in replies]
    empty = sum(not text.strip() for text in texts)
    if empty == len(texts):
        return Verdict(
            "reply", "failed", f"all {len(texts)} are empty",
            "look where the reply is taken from: the answer may be in another field",
        )  # fmt: skip
    words = [len(text.split()) for text in texts if text.strip()]
    characters = [len(text) for text in texts if text.strip()]
    text = f"{_range(words, 'word')}, {_range(characters, 'character')}"
    if empty:
        return Verdict(
            "reply", "warning", f"{empty} of {len(texts)} are empty; the others have {text}",
            "an empty reply counts as said; if it is a failure, let the chatbot fail instead",
        )  # fmt: skip
    return Verdict("reply", "ok", text)


def _characters(replies: Sequence[Probed]) -> Verdict:
    hidden = sorted({character for p in replies for character in p.hidden})
    if not hidden:
        return Verdict("plain text", "ok", "yes")
    number = sum(bool(p.hidden) for p in replies)
    shown = " ".join(hidden[:5]) + (f" and {len(hidden) - 5} more" if len(hidden) > 5 else "")
    return Verdict(
        "plain text", "warning", f"no: {shown} in {number} of {len(replies)} replies",
        "take control and invisible characters out of replies before users get them",
    )  # fmt: skip


def _distinct(replies: Sequence[Probed]) -> Verdict:
    texts = [p.reply for p in replies if p.kind == "post"]
    name, distinct = "distinct replies", len(set(texts))
    if len(texts) < 2:
        return Verdict(name, "unknown", "not known: too few posts were answered")
    if distinct > 1:
        return Verdict(name, "ok", f"{distinct} (to {len(texts)} posts)")
    return Verdict(
        name, "warning", f"the same reply to {len(texts)} different posts",
        "see that the query reaches it: its place in the request, or the function's parameter",
    )  # fmt: skip


def _deterministic(probed: Sequence[Probed], *, stateful: bool) -> Verdict:
    pairs = _repetitions(probed)
    if not pairs:
        return Verdict("deterministic", "unknown", "not known: no question was answered twice")
    other = sum(first != second for first, second in pairs)
    asked = count(len(pairs), "question")
    if not other:
        return Verdict("deterministic", "ok", f"yes ({asked} asked twice)")
    text = f"no ({other} of {asked} asked twice got another reply)"
    advice = "read 'elicited' as 'it can say this', or set its temperature to 0 and its seed"
    return Verdict(
        "deterministic", "warning", text, "see the next line first" if stateful else advice
    )


def _state(probed: Sequence[Probed], secret: str) -> Verdict:
    name, advice = "keeps state", "start a new conversation for each query: no session, no history"
    reply = {p.kind: p.reply for p in probed}
    if secret in (reply.get("recall") or "").casefold():
        return Verdict(name, "warning", "yes: it knew a word from an earlier query", advice)
    first, last = next((p.reply for p in probed if p.kind == "post"), None), reply.get("afterwards")
    both = first is not None and last is not None
    alike = all(before == after for before, after in _repetitions(probed))
    if both and alike and first != last:
        text = "yes: the same question got another reply after other questions"
        return Verdict(name, "warning", text, advice)
    if reply.get("secret") is None or reply.get("recall") is None:
        return Verdict(name, "unknown", "not known: the questions about it were not answered")
    return Verdict(name, "ok", "no sign of it")


def _answered(
    probed: Sequence[Probed], kind: str, what: str, advise: Callable[[Probed], str]
) -> Verdict:
    name = {"long": "long query", "odd": "odd text"}[kind]
    found = next((p for p in probed if p.kind == kind), None)
    if found is None:
        return Verdict(name, "unknown", "not known: it was not asked")
    if found.reply is None:
        return Verdict(name, "warning", f"refused ({what}): {found.error}", advise(found))
    if not found.reply.strip():
        advice = "see that such a query reaches it whole"
        return Verdict(name, "warning", f"an empty reply ({what})", advice)
    return Verdict(name, "ok", f"answered ({what})")


def _batch(probed: Sequence[Probed], advise: Callable[[Probed], str]) -> list[Verdict]:
    batch = [p for p in probed if p.kind == "batch"]
    if failed := [p for p in batch if p.reply is None]:
        text = f"refused ({len(batch)} queries): {failed[0].error}"
        return [Verdict("batch", "warning", text, advise(failed[0]))]
    return [Verdict("batch", "ok", f"answered ({len(batch)} queries)")] if batch else []


def _repetitions(probed: Sequence[Probed]) -> list[tuple[str, str]]:
    """Give the replies of each post that was asked twice in a row and answered twice."""
    return [
        (before.reply, after.reply)
        for before, after in itertools.pairwise(probed)
        if after.kind == "again" and before.reply is not None and after.reply is not None
    ]


def _range(numbers: Sequence[int], noun: str) -> str:
    low, high = min(numbers), max(numbers)
    return count(low, noun) if low == high else f"{low:,} to {count(high, noun)}"
