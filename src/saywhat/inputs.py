"""What a run is made from: names in the settings to targets, reference corpus and generator."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from saywhat.config import SimilaritySettings
from saywhat.corpora.files import read_pairs
from saywhat.corpora.targets import limit_per_group, read_targets
from saywhat.errors import UnknownNameError
from saywhat.interfaces import Similarity
from saywhat.records import Pair, Target
from saywhat.registry import ASSETS
from saywhat.similarity.make import make_similarity
from saywhat.text.normalise import length_group, word_count

if TYPE_CHECKING:
    from saywhat.generators import Seq2SeqGenerator

MAX_TARGET_WORDS: Final = 100
ONE_SENTENCE: Final = "text:"


def load_targets(name: str, *, limit: int | None = None) -> list[Target]:
    """Read a built-in list (``test``, ``validation``), a file, or ``text:`` and one sentence.

    ``limit`` keeps the first of each group.

    Raises:
        UnknownNameError: neither a built-in list nor a path.
        CorpusError: the file cannot be used.
    """
    if name.startswith(ONE_SENTENCE) and (text := name.removeprefix(ONE_SENTENCE).strip()):
        return [Target(text, length=length_group(text))]
    built_in = {path.stem: path for path in (ASSETS / "targets").glob("*.jsonl")}
    path = built_in.get(name, Path(name))
    if name not in built_in and not path.exists() and path.suffix == "" and "/" not in name:
        raise UnknownNameError(
            "target list", name, [*built_in, "a path of a .txt, .csv, .tsv or .jsonl file"]
        )
    return limit_per_group(read_targets(path), limit)


def load_reference(name: str) -> list[Pair]:
    """Read a reference corpus: ``builtin``, ``none`` or a path."""
    if name == "none":
        return []
    return read_pairs(ASSETS / "reference.jsonl.xz" if name == "builtin" else Path(name))


def load_generator(spec: str) -> "Seq2SeqGenerator":
    """Load a generator: ``builtin`` or a folder.

    Raises:
        CheckpointError: the folder does not hold one.
    """
    from saywhat.generators import Seq2SeqGenerator  # noqa: PLC0415  (a plan needs no torch)

    return Seq2SeqGenerator.load(ASSETS / "generator" if spec == "builtin" else Path(spec))


def load_similarity(settings: SimilaritySettings) -> Similarity:
    """Make the similarity that settings name, centred by the built-in chatbot's training text."""
    return make_similarity(settings.name, vectors=settings.vectors, centre=ASSETS / "centre.npy")


def unmeasurable(targets: Iterable[Target], similarity: Similarity) -> dict[str, str]:
    """Give the targets that cannot be measured: text -> why."""
    reasons = ((target.text, _unmeasurable(target.text, similarity)) for target in targets)
    return {text: reason for text, reason in reasons if reason}


def _unmeasurable(text: str, similarity: Similarity) -> str:
    words = word_count(text)
    if words > MAX_TARGET_WORDS:
        return f"too long: {words:,} words, at most {MAX_TARGET_WORDS} can be asked for"
    if not similarity.measurable(text):
        return "no word that the similarity knows"
    return ""
