"""Certificates and proxies: both against real servers."""

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from saywhat.chatbots.addresses import Address
from saywhat.chatbots.line import Answer as WireAnswer
from saywhat.chatbots.line import Line, Message
from saywhat.chatbots.loop import BackgroundLoop
from saywhat.chatbots.wire import Wire
from saywhat.config import ConnectionSettings
from saywhat.errors import ChatbotError
from tests.http_chatbots import http_chatbot
from tests.servers import Answer, Received, Server, fail

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1"])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a key and a certificate for 127.0.0.1 in one file."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, made = folder / "key.pem", folder / "made.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-keyout", key, "-out", made, "-days", "2", "-subj", "/CN=test",
               "-addext", "subjectAltName=IP:127.0.0.1"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes(key.read_bytes() + made.read_bytes())
    return both


@pytest.fixture
def secure(certificate: Path) -> Iterator[Server]:
    """Serve echoes over https."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with Server(tls=context) as server:
        yield server


def told_everything(received: list[Received]) -> str:
    """Put all that requests held into one text."""
    return " ".join(f"{r.method} {r.target} {r.head!r} {r.body!r}" for r in received)


class Tunnel:
    """A proxy that connects two ends, as ``CONNECT`` asks, if its status is of success.

    With ``None`` it says nothing until the other side gives up.
    """

    def __init__(self, status: bytes | None = b"200 OK") -> None:
        self.status, self.heads = status, list[bytes]()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def close(self) -> None:
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _serve(self) -> None:
        near, _ = self._listener.accept()
        head = b""
        while b"\r\n\r\n" not in head:
            head += near.recv(1000)
        self.heads.append(head)
        host, _, port = head.split(b" ")[1].rpartition(b":")
        if self.status is None:
            near.recv(1000)
            near.close()
            return
        near.sendall(b"HTTP/1.1 " + self.status + b"\r\n\r\n")
        if not self.status.startswith(b"200"):
            near.close()
            return
        with near, socket.create_connection((host.decode(), int(port))) as far:
            back = threading.Thread(target=self._pump, args=(far, near))
            back.start()
            self._pump(near, far)
            back.join()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            source.close()


def test_a_certificate_must_be_trusted(secure: Server, tmp_path: Path, certificate: Path) -> None:
    with http_chatbot(tmp_path, url=secure.url) as chatbot, pytest.raises(ChatbotError) as caught:
        chatbot.reply(["hello"])
    assert (caught.value.kind, caught.value.retry) == ("ConnectError", "later")
    assert "certificate verify failed" in str(caught.value)
    assert secure.journal == []
    trusting = ConnectionSettings(timeout=5, ca_file=str(certificate), concurrency=2)
    with http_chatbot(tmp_path, trusting, url=secure.url) as chatbot:
        for _ in range(3):
            assert chatbot.reply(["a", "b", "c"]) == ["a", "b", "c"]
    assert len(secure.journal) == 9
    assert secure.connections == 2  # kept open; the one that was not trusted never came to be


def test_a_certificate_must_be_the_hosts(secure: Server, tmp_path: Path, certificate: Path) -> None:
    url = f"https://localhost:{secure.port}/"
    trusting = ConnectionSettings(timeout=5, ca_file=str(certificate))
    with (
        http_chatbot(tmp_path, trusting, url=url) as chatbot,
        pytest.raises(ChatbotError, match="Hostname mismatch"),
    ):
        chatbot.reply(["hello"])
    assert secure.journal == []


def test_the_environment_cannot_make_one_trusted(
    secure: Server, tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("SSL_CERT_DIR", str(certificate.parent))
    assert ssl.create_default_context().get_ca_certs(), "the variable means nothing here"
    with (
        http_chatbot(tmp_path, url=secure.url) as chatbot,
        pytest.raises(ChatbotError, match="certificate verify failed"),
    ):
        chatbot.reply(["hello"])
    assert secure.journal == []


def test_https_where_http_is_spoken(tmp_path: Path) -> None:
    with Server(lambda _: fail(400)) as server:
        url = server.url.replace("http:", "https:")
        with http_chatbot(tmp_path, url=url) as chatbot, pytest.raises(ChatbotError) as caught:
            chatbot.reply(["hello"])
    assert caught.value.kind == "ConnectError"


def test_a_proxy_is_given_the_whole_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_PROXY", "")
    with Server() as proxy:
        monkeypatch.setenv("THE_PROXY", f"http://me:tig%2Fer-7@127.0.0.1:{proxy.port}")
        connection = ConnectionSettings(timeout=5, proxy="env:THE_PROXY", authorised=True)
        with http_chatbot(tmp_path, connection, url="http://bot.example.org/chat?a=b") as chatbot:
            assert chatbot.reply(["hello", "you"]) == ["hello", "you"]
            proxy.handler = lambda received: fail(407, body=received.head[-80:] + b" tig/er-7")
            with pytest.raises(ChatbotError) as caught:
                chatbot.reply(["hello"])
    received = proxy.journal[0]
    assert received.target == "http://bot.example.org/chat?a=b"
    assert received.headers["host"] == "bot.example.org"
    assert received.headers["proxy-authorization"] == "Basic bWU6dGlnL2VyLTc="  # me:tig/er-7
    assert caught.value.kind == "HTTP 407"
    assert "Proxy-Authorization: Basic *** ***" in str(caught.value)
    for form in ("tig/er-7", "tig%2Fer-7", "bWU6dGlnL2VyLTc"):
        assert form not in str(caught.value)


def test_a_proxy_makes_a_tunnel_to_a_secure_server(
    secure: Server, tmp_path: Path, certificate: Path
) -> None:
    tunnel = Tunnel()
    connection = ConnectionSettings(
        timeout=5, ca_file=str(certificate), proxy=tunnel.url, concurrency=1
    )
    with http_chatbot(tmp_path, connection, url=secure.url) as chatbot:
        assert chatbot.reply(["hello", "you"]) == ["hello", "you"]
    tunnel.close()
    assert tunnel.heads[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % secure.port)
    assert len(secure.journal) == 2


def test_a_proxys_password_is_for_the_proxy_alone(
    secure: Server, tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tunnel = Tunnel()
    monkeypatch.setenv("THE_PROXY", tunnel.url.replace("http://", "http://me:tiger-7@"))
    monkeypatch.setenv("BOT_TOKEN", "lion-8-of-the-server")
    connection = ConnectionSettings(
        timeout=5, ca_file=str(certificate), proxy="env:THE_PROXY", concurrency=1
    )
    headers = {"Authorization": "env:BOT_TOKEN"}
    with http_chatbot(tmp_path, connection, url=secure.url, headers=headers) as chatbot:
        assert chatbot.reply(["hello", "you"]) == ["hello", "you"]
    tunnel.close()
    [head] = tunnel.heads
    assert b"\r\nProxy-Authorization: Basic bWU6dGlnZXItNw==\r\n" in head  # me:tiger-7
    assert b"lion-8" not in head
    told = told_everything(secure.journal)
    assert told.count("lion-8-of-the-server") == 2
    for form in ("tiger-7", "bWU6dGlnZXItNw", "proxy-authorization"):
        assert form not in told.lower() + told


def test_a_certificate_must_be_the_hosts_through_a_tunnel_too(
    secure: Server, tmp_path: Path, certificate: Path
) -> None:
    tunnel = Tunnel()
    connection = ConnectionSettings(timeout=5, ca_file=str(certificate), proxy=tunnel.url)
    with (
        http_chatbot(tmp_path, connection, url=f"https://localhost:{secure.port}/") as chatbot,
        pytest.raises(ChatbotError, match="Hostname mismatch"),
    ):
        chatbot.reply(["hello"])
    tunnel.close()
    assert tunnel.heads[0].startswith(b"CONNECT localhost:%d HTTP/1.1\r\n" % secure.port)
    assert secure.journal == []


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (b"403 Forbidden", "ProxyError", "HTTP 403 from the proxy"),
        (b"junk", "ProxyError", "no answer in HTTP from the proxy"),
        (b"200 OK", "ConnectError", "certificate verify failed"),
        (None, "timeout", "it was not whole within 0.3 s"),
    ],
)
def test_a_proxy_that_makes_none(
    status: bytes | None, kind: str, message: str, secure: Server, tmp_path: Path
) -> None:
    tunnel = Tunnel(status)
    connection = ConnectionSettings(timeout=5 if status else 0.3, proxy=tunnel.url)
    with (
        http_chatbot(tmp_path, connection, url=secure.url) as chatbot,
        pytest.raises(ChatbotError) as caught,
    ):
        chatbot.reply(["hello"])
    tunnel.close()
    assert (caught.value.kind, caught.value.retry) == (kind, "later")
    assert message in str(caught.value)
    assert secure.journal == []


class Hasty:
    """Sends a whole answer to whoever connects, and waits for no request."""

    def __init__(self, body: bytes) -> None:
        self._data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        self.sent = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def left(self) -> int:
        """How many bytes are not taken."""
        return len(self._data) - self.sent

    def close(self) -> None:
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, memoryview(self._data) as data:
            while self.left:
                self.sent += connection.send(data[self.sent : self.sent + 65536])
            connection.recv(1000)


async def connected(port: int) -> Line:
    """Open a line."""
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(Line, "127.0.0.1", port))[1]


def test_much_that_comes_at_once_is_taken_as_it_is_read() -> None:
    """Nobody reads: the server is made to wait, for memory has an end; then nothing is lost."""
    body = bytes(range(256)) * (1 << 17)  # 32 MB: more than the system keeps for two sockets
    server, loop = Hasty(body), BackgroundLoop()
    line = loop.submit(connected(server.port)).result(10)
    before = -1
    while before < server.sent and server.left:
        before = server.sent
        time.sleep(0.3)
    assert server.left
    assert 65536 < len(line._arrived) < 1 << 20
    message = Message(b"GET", b"/", [(b"Host", b"x")], b"")
    got = loop.submit(line.exchange(message, most=len(body))).result(10)
    assert isinstance(got, WireAnswer)
    assert got.body == body
    loop.submit(closed(line)).result(10)
    loop.close()
    server.close()


async def closed(line: Line) -> None:
    """Close a line, on its loop."""
    line.close()
    await asyncio.sleep(0)


def test_much_through_a_wire() -> None:
    body = bytes(range(256)) * 8192
    with Server(lambda _: Answer(body)) as server:
        wire = Wire(Address.parse(server.url))
        loop = BackgroundLoop(wire.aclose)
        message = Message(b"GET", b"/", [(b"Host", b"x")], b"")
        got = loop.submit(wire.exchange(message, most=len(body))).result(10)
        assert isinstance(got, WireAnswer)
        assert got.body == body
        loop.close()
