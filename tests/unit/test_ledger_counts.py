"""The ledger's counts, answers and failures, on sequences worked out by hand."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from saywhat.chatbots.known import CountingChatbot, EchoChatbot, FailingChatbot, LookupChatbot
from saywhat.errors import ChatbotError, SetupError, UnknownNameError
from saywhat.interfaces import Chatbot
from saywhat.ledger import Answer, Counts, Ledger
from saywhat.records import PHASES, Pair


class Scripted:
    """A chatbot given by a function; user code, so nothing checks its types."""

    name = "scripted"
    fingerprint = "scripted-1"

    def __init__(self, function: object) -> None:
        self.function = function

    def reply(self, queries: Sequence[str]) -> list[str]:
        return self.function(queries)  # type: ignore[operator,no-any-return]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def test_three_counts_with_duplicates_and_cache_hits(ledger: Ledger) -> None:
    inner = CountingChatbot(EchoChatbot())
    chatbot = ledger.chatbot(inner, phase="search")

    first = chatbot.ask(["a", "b", "a"], scope="t1")
    second = chatbot.ask(["b", "c"], scope="t1")

    # asked 3 + 2; a, b and then c are new; each new one left once.
    assert ledger.counts()["search"] == Counts(asked=5, unique=3, sent=3, failed=0)
    assert inner.batches == [("a", "b"), ("c",)]
    assert first == [
        Answer("a", "a", "", cached=False),
        Answer("b", "b", "", cached=False),
        Answer("a", "a", "", cached=True),  # the first "a" had been bought by then
    ]
    assert [answer.cached for answer in second] == [True, False]


def test_answers_not_cached_are_exactly_the_unique_ones(ledger: Ledger) -> None:
    chatbot = ledger.chatbot(LookupChatbot({}, default="same"), phase="search")
    answers = [
        answer
        for scope, queries in {"t1": ["x", "x", "y"], "t2": ["y", "z", "z"]}.items()
        for answer in chatbot.ask(queries, scope=scope)
    ]
    assert sum(not answer.cached for answer in answers) == ledger.total().unique == 3


def test_phases_are_counted_apart_and_share_the_cache(ledger: Ledger) -> None:
    inner = EchoChatbot()
    ledger.chatbot(inner, phase="reference").ask(["a", "b"], scope="posts")
    ledger.chatbot(inner, phase="verify").ask(["b", "c"], scope="t1")

    counts = ledger.counts()
    assert tuple(counts) == PHASES
    assert counts["reference"] == Counts(asked=2, unique=2, sent=2)
    assert counts["verify"] == Counts(asked=2, unique=1, sent=1)
    assert counts["search"] == Counts()
    assert ledger.total() == Counts(asked=4, unique=3, sent=3)
    assert list(ledger.pairs("reference")) == [Pair("a", "a"), Pair("b", "b")]
    assert list(ledger.pairs("verify")) == [Pair("c", "c")]


def test_repeats_and_fingerprints_have_their_own_place_in_the_cache(ledger: Ledger) -> None:
    replies = iter("12345")
    inner = Scripted(lambda queries: [next(replies) for _ in queries])
    other = LookupChatbot({"a": "other"})

    for repeat in (0, 1, 0, 1):
        ledger.chatbot(inner, phase="search", repeat=repeat).ask(["a"], scope=f"{repeat}")
    ledger.chatbot(other, phase="search").ask(["a"], scope="other")

    assert ledger.total().sent == 3
    assert ledger.answered("scripted-1", ["a"]) == {"a": "1"}
    assert ledger.answered("scripted-1", ["a"], repeat=1) == {"a": "2"}
    assert ledger.answered(other.fingerprint, ["a", "b"]) == {"a": "other"}
    assert [pair.reply for pair in ledger.pairs("search")] == ["1", "2", "other"]
    only = ledger.pairs("search", fingerprint=other.fingerprint)
    assert [pair.reply for pair in only] == ["other"]


def test_batches_are_cut_to_size_and_reported(ledger: Ledger) -> None:
    inner = CountingChatbot(EchoChatbot())
    reported: list[int] = []
    chatbot = ledger.chatbot(inner, phase="search", batch_size=2, on_sent=reported.append)
    chatbot.ask(list("abcde"), scope="t1")
    assert inner.batches == [("a", "b"), ("c", "d"), ("e",)]
    assert reported == [2, 2, 1]


def test_one_bad_query_spoils_only_itself(ledger: Ledger) -> None:
    def reply(queries: Sequence[str]) -> list[str]:
        if "bad" in queries:
            raise ChatbotError("refused", query="bad")
        return [query.upper() for query in queries]

    inner = CountingChatbot(Scripted(reply))
    reported: list[int] = []
    chatbot = ledger.chatbot(inner, phase="search", attempts=3, on_sent=reported.append)
    answers = chatbot.ask(["a", "bad", "c", "bad"], scope="t1")

    # The batch of 3; then a once, bad 3 times, c once: 3 + 1 + 3 + 1 = 8 left.
    assert inner.batches == [("a", "bad", "c"), ("a",), ("bad",), ("bad",), ("bad",), ("c",)]
    assert ledger.total() == Counts(asked=4, unique=2, sent=8, failed=1)
    assert reported == [3, 1, 1, 1, 1, 1]
    assert [answer.reply for answer in answers] == ["A", None, "C", None]
    assert [answer.cached for answer in answers] == [False] * 4
    assert "refused" in answers[1].error
    assert "bad" in answers[1].error


def test_a_batch_of_one_is_its_querys_first_try(ledger: Ledger) -> None:
    inner = CountingChatbot(FailingChatbot(EchoChatbot(), rate=1.0))
    ledger.chatbot(inner, phase="search", attempts=1).ask(["a"], scope="t1")
    ledger.chatbot(inner, phase="search", attempts=3).ask(["b"], scope="t2")
    assert inner.batches == [("a",), ("b",), ("b",), ("b",)]
    assert ledger.total() == Counts(asked=2, unique=0, sent=4, failed=2)


def test_retries_succeed_and_count(ledger: Ledger) -> None:
    # Each query fails in the first two calls that hold it: the batch and its first single try.
    inner = CountingChatbot(FailingChatbot(EchoChatbot(), rate=1.0, tries=2))
    answers = ledger.chatbot(inner, phase="search", attempts=2).ask(["a", "b"], scope="t1")
    assert [answer.reply for answer in answers] == ["a", "b"]
    # 2 in the batch, then two tries for each.
    assert ledger.total() == Counts(asked=2, unique=2, sent=6, failed=0)


def test_errors_are_never_cached(ledger: Ledger) -> None:
    chatbot = ledger.chatbot(FailingChatbot(EchoChatbot(), rate=1.0, tries=1), phase="search")
    failed = chatbot.ask(["a"], scope="t1")
    again = chatbot.ask(["a"], scope="t1")
    assert (failed[0].reply, again[0].reply) == (None, "a")
    assert ledger.total() == Counts(asked=2, unique=1, sent=2, failed=1)


def test_reply_is_a_chatbots_reply_and_names_the_first_failed_query(ledger: Ledger) -> None:
    inner = FailingChatbot(LookupChatbot({"a": "b"}, default="c"), rate=0.5)
    # Which queries fail depends on their hash: take two of each kind.
    texts = [str(number) for number in range(100)]
    good = [text for text in texts if not inner.fails(text)][:2]
    bad = [text for text in texts if inner.fails(text)][:2]
    chatbot = ledger.chatbot(inner, phase="search")

    assert (chatbot.name, chatbot.fingerprint) == (inner.name, inner.fingerprint)
    assert chatbot.reply(good) == ["c", "c"]
    with pytest.raises(ChatbotError) as caught:
        chatbot.reply([good[0], *bad, good[1]])
    assert caught.value.query == bad[0]
    assert ledger.total() == Counts(asked=6, unique=2, sent=2 + 2 + 2, failed=2)


def test_an_empty_query_that_fails_is_named_too(ledger: Ledger) -> None:
    chatbot = ledger.chatbot(FailingChatbot(EchoChatbot(), rate=1.0), phase="search")
    with pytest.raises(ChatbotError) as caught:
        chatbot.reply([""])
    assert caught.value.query == ""


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ([], "Expected one reply per query (1)"),
        (["x", "y"], "Expected one reply per query (1)"),
        (("x", "y"), "must return list[str]"),
        (["x", None], "must return list[str]"),
        ("xy", "must return list[str]"),
        (None, "must return list[str]"),
    ],
)
def test_malformed_replies_are_failures(ledger: Ledger, returned: object, expected: str) -> None:
    with pytest.raises(ChatbotError, match=re.escape(expected)) as caught:
        ledger.chatbot(Scripted(lambda _: returned), phase="search").reply(["c"])
    assert caught.value.query == "c"
    assert ledger.total() == Counts(asked=1, unique=0, sent=1, failed=1)


def test_a_batch_of_the_wrong_length_is_asked_singly(ledger: Ledger) -> None:
    # A chatbot that drops repeated replies: which reply belongs to which query cannot be told.
    inner = Scripted(lambda queries: sorted({query.lower() for query in queries}))
    answers = ledger.chatbot(inner, phase="search").ask(["B", "b", "A"], scope="t1")
    assert [answer.reply for answer in answers] == ["b", "b", "a"]
    assert ledger.total() == Counts(asked=3, unique=3, sent=6, failed=0)


def test_unexpected_exceptions_are_wrapped_with_their_cause(ledger: Ledger) -> None:
    def crash(queries: Sequence[str]) -> list[str]:
        raise ZeroDivisionError("by zero")

    with pytest.raises(ChatbotError, match="ZeroDivisionError: by zero") as caught:
        ledger.chatbot(Scripted(crash), phase="search").reply(["a"])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_error_that_names_another_query_is_renamed(ledger: Ledger) -> None:
    def wrong(queries: Sequence[str]) -> list[str]:
        raise ChatbotError("lost", query="something else")

    with pytest.raises(ChatbotError, match="lost") as caught:
        ledger.chatbot(Scripted(wrong), phase="search").reply(["a"])
    assert caught.value.query == "a"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SetupError("no key")])
def test_interrupts_and_setup_errors_pass_through(ledger: Ledger, error: BaseException) -> None:
    def stop(queries: Sequence[str]) -> list[str]:
        raise error

    with pytest.raises(type(error)):
        ledger.chatbot(Scripted(stop), phase="search").ask(["a", "b"], scope="t1")
    assert ledger.total() == Counts(asked=2, unique=0, sent=2, failed=0)


def test_an_empty_call_is_nothing(ledger: Ledger) -> None:
    inner = CountingChatbot(EchoChatbot())
    assert ledger.chatbot(inner, phase="search").ask([], scope="t1") == []
    assert inner.batches == []
    assert ledger.total() == Counts()


def test_pairs_may_be_read_while_more_are_written(ledger: Ledger) -> None:
    chatbot = ledger.chatbot(EchoChatbot(), phase="search")
    chatbot.ask([str(number) for number in range(1500)], scope="t1")  # more than one page
    pairs = ledger.pairs("search")
    first = next(pairs)
    chatbot.ask(["late"], scope="t2")
    rest = list(pairs)
    assert first == Pair("0", "0")
    assert [pair.query for pair in rest] == [*map(str, range(1, 1500)), "late"]


def test_many_keys_need_many_statements(ledger: Ledger) -> None:
    queries = [str(number) for number in range(1203)]  # 500 + 500 + 203
    inner = CountingChatbot(EchoChatbot())
    chatbot = ledger.chatbot(inner, phase="search")
    chatbot.ask(queries[::2], scope="t1")
    answers = chatbot.ask(queries, scope="t2")
    assert [answer.cached for answer in answers] == [number % 2 == 0 for number in range(1203)]
    assert len(inner.received) == len(set(inner.received)) == 1203


@pytest.mark.parametrize("terms", [{"repeat": -1}, {"attempts": 0}, {"batch_size": 0}])
def test_terms_out_of_range_are_refused(ledger: Ledger, terms: dict[str, int]) -> None:
    with pytest.raises(SetupError, match=next(iter(terms))):
        ledger.chatbot(EchoChatbot(), phase="search", **terms)  # type: ignore[arg-type]


def test_unknown_phases_are_refused(ledger: Ledger) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'search'"):
        ledger.chatbot(EchoChatbot(), phase="serch")
    with pytest.raises(UnknownNameError, match="phase 'other'"):
        ledger.pairs("other")


def test_ledgers_nest(ledger: Ledger, tmp_path: Path) -> None:
    with Ledger(tmp_path / "outer.sqlite") as outer:
        inner: Chatbot = ledger.chatbot(EchoChatbot(), phase="search")
        assert outer.chatbot(inner, phase="verify").reply(["a", "a"]) == ["a", "a"]
        assert ledger.total() == Counts(asked=1, unique=1, sent=1)
        assert outer.total() == Counts(asked=2, unique=1, sent=1)
