"""A chatbot that is a checkpoint of ParlAI's ``seq2seq`` agent, such as the paper's.

Its weights run in saywhat's own network (``saywhat.nn.parlai``); ParlAI is not needed. Replies are
those of the agent for the first message of a new conversation, asked alone: each query is. The
same query gets the same reply in any company: ParlAI's own may change with the rest of a batch,
where a beam ends later or ``local`` attention sees padding.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, final

import torch

from saywhat.chatbots.batches import check_text
from saywhat.chatbots.parlai_dictionary import PERSON, ParlaiDictionary
from saywhat.chatbots.parlai_options import ParlaiOptions, check_followed, read_options
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import CheckpointError
from saywhat.nn.parlai import ParlaiSeq2Seq, ParlaiShape
from saywhat.nn.parlai_checkpoint import build, check_shared, is_legacy, read_states
from saywhat.nn.parlai_decoding import BeamRule, beam, greedy
from saywhat.nn.steppers import BLOCK
from saywhat.runs.files import file_hash
from saywhat.text.vocabulary import BOS, EOS, PAD

_CODE: Final = "parlai-1"  # part of the fingerprint: new whenever this code may reply otherwise
_TILE: Final = 128  # rows computed together; fewer where each is searched with a beam
_WIDTH_STEP: Final = 8
_LONGEST: Final = 256  # tokens of a reply, where the last version is not told


@dataclasses.dataclass(frozen=True, slots=True)
class ParlaiParts:
    """What a chatbot is made of.

    Attributes:
        network: the weights.
        dictionary: its words.
        options: as ParlAI wrote them.
        search: the beam search; ``None`` is greedy.
        max_tokens: of a greedy reply.
    """

    network: ParlaiSeq2Seq
    dictionary: ParlaiDictionary
    options: ParlaiOptions
    search: BeamRule | None
    max_tokens: int


@final
class ParlaiChatbot:
    """Answers as the agent would, with the decoding that its options name.

    Args:
        parts: what was read.
        name: for tables.
        fingerprint: hash of the files.
    """

    def __init__(self, parts: ParlaiParts, *, name: str, fingerprint: str) -> None:
        self._parts, self._name, self._fingerprint = parts, name, fingerprint

    @classmethod
    def load(cls, model_file: Path) -> "ParlaiChatbot":
        """Load a model file and the ``.opt`` and ``.dict`` files beside it.

        Raises:
            CheckpointError: a file is missing, damaged, of another kind or does not fit.
        """
        files = [Path(f"{model_file}{end}") for end in ("", ".opt", ".dict")]
        identity = json.dumps([_CODE, *map(file_hash, files)])
        parts = _read(*files)
        fingerprint = hashlib.sha256(identity.encode()).hexdigest()
        return cls(parts, name=model_file.name, fingerprint=fingerprint)

    @property
    def name(self) -> str:
        """See ``Chatbot``."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """See ``Chatbot``."""
        return self._fingerprint

    def reply(self, queries: Sequence[str]) -> list[str]:
        """See ``Chatbot``. A query without any token gets an empty reply: the agent gives none."""
        for query in queries:
            check_text(query)
        sources = [_source(query, self._parts) for query in queries]
        replies = [""] * len(sources)
        for tile in _tiles(sources, self._parts):
            texts = self._reply_tile([sources[index] for index in tile])
            for index, text in zip(tile, texts, strict=True):
                replies[index] = text
        return replies

    @torch.no_grad()
    def _reply_tile(self, sources: list[list[int]]) -> list[str]:
        rows = -(-len(sources) // BLOCK) * BLOCK
        width = _width(max(map(len, sources)))
        filled = sources + [[EOS]] * (rows - len(sources))
        source = torch.tensor([ids + [PAD] * (width - len(ids)) for ids in filled])
        parts = self._parts
        memory = parts.network.encode(source)
        if parts.search is None:
            texts = greedy(parts.network, memory, max_tokens=parts.max_tokens)
        else:
            texts = beam(parts.network, memory, parts.search)
        return [self._text(ids) for ids in texts[: len(sources)]]

    def _text(self, ids: list[int]) -> str:
        if self._parts.network.shape.legacy:
            # version 0 stops at an end symbol but not at the first place: it says it
            return self._parts.dictionary.decode(ids or [EOS])
        return self._parts.dictionary.decode([index for index in ids if index != BOS])


def make(model_file: str, _: ConnectionSettings, __: ModelSettings) -> ParlaiChatbot:
    """Make the chatbot of a ParlAI model file: the factory of ``parlai:MODEL_FILE``.

    Raises:
        CheckpointError: the file, or one beside it, cannot be used.
    """
    return ParlaiChatbot.load(Path(model_file))


def _read(model_file: Path, opt_file: Path, dict_file: Path) -> ParlaiParts:
    states = read_states(model_file)
    tensors = states.tensors
    legacy = is_legacy(tensors, model_file)
    options = read_options(opt_file)
    check_followed(options, opt_file, legacy=legacy)
    if not dict_file.is_file():
        raise CheckpointError(
            f"Expected the model's dictionary at {dict_file}; there is none. ParlAI may have kept "
            f"it elsewhere (the options say {options.dict_file[:200]!r}): copy it there."
        )
    dictionary = ParlaiDictionary.read(dict_file, options, legacy=legacy)
    table = tensors.get("decoder.lt.weight")
    rows = table.shape[0] if table is not None and table.dim() == 2 else 0
    if rows != len(dictionary):
        raise CheckpointError(
            f"{dict_file} lists {len(dictionary):,} tokens, special ones included, and the weights "
            f"in {model_file} are for {rows:,}: one of them belongs to another model. (A model "
            "trained in half precision needs `fp16` or `force_fp16_tokens` in its options.)"
        )
    network = build(_shape(options, rows, legacy=legacy), states, model_file)
    check_shared(
        tensors,
        model_file,
        lookuptable=options.lookuptable,
        shared_layers=options.decoder == "shared",
    )
    search, limit = _decoding(options, states.longest, legacy=legacy)
    if search is not None and search.beams > rows - 2:
        raise CheckpointError(f"A beam_size of {search.beams} is too large for {rows} tokens.")
    return ParlaiParts(network, dictionary, options, search, limit)


def _shape(options: ParlaiOptions, vocabulary: int, *, legacy: bool) -> ParlaiShape:
    return ParlaiShape(
        vocabulary=vocabulary,
        embedding=options.embeddingsize,
        hidden=options.hiddensize,
        layers=options.numlayers,
        cell=options.rnn_class,
        bidirectional=options.bidirectional,
        attention=options.attention,
        attends_first=options.attention_time == "pre",
        window=options.attention_length,
        mixtures=options.numsoftmax,
        output_bias=options.softmax_layer_bias if legacy else True,
        legacy=legacy,
    )


def _decoding(options: ParlaiOptions, longest: int, *, legacy: bool) -> tuple[BeamRule | None, int]:
    """Give the beam search, if there is one, and the longest greedy reply."""
    beams = options.beam_size
    if legacy:
        # as long as the longest label of training; half of the beam must have ended
        return BeamRule(beams, longest, beams / 2) if beams > 1 else None, longest
    label_truncate = options.label_truncate or options.truncate
    limit = label_truncate if label_truncate > 0 else _LONGEST
    if not options.searches:
        return None, limit - 1  # a reply that does not end has its last symbol cut
    rule = BeamRule(
        beams,
        limit,
        enough=float(beams),
        min_tokens=options.beam_min_length,
        length_penalty=options.beam_length_penalty,
        temperature=options.temperature,
    )
    return rule, limit


def _source(query: str, parts: ParlaiParts) -> list[int]:
    """Give the ids that the encoder reads; ``[]`` where the agent gives no reply."""
    options, dictionary = parts.options, parts.dictionary
    if not parts.network.shape.legacy:
        ids = _last_source(query, options, dictionary)
    else:
        text = f"{options.dict_endtoken} {query}" if options.person_tokens else query
        ids = dictionary.encode(text) if text else []
        ids = ids[-options.truncate :] if options.truncate > 0 else ids
    return ids if any(ids) else []  # padding only, which a query can spell out


def _last_source(query: str, options: ParlaiOptions, dictionary: ParlaiDictionary) -> list[int]:
    texts = query.split("\n") if options.split_lines else [query]
    if options.person_tokens:
        head, line_end, last = "", "", query
        if options.add_p1_after_newln:
            head, line_end, last = query.rpartition("\n")
        texts = [f"{head}{line_end}{PERSON} {last}"] * len(texts)  # ParlAI repeats them all
    if options.history_size > 0:
        texts = texts[-options.history_size :]
    if not options.delimiter.join(texts):
        return []
    ids = dictionary.encode(texts[0])
    for text in texts[1:]:
        ids += dictionary.encode(options.delimiter) + dictionary.encode(text)
    if options.history_add_global_end_token:
        ids.append(EOS)
    limit = options.text_truncate or options.truncate
    if options.history_reversed:
        ids.reverse()
        return ids[:limit] if limit >= 0 else ids
    return ids[-limit:] if limit > 0 else ids


def _tiles(sources: list[list[int]], parts: ParlaiParts) -> Iterator[list[int]]:
    """Give the places of sources that are computed together: of like length, at most a tile."""
    beams = 1 if parts.search is None else parts.search.beams
    size = max(BLOCK, _TILE // beams // BLOCK * BLOCK)
    # how attention rounds depends on the width, which must be the query's own
    attends = parts.network.attention is not None
    groups: dict[int, list[int]] = {}
    for place, source in enumerate(sources):
        if source:
            groups.setdefault(_width(len(source)) if attends else 0, []).append(place)
    for places in groups.values():
        places.sort(key=lambda place: len(sources[place]))
        yield from (places[start : start + size] for start in range(0, len(places), size))


def _width(length: int) -> int:
    return -(-length // _WIDTH_STEP) * _WIDTH_STEP
