"""``saywhat chat``: small talk with a chatbot, by hand or from a pipe."""

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import Any

from saywhat.cli.flags import Call
from saywhat.errors import ChatbotError

_QUIT = "/quit"


def chat(call: Call) -> None:
    """Talk with a chatbot, or pipe queries to it.

    One query a line; /quit or the end of input ends it.
    """
    from saywhat.cli.settings import settings_of
    from saywhat.registry import load_chatbot

    spec = settings_of(call, "audit").audit.chatbot
    with call.output.reserved():
        chatbot = load_chatbot(spec)
    by_hand = sys.stdin.isatty()
    if by_hand:
        call.output.talk(f"Talking with {chatbot.name}; {_QUIT} ends it.")
    said: list[dict[str, Any]] = []
    for query in _queries(by_hand=by_hand):
        reply, error = None, ""
        try:
            with call.output.reserved():
                [reply] = chatbot.reply([query])
        except ChatbotError as failure:
            error = str(failure)
            call.output.error(f"error: {error}")
        if call.output.as_json:
            said.append({"query": query, "reply": reply, "error": error})
        elif reply is not None:
            call.output.line(reply)
    if call.output.as_json:
        call.output.document(said)


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
