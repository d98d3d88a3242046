"""Any chatbot behind HTTP: ``http:FILE.yaml`` describes it, and ``openai:`` is one that is known.

Each query is sent once, at once; whether and when it is sent again is the ledger's business. All
requests share one event loop and one set of lines, and where they go was fixed when the chatbot
was made.
"""

import asyncio
import functools
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final, final

from saywhat.chatbots.http_file import read_http_file
from saywhat.chatbots.http_plan import Call, Plan
from saywhat.chatbots.http_replies import MOST_BYTES, Failures, require_success
from saywhat.chatbots.line import Answer, NoAnswer
from saywhat.chatbots.loop import BackgroundLoop, reply_to_all
from saywhat.chatbots.secrets import HINT, Mask, reference
from saywhat.chatbots.template import Slot
from saywhat.chatbots.wire import Proxy, Wire
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import SetupError
from saywhat.text.whole import whole

_TRIAL: Final = {Slot.QUERY: "", Slot.SESSION: ""}


@final
class HttpChatbot:
    """A chatbot behind HTTP; made by ``make`` here and in ``openai``.

    Args:
        plan: how it is asked.
        connection: how it is reached.
        authorised: whether the user said that it may be asked.
        where: where to say so.

    Raises:
        SetupError: it is elsewhere and nobody said that it may be asked; a secret is not there; or
            the proxy or certificates cannot be used.
    """

    def __init__(
        self, plan: Plan, connection: ConnectionSettings, *, authorised: bool, where: str
    ) -> None:
        self._mask = Mask()
        proxy = _proxy(connection.proxy, self._mask)
        through = None if proxy is None else proxy.address
        for call in plan.calls:
            call.address.require_authorised(authorised, where=where, proxy=through)
        for call in plan.calls:
            call.rendered(_TRIAL, self._mask)
        self._plan, self._timeout = plan, connection.timeout
        self._concurrency = connection.concurrency if plan.reset is None else 1
        self._fingerprint = plan.fingerprint
        addresses = {call.address.origin: call.address for call in plan.calls}
        self._wires = {
            origin: Wire(address, proxy=proxy, ca_file=connection.ca_file)
            for origin, address in addresses.items()
        }
        self._loop = BackgroundLoop(functools.partial(_close, list(self._wires.values())))
        self._session = str(uuid.uuid4()) if plan.shared else None

    @property
    def name(self) -> str:
        """See ``Chatbot``."""
        return self._plan.name

    @property
    def fingerprint(self) -> str:
        """See ``Chatbot``. It holds secrets by reference, so a new key changes nothing."""
        return self._fingerprint

    @property
    def concurrency(self) -> int:
        """How many queries may be under way; 1 if the session is reset before each.

        Whoever submits sees to it, as the ledger and ``reply`` do.
        """
        return self._concurrency

    def submit(self, query: str) -> Future[str]:
        """Send one query now; lone surrogates in it are sent as U+FFFD.

        Returns:
            The future reply; it fails with ``ChatbotError``.
        """
        return self._loop.submit(self._ask(query))

    def reply(self, queries: Sequence[str]) -> list[str]:
        """See ``Chatbot``.

        Raises:
            ChatbotError: a query failed.
        """
        return reply_to_all(self, queries)

    def close(self) -> None:
        """Close all lines; queries under way fail."""
        self._loop.close()

    async def _ask(self, query: str) -> str:
        failures = Failures(query, self._mask)
        slots = {Slot.QUERY: whole(query), Slot.SESSION: self._session or str(uuid.uuid4())}
        try:
            if self._plan.reset is not None:
                answer = await self._exchange(self._plan.reset, slots, failures)
                require_success(answer, failures)
            answer = await self._exchange(self._plan.call, slots, failures)
            return self._plan.reading.reply_in(answer, failures)
        except asyncio.CancelledError:
            raise failures.made("The chatbot was closed", "closed", "never") from None

    async def _exchange(self, call: Call, slots: Mapping[Slot, str], failures: Failures) -> Answer:
        outcome = await self._outcome(call, slots)
        if isinstance(outcome, Answer):
            return outcome
        told = failures.quoted(f"{outcome.kind}: {outcome.message}")
        message = f"No answer from {call.address.netloc}: {told}"
        raise failures.made(message, outcome.kind, outcome.retry)

    async def _outcome(self, call: Call, slots: Mapping[Slot, str]) -> Answer | NoAnswer:
        wire = self._wires[call.address.origin]
        try:
            message = call.rendered(slots, self._mask)
            async with asyncio.timeout(self._timeout):
                return await wire.exchange(message, most=MOST_BYTES)
        except TimeoutError:
            return NoAnswer("timeout", f"it was not whole within {self._timeout:g} s")
        except SetupError as error:  # a secret was there when the chatbot was made
            return NoAnswer("secret", str(error), "never")


def make(argument: str, connection: ConnectionSettings, _: ModelSettings) -> HttpChatbot:
    """Make the chatbot that a file describes: the factory of ``http:FILE.yaml``.

    Raises:
        SetupError: all that is wrong with the file; or the chatbot is elsewhere and nobody said
            that it may be asked.
    """
    path = Path(argument)
    plan, authorised = read_http_file(path)
    return HttpChatbot(
        plan,
        connection,
        authorised=authorised or connection.authorised,
        where=f"`authorised: true` in {path.name} (or connection.authorised)",
    )


async def _close(wires: Sequence[Wire]) -> None:
    for wire in wires:
        await wire.aclose()


def _proxy(value: str | None, mask: Mask) -> Proxy | None:
    if value is None:
        return None
    secret = reference(value, Path())
    proxy = Proxy.parse(value if secret is None else secret.read())
    if proxy.secrets and secret is None:
        raise SetupError(f"connection.proxy: a password does not belong here; {HINT}.")
    for text in proxy.secrets:
        mask.add(text)
    return proxy
