"""``http:`` chatbots against a real server: what leaves, sessions, concurrency, and letting go."""

import concurrent.futures
import gc
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saywhat.chatbots.http import HttpChatbot, make
from saywhat.chatbots.line import Line
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import BatchError, ChatbotError
from saywhat.interfaces import Closable, ConcurrentChatbot
from saywhat.ledger import Ledger
from tests.http_chatbots import http_chatbot, write
from tests.servers import Answer, Server, fail, query_of, say

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1"])

HOSTILE = [
    'say "hi"', "a\nb\r\nc", "nul \0 nul", "{{session}} {{query}} {{x}}", "{% raw %} ${HOME} %s",
    "{0}", "\\", "\\u0041", "a&b=c;d#e?f/../g%20+", "\U0001f600 \u202e \u2028", "  both ends  ", "",
    '"}], "admin": true, "x": [{"', "<script>", "\x1b[31m", "\ufeff",
]  # fmt: skip


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait up to five seconds for something that another thread does."""
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def idle_line(chatbot: HttpChatbot) -> Line:
    """Give the line that waits for the next query."""
    [wire] = chatbot._wires.values()
    assert eventually(lambda: len(wire._idle) == 1)
    return wire._idle[0]


def test_a_query_is_sent_once_as_the_file_says(server: Server, tmp_path: Path) -> None:
    body = {"message": "{{query}}", "options": {"n": 1, "deep": [True, None, 1.5, "x"]}}
    headers = {"X-Version": "2", "accept": "application/vnd.bot+json"}
    with http_chatbot(tmp_path, url=f"{server.url}?a=b", body=body, headers=headers) as chatbot:
        assert isinstance(chatbot, ConcurrentChatbot)
        assert isinstance(chatbot, Closable)
        assert chatbot.reply(["hello"]) == ["hello"]
    [received] = server.journal
    assert (received.method, received.target) == ("POST", "/chat?a=b")
    assert received.json == body | {"message": "hello"}
    sent = received.headers
    assert sent["host"] == f"127.0.0.1:{server.port}"
    assert sent["content-type"] == "application/json"
    assert sent["accept"] == "application/vnd.bot+json"
    assert sent["accept-encoding"] == "identity"
    assert sent["user-agent"].startswith("saywhat/")
    assert sent["x-version"] == "2"
    assert int(sent["content-length"]) == len(received.body)


@pytest.mark.parametrize("carrier", ["body", "form", "params", "put", "within"])
def test_a_hostile_query_arrives_as_it_is(carrier: str, server: Server, tmp_path: Path) -> None:
    shapes: dict[str, dict[str, object]] = {
        "body": {"body": {"message": "{{query}}", "admin": False}},
        "put": {"method": "PUT", "body": {"message": "{{query}}", "admin": False}},
        "form": {"form": {"q": "{{query}}", "admin": "no"}, "body": None},
        "params": {"method": "GET", "params": {"q": "{{query}}", "admin": "no"}, "body": None},
        "within": {"body": {"message": "<{{query}}|{{query}}>", "admin": False}},
    }
    wrapped = [f"<{query}|{query}>" if carrier == "within" else query for query in HOSTILE]
    with http_chatbot(tmp_path, url=server.url, **shapes[carrier]) as chatbot:
        assert [chatbot.reply([query])[0] for query in HOSTILE] == wrapped
    for received, query in zip(server.journal, wrapped, strict=True):
        assert received.path == "/chat"
        assert query_of(received) == query
        if carrier in {"body", "put", "within"}:
            assert received.json == {"message": query, "admin": False}
        else:
            told = received.form if carrier == "form" else received.params
            assert told == {"q": query, "admin": "no"}


@settings(max_examples=60, deadline=None)
@given(query=st.text(max_size=30))
def test_any_text_goes_there_and_back(query: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with (
        Server() as server,
        http_chatbot(tmp_path_factory.mktemp("bot"), url=server.url) as chatbot,
    ):
        assert chatbot.reply([query]) == [query]


def test_lone_surrogates_are_sent_as_replacement_characters(server: Server, tmp_path: Path) -> None:
    with http_chatbot(tmp_path, url=server.url) as chatbot:
        assert chatbot.reply(["a\ud800b", "\ude00\ud83d"]) == ["a\ufffdb", "\ufffd\ufffd"]
        server.faults.append(fail(400))
        with pytest.raises(ChatbotError) as caught:
            chatbot.reply(["c\ud800"])
    assert caught.value.query == "c\ud800"  # the ledger knows it by this name


def test_a_text_reply_is_the_whole_body(server: Server, tmp_path: Path) -> None:
    server.handler = lambda received: Answer(query_of(received).encode())
    with http_chatbot(tmp_path, url=server.url, reply="text") as chatbot:
        assert chatbot.reply(["hi", "", "ä\n"]) == ["hi", "", "ä\n"]


def test_a_batch_keeps_its_order_whichever_reply_is_first(server: Server, tmp_path: Path) -> None:
    queries = [str(number) for number in range(20)]
    server.handler = lambda received: say(query_of(received)).after(
        0.04 - 0.002 * int(query_of(received))
    )
    with http_chatbot(tmp_path, url=server.url) as chatbot:
        assert chatbot.reply(queries) == queries


def test_a_failure_in_a_batch_loses_no_reply(server: Server, tmp_path: Path) -> None:
    server.handler = lambda received: fail(500) if query_of(received) == "b" else say("fine")
    with http_chatbot(tmp_path, url=server.url) as chatbot, pytest.raises(BatchError) as caught:
        chatbot.reply(["a", "b", "c"])
    first, second, third = caught.value.outcomes
    assert (first, third) == ("fine", "fine")
    assert isinstance(second, ChatbotError)
    assert (second.query, second.kind) == ("b", "HTTP 500")
    assert len(server.journal) == 3  # no retries of its own


@pytest.mark.parametrize("concurrency", [1, 3, 16])
def test_concurrency_is_reached_and_never_exceeded(
    concurrency: int, server: Server, tmp_path: Path
) -> None:
    server.latency = 0.15
    connection = ConnectionSettings(concurrency=concurrency, timeout=5)
    with http_chatbot(tmp_path, connection, url=server.url) as chatbot:
        assert chatbot.concurrency == concurrency
        chatbot.reply([str(number) for number in range(2 * concurrency)])
    assert server.peak == concurrency
    assert server.connections == concurrency  # kept open between requests


def test_a_query_that_is_submitted_leaves_at_once(server: Server, tmp_path: Path) -> None:
    """How many may is the business of whoever submits."""
    server.latency = 0.15
    with http_chatbot(
        tmp_path, ConnectionSettings(concurrency=1, timeout=5), url=server.url
    ) as chatbot:
        concurrent.futures.wait([chatbot.submit(str(number)) for number in range(5)])
    assert server.peak == 5


def test_a_line_that_the_server_closed_is_not_used_again(server: Server, tmp_path: Path) -> None:
    server.handler = lambda received: Answer(say("hi").body, close=True)
    with http_chatbot(tmp_path, url=server.url) as chatbot:
        assert [chatbot.reply(["a"]) for _ in range(3)] == [["hi"]] * 3
    assert server.connections == 3


def test_a_line_that_said_something_unasked_is_not_used_again(
    server: Server, tmp_path: Path
) -> None:
    """It came after the answer, while nobody listened: it must not answer the next query."""
    first, forged = say("first").body, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    headers = {"Content-Length": str(len(first))}
    server.faults.append(Answer(first + forged, headers=headers, drip=0.002))
    with http_chatbot(tmp_path, url=server.url, reply="text") as chatbot:
        assert chatbot.reply(["hello"]) == [first.decode()]
        line = idle_line(chatbot)
        assert eventually(lambda: bytes(line._arrived) == forged)
        assert chatbot.reply(["on"]) == [say("on").body.decode()]
    assert server.connections == 2


def test_a_line_that_was_long_idle_is_not_used_again(server: Server, tmp_path: Path) -> None:
    """Servers close such lines; what is sent at that moment is lost."""
    with http_chatbot(tmp_path, url=server.url) as chatbot:
        for age, connections in ((0, 1), (3.0, 1), (4.1, 2)):
            if age:
                idle_line(chatbot)._since -= age  # in the place of waiting
            assert chatbot.reply(["hello"]) == ["hello"]
            assert server.connections == connections


def test_a_server_that_comes_back_is_asked_again(tmp_path: Path) -> None:
    with Server() as server:
        port = server.port
        chatbot = make(
            str(write(tmp_path, url=server.url)), ConnectionSettings(timeout=5), ModelSettings()
        )
        assert chatbot.reply(["a"]) == ["a"]
    with pytest.raises(ChatbotError) as caught:
        chatbot.reply(["b"])
    assert (caught.value.kind, caught.value.retry) == ("ConnectError", "later")
    with Server(port=port):
        assert chatbot.reply(["c"]) == ["c"]
    chatbot.close()


class TestSessions:
    body: ClassVar = {"message": "{{query}}", "session": "{{session}}"}

    def sessions(self, server: Server) -> list[str]:
        return [received.json["session"] for received in server.journal]

    def test_fresh_is_another_for_each_query(self, server: Server, tmp_path: Path) -> None:
        with http_chatbot(tmp_path, url=server.url, body=self.body) as chatbot:
            chatbot.reply(["a", "a", "a"])
        assert len({uuid.UUID(session) for session in self.sessions(server)}) == 3

    def test_shared_is_one_for_the_run(self, server: Server, tmp_path: Path) -> None:
        headers = {"X-Session": "s-{{session}}"}
        keys = {"url": server.url, "body": self.body, "session": "shared", "headers": headers}
        for _ in range(2):
            with http_chatbot(tmp_path, **keys) as chatbot:
                chatbot.reply(["a", "b"])
        first, second, third, fourth = self.sessions(server)
        assert first == second != third == fourth
        assert server.journal[0].headers["x-session"] == f"s-{first}"

    @pytest.mark.parametrize("through", ["reply", "ledger"])
    def test_reset_is_sent_before_every_query(
        self, through: str, server: Server, tmp_path: Path
    ) -> None:
        reset = {
            "url": f"{server.origin}/reset",
            "method": "DELETE",
            "body": {"of": "{{session}}"},
            "headers": {"X-Why": "audit"},
        }
        server.handler = lambda received: (
            Answer(status=204) if received.path == "/reset" else say("hi").after(0.01)
        )
        connection = ConnectionSettings(concurrency=8, timeout=5)
        keys = {"url": server.url, "body": self.body, "session": {"reset": reset}}
        with http_chatbot(tmp_path, connection, **keys) as chatbot:
            assert chatbot.concurrency == 1
            if through == "reply":
                assert chatbot.reply(["a", "b", "c"]) == ["hi"] * 3
            else:
                with Ledger(tmp_path / "ledger.sqlite") as ledger:
                    asked = ledger.chatbot(chatbot, phase="search").ask(["a", "b", "c"], scope="t")
                assert [answer.reply for answer in asked] == ["hi"] * 3
        came = [(received.method, received.path) for received in server.journal]
        assert came == [("DELETE", "/reset"), ("POST", "/chat")] * 3
        assert server.peak == 1
        assert server.journal[0].json["of"] == server.journal[1].json["session"]
        assert server.journal[0].headers["x-why"] == "audit"

    def test_no_query_is_sent_if_the_reset_failed(self, server: Server, tmp_path: Path) -> None:
        reset = {"reset": {"url": f"{server.origin}/reset"}}
        server.faults.append(fail(503, {"Retry-After": "2"}))
        with (
            http_chatbot(tmp_path, url=server.url, session=reset) as chatbot,
            pytest.raises(ChatbotError) as caught,
        ):
            chatbot.reply(["a"])
        assert (caught.value.kind, caught.value.after) == ("HTTP 503", 2.0)
        assert [received.path for received in server.journal] == ["/reset"]


class TestFingerprint:
    def fingerprint(self, folder: Path, **keys: object) -> str:
        with http_chatbot(folder, **keys) as chatbot:
            return chatbot.fingerprint

    def test_it_follows_everything_that_determines_the_reply(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("A_KEY", "one")
        monkeypatch.setenv("B_KEY", "one")
        reset = {"url": "http://127.0.0.1:1/reset"}
        changes: list[dict[str, object]] = [
            {},
            {"url": "http://127.0.0.1:2/chat"},
            {"method": "PUT"},
            {"headers": {"X": "1"}},
            {"headers": {"X": "2"}},
            {"headers": {"Authorization": "env:A_KEY"}},
            {"headers": {"Authorization": "env:B_KEY"}},
            {"headers": {"Authorization": {"env": "B_KEY", "prefix": "Bearer "}}},
            {"params": {"n": "1"}},
            {"body": {"message": "{{query}}", "n": 1}},
            {"body": {"message": "{{query}}", "n": "1"}},
            {"body": {"message": "{{query}}", "n": True}},
            {"body": {"message": "{{query}}?"}},
            {"body": {"message": "{{query}}{{session}}"}},
            {"body": None, "form": {"message": "{{query}}"}},
            {"reply": "$.reply"},
            {"reply": "text"},
            {"session": "shared"},
            {"session": {"reset": reset}},
            {"session": {"reset": reset | {"method": "GET"}}},
            {"model_version": "1"},
            {"model_version": 2},
        ]
        prints = [self.fingerprint(tmp_path, **change) for change in changes]
        assert len(set(prints)) == len(changes)

    def test_it_does_not_follow_the_way_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        headers = {"Authorization": {"env": "A_KEY", "prefix": "Bearer "}}
        monkeypatch.setenv("A_KEY", "one")
        before = self.fingerprint(tmp_path, headers=headers)
        monkeypatch.setenv("A_KEY", "another")
        connection = ConnectionSettings(
            timeout=1, concurrency=3, authorised=True, proxy="http://127.0.0.1:9"
        )
        after = self.fingerprint(
            tmp_path, connection=connection, headers=headers, name="other", authorised=True
        )
        assert before == after


class TestLettingGo:
    def test_closing_leaves_no_thread_and_no_socket(self, server: Server, tmp_path: Path) -> None:
        before = threading.active_count()
        with http_chatbot(tmp_path, url=server.url) as chatbot:
            chatbot.reply(list("abcdefgh"))
            assert server.open > 0
        chatbot.close()
        assert threading.active_count() == before
        assert eventually(lambda: server.open == 0)
        gc.collect()  # an unclosed socket would warn, and a warning is an error

    def test_so_does_forgetting_it(self, server: Server, tmp_path: Path) -> None:
        before = threading.active_count()
        chatbot = make(
            str(write(tmp_path, url=server.url)), ConnectionSettings(timeout=5), ModelSettings()
        )
        chatbot.reply(list("abcd"))
        del chatbot
        gc.collect()
        assert eventually(lambda: threading.active_count() == before)
        assert eventually(lambda: server.open == 0)

    def test_what_is_under_way_fails_when_it_is_closed(
        self, server: Server, tmp_path: Path
    ) -> None:
        server.latency = 30
        with http_chatbot(tmp_path, ConnectionSettings(concurrency=2), url=server.url) as chatbot:
            futures = [chatbot.submit(query) for query in "abcd"]
            assert eventually(lambda: len(server.journal) == 4)
        for future, query in zip(futures, "abcd", strict=True):
            error = future.exception(5)
            assert isinstance(error, ChatbotError)
            assert (error.query, error.kind, error.retry) == (query, "closed", "never")

    def test_it_can_be_asked_again_after_closing(self, server: Server, tmp_path: Path) -> None:
        connection = ConnectionSettings(concurrency=2, timeout=5)
        with http_chatbot(tmp_path, connection, url=server.url) as chatbot:
            for _ in range(3):
                assert chatbot.reply(list("abcdef")) == list("abcdef")
                chatbot.close()

    def test_making_it_opens_nothing(self, server: Server, tmp_path: Path) -> None:
        before = threading.active_count()
        with http_chatbot(tmp_path, url=server.url) as chatbot:
            assert threading.active_count() == before
            assert isinstance(chatbot, HttpChatbot)
        assert server.connections == 0


def test_the_environment_sends_nothing_elsewhere(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server() as elsewhere:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, elsewhere.origin)
        netrc = tmp_path / ".netrc"
        netrc.write_text("machine 127.0.0.1 login me password tiger\n", encoding="utf-8")
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("HOME", str(tmp_path))
        with http_chatbot(tmp_path, url=server.url) as chatbot:
            assert chatbot.reply(["hi"]) == ["hi"]
        assert elsewhere.connections == 0
    assert "authorization" not in server.journal[0].headers


def test_cookies_are_not_kept(server: Server, tmp_path: Path) -> None:
    server.handler = lambda _: Answer(say("hi").body, headers={"Set-Cookie": "session=1; Path=/"})
    with http_chatbot(tmp_path, url=server.url) as chatbot:
        chatbot.reply(["a"])
        chatbot.reply(["b"])
    assert all("cookie" not in received.headers for received in server.journal)


def test_a_name_is_looked_up(server: Server, tmp_path: Path) -> None:
    before = threading.active_count()
    with http_chatbot(tmp_path, url=f"http://localhost:{server.port}/chat") as chatbot:
        assert chatbot.name == "localhost"
        assert chatbot.reply(["hi"]) == ["hi"]
    assert threading.active_count() == before
    assert server.journal[0].headers["host"] == f"localhost:{server.port}"
