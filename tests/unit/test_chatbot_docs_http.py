"""Every example of the pages on HTTP chatbots runs, against a server that stands for theirs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from saywhat.chatbots.http import make
from saywhat.config import ConnectionSettings, ModelSettings
from tests.pages import blocks, commands
from tests.servers import Answer, Received, Server, completion, query_of, say

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1"])
PAGES = ("http.md", "openai.md")
PLACES = re.compile(r"https?://(localhost:8000|[a-z]+\.example\.org)")


def answer(received: Received) -> Answer:
    """Stand for every server of the pages."""
    if received.path == "/reset":
        return Answer(status=204)
    told = f"you said {query_of(received)}"
    if received.path == "/v1/chat/completions":
        return completion(told)
    return Answer(told.encode()) if received.method == "GET" else say(told)


@pytest.fixture
def server(server: Server) -> Server:
    """Serve all of them."""
    server.handler = answer
    return server


@pytest.fixture
def folder(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write every file of both pages, with the server's place for theirs, and their secrets."""
    for block in FILES.values():
        text = PLACES.sub(server.origin, block.text)
        (tmp_path / block.file).write_text(text, encoding="utf-8")
    monkeypatch.setenv("BOT_TOKEN", "tiger-7")
    monkeypatch.setenv("MY_KEY", "tiger-8")
    (tmp_path / "key.txt").write_text("tiger-9\n", encoding="utf-8")
    return tmp_path


FILES = {block.file: block for page in PAGES for block in blocks(page, "yaml")}
CHATBOTS = [name for name in FILES if name != "saywhat.yaml"]


@pytest.mark.parametrize("name", CHATBOTS)
def test_files_describe_chatbots_that_answer(name: str, folder: Path, server: Server) -> None:
    chatbot = make(str(folder / name), ConnectionSettings(timeout=5), ModelSettings())
    try:
        assert chatbot.reply(["hello", "{{query}}"]) == ["you said hello", "you said {{query}}"]
    finally:
        chatbot.close()
    if name == "remote.yaml":
        headers = server.journal[0].headers
        assert (headers["authorization"], headers["x-key"]) == ("Bearer tiger-7", "tiger-9")
        assert (chatbot.name, server.journal[0].json["options"]) == ("support-bot", {"n": 1})
    if name == "stateful.yaml":
        assert [received.path for received in server.journal] == ["/reset", "/chat"] * 2


def test_there_are_files() -> None:
    assert CHATBOTS == ["bot.yaml", "remote.yaml", "search.yaml", "stateful.yaml", "other.yaml"]


@pytest.mark.parametrize("page", PAGES)
def test_commands_print_what_the_page_shows(page: str, folder: Path, server: Server) -> None:
    examples = blocks(page, "console")
    assert examples
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command, lines in (shown for block in examples for shown in commands(block.text)):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", PLACES.sub(server.origin, command)],
            cwd=folder,
            env=os.environ | {"PATH": programs},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.stdout.splitlines(), done.returncode) == (lines, 0), done.stderr
        assert "tiger" not in done.stdout + done.stderr
    if page == "openai.md":
        _, received, _ = server.journal
        assert received.headers["authorization"] == "Bearer tiger-8"
        assert received.json["messages"][0]["content"] == "You answer questions about our shop."


def test_places_that_are_not_here_need_the_word_that_the_page_gives() -> None:
    places = [block.text for block in FILES.values() if "example.org" in block.text]
    assert len(places) == 2
    assert all("authorised: true" in text for text in places)
