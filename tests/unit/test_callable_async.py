"""Asynchronous functions: several at once, each under its timeout, and none that outlives us."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import CancelledError

import pytest

from saywhat.chatbots.callable import BatchCallableChatbot, CallableChatbot, wrap
from saywhat.config import ConnectionSettings
from saywhat.errors import BatchError, ChatbotError
from saywhat.interfaces import Closable, ConcurrentChatbot

Chatbot = CallableChatbot | BatchCallableChatbot
Made = Callable[..., Chatbot]


@pytest.fixture
def made() -> Iterator[Made]:
    """Make chatbots of functions, and close them."""
    chatbots: list[Chatbot] = []

    def make(function: Callable[..., object], **settings: float) -> Chatbot:
        chatbots.append(wrap(function, connection=ConnectionSettings(**settings)))
        return chatbots[-1]

    yield make
    for chatbot in chatbots:
        chatbot.close()


def test_the_surface(made: Made) -> None:
    async def text(query: str) -> str:
        return query

    async def batch(queries: list[str]) -> list[str]:
        return queries

    chatbot = made(text, concurrency=3)
    assert isinstance(chatbot, ConcurrentChatbot)
    assert isinstance(chatbot, Closable)
    assert chatbot.concurrency == 3
    assert isinstance(made(batch), Closable)
    assert not isinstance(made(batch), ConcurrentChatbot), "a batch is not to be torn apart"


@pytest.mark.parametrize("concurrency", [1, 3])
def test_as_many_are_under_way_as_allowed(concurrency: int, made: Made) -> None:
    """Each waits until as many have come as may be under way together: fewer would hang."""
    now, most = 0, 0

    async def answer(query: str) -> str:
        nonlocal now, most
        now += 1
        most = max(most, now)
        while most < concurrency:
            await asyncio.sleep(0.001)
        now -= 1
        return query

    queries = [str(number) for number in range(6)]
    assert made(answer, concurrency=concurrency, timeout=20).reply(queries) == queries
    assert most == concurrency


def test_replies_keep_the_order_of_their_queries(made: Made) -> None:
    async def answer(query: str) -> str:
        await asyncio.sleep(0.02 / float(query))
        return query

    queries = [str(number) for number in range(1, 9)]
    assert made(answer).reply(queries) == queries


def test_a_late_reply_is_a_failure_and_the_others_are_kept(made: Made) -> None:
    cancelled = []

    async def answer(query: str) -> str:
        try:
            await asyncio.sleep(60 if query == "slow" else 0)
        except asyncio.CancelledError:
            cancelled.append(query)
            raise
        return query

    with pytest.raises(BatchError) as caught:
        made(answer, timeout=0.1).reply(["a", "slow", "b"])
    first, late, last = caught.value.outcomes
    assert (first, last) == ("a", "b")
    assert isinstance(late, ChatbotError)
    assert (late.kind, late.retry, late.query) == ("timeout", "later", "slow")
    assert "0.1 seconds (connection.timeout)" in late.message
    assert cancelled == ["slow"]


def test_a_client_that_turns_the_timeout_into_an_error_of_its_own(made: Made) -> None:
    async def answer(query: str) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise RuntimeError("request aborted") from None
        return query

    with pytest.raises(ChatbotError) as caught:
        made(answer, timeout=0.05).reply(["a"])
    assert caught.value.kind == "timeout"


def test_a_batch_has_the_timeout_of_each_of_its_texts(made: Made) -> None:
    async def answer(queries: list[str]) -> list[str]:
        await asyncio.sleep(0.3)
        return queries

    assert made(answer, timeout=0.2).reply(["a"] * 5) == ["a"] * 5
    with pytest.raises(ChatbotError, match="timeout") as caught:
        made(answer, timeout=0.1).reply(["a"])
    assert caught.value.kind == "timeout"


@pytest.mark.parametrize(
    "error", [ValueError, TimeoutError, asyncio.CancelledError, SystemExit, KeyboardInterrupt]
)
def test_whatever_it_raises_is_its_failure(error: type[BaseException], made: Made) -> None:
    """The loop's thread must outlive it, too: there is nobody to interrupt on it."""

    async def answer(query: str) -> str:
        if query == "bad":
            raise error
        return query

    async def answers(queries: list[str]) -> list[str]:
        return [await answer(query) for query in queries]

    for function in (answer, answers):
        chatbot = made(function)
        with pytest.raises(ChatbotError) as caught:
            chatbot.reply(["bad"])
        assert (caught.value.kind, caught.value.retry) == (error.__name__, "now")
        assert chatbot.reply(["good"]) == ["good"]


def test_failures_raised_on_purpose_are_passed_on(made: Made) -> None:
    async def answer(query: str) -> str:
        raise ChatbotError("slow down", query=query, kind="HTTP 429", retry="busy", after=2.5)

    with pytest.raises(ChatbotError) as caught:
        made(answer).reply(["a"])
    assert (caught.value.retry, caught.value.after) == ("busy", 2.5)


def test_one_loop_for_all_queries(made: Made) -> None:
    """Clients hold on to the loop of their first request."""
    loops = set()

    async def answer(query: str) -> str:
        loops.add(asyncio.get_running_loop())
        return query

    chatbot = made(answer)
    for _ in range(3):
        chatbot.reply(["a", "b"])
    assert len(loops) == 1


@pytest.mark.parametrize("batch", [False, True])
def test_closing_gives_up_what_is_under_way(batch: bool, made: Made) -> None:
    started, ended = threading.Event(), threading.Event()

    async def answer(query: str) -> str:
        if query != "slow":
            return query
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return query

    async def answers(queries: list[str]) -> list[str]:
        return [await answer(query) for query in queries]

    chatbot = made(answers if batch else answer)
    outcome: list[object] = []

    def ask() -> None:
        try:
            outcome.append(chatbot.reply(["slow"]))
        except (CancelledError, ChatbotError) as error:
            outcome.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert started.wait(20)
    begun = time.monotonic()
    chatbot.close()
    asking.join(20)
    assert ended.is_set()
    assert time.monotonic() - begun < 10
    assert len(outcome) == 1
    assert isinstance(outcome[0], BaseException)
    assert chatbot.reply(["again"]) == ["again"]


def test_an_interruption_gives_up_the_batch(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    async def answers(queries: list[str]) -> list[str]:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return queries

    chatbot = made(answers)

    def interrupted(coroutine: Awaitable[object]) -> object:
        future = submit(coroutine)
        time.sleep(0.05)
        future.result = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
        return future

    submit = chatbot._loop.submit
    monkeypatch.setattr(chatbot._loop, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        chatbot.reply(["a"])
    assert ended.wait(20)
