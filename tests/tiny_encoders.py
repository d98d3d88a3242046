"""A tiny sentence encoder with random weights: the same on every machine."""

import numpy as np

from saywhat.similarity.bert import Bert, BertShape
from saywhat.similarity.sentence_encoder import SentenceEncoder
from saywhat.text.wordpiece import WordPiece

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789'?!:()."
PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *LETTERS,
    *(f"##{c}" for c in LETTERS),
    "good",
    "##od",
]
SHAPE = BertShape(layers=2, heads=2)


def bert_weights(
    *, hidden: int = 8, wide: int = 12, layers: int = 2, positions: int = 48, seed: int = 3
) -> dict[str, np.ndarray]:
    """Give random weights under the names of a checkpoint."""
    rng = np.random.default_rng(seed)
    inside = {
        "attention.self.query": (hidden, hidden), "attention.self.key": (hidden, hidden),
        "attention.self.value": (hidden, hidden), "attention.output.dense": (hidden, hidden),
        "intermediate.dense": (wide, hidden), "output.dense": (hidden, wide),
    }  # fmt: skip
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(PIECES), hidden),
        "embeddings.position_embeddings.weight": (positions, hidden),
        "embeddings.token_type_embeddings.weight": (2, hidden),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(layers):
        name = f"encoder.layer.{layer}."
        for part, shape in inside.items():
            shapes[f"{name}{part}.weight"], shapes[f"{name}{part}.bias"] = shape, shape[:1]
        norms += [f"{name}attention.output.LayerNorm", f"{name}output.LayerNorm"]
    for norm in norms:
        shapes[f"{norm}.weight"] = shapes[f"{norm}.bias"] = (hidden,)
    return {n: rng.normal(size=shape).astype(np.float32) for n, shape in shapes.items()}


def tiny_encoder() -> SentenceEncoder:
    """Give an encoder of 8 units that reads 48 pieces."""
    return SentenceEncoder(Bert(bert_weights(), SHAPE), WordPiece(PIECES), max_pieces=48)
