"""``examples/fastapi``, as its reader runs it: served by uvicorn, checked and audited over HTTP."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

pytestmark = [
    pytest.mark.allow_hosts(["127.0.0.1", "::1"]),
    pytest.mark.timeout(300),  # the machine may be busy
]

CommandLine = Callable[..., tuple[int, str, str]]
EXAMPLE = Path(__file__).parents[2] / "examples" / "fastapi"
URL = "http://127.0.0.1:8010/"
POSTS = (
    "hi",
    "how are you",
    "do you like dogs",
    "i love pizza",
    "good night",
    "where are you from",
)
TARGETS = ("i like dogs", "good night", "i am from the moon")


def _served() -> tuple[subprocess.Popen[str], str]:
    """Start the example on a free port, and give its address once it listens."""
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLE), "app:app"]
    command += ["--port", "0", "--no-access-log"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", line):
            return process, found[1] + "/"
    process.wait()
    raise AssertionError("".join(said))


@pytest.fixture(scope="module")
def bot(workplace: Path) -> Iterator[str]:
    """Serve the example; give the spec of its own file, with the port that happened to be free."""
    (workplace / "targets.txt").write_text("\n".join(TARGETS) + "\n", encoding="utf-8")
    posts = "".join(f"{post}\tnever heard\n" for post in POSTS)
    (workplace / "posts.tsv").write_text(posts, encoding="utf-8")
    process, address = _served()
    try:
        description = (EXAMPLE / "bot.yaml").read_text(encoding="utf-8")
        assert description.count(URL) == 1
        Path("bot.yaml").write_text(description.replace(URL, address), encoding="utf-8")
        yield "http:bot.yaml"
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_what_the_readers_copy_agrees(bot: str) -> None:
    """The commands in the example's own words: one port, one file, one path."""
    said = (EXAMPLE / "app.py").read_text(encoding="utf-8")
    assert "--port 8010" in said
    assert said.count("http:examples/fastapi/bot.yaml") == 2


def test_check_finds_it_usable(bot: str, saywhat: CommandLine) -> None:
    code, out, err = saywhat("check", "--chatbot", bot, "--json")
    assert code == 0, err
    assert json.loads(out)["chatbot"]["name"] == "support-bot"


def test_an_audit_over_http_finds_what_one_in_this_process_finds(
    bot: str, saywhat: CommandLine
) -> None:
    files = "--targets targets.txt --reference posts.tsv --method random --budget 4".split()
    for chatbot, out in ((bot, "over-http"), ("builtin", "in-process")):
        code, _, err = saywhat("audit", "--chatbot", chatbot, *files, "--out", out)
        assert code == 0, err
    for name in ("findings.jsonl", "attempts.jsonl"):
        assert Path("over-http", name).read_bytes() == Path("in-process", name).read_bytes()
    assert len(Path("over-http", "findings.jsonl").read_text(encoding="utf-8").splitlines()) == 3
