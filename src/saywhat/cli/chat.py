"""``saywhat chat``: small talk with a chatbot, by hand or from a pipe."""

import contextlib
import io
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saywhat.cli.flags import Call
from saywhat.cli.output import Output
from saywhat.errors import ChatbotError

if TYPE_CHECKING:
    from saywhat.interfaces import Chatbot
    from saywhat.ledger import Ledger

_QUIT = "/quit"


def chat(call: Call) -> None:
    """Talk with a chatbot, or pipe queries to it.

    One query a line; /quit or the end of input ends it. A query that comes again is asked again.
    """
    from saywhat.cli.settings import settings_of
    from saywhat.ledger import Ledger, Limits
    from saywhat.registry import open_chatbot

    settings = settings_of(call, "audit").audit
    with contextlib.ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="saywhat-"))
        limits = Limits.of(settings.limits)
        ledger = opened.enter_context(Ledger(Path(folder, "ledger.sqlite"), limits))
        with call.output.reserved():
            chatbot = opened.enter_context(
                open_chatbot(settings.chatbot, connection=settings.connection, model=settings.model)
            )
        _talk(call.output, ledger, chatbot, attempts=settings.limits.attempts)


def _talk(output: Output, ledger: "Ledger", chatbot: "Chatbot", *, attempts: int) -> None:
    by_hand = sys.stdin.isatty()
    if by_hand:
        output.talk(f"Talking with {chatbot.name}; {_QUIT} ends it.")
    times: Counter[str] = Counter()
    said: list[dict[str, Any]] = []
    try:
        for query in _queries(by_hand=by_hand):
            asker = ledger.chatbot(chatbot, phase="verify", repeat=times[query], attempts=attempts)
            times[query] += 1
            said.append(_ask(output, asker, query))
    finally:  # also when a limit ends the talk
        counts = ledger.total()
        output.talk(f"{counts.asked:,} asked, {counts.sent:,} sent")
        if output.as_json:
            output.document(said)


def _ask(output: Output, asker: "Chatbot", query: str) -> dict[str, Any]:
    reply, error = None, ""
    try:
        with output.reserved():
            [reply] = asker.reply([query])
    except ChatbotError as failure:
        error = str(failure)
        output.error(f"error: {error}")
    if reply is not None and not output.as_json:
        output.line(reply)
    return {"query": query, "reply": reply, "error": error}


def _queries(*, by_hand: bool) -> Iterator[str]:
    if by_hand:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  (editing and history for input())
    elif isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    while True:
        try:
            line = input("> " if by_hand else "")
        except EOFError:
            return
        if line.strip() == _QUIT:
            return
        if line.strip():
            yield line.strip()
