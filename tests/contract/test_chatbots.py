"""The contract of every chatbot: one suite, run over each implementation in ``CASES``.

To put a chatbot under contract, add a ``Case``: how to make it, and how to make it with one thing
changed that its replies depend on.
"""

import contextlib
import dataclasses
import runpy
import shlex
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from saywhat.chatbots.known import (
    CipherChatbot,
    CountingChatbot,
    DeafChatbot,
    EchoChatbot,
    FailingChatbot,
    LookupChatbot,
)
from saywhat.config import ModelSettings
from saywhat.interfaces import Chatbot, Closable, ConcurrentChatbot
from saywhat.ledger import Ledger
from saywhat.registry import load_chatbot
from tests import http_chatbots, tiny_models, tiny_networks
from tests.parlai_reference import Reference, write
from tests.servers import Answer, Received, Server, completion, query_of, say

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1"])


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


def _loaded(spec: str, place: Place) -> Chatbot:
    chatbot = load_chatbot(spec)
    if isinstance(chatbot, Closable):
        place.closing.callback(chatbot.close)
    return chatbot


def _written(code: str, function: str = "reply") -> Factory:
    def make(place: Place) -> Chatbot:
        path = place.folder / "bot.py"
        path.write_text(code, encoding="utf-8")
        return _loaded(f"python:{path}:{function}", place)

    return make


def _command(code: str, *arguments: str) -> Factory:
    def make(place: Place) -> Chatbot:
        path = place.folder.parent / "program.py"  # one path: the arguments are in the fingerprint
        path.write_text(code, encoding="utf-8")
        command = shlex.join([sys.executable, str(path), *arguments])
        return _loaded(f"command:{command}", place)

    return make


def _plugged_in(argument: str) -> Factory:
    def make(_: Place) -> Chatbot:
        chatbot: Chatbot = runpy.run_path(str(PLUGIN))["make"](argument)
        return chatbot

    return make


def _parlai(**options: Any) -> Factory:
    def make(place: Place) -> Chatbot:
        path = write(Reference(attention="dot", **options), place.folder, old=False)
        return _loaded(f"parlai:{path}", place)

    return make


def _network(architecture: str, **change: Any) -> Factory:
    def make(place: Place) -> Chatbot:
        folder = tiny_networks.save_chatbot(place.folder, architecture, WORDS, **change)
        return _loaded(f"seq2seq:{folder}", place)

    return make


_SERVERS: weakref.WeakKeyDictionary[contextlib.ExitStack, Server] = weakref.WeakKeyDictionary()


def _backwards(received: Received) -> Answer:
    text = query_of(received)[::-1]
    return completion(text) if received.path.startswith("/v1") else say(text)


def _server(place: Place) -> Server:
    """Give the server of a test: one for all of its chatbots, as the port is in fingerprints."""
    if place.closing not in _SERVERS:
        _SERVERS[place.closing] = place.closing.enter_context(Server(_backwards))
    return _SERVERS[place.closing]


def _http(**keys: object) -> Factory:
    def make(place: Place) -> Chatbot:
        path = http_chatbots.write(place.folder, **{"url": _server(place).url} | keys)
        return _loaded(f"http:{path}", place)

    return make


def _openai(path: str) -> Factory:
    return lambda place: _loaded(f"openai:{_server(place).origin}{path}", place)


def _transformers(save: Callable[..., Path], seed: int = 0) -> Factory:
    def make(place: Place) -> Chatbot:
        folder = save(place.folder / "model", seed=seed)
        settings = ModelSettings(max_tokens=12, batch_size=4)
        return load_chatbot(f"transformers:{folder}", model=settings)

    return make


PLUGIN = Path(__file__).parents[1] / "plugin" / "saywhat_example_plugin.py"
PROMPTFOO = "def call_api(prompt, options, context):\n    return {'output': prompt * 2}\n"
PROGRAM = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"reply": json.loads(line)["query"][::-1]}))
"""


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
    Case(
        "python-async",
        _written("async def reply(query):\n    return query.title()\n"),
        (_written("async def reply(query):\n    return query.title() + '!'\n"),),
    ),
    Case(
        "python-async-batch",
        _written("async def reply(queries: list[str]):\n    return [q * 2 for q in queries]\n"),
        (_written("async def reply(queries: list[str]):\n    return [q * 3 for q in queries]\n"),),
    ),
    Case(
        "promptfoo",
        _written(PROMPTFOO, "call_api"),
        (_written(PROMPTFOO.replace("}", ", 'cached': False}"), "call_api"),),
    ),
    Case(
        "garak",
        _written("def reply(prompt: str, **kwargs):\n    return [prompt, 'another']\n"),
        (_written("def reply(prompt: str, **kwargs):\n    return [prompt + '.', 'another']\n"),),
    ),
    Case(
        "command",
        _command(PROGRAM),
        (_command(PROGRAM, "--argument"), _command(PROGRAM.replace("[::-1]", ".upper()"))),
    ),
    Case(
        "http",
        _http(),
        (
            _http(url="http://127.0.0.1:1/"),
            _http(body={"message": "{{query}} "}),
            _http(reply="$.*"),
        ),
    ),
    Case("openai", _openai("/v1#tiny"), (_openai("/v1#small"), _openai("/v1/x#tiny"))),
    Case(
        "parlai",
        _parlai(),
        (_parlai(seed=1), _parlai(longest=2), _parlai(beam_size=2), _parlai(words=list(WORDS))),
    ),
    Case(
        "transformers-chat",
        _transformers(tiny_models.save_chat),
        (_transformers(tiny_models.save_chat, seed=1),),
    ),
    Case(
        "transformers-pair",
        _transformers(tiny_models.save_pair),
        (_transformers(tiny_models.save_pair, seed=1),),
    ),
    *(
        Case(name, _network(name), (_network(name, seed=1), _network(name, anti_lm_weight=0.1)))
        for name in tiny_networks.ARCHITECTURES
    ),
    *(
        Case(
            f"{name}-in-context",
            _network(name, context=("hi", "how are you")),
            (_network(name), _network(name, context=("hi",))),
        )
        for name in tiny_networks.MULTI_TURN
    ),
    Case("plug-in", _plugged_in("!"), (_plugged_in("?"),)),
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

    def test_submitting_gives_what_replying_gives(
        self, case: Case, place: Callable[[], Place]
    ) -> None:
        chatbot = case.make(place())
        if not isinstance(chatbot, ConcurrentChatbot):
            pytest.skip("it answers batches")
        assert chatbot.concurrency >= 1
        futures = [chatbot.submit(query) for query in QUERIES]
        assert [future.result(60) for future in futures] == chatbot.reply(QUERIES)

    def test_it_can_be_closed_and_asked_again(self, case: Case, place: Callable[[], Place]) -> None:
        chatbot = case.make(place())
        if not isinstance(chatbot, Closable):
            pytest.skip("it holds nothing")
        replies = chatbot.reply(QUERIES)
        chatbot.close()
        chatbot.close()
        assert chatbot.reply(QUERIES) == replies
        chatbot.close()

    def test_the_fingerprint_is_stable(self, case: Case, place: Callable[[], Place]) -> None:
        chatbot = case.make(place())
        before = chatbot.fingerprint
        chatbot.reply(QUERIES)
        assert chatbot.fingerprint == before == case.make(place()).fingerprint

    def test_the_fingerprint_tells_changes(self, case: Case, place: Callable[[], Place]) -> None:
        chatbots = [make(place()) for make in (case.make, *case.changed)]
        assert len({chatbot.fingerprint for chatbot in chatbots}) == 1 + len(case.changed)


@pytest.mark.parametrize("architecture", tiny_networks.ARCHITECTURES)
def test_one_that_draws_gives_the_nth_query_the_nth_draw(
    architecture: str, place: Callable[[], Place]
) -> None:
    """What the contract asks of others, one that draws cannot keep; this is what holds instead."""
    make = _network(architecture, temperature=9.0)
    replies = make(place()).reply(["hi"] * 24)
    assert len(set(replies)) > 3, "nothing is drawn: the test shows nothing"
    for size in (1, 5):
        chatbot = make(place())
        batches = [chatbot.reply(["hi"] * size) for _ in range(24 // size)]
        assert [reply for batch in batches for reply in batch] == replies[: 24 // size * size]
    others = make(place())  # what the queries between are makes no difference
    assert others.reply(["hi", "see you tomorrow", ""] * 8)[::3] == replies[::3]


def test_different_kinds_never_share_a_fingerprint(place: Callable[[], Place]) -> None:
    kinds = [case.make(place()) for case in CASES if case.name not in {"counting", "ledgered"}]
    assert len({chatbot.fingerprint for chatbot in kinds}) == len(kinds)
