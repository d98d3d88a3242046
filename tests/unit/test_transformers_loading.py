"""What a ``transformers:`` spec accepts, what it refuses, and what its fingerprint is of."""

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from saywhat.chatbots.transformers import TransformersChatbot
from saywhat.chatbots.transformers_loading import library, load
from saywhat.config import ModelSettings
from saywhat.errors import SetupError
from saywhat.registry import load_chatbot
from tests import tiny_models

transformers = pytest.importorskip(
    "transformers", reason="needs the extra: pip install 'saywhat[transformers]'"
)
QUERIES = ["hi", "how are you ?", "see you tomorrow", "I DON'T know!", "a\0b \U0001f600"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a model's folder, not to be changed."""
    return tiny_models.save_chat(tmp_path_factory.mktemp("models") / "saved")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """Give a copy of it."""
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


@pytest.fixture(scope="module")
def file(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the same model as a GGUF file."""
    pytest.importorskip("accelerate", reason="transformers needs it for GGUF files")
    return tiny_models.save_gguf(saved, tmp_path_factory.mktemp("gguf") / "small.gguf")


def chatbot_of(place: Path | str, **settings: Any) -> TransformersChatbot:
    made = load_chatbot(
        f"transformers:{place}", model=ModelSettings(**({"max_tokens": 8} | settings))
    )
    assert isinstance(made, TransformersChatbot)
    return made


def edit(path: Path, **change: Any) -> None:
    """Change keys of a JSON file."""
    held = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(held | change), encoding="utf-8")


class TestFingerprint:
    @pytest.mark.parametrize(
        "change",
        [
            {"system_prompt": "be brief"}, {"temperature": 0.5}, {"max_tokens": 9},
            {"stop": ("a",)}, {"temperature": 0.5, "seed": 1},
        ],
        ids=str,
    )  # fmt: skip
    def test_it_is_of_the_settings(self, change: dict[str, Any], saved: Path) -> None:
        prints = {chatbot_of(saved, **settings).fingerprint for settings in ({}, change)}
        assert len(prints) == 2

    def test_it_is_not_of_what_changes_no_reply(self, saved: Path, folder: Path) -> None:
        same = [
            chatbot_of(saved),
            chatbot_of(saved, batch_size=3),
            chatbot_of(saved, seed=5),  # nothing is drawn
            chatbot_of(saved, temperature=None),
            chatbot_of(folder),
        ]
        (folder / "README.md").write_text("words", encoding="utf-8")
        same.append(chatbot_of(folder))
        assert len({chatbot.fingerprint for chatbot in same}) == 1
        assert same[0].name == "saved"

    def test_it_is_of_the_weights(self, saved: Path, tmp_path: Path) -> None:
        other = tiny_models.save_chat(tmp_path / "other", seed=1)
        assert chatbot_of(other).fingerprint != chatbot_of(saved).fingerprint
        assert chatbot_of(other).reply(QUERIES) != chatbot_of(saved).reply(QUERIES)

    @pytest.mark.parametrize(
        ("file", "change"),
        [
            ("config.json", {"rope_parameters": {"rope_type": "default", "rope_theta": 9.0}}),
            ("generation_config.json", {"repetition_penalty": 1.5}),
            ("tokenizer_config.json", {"eos_token": "<bot>"}),
        ],
    )
    def test_it_is_of_each_file(self, file: str, change: dict[str, Any], folder: Path) -> None:
        before = chatbot_of(folder).fingerprint
        edit(folder / file, **change)
        assert chatbot_of(folder).fingerprint != before

    def test_it_is_of_the_template(self, folder: Path) -> None:
        before = chatbot_of(folder).fingerprint
        (folder / "chat_template.jinja").write_text(tiny_models.TEMPLATE + " ", encoding="utf-8")
        assert chatbot_of(folder).fingerprint != before

    def test_it_is_of_the_librarys_version(
        self, saved: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = chatbot_of(saved).fingerprint
        monkeypatch.setattr(library(), "__version__", "5.99")
        assert chatbot_of(saved).fingerprint != before


class TestFolders:
    def test_a_path_is_short_for_itself(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("HOME", str(folder.parent))
        names = {chatbot_of(place).name for place in (".", f"~/{folder.name}", f"{folder}/")}
        assert names == {folder.name}

    def test_tensors_without_code_in_a_bin(self, folder: Path, saved: Path) -> None:
        safetensors = pytest.importorskip("safetensors.torch")
        weights = folder / "model.safetensors"
        torch.save(safetensors.load_file(weights), folder / "pytorch_model.bin")
        weights.unlink()
        assert chatbot_of(folder).reply(QUERIES) == chatbot_of(saved).reply(QUERIES)

    def test_code_in_a_bin_is_not_run(self, folder: Path, tmp_path: Path) -> None:
        class Evil:
            def __reduce__(self) -> tuple[Callable[..., Any], tuple[Path]]:
                return Path.touch, (tmp_path / "ran",)

        (folder / "model.safetensors").unlink()
        torch.save({"model.norm.weight": Evil()}, folder / "pytorch_model.bin")
        with pytest.raises(SetupError, match=r"cannot be loaded: \w+"):
            load(str(folder))
        assert not (tmp_path / "ran").exists()

    def test_code_of_a_models_author_is_not_run(self, folder: Path, tmp_path: Path) -> None:
        code = f"import pathlib\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
        (folder / "own.py").write_text(code, encoding="utf-8")
        edit(folder / "config.json", auto_map={"AutoConfig": "own.C"}, model_type="own")
        with pytest.raises(SetupError, match="cannot be loaded"):
            load(str(folder))
        assert not (tmp_path / "ran").exists()

    def test_weights_that_do_not_fill_the_model(self, folder: Path) -> None:
        safetensors = pytest.importorskip("safetensors.torch")
        weights = safetensors.load_file(folder / "model.safetensors")
        del weights["model.layers.1.mlp.up_proj.weight"]
        safetensors.save_file(weights, folder / "model.safetensors", {"format": "pt"})
        with pytest.raises(SetupError, match=r"lack 1 tensors .*layers\.1\.mlp\.up_proj.*random"):
            load(str(folder))

    def test_weights_of_another_shape(self, folder: Path) -> None:
        edit(folder / "config.json", intermediate_size=48)
        with pytest.raises(SetupError, match="cannot be loaded"):
            load(str(folder))

    @pytest.mark.parametrize("made", ["BertForMaskedLM", "GPT2ForSequenceClassification"])
    def test_models_that_do_not_write(self, made: str, tmp_path: Path) -> None:
        sizes = {"vocab_size": 320, "pad_token_id": 0}
        if made.startswith("Bert"):
            config = transformers.BertConfig(
                hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64,
                **sizes,
            )  # fmt: skip
        else:
            config = transformers.GPT2Config(n_embd=32, n_layer=1, n_head=4, **sizes)
        place = tiny_models.save(tmp_path / "reader", getattr(transformers, made)(config))
        with pytest.raises(SetupError, match=f"writes text.*{made}"):
            load(str(place))

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda f: (f / "config.json").unlink(), r"Expected a model's folder.*tokenizer.json"),
            (lambda f: (f / "config.json").write_text("{"), "cannot be loaded"),
            (lambda f: (f / "model.safetensors").unlink(), "cannot be loaded"),
            (lambda f: (f / "model.safetensors").write_bytes(b"\0" * 50), "cannot be loaded"),
            (lambda f: (f / "tokenizer.json").write_text("[]"), "cannot be loaded"),
            (lambda f: (f / "adapter_config.json").write_text("{}"), "an adapter.*merge"),
            (lambda f: (f / "chat_template.jinja").write_text("{% for %}"), "chat template"),
            (lambda f: (f / "chat_template.jinja").write_text("{{ 1 / 0 }}"), "chat template"),
        ],
    )
    def test_folders_that_are_no_model(
        self, spoil: Callable[[Path], Any], message: str, folder: Path
    ) -> None:
        spoil(folder)
        with pytest.raises(SetupError, match=message) as caught:
            chatbot_of(folder)
        assert "\n" not in str(caught.value)

    def test_a_folder_of_gguf_files_hints_at_them(self, tmp_path: Path) -> None:
        (tmp_path / "m.gguf").touch()
        with pytest.raises(SetupError, match=r"holds m\.gguf.*transformers:.*m\.gguf"):
            load(str(tmp_path))

    @pytest.mark.parametrize(
        "name", ["no/such/folder", "./none", "/none", "gone.gguf", "a b", "\0"]
    )
    def test_what_does_not_exist(self, name: str) -> None:
        with pytest.raises(SetupError, match="no such file or folder"):
            load(name)

    def test_a_file_of_another_kind(self, folder: Path) -> None:
        with pytest.raises(SetupError, match=r"Expected a \.gguf file or a model's folder"):
            load(str(folder / "config.json"))


class TestHub:
    @pytest.fixture
    def cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Give an empty cache of the hub."""
        constants = importlib.import_module("huggingface_hub.constants")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        return tmp_path / "hub"

    @pytest.mark.parametrize("name", ["someone/some-model", "gpt2"])
    def test_an_id_that_is_not_here(self, name: str, cache: Path) -> None:
        # sockets are blocked: asking the hub would be another error
        with pytest.raises(SetupError, match=rf"'{name}' is neither.*`hf download {name}`"):
            load(name)

    def test_an_id_in_the_cache(self, cache: Path, saved: Path) -> None:
        place = cache / "models--someone--tiny"
        revision = "0123456789abcdef0123456789abcdef01234567"
        shutil.copytree(saved, place / "snapshots" / revision)
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text(revision, encoding="utf-8")
        chatbot, same = chatbot_of("someone/tiny"), chatbot_of(saved)
        assert (chatbot.name, chatbot.fingerprint) == ("tiny", same.fingerprint)
        assert chatbot.reply(QUERIES) == same.reply(QUERIES)


class TestGguf:
    def test_it_replies_like_the_folder(
        self, file: Path, saved: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        chatbot = chatbot_of(file)
        assert chatbot.reply(QUERIES) == chatbot_of(saved).reply(QUERIES)
        assert chatbot.name == "small"
        assert capfd.readouterr() == ("", "")

    def test_its_weights_become_plain_numbers(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else the library may multiply them with code from the hub."""
        seen: list[dict[str, Any]] = []
        auto = transformers.AutoModelForCausalLM
        made = auto.from_pretrained

        def spy(folder: str, **options: Any) -> Any:
            seen.append(options)
            return made(folder, **options)

        monkeypatch.setattr(auto, "from_pretrained", spy)
        loaded = load(str(file))
        assert [options["quantization_config"].dequantize for options in seen] == [True]
        assert {weights.dtype for weights in loaded.model.parameters()} == {torch.float32}

    def test_its_neighbours_are_not_read(self, file: Path, folder: Path) -> None:
        before = chatbot_of(file)
        beside = folder / "beside.gguf"
        shutil.copy(file, beside)
        (folder / "chat_template.jinja").write_text("<bot>", encoding="utf-8")
        edit(folder / "tokenizer_config.json", eos_token="<bot>")  # noqa: S106
        after = chatbot_of(beside)
        assert after.fingerprint == before.fingerprint
        assert after.reply(QUERIES) == before.reply(QUERIES)

    def test_another_file_is_another_chatbot(self, file: Path, saved: Path, tmp_path: Path) -> None:
        other = tiny_models.save_chat(tmp_path / "other", seed=1)
        others = chatbot_of(tiny_models.save_gguf(other, tmp_path / "other.gguf"))
        assert others.fingerprint not in {
            chatbot_of(file).fingerprint, chatbot_of(saved).fingerprint,
        }  # fmt: skip

    @pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF" + b"\xff" * 60, b"hello " * 20])
    def test_a_file_that_is_none(self, content: bytes, file: Path, tmp_path: Path) -> None:
        broken = tmp_path / "broken.gguf"
        broken.write_bytes(content)
        with pytest.raises(SetupError, match=r"broken\.gguf cannot be loaded"):
            load(str(broken))


@pytest.mark.parametrize(
    ("missing", "needs_file"), [("transformers", False), ("gguf", True), ("accelerate", True)]
)
def test_a_missing_extra_is_named(
    missing: str, needs_file: bool, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.gguf").touch()
    if needs_file and missing == "accelerate":
        pytest.importorskip("gguf")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SetupError, match=rf"{missing}.*pip install 'saywhat\[transformers\]'"):
        load(str(tmp_path / "model.gguf" if needs_file else saved))


def test_the_adapter_does_not_shadow_the_library() -> None:
    import saywhat.chatbots.transformers as ours

    assert ours.__name__ == "saywhat.chatbots.transformers"
    assert transformers.__name__ == "transformers"
    assert importlib.util.find_spec("transformers") is not None
