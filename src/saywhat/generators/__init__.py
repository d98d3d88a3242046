"""The Reverse Dialogue Generator: target sentence in, queries out."""

from saywhat.generators.base import Generator, ProposesDiversely
from saywhat.generators.seq2seq import Seq2SeqGenerator

__all__ = ["Generator", "ProposesDiversely", "Seq2SeqGenerator"]
