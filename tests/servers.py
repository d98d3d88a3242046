"""A real HTTP server on 127.0.0.1 whose every reply, and every fault, is scripted.

It speaks HTTP/1.1 with keep-alive, on an event loop and a thread of its own, and writes each
request down before it answers. ::

    with Server(lambda received: say(query_of(received).upper())) as server:
        server.faults += [fail(503, {"Retry-After": "1"}), dropped(), None]
        ...  # the first request gets the 503, the second no answer, all others the handler's
        assert len(server.journal) == 3

``python tests/servers.py --latency 0.02`` serves in a process of its own (for benchmarks) and
prints its URL; it stops when its standard input ends.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import ssl
import sys
import threading
import urllib.parse
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, final


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Received:
    """A request as it came.

    Attributes:
        method: such as ``POST``.
        target: path and query string.
        head: the header lines.
        body: the body.
        connection: which connection it came on, counted from 0.
        at: the server's clock when it had come whole.
    """

    method: str
    target: str
    head: bytes
    body: bytes
    connection: int
    at: float

    @property
    def path(self) -> str:
        """The target without its query string."""
        return self.target.partition("?")[0]

    @property
    def headers(self) -> dict[str, str]:
        """Lower-case name -> value."""
        lines = [line.partition(":") for line in self.head.decode("latin-1").split("\r\n")]
        return {name.lower(): value.strip() for name, _, value in lines if name}

    @property
    def params(self) -> dict[str, str]:
        """The query string's names and values."""
        return dict(urllib.parse.parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        """The names and values of an urlencoded body."""
        return dict(urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def json(self) -> Any:
        """The JSON body."""
        return json.loads(self.body)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What the server sends back, and how.

    Attributes:
        body: the body.
        status: the status code.
        headers: further headers; ``Content-Length`` comes by itself unless one is given.
        latency: seconds before the first byte.
        drip: seconds between the bytes of the body; 0 sends all at once.
        cut: bytes of the whole answer after which the connection is dropped; ``None`` for never.
        chunked: send the body in chunks of unknown total length.
        close: close the connection after the answer, and say so.
        raw: sent as it is, instead of everything that the above would make.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    latency: float = 0.0
    drip: float = 0.0
    cut: int | None = None
    chunked: bool = False
    close: bool = False
    raw: bytes | None = None

    def after(self, seconds: float) -> "Answer":
        """Give the same answer, later."""
        return dataclasses.replace(self, latency=seconds)


Handler = Callable[[Received], Answer]
_JSON = {"Content-Type": "application/json"}


def say_json(document: object) -> Answer:
    """Answer with a JSON document."""
    return Answer(json.dumps(document).encode(), headers=_JSON)


def say(text: str) -> Answer:
    """Answer ``{"reply": {"text": TEXT}}``."""
    return say_json({"reply": {"text": text}})


def completion(text: str | None, **choice: object) -> Answer:
    """Answer as an OpenAI-compatible server does."""
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop", **choice}]
    return say_json({"id": "1", "object": "chat.completion", "choices": choices})


def fail(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"sorry") -> Answer:
    """Answer with a status code."""
    return Answer(body, status=status, headers=headers or {})


def dropped(after: int = 0) -> Answer:
    """Drop the connection after so many bytes of an ordinary answer."""
    return dataclasses.replace(say("never heard whole"), cut=after)


def dripping(text: str, seconds: float) -> Answer:
    """Answer a byte at a time."""
    return dataclasses.replace(say(text), drip=seconds)


def malformed() -> Answer:
    """Answer JSON that ends too early."""
    return Answer(b'{"reply": {"text": "hel', headers=_JSON)


def misencoded() -> Answer:
    """Answer Latin-1 bytes under the name of UTF-8."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return Answer('{"reply": {"text": "café"}}'.encode("latin-1"), headers=headers)


def redirect(to: str, status: int = 307) -> Answer:
    """Point elsewhere."""
    return Answer(status=status, headers={"Location": to})


def huge(size: int) -> Answer:
    """Answer a reply of so many bytes."""
    return say("x" * size)


def query_of(received: Received) -> str:
    """Find the query in a request of any of the usual forms."""
    if not received.body:
        return received.params["q"]
    if received.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return received.form["q"]
    document = received.json
    if "messages" in document:
        return str(document["messages"][-1]["content"])
    return str(document["message"])


def echo(received: Received) -> Answer:
    """Say what was asked."""
    return say(query_of(received))


@final
class Server:
    """Serves on a free port of 127.0.0.1 while it is entered.

    Args:
        handler: gives the answer to a request; called on the server's thread.
        latency: seconds that each answer takes beyond its own.
        port: the port; 0 for a free one.
        tls: a certificate, to serve https.

    Attributes:
        faults: used up one a request, in order of arrival, before the handler is asked; ``None``
            asks the handler.
        journal: all requests, in order of arrival.
        peak: the most requests that waited for their answers at one time.
        connections: how many connections were made.
        open: how many of them are.
    """

    def __init__(
        self,
        handler: Handler = echo,
        *,
        latency: float = 0.0,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.handler, self.latency, self.port, self._tls = handler, latency, port, tls
        self.faults: deque[Answer | None] = deque()
        self.journal: list[Received] = []
        self.peak = self.connections = 0
        self._waiting = 0
        self._protocols: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="test-server", daemon=True)
        self._ready = threading.Event()

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._protocols)

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where the chatbot is: any path would do."""
        return f"{self.origin}/chat"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop serving and drop all connections, as a crash would."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def _run(self) -> None:
        loop = self._loop
        server = loop.run_until_complete(
            loop.create_server(
                lambda: _Connection(self, loop),
                "127.0.0.1",
                self.port,
                backlog=1024,
                ssl=self._tls,
            )
        )
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        loop.run_forever()
        server.close()
        for protocol in list(self._protocols):
            protocol.drop()
        loop.run_until_complete(asyncio.sleep(0))  # lets the transports close their sockets
        loop.close()

    def answer(self, received: Received) -> Answer:
        """Write a request down and choose the answer."""
        self.journal.append(received)
        self._waiting += 1
        self.peak = max(self.peak, self._waiting)
        fault = self.faults.popleft() if self.faults else None
        try:
            return self.handler(received) if fault is None else fault
        except Exception as error:  # noqa: BLE001  (a handler's bug must not look like a dropped line)
            return fail(500, body=repr(error).encode())

    def answered(self) -> None:
        """Note that a request waits no more."""
        self._waiting -= 1

    def opened(self, protocol: "_Connection") -> int:
        """Note a connection and number it."""
        self._protocols.add(protocol)
        self.connections += 1
        return self.connections - 1

    def closed(self, protocol: "_Connection") -> None:
        """Forget a connection."""
        self._protocols.discard(protocol)


@final
class _Connection(asyncio.Protocol):
    """One connection: requests in, one at a time; answers out."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server, self._loop = server, loop
        self._transport: asyncio.Transport | None = None
        self._buffer, self._number, self._busy = bytearray(), -1, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._number = transport, self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.closed(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def drop(self) -> None:
        """Cut the line."""
        if self._transport is not None:
            self._transport.abort()

    def _next(self) -> None:
        if self._buffer and not self._buffer[:1].isalpha():  # no HTTP, but TLS for example
            self.drop()
        if self._busy or (end := self._buffer.find(b"\r\n\r\n")) < 0:
            return
        start, _, head = bytes(self._buffer[:end]).partition(b"\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(self._buffer) < end + 4 + length:
            return
        body = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        method, target, _ = start.decode("latin-1").split(" ")
        self._busy = True
        answer = self._server.answer(
            Received(method, target, head, body, self._number, self._loop.time())
        )
        if latency := answer.latency + self._server.latency:
            self._loop.call_later(latency, self._send, answer)
        else:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        self._server.answered()
        if self._transport is None:
            return
        head, body = _head(answer), answer.body
        if answer.raw is not None:
            head, body = answer.raw, b""
        elif answer.chunked:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        if answer.cut is not None:
            self._transport.write((head + body)[: answer.cut])
            self._transport.close() if answer.cut else self._transport.abort()
        elif answer.drip:
            self._transport.write(head)
            self._drip(deque(body), answer)
        else:
            self._transport.write(head + body)
            self._done(answer)

    def _drip(self, rest: deque[int], answer: Answer) -> None:
        if self._transport is None:
            return
        if rest:
            self._transport.write(bytes([rest.popleft()]))
            self._loop.call_later(answer.drip, self._drip, rest, answer)
        else:
            self._done(answer)

    def _done(self, answer: Answer) -> None:
        assert self._transport is not None
        self._busy = False
        if answer.close:
            self._transport.close()
        else:
            self._next()


def _head(answer: Answer) -> bytes:
    headers = dict(answer.headers)
    named = {name.lower() for name in headers}
    if answer.chunked:
        headers["Transfer-Encoding"] = "chunked"
    elif "content-length" not in named:
        headers["Content-Length"] = str(len(answer.body))
    if answer.close:
        headers["Connection"] = "close"
    lines = [f"HTTP/1.1 {answer.status} X", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def main() -> None:
    """Serve in a process of its own until standard input ends."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    with Server(latency=given.latency, port=given.port) as server:
        print(server.url, flush=True)  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()
        print(len(server.journal), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
