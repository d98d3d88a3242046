"""A line to a server: one connection, on which a message goes out and its answer comes in.

The protocol is h11's, the lowest layer of httpx2. Nothing is done twice, followed, decoded or
logged here.
"""

import asyncio
import dataclasses
import ssl
from collections.abc import Sequence
from typing import Final, cast, final

import h11
from typing_extensions import override

from saywhat.chatbots.addresses import Address
from saywhat.errors import Retry

# Servers close idle lines after 5 seconds (uvicorn, Node) or later; what is sent on a line that is
# being closed is lost.
_IDLE: Final = 4.0
_LONGEST_HEAD: Final = 64 * 1024
_AHEAD: Final = 64 * 1024  # bytes taken from the system before they are asked for

_Headers = Sequence[tuple[bytes, bytes]]


@final
@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Message:
    """What leaves: a request's method, target, headers and body."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes


@final
@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What came back; the names of headers are in lower case."""

    status: int
    headers: _Headers
    body: bytes

    def header(self, name: bytes) -> str | None:
        """Give the first header of a name."""
        return next((text.decode("latin-1") for key, text in self.headers if key == name), None)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why no whole answer came back.

    Attributes:
        kind: ``ConnectError``, ``ReadError``, ``ProtocolError``, ``ProxyError``, ``too large``, ...
        message: what happened; it may quote the server.
        retry: whether asking again may help.
    """

    kind: str
    message: str
    retry: Retry = "later"


@final
class Line(asyncio.Protocol):
    """One connection: a message out, its answer in, then the next."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._http = _protocol()
        self._arrived = bytearray()
        self._ended = self._told_end = self._paused = False
        self._reason = "the server closed the connection"
        self._waiting: asyncio.Future[None] | None = None
        self._since = self._loop.time()

    async def exchange(self, message: Message, most: int) -> Answer | NoAnswer:
        """Send a message and wait for the whole answer; see ``Wire.exchange``."""
        try:
            self._send(message.method, message.target, message.headers, message.body)
            head = await self._head()
            headers = list(head.headers)
            body = await self._body(headers, most)
        except h11.LocalProtocolError:  # it quotes the header
            return NoAnswer("ProtocolError", "a header cannot be sent", "never")
        except (EOFError, h11.RemoteProtocolError) as error:
            if self._told_end:
                return NoAnswer("ReadError", f"{self._reason} before the answer was whole")
            # only the general part: what follows quotes the answer
            told = str(error).partition(":")[0]
            return NoAnswer("ProtocolError", f"the answer is not HTTP: {told}")
        if body is None:
            return NoAnswer("too large", f"a body of more than {most >> 20} MB", "never")
        self._since = self._loop.time()
        # bytes beyond the answer must not become the next one
        unasked = self._http.trailing_data[0]
        if self._http.our_state is self._http.their_state is h11.DONE and not unasked:
            self._http.start_next_cycle()
        return Answer(head.status_code, headers, body)

    async def tunnel(
        self, to: Address, headers: _Headers, trust: ssl.SSLContext
    ) -> NoAnswer | None:
        """Have a proxy connect the line with a server, and secure it; tell if that failed."""
        host = b"[%b]" % to.host if b":" in to.host else to.host
        goal = b"%b:%d" % (host, to.port)
        try:
            self._send(b"CONNECT", goal, [(b"Host", goal), *headers], b"")
            head = await self._head()
        except (EOFError, h11.ProtocolError):
            return NoAnswer("ProxyError", "no answer in HTTP from the proxy")
        if not 200 <= head.status_code < 300:
            return NoAnswer("ProxyError", f"HTTP {head.status_code} from the proxy")
        self._http = _protocol()
        plain = cast("asyncio.Transport", self._transport)
        try:
            self._transport = await self._loop.start_tls(
                plain, self, trust, server_hostname=to.host.decode()
            )
        except OSError as error:
            return NoAnswer("ConnectError", str(error))
        return None

    def is_reusable(self) -> bool:
        """Whether another message may be sent."""
        fresh = self._http.our_state is h11.IDLE and self._loop.time() - self._since < _IDLE
        return fresh and not self._ended and not self._arrived

    def close(self) -> None:
        """Drop the connection; harmless if it is closed."""
        if self._transport is not None:
            self._transport.abort()

    def _send(self, method: bytes, target: bytes, headers: _Headers, body: bytes) -> None:
        http = self._http
        leaving = [
            http.send(h11.Request(method=method, target=target, headers=list(headers))),
            http.send(h11.Data(data=body)) if body else b"",
            http.send(h11.EndOfMessage()),
        ]
        # one write: head and body leave in one packet
        cast("asyncio.Transport", self._transport).write(b"".join(filter(None, leaving)))

    async def _head(self) -> h11.Response:
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                await self._read()
            elif type(event) is h11.Response:
                return event
            elif type(event) is not h11.InformationalResponse:
                raise EOFError

    async def _body(self, headers: _Headers, most: int) -> bytes | None:
        """Read the body; ``None`` if it is larger than ``most``."""
        if any(name == b"content-length" and int(value) > most for name, value in headers):
            return None
        parts: list[bytes] = []
        left = most
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                await self._read()
            elif type(event) is h11.Data:
                parts.append(bytes(event.data))
                left -= len(event.data)
                if left < 0:
                    return None
            else:
                return b"".join(parts)

    async def _read(self) -> None:
        """Give h11 what has arrived, waiting for something if nothing has."""
        while not self._arrived and not self._ended:
            self._waiting = self._loop.create_future()
            await self._waiting
        self._told_end = not self._arrived
        self._http.receive_data(bytes(self._arrived))  # nothing means the end
        self._arrived.clear()
        if self._paused and self._transport is not None:
            self._transport.resume_reading()
            self._paused = False

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._arrived += data
        if len(self._arrived) > _AHEAD and not self._paused and self._transport is not None:
            self._transport.pause_reading()
            self._paused = True
        self._wake()

    @override
    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        if exc is not None:
            self._reason = f"the connection broke ({exc})"
        self._wake()


def _protocol() -> h11.Connection:
    return h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
