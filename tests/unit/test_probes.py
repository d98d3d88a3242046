"""Verdicts on replies that are written down here: each line says what was seen, and no more."""

from collections.abc import Callable

import pytest

from saywhat.checking import hidden_characters
from saywhat.evaluation.probes import (
    BATCH,
    LONG,
    POSTS,
    PROBES,
    TIMED,
    Latency,
    Probe,
    Probed,
    latency,
    pace,
)
from saywhat.evaluation.verdicts import Verdict, judge

WORD = "bodukimara"
Answer = Callable[[int, Probe], str | None]


def _probed(answer: Answer) -> list[Probed]:
    """Answer all probes: each takes as many seconds as its number."""
    return [
        Probed(probe.kind, probe.query, reply := answer(number, probe), float(number),
               error="" if reply is not None else "it hung up",
               failure="" if reply is not None else "dropped")
        for number, probe in enumerate(PROBES, start=1)
    ]  # fmt: skip


def _verdicts(answer: Answer) -> dict[str, Verdict]:
    found = judge(_probed(answer), secret=WORD, advise=lambda p: f"mend {p.failure}")
    return {verdict.name: verdict for verdict in found}


def _echo(_: int, probe: Probe) -> str:
    return probe.query


def _statuses(answer: Answer) -> dict[str, str]:
    """Give the verdicts that are not fine."""
    return {name: v.status for name, v in _verdicts(answer).items() if v.status != "ok"}


def test_the_probes_are_a_dozen_and_ask_what_they_say() -> None:
    """A repeat index counts how often the same query came before: else the cache would answer."""
    assert len(PROBES) == 12
    before: dict[str, int] = {}
    for probe in PROBES:
        assert probe.repeat == before.get(probe.query, 0)
        before[probe.query] = probe.repeat + 1
    assert len(LONG.split()) == 400
    assert len(set(POSTS)) == 5
    last = [probe for probe in PROBES if probe.query == PROBES[-1].query]
    assert [probe.kind for probe in last] == ["post", "again", "afterwards"]


def test_a_chatbot_without_a_fault_gets_no_advice() -> None:
    verdicts = _verdicts(_echo)
    assert {v.status for v in verdicts.values()} == {"ok"}
    assert {v.advice for v in verdicts.values()} == {""}
    assert verdicts["distinct replies"].text == "5 (to 5 posts)"
    assert verdicts["reply"].text.startswith("6 to 400 words")


def test_latency_is_of_ordinary_queries_that_were_answered() -> None:
    """Numbers 1 to 7 and 12 are ordinary; 12 fails here, so that 1 to 7 are left."""
    assert [n for n, probe in enumerate(PROBES, 1) if probe.kind in TIMED] == [*range(1, 8), 12]
    probed = _probed(lambda number, probe: None if number == 12 else "yes")
    assert latency(probed) == Latency(median=4.0, slowest=7.0, calls=7)
    assert latency([]) is None


def test_one_failure_of_eight_is_a_warning_with_its_words_and_advice() -> None:
    found = _verdicts(lambda number, probe: None if number == 5 else probe.query)["reachable"]
    assert found.status == "warning"
    assert found.text.startswith("7 of 8 calls")
    assert found.text.endswith("one said: it hung up")
    assert found.advice == "mend dropped"


def test_a_chatbot_that_never_answers_is_not_judged_further() -> None:
    verdicts = _verdicts(lambda *_: None)
    assert list(verdicts) == ["reachable"]
    assert (verdicts["reachable"].status, verdicts["reachable"].text) == (
        "failed",
        "no: it hung up",
    )
    assert [v.status for v in judge([], secret=WORD)] == ["failed"]


def test_empty_replies() -> None:
    """All empty is no chatbot; some empty is a warning that counts them."""
    verdicts = _verdicts(lambda *_: "  ")
    assert list(verdicts) == ["reachable", "reply"]
    assert verdicts["reply"].status == "failed"
    some = _verdicts(lambda number, probe: "" if number in {3, 4} else probe.query)
    assert some["reply"].status == "warning"
    assert some["reply"].text.startswith("2 of 12 are empty")


def test_a_deaf_chatbot_is_told_from_one_with_two_replies() -> None:
    assert _statuses(lambda *_: "i don't know .") == {"distinct replies": "warning"}
    two = _verdicts(lambda _, probe: "yes" if "movie" in probe.query else "no")
    assert two["distinct replies"].status == "ok"
    assert two["distinct replies"].text == "2 (to 5 posts)"


def test_a_chatbot_that_draws_is_not_called_stateful() -> None:
    drawn = _verdicts(lambda number, _: f"reply {number}")
    assert drawn["deterministic"].status == "warning"
    assert drawn["deterministic"].text.startswith("no (2 of 2 questions")
    assert drawn["keeps state"].text == "no sign of it"
    one = _verdicts(lambda number, probe: "other" if number == 2 else probe.query)
    assert one["deterministic"].text.startswith("no (1 of 2 questions")


def test_state_is_seen_by_the_secret_word() -> None:
    """In any case of letters; a chatbot that says the word when it is told it keeps nothing."""

    def remembers(_: int, probe: Probe) -> str:
        return f"It is {WORD.upper()}!" if probe.kind == "recall" else probe.query

    assert _statuses(remembers) == {"keeps state": "warning"}
    parrot = _verdicts(lambda _, probe: probe.query.replace("{word}", WORD))
    assert parrot["keeps state"].status == "ok"


def test_state_is_seen_by_another_reply_after_other_questions() -> None:
    def tired(number: int, probe: Probe) -> str:
        return "as i said" if number == 12 else probe.query

    assert _statuses(tired) == {"keeps state": "warning"}


def test_state_explains_other_replies() -> None:
    """Every reply differs and the word is known: the first thing to change is the state."""
    found = _verdicts(lambda number, _: f"{number} {WORD}")
    assert found["keeps state"].status == "warning"
    assert "next line" in found["deterministic"].advice


@pytest.mark.parametrize(("kind", "name"), [("long", "long query"), ("odd", "odd text")])
def test_queries_that_are_refused_alone(kind: str, name: str) -> None:
    def refuses(_: int, probe: Probe) -> str | None:
        return None if probe.kind == kind else probe.query

    assert _statuses(refuses) == {name: "warning"}
    found = _verdicts(refuses)[name]
    assert found.text.endswith("it hung up")
    assert found.advice == "mend dropped"
    assert _statuses(lambda _, p: "" if p.kind == kind else p.query)[name] == "warning"


def test_a_batch_has_a_line_only_if_it_was_asked() -> None:
    """8 queries of half a second each: the pace is that, and latency does not change."""
    assert len({*BATCH, *POSTS}) == len(BATCH) + len(POSTS) == 13
    single = _probed(_echo)
    batch = [Probed("batch", query, query, 0.5) for query in BATCH]
    refused = [Probed("batch", query, None, 0.5, "too many", "HTTP 413") for query in BATCH]
    assert (pace(single), pace([*single, *batch]), pace([*single, *refused])) == (None, 0.5, None)
    assert latency([*single, *batch]) == latency(single)
    found = {v.name: v for v in judge([*single, *batch], secret=WORD)}
    assert (found["batch"].status, found["batch"].text) == ("ok", "answered (8 queries)")
    found = {v.name: v for v in judge([*single, *refused], secret=WORD)}
    assert (found["batch"].status, found["batch"].text) == (
        "warning",
        "refused (8 queries): too many",
    )
    assert "batch" not in {v.name for v in judge(single, secret=WORD)}


def test_what_was_not_asked_is_not_known() -> None:
    """After three probes: nothing is said of what the others would have shown."""
    found = {v.name: v for v in judge(_probed(_echo)[:1], secret=WORD)}
    unknown = {name for name, verdict in found.items() if verdict.status == "unknown"}
    assert unknown == {"distinct replies", "deterministic", "keeps state", "long query", "odd text"}


def test_hidden_characters_are_named_and_counted() -> None:
    probed = [
        Probed("post", "a", "\x1b[31mred", 1.0, hidden=hidden_characters("\x1b[31mred")),
        Probed("post", "b", "plain", 1.0, hidden=hidden_characters("plain")),
    ]
    found = {v.name: v for v in judge(probed, secret=WORD)}["plain text"]
    assert (found.status, found.text) == ("warning", "no: <U+001B> in 1 of 2 replies")


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("two\r\nlines\tand a tab", ()),
        ("caf\u00e9 \u2764\ufe0f \U0001f600", ()),
        ("it says <U+202E> in letters", ()),
        ("a\u202eb\x07\u200b\u200b", ("<U+0007>", "<U+200B>", "<U+202E>")),
    ],
)
def test_what_counts_as_hidden(text: str, hidden: tuple[str, ...]) -> None:
    assert hidden_characters(text) == hidden
