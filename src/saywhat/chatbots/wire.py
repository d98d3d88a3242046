"""The wire to one server: a line for each message under way, kept open for the next one.

This is what httpx2 is for everyone (connections, TLS, proxies), without what an audit must not
have: redirects, cookies, retries, settings from the environment, logs. It is also without the
layers in between, which cost three times what the protocol itself does; with a ledger beside it on
two cores, that decides how many queries a second can leave.
"""

import asyncio
import base64
import dataclasses
import ssl
from typing import Final, final

import httpx2

from saywhat.chatbots.addresses import Address
from saywhat.chatbots.line import Answer, Line, Message, NoAnswer
from saywhat.errors import SetupError

_HAPPY_EYEBALLS: Final = 0.25


@final
@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Proxy:
    """What stands between us and all servers.

    Attributes:
        address: where it is.
        headers: what it wants to hear.
        secrets: what of it must not be shown.
    """

    address: Address
    headers: list[tuple[bytes, bytes]]
    secrets: list[str]

    @classmethod
    def parse(cls, url: str) -> "Proxy":
        """Take a proxy's URL apart.

        Raises:
            SetupError: it is not one, or not of http. The message does not repeat it.
        """
        read: httpx2.URL | None
        address: Address | None
        try:
            read = httpx2.URL(url)
            address = Address.parse(str(read.copy_with(userinfo=b"")))
        except (httpx2.InvalidURL, SetupError, ValueError):
            read = address = None
        if read is None or address is None or address.scheme != b"http":
            raise SetupError("connection.proxy: expected a URL such as http://proxy.example:3128.")
        if not read.userinfo:
            return cls(address, [], [])
        user = base64.b64encode(f"{read.username}:{read.password}".encode())
        headers = [(b"Proxy-Authorization", b"Basic " + user)]
        return cls(address, headers, [read.password or read.username, user.decode()])


@final
class Wire:
    """Lines to one server; as many as there are messages under way.

    Args:
        address: the server.
        proxy: what stands in between.
        ca_file: certificates to trust instead of the system's.

    Raises:
        SetupError: the certificates cannot be used.
    """

    def __init__(
        self, address: Address, *, proxy: Proxy | None = None, ca_file: str | None = None
    ) -> None:
        self._address = address
        self._idle: list[Line] = []
        self._trust = _trust(ca_file) if address.scheme == b"https" else None
        self._proxy = proxy

    async def exchange(self, message: Message, *, most: int) -> Answer | NoAnswer:
        """Send a message once and wait for the whole answer.

        Args:
            message: the message.
            most: the largest body that is read, in bytes.
        """
        line = self._take() or await self._open()
        if isinstance(line, NoAnswer):
            return line
        if self._proxy is not None and self._trust is None:
            origin = f"http://{self._address.netloc}".encode()
            headers = [*message.headers, *self._proxy.headers]
            message = Message(message.method, origin + message.target, headers, message.body)
        try:
            answer = await line.exchange(message, most)
        except BaseException:
            line.close()
            raise
        if line.is_reusable():
            self._idle.append(line)
        else:
            line.close()
        return answer

    async def aclose(self) -> None:
        """Close the lines that wait for a message."""
        while self._idle:
            self._idle.pop().close()
        await asyncio.sleep(0)  # sockets are closed by callbacks

    def _take(self) -> Line | None:
        while self._idle:
            line = self._idle.pop()
            if line.is_reusable():
                return line
            line.close()
        return None

    async def _open(self) -> Line | NoAnswer:
        if self._proxy is None:
            return await _connect(self._address, self._trust)
        line = await _connect(self._proxy.address, None)
        if isinstance(line, NoAnswer) or self._trust is None:
            return line
        failure: NoAnswer | None = None
        try:
            failure = await line.tunnel(self._address, self._proxy.headers, self._trust)
        except BaseException:
            line.close()
            raise
        if failure is not None:
            line.close()
        return failure or line


async def _connect(address: Address, trust: ssl.SSLContext | None) -> Line | NoAnswer:
    try:
        connected = await asyncio.get_running_loop().create_connection(
            Line,
            address.host.decode(),
            address.port,
            ssl=trust,
            happy_eyeballs_delay=_HAPPY_EYEBALLS,
        )
    except (OSError, UnicodeError) as error:  # UnicodeError: not a host name
        return NoAnswer("ConnectError", str(error))
    return connected[1]


def _trust(ca_file: str | None) -> ssl.SSLContext:
    try:
        if ca_file is None:
            trust = httpx2.create_ssl_context(trust_env=False)
        else:
            trust = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # SSLError is one
        raise SetupError(
            f"connection.ca_file: expected certificates (PEM) in {ca_file}: {error}."
        ) from None
    trust.set_alpn_protocols(["http/1.1"])
    return trust
