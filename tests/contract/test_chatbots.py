"""The contract of every chatbot: one suite, run over each implementation in ``CASES``.

To put a chatbot under contract, add a ``Case``: how to make it, and how to make it with one thing
changed that its replies depend on.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from saywhat.chatbots.callable import load
from saywhat.chatbots.known import (
    CipherChatbot,
    CountingChatbot,
    DeafChatbot,
    EchoChatbot,
    FailingChatbot,
    LookupChatbot,
)
from saywhat.cli.elicit import WatchedChatbot
from saywhat.interfaces import Chatbot
from saywhat.ledger import Ledger
from saywhat.similarity.exact import Exact


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a chatbot is made: a folder of its own, and what to close afterwards."""

    folder: Path
    closing: contextlib.ExitStack


Factory = Callable[[Place], Chatbot]


@dataclasses.dataclass(frozen=True)
class Case:
    """An implementation under contract.

    Attributes:
        name: shown in the tests' ids.
        make: makes it; called twice, it makes the same chatbot.
        changed: each makes it with one thing changed that the replies depend on.
    """

    name: str
    make: Factory
    changed: tuple[Factory, ...] = ()


QUERIES = ["hi", "how are you ?", "", "see you tomorrow", "how are you ?", "I DON'T know!", "hi hi"]
HOSTILE = [
    "\0",
    "\U0001f600",
    "\u202eabc",
    "<b>&amp;</b>",
    "a\nb\r\nc",
    "word " * 500,
    "\t",
    "\ufffd",
]
WORDS = ("hi", "how", "are", "you", "see", "tomorrow")


def _ledgered(chatbot: Chatbot, batch_size: int = 3) -> Factory:
    def make(place: Place) -> Chatbot:
        ledger = place.closing.enter_context(Ledger(place.folder / "ledger.sqlite"))
        return ledger.chatbot(chatbot, phase="search", batch_size=batch_size)

    return make


def _written(code: str) -> Factory:
    def make(place: Place) -> Chatbot:
        path = place.folder / "bot.py"
        path.write_text(code, encoding="utf-8")
        return load(f"{path}:reply")

    return make


def _watched(chatbot: Chatbot) -> Factory:
    return lambda _: WatchedChatbot(chatbot, Exact(), "hi", lambda query, reply, similarity: None)


CASES = [
    Case(
        "cipher",
        lambda _: CipherChatbot(WORDS),
        (lambda _: CipherChatbot(WORDS, seed=1), lambda _: CipherChatbot(WORDS[1:])),
    ),
    Case("deaf", lambda _: DeafChatbot("no"), (lambda _: DeafChatbot("yes"),)),
    Case("echo", lambda _: EchoChatbot()),
    Case(
        "lookup",
        lambda _: LookupChatbot({"hi": "hello"}, default="what ?"),
        (
            lambda _: LookupChatbot({"hi": "hey"}, default="what ?"),
            lambda _: LookupChatbot({"ho": "hello"}, default="what ?"),
            lambda _: LookupChatbot({"hi": "hello"}),
        ),
    ),
    Case(
        "failing",
        lambda _: FailingChatbot(CipherChatbot(WORDS), rate=0.0),
        (
            lambda _: FailingChatbot(EchoChatbot(), rate=0.0),
            lambda _: FailingChatbot(CipherChatbot(WORDS), rate=0.1),
            lambda _: FailingChatbot(CipherChatbot(WORDS), rate=0.0, tries=1),
            lambda _: FailingChatbot(CipherChatbot(WORDS), rate=0.0, seed=1),
        ),
    ),
    Case(
        "counting",
        lambda _: CountingChatbot(CipherChatbot(WORDS)),
        (lambda _: CountingChatbot(EchoChatbot()),),
    ),
    Case(
        "python-file",
        _written("def reply(query):\n    return query[::-1]\n"),
        (_written("def reply(query):\n    return query[::-1] + '!'\n"),),
    ),
    Case(
        "python-file-batch",
        _written("def reply(queries: list[str]):\n    return [q.upper() for q in queries]\n"),
        (_written("def reply(queries: list[str]):\n    return [q.lower() for q in queries]\n"),),
    ),
    Case("watched", _watched(CipherChatbot(WORDS)), (_watched(EchoChatbot()),)),
    Case("ledgered", _ledgered(CipherChatbot(WORDS)), (_ledgered(EchoChatbot()),)),
    Case(
        "ledgered-retrying",
        _ledgered(FailingChatbot(CipherChatbot(WORDS), rate=0.5, tries=1)),
        (_ledgered(FailingChatbot(CipherChatbot(WORDS), rate=0.6, tries=1)),),
    ),
]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Callable[[], Place]]:
    """Give places, each with a folder of its own."""
    with contextlib.ExitStack() as closing:

        def new() -> Place:
            folder = tmp_path / str(len(list(tmp_path.iterdir())))
            folder.mkdir()
            return Place(folder, closing)

        yield new


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
class TestChatbot:
    def test_it_has_the_surface(self, case: Case, place: Callable[[], Place]) -> None:
        chatbot = case.make(place())
        assert isinstance(chatbot, Chatbot)
        assert chatbot.name
        assert chatbot.fingerprint

    def test_one_reply_per_query_in_order(self, case: Case, place: Callable[[], Place]) -> None:
        replies = case.make(place()).reply(QUERIES)
        assert isinstance(replies, list)
        assert all(isinstance(reply, str) for reply in replies)
        assert len(replies) == len(QUERIES)
        # Asked alone, each query gets the reply that it got in the batch.
        other = case.make(place())
        assert [other.reply([query]) for query in QUERIES] == [[reply] for reply in replies]

    def test_replies_follow_their_queries(self, case: Case, place: Callable[[], Place]) -> None:
        forth, back = (case.make(place()).reply(batch) for batch in (QUERIES, QUERIES[::-1]))
        assert back == forth[::-1]

    def test_an_empty_batch(self, case: Case, place: Callable[[], Place]) -> None:
        assert case.make(place()).reply([]) == []

    def test_the_input_is_not_altered(self, case: Case, place: Callable[[], Place]) -> None:
        queries = list(QUERIES)
        replies = case.make(place()).reply(queries)
        replies.append("more")  # nor does the caller's list become the reply's
        assert queries == QUERIES

    def test_a_tuple_is_as_good_as_a_list(self, case: Case, place: Callable[[], Place]) -> None:
        chatbot = case.make(place())
        assert chatbot.reply(tuple(QUERIES)) == chatbot.reply(QUERIES)

    def test_any_text_is_a_query(self, case: Case, place: Callable[[], Place]) -> None:
        replies = case.make(place()).reply(HOSTILE)
        assert [type(reply) for reply in replies] == [str] * len(HOSTILE)

    def test_the_fingerprint_is_stable(self, case: Case, place: Callable[[], Place]) -> None:
        chatbot = case.make(place())
        before = chatbot.fingerprint
        chatbot.reply(QUERIES)
        assert chatbot.fingerprint == before == case.make(place()).fingerprint

    def test_the_fingerprint_tells_changes(self, case: Case, place: Callable[[], Place]) -> None:
        chatbots = [make(place()) for make in (case.make, *case.changed)]
        assert len({chatbot.fingerprint for chatbot in chatbots}) == 1 + len(case.changed)


def test_different_kinds_never_share_a_fingerprint(place: Callable[[], Place]) -> None:
    kinds = [
        case.make(place()) for case in CASES if case.name not in {"counting", "ledgered", "watched"}
    ]
    assert len({chatbot.fingerprint for chatbot in kinds}) == len(kinds)
