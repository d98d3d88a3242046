"""Makes ``http:`` chatbots of a file that a test describes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from saywhat.chatbots.http import HttpChatbot, make
from saywhat.config import ConnectionSettings, ModelSettings

USUAL: dict[str, Any] = {
    "url": "http://127.0.0.1:1/chat",
    "body": {"message": "{{query}}"},
    "reply": "$.reply.text",
}


def write(folder: Path, **keys: object) -> Path:
    """Write a file: the usual keys, changed; ``None`` leaves one out."""
    values = {key: value for key, value in (USUAL | keys).items() if value is not None}
    path = folder / "bot.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


@contextlib.contextmanager
def http_chatbot(
    folder: Path, connection: ConnectionSettings | None = None, **keys: object
) -> Iterator[HttpChatbot]:
    """Make a chatbot of a file and close it."""
    path = write(folder, **keys)
    chatbot = make(str(path), connection or ConnectionSettings(timeout=5), ModelSettings())
    try:
        yield chatbot
    finally:
        chatbot.close()
