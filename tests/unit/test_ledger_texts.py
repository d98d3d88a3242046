"""Any text goes through the ledger: it survives, or what no file could hold is replaced."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saywhat.chatbots.known import CountingChatbot, EchoChatbot, LookupChatbot
from saywhat.ledger import Ledger
from saywhat.ledger.chatbot import cache_keys
from saywhat.ledger.store import pack, unpack

ANY_TEXT = st.text(st.characters(codec=None))  # with NUL and lone surrogates
UTF8_TEXT = st.text(st.characters(codec="utf-8"))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with Ledger(tmp_path_factory.mktemp("texts") / "ledger.sqlite") as opened:
        yield opened


@settings(deadline=None)
@given(queries=st.lists(ANY_TEXT, unique=True), reply=UTF8_TEXT, scope=ANY_TEXT)
def test_queries_and_replies_come_back_unchanged(
    ledger: Ledger, queries: list[str], reply: str, scope: str
) -> None:
    inner = CountingChatbot(LookupChatbot({}, default=reply))
    chatbot = ledger.chatbot(inner, phase="search")
    bought = chatbot.ask(queries, scope=scope)
    again = chatbot.ask(queries, scope=scope)
    for answers in (bought, again):
        assert [answer.query for answer in answers] == queries
        assert all(answer.reply == reply for answer in answers)
    assert all(answer.cached for answer in again)
    assert ledger.answered(inner.fingerprint, queries) == dict.fromkeys(queries, reply)


@settings(deadline=None)
@given(st.text(st.characters(codec=None), max_size=20))
def test_every_reply_can_be_written_to_a_file(ledger: Ledger, reply: str) -> None:
    chatbot = ledger.chatbot(LookupChatbot({}, default=reply), phase="verify")
    bought, cached = (chatbot.ask(["q"], scope=reply)[0].reply for _ in range(2))
    assert bought is not None
    assert bought == cached
    bought.encode("utf-8")
    # Only surrogates are touched.
    assert [c for c in bought if c < "\ud800"] == [c for c in reply if c < "\ud800"]


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ("a\ud800b", "a\ufffdb"),  # a lone high surrogate
        ("\udc80", "\ufffd"),  # a byte that was not UTF-8, as file names and arguments carry it
        ("\ud83d\ude00", "\U0001f600"),  # both halves: the character that they stand for
        ("a\0b", "a\0b"),
    ],
)
def test_lone_surrogates_in_replies_are_replaced(ledger: Ledger, reply: str, kept: str) -> None:
    chatbot = ledger.chatbot(LookupChatbot({}, default=reply), phase="search")
    assert chatbot.reply(["q"]) == [kept]
    assert kept in {pair.reply for pair in ledger.pairs("search")}


def test_pairs_keep_hostile_queries(tmp_path: Path) -> None:
    queries = [
        "",
        "\0",
        "a\0b",
        "\ud800",
        "'; DROP TABLE replies; --",
        "\u202e",
        "a\nb",
        "x" * 10**5,
    ]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.chatbot(LookupChatbot({}, default="r"), phase="search").ask(
            queries, scope="\ud800\0"
        )
        assert [pair.query for pair in ledger.pairs("search")] == queries


@settings(deadline=None)
@given(ANY_TEXT)
def test_packing_is_reversible_and_readable(text: str) -> None:
    assert unpack(pack(text)) == text
    if "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text):
        assert pack(text) == text


def test_keys_tell_apart_what_plain_joining_would_confuse() -> None:
    triples = [("ab", "c", 0), ("a", "bc", 0), ("abc", "", 0), ("", "abc", 0), ("ab", "c", 1)]
    keys = {
        cache_keys(fingerprint, [query], repeat)[query] for fingerprint, query, repeat in triples
    }
    assert len(keys) == len(triples)
    assert {len(key) for key in keys} == {16}


def test_texts_that_differ_in_normal_form_only_are_different_queries(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.chatbot(EchoChatbot(), phase="search").ask(["\u00e9", "e\u0301"], scope="t1")
        assert ledger.total().sent == 2
