"""What a server may do wrong, and what it is called: each fault against a real server."""

import dataclasses
import datetime
import email.utils
import gzip
import json
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from saywhat.chatbots.http import HttpChatbot
from saywhat.config import ConnectionSettings
from saywhat.errors import ChatbotError
from tests.http_chatbots import http_chatbot
from tests.servers import (
    Answer,
    Server,
    dripping,
    dropped,
    fail,
    huge,
    malformed,
    misencoded,
    redirect,
    say,
    say_json,
)

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1"])
JSON = "application/json"


@pytest.fixture
def chatbot(server: Server, tmp_path: Path) -> Iterator[HttpChatbot]:
    """Make a chatbot that asks the server."""
    with http_chatbot(tmp_path, ConnectionSettings(timeout=5), url=server.url) as chatbot:
        yield chatbot


def failure(chatbot: HttpChatbot, server: Server, answer: Answer) -> ChatbotError:
    """Ask once, get the answer, and give the error."""
    server.faults.append(answer)
    with pytest.raises(ChatbotError) as caught:
        chatbot.reply(["hello"])
    assert caught.value.query == "hello"
    return caught.value


STATUSES = [
    *[(status, "later") for status in (408, 425, 500, 501, 502, 503, 504, 507, 599)],
    (429, "busy"),
    *[(status, "never") for status in (400, 401, 403, 404, 405, 409, 413, 414, 422, 451)],
    *[(status, "never") for status in (300, 301, 302, 303, 304, 307, 308)],
]


@pytest.mark.parametrize(("status", "retry"), STATUSES)
def test_status_codes(status: int, retry: str, chatbot: HttpChatbot, server: Server) -> None:
    body = b"" if status == 304 else b"because"
    error = failure(chatbot, server, fail(status, body=body))
    assert (error.kind, error.retry, error.after) == (f"HTTP {status}", retry, None)
    assert str(error).startswith(f"HTTP {status}")
    if not 300 <= status < 400:
        assert "because" in str(error)
    assert len(server.journal) == 1
    assert chatbot.reply(["on"]) == ["on"]  # on the same line
    assert server.connections == 1


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 299])
def test_all_of_200_is_success(status: int, chatbot: HttpChatbot, server: Server) -> None:
    server.faults.append(dataclasses.replace(say("fine"), status=status))
    assert chatbot.reply(["hello"]) == ["fine"]


PATIENCE = [
    ("3", 3.0), (" 120 ", 120.0), ("0", 0.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ("-1", None), ("soon", None), ("", None), ("1e3", None), ("1.5", None), ("9" * 5000, None),
    ("Wed, 99 Foo 2015", None), ("nan", None), ("Wed, 21 Oct 99999 07:28:00 GMT", None),
    ("²", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "after"), PATIENCE)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(
    status: int, text: str, after: float | None, chatbot: HttpChatbot, server: Server
) -> None:
    error = failure(chatbot, server, fail(status, {"Retry-After": text}))
    assert error.after == after
    assert error.retry == ("later" if status == 503 and after is None else "busy")


def test_retry_after_a_date(chatbot: HttpChatbot, server: Server) -> None:
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=90)
    header = {"Retry-After": email.utils.format_datetime(until, usegmt=True)}
    error = failure(chatbot, server, fail(429, header))
    assert error.after == pytest.approx(90, abs=5)


def test_retry_after_means_nothing_with_other_codes(chatbot: HttpChatbot, server: Server) -> None:
    error = failure(chatbot, server, fail(500, {"Retry-After": "9"}))
    assert (error.retry, error.after) == ("later", None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_told_and_never_followed(
    status: int, chatbot: HttpChatbot, server: Server
) -> None:
    with Server() as elsewhere:
        to = f"http://user:tiger@127.0.0.1:{elsewhere.port}/other?key=tiger#tiger"
        error = failure(chatbot, server, redirect(to, status))
        assert elsewhere.connections == 0
        assert f"not followed to http://127.0.0.1:{elsewhere.port}/other;" in str(error)
    assert "tiger" not in str(error)
    assert len(server.journal) == 1


class TestTransport:
    def test_nobody_listens(self, tmp_path: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        with http_chatbot(tmp_path, url=url) as chatbot, pytest.raises(ChatbotError) as caught:
            chatbot.reply(["hello"])
        assert (caught.value.kind, caught.value.retry) == ("ConnectError", "later")
        assert "127.0.0.1" in str(caught.value)

    def test_a_host_that_cannot_be(self, tmp_path: Path) -> None:
        url = f"http://{'x' * 64}.invalid/"
        with (
            http_chatbot(tmp_path, url=url, authorised=True) as chatbot,
            pytest.raises(ChatbotError) as caught,
        ):
            chatbot.reply(["hello"])
        assert (caught.value.kind, caught.value.retry) == ("ConnectError", "later")

    @pytest.mark.parametrize("after", [0, 1, 12, 60, 100])
    def test_a_dropped_line(self, after: int, chatbot: HttpChatbot, server: Server) -> None:
        error = failure(chatbot, server, dropped(after))
        assert (error.kind, error.retry) == ("ReadError", "later")
        assert chatbot.reply(["on"]) == ["on"]

    @pytest.mark.parametrize(
        "answer",
        [
            say("late").after(30),
            dripping("never whole", 0.02),
            dataclasses.replace(say("x"), headers={"Content-Length": "1000"}),
        ],
        ids=["silence", "drip", "too short"],
    )
    def test_a_late_answer(self, answer: Answer, server: Server, tmp_path: Path) -> None:
        server.faults.append(answer)
        with http_chatbot(tmp_path, ConnectionSettings(timeout=0.3), url=server.url) as chatbot:
            started = time.monotonic()
            with pytest.raises(ChatbotError) as caught:
                chatbot.reply(["hello"])
            assert 0.25 < time.monotonic() - started < 10  # not 30, nor forever
            assert (caught.value.kind, caught.value.retry) == ("timeout", "later")
            assert "within 0.3 s" in str(caught.value)
            chatbot._timeout = 5
            assert chatbot.reply(["on"]) == ["on"]
        assert server.connections == 2  # the late answer cannot be taken for the next one

    def test_a_drip_in_time_is_an_answer(self, chatbot: HttpChatbot, server: Server) -> None:
        server.faults.append(dripping("whole", 0.001))
        assert chatbot.reply(["hello"]) == ["whole"]

    @pytest.mark.parametrize(
        "head",
        [
            b"SSH-2.0-OpenSSH_9.0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nBad header\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        ],
        ids=["not http", "header", "negative", "two lengths", "chunk", "head"],
    )
    def test_what_is_not_http(self, head: bytes, chatbot: HttpChatbot, server: Server) -> None:
        error = failure(chatbot, server, Answer(raw=head))
        assert (error.kind, error.retry) == ("ProtocolError", "later")
        assert len(str(error)) < 300
        assert chatbot.reply(["on"]) == ["on"]
        assert server.connections == 2

    @pytest.mark.parametrize("head", [
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 103 X\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.0 200\r\nX-Length: %d\r\n\r\n",
    ], ids=["continue", "hints", "until it closes"])  # fmt: skip
    def test_odd_but_http(self, head: bytes, chatbot: HttpChatbot, server: Server) -> None:
        body = say("fine").body
        server.faults.append(Answer(raw=head % len(body) + body, close=True))
        assert chatbot.reply(["hello"]) == ["fine"]

    def test_unasked_bytes_spoil_a_line_but_no_reply(
        self, chatbot: HttpChatbot, server: Server
    ) -> None:
        first, second = say("first"), b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
        headers = {**first.headers, "Content-Length": str(len(first.body))}
        server.faults.append(dataclasses.replace(first, body=first.body + second, headers=headers))
        assert chatbot.reply(["hello"]) == ["first"]
        assert chatbot.reply(["on"]) == ["on"]
        assert server.connections == 2


class TestSize:
    @pytest.mark.parametrize("chunked", [False, True])
    def test_a_huge_body_is_not_read(
        self, chunked: bool, chatbot: HttpChatbot, server: Server
    ) -> None:
        answer = dataclasses.replace(huge(20 << 20), chunked=chunked)
        error = failure(chatbot, server, answer)
        assert (error.kind, error.retry) == ("too large", "never")
        assert "4 MB" in str(error)
        assert chatbot.reply(["on"]) == ["on"]

    def test_a_large_body_is(self, chatbot: HttpChatbot, server: Server) -> None:
        server.faults.append(huge(3 << 20))
        assert len(chatbot.reply(["hello"])[0]) == 3 << 20

    def test_a_bomb_does_not_go_off(self, chatbot: HttpChatbot, server: Server) -> None:
        bomb = Answer(gzip.compress(b"x" * (64 << 20)), headers={"Content-Encoding": "gzip"})
        assert len(bomb.body) < 1 << 20
        assert failure(chatbot, server, bomb).kind == "too large"


class TestEncodings:
    @pytest.mark.parametrize(
        ("charset", "declared"),
        [
            ("utf-8", ""), ("utf-8-sig", ""), ("utf-8-sig", "utf-8"), ("utf-8", "UTF8"),
            ("utf-16", ""), ("utf-16-le", ""), ("utf-16-be", ""), ("utf-32", ""),
            ("utf-16", "utf-16"), ("latin-1", "ISO-8859-1"), ("cp1252", "windows-1252"),
            ("utf-8", "unheard-of"), ("utf-8", "rot13"), ("utf-8", "zlib"), ("utf-8", "idna"),
            ("utf-8", "unicode_escape"), ("utf-8", "punycode"), ("shift_jis", "Shift_JIS"),
        ],
    )  # fmt: skip
    def test_known_ones(
        self, charset: str, declared: str, chatbot: HttpChatbot, server: Server
    ) -> None:
        text = "かな" if charset == "shift_jis" else "café"
        kind = f'{JSON}; charset="{declared}"' if declared else JSON
        body = json.dumps({"reply": {"text": text}}, ensure_ascii=False).encode(charset)
        server.faults.append(Answer(body, headers={"Content-Type": kind}))
        assert chatbot.reply(["hello"]) == [text]

    @pytest.mark.parametrize(
        "answer",
        [
            misencoded(),
            Answer(b'{"reply": {"text": "\xff"}}'),
            Answer(b"\xff\xfe{\x00", headers={"Content-Type": f"{JSON}; charset=ascii"}),
            Answer(b"x", headers={"Content-Encoding": "br"}),
            Answer(b"not gzip", headers={"Content-Encoding": "gzip"}),
            *[
                Answer(packed, headers={"Content-Encoding": coding})
                for coding, pack in (("gzip", gzip.compress), ("deflate", zlib.compress))
                for whole in [pack(say("never whole").body)]
                for packed in (b"", whole[:2], whole[:20], whole[:-4], whole[:-1], whole * 2)
            ],
        ],
    )
    def test_others(self, answer: Answer, chatbot: HttpChatbot, server: Server) -> None:
        error = failure(chatbot, server, answer)
        assert (error.kind, error.retry) == ("encoding", "later")

    @pytest.mark.parametrize("coding", ["gzip", "deflate"])
    def test_a_compressed_text_that_is_cut_is_no_reply(
        self, coding: str, server: Server, tmp_path: Path
    ) -> None:
        """All of the text is there, but nothing says so: it might be half of a sentence."""
        pack = gzip.compress if coding == "gzip" else zlib.compress
        with http_chatbot(tmp_path, url=server.url, reply="text") as chatbot:
            for end in (None, -1, -4):
                packed = pack(b"I love you not")[:end]
                server.faults.append(Answer(packed, headers={"Content-Encoding": coding}))
            assert chatbot.reply(["hello"]) == ["I love you not"]
            for _ in range(2):
                with pytest.raises(ChatbotError, match="which is not whole") as caught:
                    chatbot.reply(["hello"])
                assert (caught.value.kind, caught.value.retry) == ("encoding", "later")

    @pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "identity", "GZIP"])
    def test_a_compressed_answer_that_nobody_asked_for(
        self, coding: str, chatbot: HttpChatbot, server: Server
    ) -> None:
        pack = {"g": gzip.compress, "x": gzip.compress, "d": zlib.compress, "i": bytes}[
            coding[0].lower()
        ]
        server.faults.append(Answer(pack(say("fine").body), headers={"Content-Encoding": coding}))
        assert chatbot.reply(["hello"]) == ["fine"]


class TestJson:
    @pytest.mark.parametrize(
        "answer",
        [
            malformed(),
            Answer(b""),
            Answer(b"   "),
            Answer(b"<html>It works!</html>"),
            Answer(b"[" * 200_000),
            Answer(b'{"reply":' * 100_000),
            Answer(b"nulll"),
        ],
        ids=["cut", "empty", "blank", "html", "deep", "deeper", "word"],
    )
    def test_malformed(self, answer: Answer, chatbot: HttpChatbot, server: Server) -> None:
        error = failure(chatbot, server, answer)
        assert (error.kind, error.retry) == ("malformed JSON", "later")
        assert len(str(error)) < 400

    @pytest.mark.parametrize(
        ("document", "shape"),
        [
            ({}, "nothing"), ([], "nothing"), ("text", "nothing"), (5, "nothing"),
            (None, "nothing"), ({"reply": "text"}, "nothing"), ({"reply": {"text": None}}, "null"),
            ({"reply": {"text": 5}}, "a number"), ({"reply": {"text": float("nan")}}, "a number"),
            ({"reply": {"text": True}}, "a boolean"), ({"reply": {"text": ["a"]}}, "a list"),
            ({"reply": {"text": {"a": "b"}}}, "an object"),
        ],
    )  # fmt: skip
    def test_no_reply_in_it(
        self, document: object, shape: str, chatbot: HttpChatbot, server: Server
    ) -> None:
        error = failure(chatbot, server, say_json(document))
        assert (error.kind, error.retry) == ("no reply", "never")
        assert f"Expected text at $.reply.text, got {shape}; " in str(error)

    def test_places_are_suggested(self, chatbot: HttpChatbot, server: Server) -> None:
        document = {"id": "7", "output": [{"content": "hi there"}], "n": 1, "a b": {"c": "x" * 90}}
        error = failure(chatbot, server, say_json(document))
        told = "text is at $.output[0].content ('hi there'), $.id ('7'), $['a b'].c ('xxx"
        assert told in str(error)
        assert "there is no text anywhere" in str(failure(chatbot, server, say_json([1, None])))

    @pytest.mark.parametrize(
        ("body", "reply"),
        [
            (b'{"reply": {"text": ""}}', ""),
            (b'{"reply": {"text": "a"}, "reply": {"text": "b"}}', "b"),
            (b'{"reply": {"text": "hi"}, "p": NaN, "q": -Infinity}', "hi"),
            (b'{"reply": {"text": "hi"}, "n": ' + b"9" * 100_000 + b"}", "hi"),
            (b'{"reply": {"text": "hi"}, "n": 1e999999}', "hi"),
            (b'{"reply": {"text": "\\ud800 \\u0000"}}', "\ufffd \0"),
            (b'{"reply": {"text": "hi"}, "deep": ' + b"[" * 900 + b"]" * 900 + b"}", "hi"),
        ],
        ids=["empty", "twice", "nan", "integer", "float", "surrogate", "deep"],
    )
    def test_odd_but_a_reply(
        self, body: bytes, reply: str, chatbot: HttpChatbot, server: Server
    ) -> None:
        server.faults.append(Answer(body, headers={"Content-Type": JSON}))
        assert chatbot.reply(["hello"]) == [reply]

    def test_a_search_in_a_deep_answer_fails_in_peace(self, server: Server, tmp_path: Path) -> None:
        server.faults.append(Answer(b'{"a":' * 500 + b'"x"' + b"}" * 500))
        with (
            http_chatbot(tmp_path, url=server.url, reply="$..text") as chatbot,
            pytest.raises(ChatbotError) as caught,
        ):
            chatbot.reply(["hello"])
        assert caught.value.kind == "no reply"


def test_messages_of_a_server_are_one_short_harmless_line(
    chatbot: HttpChatbot, server: Server
) -> None:
    body = "\x1b[31mred\x1b[0m\r\n\0 \u202e[bold]x[/bold] " + "long " * 500
    error = failure(chatbot, server, fail(400, body=body.encode()))
    assert str(error).isprintable()
    assert "HTTP 400: \ufffd[31mred\ufffd[0m" in str(error)
    assert len(error.message) < 230
