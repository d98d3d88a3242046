r"""BERT's forward pass in numpy: token ids to one vector a text, by the mean over its tokens.

Devlin et al., 2019; pooling as in Reimers and Gurevych, 2019 (Sentence-BERT). Inference only, in
single precision. It needs no deep-learning library, so a judge can score stored replies where none
is installed, and it never pads: the texts of a call have equal lengths.

Axes: ``texts``, ``time`` (tokens), ``hidden``; heads are split off ``hidden``.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from jaxtyping import Float32, Int64
from safetensors.numpy import load_file

from saywhat.errors import CheckpointError

_SQRT_HALF: Final = np.float32(0.5**0.5)
# Abramowitz and Stegun, 1964, 7.1.26: erf to 1.5e-7, which is single precision
_ERF: Final = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
_ERF_P: Final = np.float32(0.3275911)
_LAYER: Final = "encoder.layer.{}."
_EMBEDDINGS: Final = "embeddings."


@final
@dataclasses.dataclass(frozen=True, slots=True)
class BertShape:
    """What the weights do not tell.

    Attributes:
        layers: transformer layers.
        heads: heads of each attention.
        epsilon: of the layer norms.
    """

    layers: int
    heads: int
    epsilon: float = 1e-12


@final
class Bert:
    """A BERT encoder with mean pooling.

    Args:
        weights: by their names in a checkpoint.
        shape: the rest.

    Raises:
        CheckpointError: a weight is missing, or the heads cannot share the units.
    """

    def __init__(self, weights: Mapping[str, Float32[np.ndarray, "..."]], shape: BertShape) -> None:
        missing = [name for name in _names(shape.layers) if name not in weights]
        if missing:
            raise CheckpointError(
                f"Expected the weights of a BERT encoder of {shape.layers} layers; {missing[0]} is "
                f"missing ({len(missing)} are)."
            )
        self._weights, self._shape = weights, shape
        self.hidden: int = weights[f"{_EMBEDDINGS}word_embeddings.weight"].shape[1]
        self.positions: int = weights[f"{_EMBEDDINGS}position_embeddings.weight"].shape[0]
        if self.hidden % shape.heads:
            raise CheckpointError(f"{shape.heads} heads cannot share {self.hidden} units.")

    def pooled(self, ids: Int64[np.ndarray, "texts time"]) -> Float32[np.ndarray, "texts hidden"]:
        """Give the mean over tokens of the last layer's outputs, special tokens included."""
        table = self._weights
        state = (
            table[f"{_EMBEDDINGS}word_embeddings.weight"][ids]
            + table[f"{_EMBEDDINGS}position_embeddings.weight"][: ids.shape[1]]
            + table[f"{_EMBEDDINGS}token_type_embeddings.weight"][0]
        )
        state = self._norm(state, f"{_EMBEDDINGS}LayerNorm")
        for layer in range(self._shape.layers):
            name = _LAYER.format(layer)
            mixed = self._linear(self._attend(state, name), f"{name}attention.output.dense")
            state = self._norm(state + mixed, f"{name}attention.output.LayerNorm")
            wide = _gelu(self._linear(state, f"{name}intermediate.dense"))
            state = self._norm(
                state + self._linear(wide, f"{name}output.dense"), f"{name}output.LayerNorm"
            )
        means: Float32[np.ndarray, "texts hidden"] = state.mean(axis=1)
        return means

    def _attend(
        self, state: Float32[np.ndarray, "texts time hidden"], layer: str
    ) -> Float32[np.ndarray, "texts time hidden"]:
        texts, time, hidden = state.shape
        heads = self._shape.heads
        q, k, v = (
            # (B, T, H) -> (B, heads, T, H / heads)
            self._linear(state, f"{layer}attention.self.{part}")
            .reshape(texts, time, heads, hidden // heads)
            .transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 1, 3, 2) / np.float32((hidden // heads) ** 0.5)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        # (B, heads, T, H / heads) -> (B, T, H)
        mixed: Float32[np.ndarray, "texts time hidden"] = (
            (scores @ v).transpose(0, 2, 1, 3).reshape(state.shape)
        )
        return mixed

    def _linear(
        self, x: Float32[np.ndarray, "texts time wide"], name: str
    ) -> Float32[np.ndarray, "texts time out"]:
        rows = x.reshape(-1, x.shape[-1])  # one product of all rows, not one a text
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        product: Float32[np.ndarray, "rows out"] = rows @ weight.T
        product += bias
        shaped: Float32[np.ndarray, "texts time out"] = product.reshape(*x.shape[:-1], -1)
        return shaped

    def _norm(
        self, x: Float32[np.ndarray, "texts time hidden"], name: str
    ) -> Float32[np.ndarray, "texts time hidden"]:
        centred: Float32[np.ndarray, "texts time hidden"] = x - x.mean(axis=-1, keepdims=True)
        variance = (centred * centred).mean(axis=-1, keepdims=True)
        centred /= np.sqrt(variance + np.float32(self._shape.epsilon))
        centred *= self._weights[f"{name}.weight"]
        centred += self._weights[f"{name}.bias"]
        return centred


def load_bert(folder: Path) -> Bert:
    """Read a BERT encoder in the format of its publishers: ``config.json``, ``model.safetensors``.

    Raises:
        CheckpointError: a file is missing or damaged, or it is another kind of model.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "model.safetensors")
    except Exception as error:  # the reader of safetensors raises an exception of its own kind
        raise CheckpointError(
            f"{folder} does not hold a BERT encoder ({type(error).__name__}: {error})."
        ) from error
    return Bert(
        {name: np.asarray(value, dtype=np.float32) for name, value in weights.items()},
        _shape_of(config, folder),
    )


def _shape_of(config: Mapping[str, Any], folder: Path) -> BertShape:
    expected = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
    }
    wrong = [key for key, value in expected.items() if config.get(key, value) != value]
    if wrong or "num_hidden_layers" not in config or "num_attention_heads" not in config:
        raise CheckpointError(
            f"Expected a BERT encoder with exact GELU and absolute positions in {folder}, got "
            f"{', '.join(f'{key}: {config.get(key)}' for key in wrong) or 'another description'}."
        )
    return BertShape(
        config["num_hidden_layers"],
        config["num_attention_heads"],
        config.get("layer_norm_eps", 1e-12),
    )


def _names(layers: int) -> list[str]:
    tables = [
        f"{_EMBEDDINGS}{kind}_embeddings.weight" for kind in ("word", "position", "token_type")
    ]
    parts = [
        "attention.self.query", "attention.self.key", "attention.self.value",
        "attention.output.dense", "attention.output.LayerNorm", "intermediate.dense",
        "output.dense", "output.LayerNorm",
    ]  # fmt: skip
    modules = [
        f"{_EMBEDDINGS}LayerNorm",
        *(_LAYER.format(layer) + part for layer in range(layers) for part in parts),
    ]
    return [*tables, *(f"{module}.{kind}" for module in modules for kind in ("weight", "bias"))]


def _gelu(x: Float32[np.ndarray, "texts time wide"]) -> Float32[np.ndarray, "texts time wide"]:
    """Give ``x Phi(x)``, with the normal distribution function by its error function."""
    z = np.abs(x)
    z *= _SQRT_HALF
    t = 1 / (1 + _ERF_P * z)
    series = np.full_like(t, _ERF[-1])
    for factor in _ERF[-2::-1]:
        series *= t
        series += np.float32(factor)
    series *= t
    np.multiply(z, z, out=z)
    np.negative(z, out=z)
    series *= np.exp(z, out=z)  # 1 - erf(|x| / sqrt 2)
    series *= np.float32(0.5)
    phi: Float32[np.ndarray, "texts time wide"] = np.where(x < 0, series, 1 - series)
    phi *= x
    return phi
