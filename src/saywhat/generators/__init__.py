"""The Reverse Dialogue Generator: target sentence in, queries out."""

from saywhat.generators.base import Generator
from saywhat.generators.seq2seq import Seq2SeqGenerator

__all__ = ["Generator", "Seq2SeqGenerator"]
