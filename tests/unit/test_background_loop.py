"""One loop for all that waits, and batches through ``submit``."""

import asyncio
import threading
import time
from concurrent.futures import Future
from typing import final

import pytest

from saywhat.chatbots.loop import BackgroundLoop, reply_to_all
from saywhat.errors import BatchError, ChatbotError


@final
class Crowd:
    """Answers each query on a thread of its own, after a while, and counts who waits."""

    name = fingerprint = "crowd"

    def __init__(self, concurrency: int) -> None:
        self.concurrency, self.peak, self.asked = concurrency, 0, list[str]()
        self._waiting, self._counting = 0, threading.Lock()

    def reply(self, queries: list[str]) -> list[str]:
        return reply_to_all(self, queries)

    def submit(self, query: str) -> Future[str]:
        future: Future[str] = Future()
        with self._counting:
            self.asked.append(query)
            self._waiting += 1
            self.peak = max(self.peak, self._waiting)
        threading.Thread(target=self._answer, args=(query, future)).start()
        return future

    def _answer(self, query: str, future: Future[str]) -> None:
        time.sleep(0.02)
        with self._counting:
            self._waiting -= 1
        if query == "bad":
            future.set_exception(ChatbotError("no", query=query, kind="no"))
        else:
            future.set_result(query.upper())


@pytest.mark.parametrize("concurrency", [1, 2, 5])
def test_a_batch_has_no_more_under_way_than_it_may(concurrency: int) -> None:
    crowd = Crowd(concurrency)
    queries = [f"query {number}" for number in range(12)]
    assert crowd.reply(queries) == [query.upper() for query in queries]
    assert crowd.asked == queries
    assert crowd.peak == concurrency


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_failure_leaves_room_for_the_next(concurrency: int) -> None:
    crowd = Crowd(concurrency)
    with pytest.raises(BatchError) as caught:
        crowd.reply(["a", "bad", "bad", "bad", "b"])
    assert [outcome for outcome in caught.value.outcomes if isinstance(outcome, str)] == ["A", "B"]
    assert crowd.peak == concurrency


def test_a_loop_ends_what_runs_and_says_goodbye() -> None:
    before, ended = threading.active_count(), list[str]()

    async def goodbye() -> None:
        ended.append("goodbye")

    loop = BackgroundLoop(goodbye)
    loop.close()
    assert ended == []  # it had not begun
    sleeping = loop.submit(asyncio.sleep(60))
    loop.close()
    loop.close()
    assert ended == ["goodbye"]
    assert sleeping.cancelled()
    assert threading.active_count() == before
    assert loop.submit(asyncio.sleep(0, "again")).result(5) == "again"
    loop.close()
