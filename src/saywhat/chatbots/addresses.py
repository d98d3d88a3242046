"""Where requests go: fixed when the chatbot is made, and told to be the user's own to ask."""

import dataclasses
import ipaddress
import re
from typing import Final, final

import httpx2

from saywhat.chatbots.secrets import HINT, is_credential
from saywhat.errors import SetupError

_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(rb"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """A URL, taken apart once.

    Attributes:
        scheme: ``http`` or ``https``.
        host: the host's name or number.
        port: its port.
        target: path and query string, percent-encoded.
    """

    scheme: bytes
    host: bytes
    port: int
    target: bytes

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Take a URL apart.

        Raises:
            SetupError: it cannot be asked, or holds a secret. The message does not repeat it.
        """
        if "{{" in url:
            raise SetupError("it is fixed: placeholders belong in params, body or form")
        try:
            read = httpx2.URL(url.strip())
        except (httpx2.InvalidURL, TypeError, ValueError):
            raise SetupError("expected a URL such as https://bot.example.org/chat") from None
        if read.userinfo:
            raise SetupError(f"a password does not belong in a URL; use headers, and {HINT}")
        if read.scheme not in _PORTS or not _HOST.fullmatch(read.raw_host):
            raise SetupError("expected a URL such as https://bot.example.org/chat")
        if read.fragment:
            raise SetupError("the part from # on is never sent; leave it out")
        if any(is_credential(name, value) for name, value in read.params.multi_items() if value):
            raise SetupError(f"a secret does not belong in a URL; use params, and {HINT}")
        port = _PORTS[read.scheme] if read.port is None else read.port
        if not 0 < port < 65536:
            raise SetupError(f"expected a port from 1 to 65535, got {port}")
        return cls(read.scheme.encode(), read.raw_host, port, read.raw_path)

    @property
    def origin(self) -> tuple[bytes, bytes, int]:
        """Scheme, host and port: what a line leads to."""
        return self.scheme, self.host, self.port

    @property
    def netloc(self) -> str:
        """Host and port as a ``Host`` header has them.

        Example:
            >>> Address.parse("http://[::1]:8000/chat").netloc
            '[::1]:8000'
        """
        host = self.host.decode()
        host = f"[{host}]" if ":" in host else host
        return host if self.port == _PORTS[self.scheme.decode()] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole URL."""
        return f"{self.scheme.decode()}://{self.netloc}{self.target.decode()}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        host = self.host.decode().lower()
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def require_authorised(
        self, authorised: bool, *, where: str, proxy: "Address | None" = None
    ) -> None:
        """Refuse to ask somebody else's chatbot unless the user answers for it.

        Args:
            authorised: what the user said.
            where: where to say so.
            proxy: what stands in between: its loopback is that of its own machine.

        Raises:
            SetupError: the address is not on this machine, and nobody said so.
        """
        is_here = self.is_loopback and (proxy is None or proxy.is_loopback)
        if not (authorised or is_here):
            through = f", reached through {proxy.netloc}," if proxy and self.is_loopback else ""
            raise SetupError(
                f"{self.netloc}{through} is not on this machine, and many queries would be sent to "
                "it that try to make it say what it should not. If you own it or may test it, set "
                f"{where}."
            )
