"""The options of a ParlAI ``seq2seq`` agent: ``MODEL_FILE.opt``, JSON or (before 2019) a pickle.

A file lists hundreds of options; those here determine the replies. What is not given has ParlAI's
default. Options that saywhat does not follow are refused by name, never passed over.
"""

import json
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from saywhat.chatbots import plain_pickle
from saywhat.errors import CheckpointError

_AGENTS: Final = frozenset(
    {
        "",
        "seq2seq",
        "legacy:seq2seq:0",
        "parlai.agents.seq2seq.seq2seq:Seq2seqAgent",
        "parlai.agents.legacy_agents.seq2seq.seq2seq_v0:Seq2seqAgent",
    }
)
_ASK: Final = "ask ParlAI itself through `python:` or `command:`"


class ParlaiOptions(BaseModel):
    """The options that determine the replies, by ParlAI's names."""

    # values are never shown: a small pickle can hold one that takes for ever to write out
    model_config = ConfigDict(
        frozen=True, extra="ignore", protected_namespaces=(), hide_input_in_errors=True
    )

    model: str = ""
    hiddensize: int = Field(ge=1, le=32_768)
    embeddingsize: int = Field(ge=1, le=32_768)
    numlayers: int = Field(2, ge=1, le=64)
    rnn_class: Literal["lstm", "gru", "rnn"] = "lstm"
    bidirectional: bool = False
    decoder: Literal["same", "shared"] = "same"
    lookuptable: Literal["unique", "enc_dec", "dec_out", "all"] = "unique"
    attention: Literal["none", "concat", "general", "dot", "local"] = "none"
    attention_length: int = Field(48, ge=1, le=10_000)
    attention_time: Literal["pre", "post"] = "post"
    numsoftmax: int = Field(1, ge=1, le=100)
    softmax_layer_bias: bool = False

    dict_file: str = ""
    dict_tokenizer: str = "re"
    dict_lower: bool = False
    dict_max_ngram_size: int = -1
    dict_nulltoken: str = "__null__"
    dict_starttoken: str = "__start__"
    dict_endtoken: str = "__end__"
    dict_unktoken: str = "__unk__"
    special_tok_lst: str = ""
    fp16: bool = False
    force_fp16_tokens: bool = False

    truncate: int = -1
    text_truncate: int = 0
    label_truncate: int = 0
    person_tokens: bool = False
    add_p1_after_newln: bool = False
    split_lines: bool = False
    delimiter: str = "\n"
    history_size: int = -1
    history_reversed: bool = False
    history_add_global_end_token: str = ""

    inference: str = ""
    beam_size: int = Field(1, ge=1, le=1000)
    topk: int = 1
    beam_min_length: int = Field(1, ge=0)
    beam_length_penalty: float = Field(0.65, allow_inf_nan=False)
    beam_block_ngram: int = -1
    beam_context_block_ngram: int = -1
    beam_block_list_filename: str = ""
    beam_blacklist_filename: str = ""
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)

    @property
    def searches(self) -> bool:
        """Whether the last version searches with a beam; older files do not name the method."""
        method = self.inference or ("greedy" if self.beam_size == 1 else "beam")
        return method == "beam"


def read_options(path: Path) -> ParlaiOptions:
    """Read an options file.

    Args:
        path: of ``MODEL_FILE.opt``.

    Returns:
        The options that are known; nothing else of the file is kept.

    Raises:
        CheckpointError: it is missing or damaged, or an option has an impossible value.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"Expected the model's options at {path} ({error.strerror}); ParlAI writes this file "
            "beside the model: copy it too."
        ) from error
    try:
        # protocol 2 and later begin with this byte, which no JSON text does
        listed = plain_pickle.load(data) if data[:1] == b"\x80" else json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"Expected JSON or a pickle of plain values at {path}: {error!s:.200}. Nothing of it "
            "was run; write the options as JSON."
        ) from error
    if not isinstance(listed, dict):
        raise CheckpointError(f"Expected options by name in {path}, got {type(listed).__name__}.")
    given = {key: value for key, value in listed.items() if value is not None}
    if not isinstance(given.get("dict_file", ""), str):
        del given["dict_file"]  # it decides nothing, so it need not be one
    try:
        return ParlaiOptions.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise CheckpointError(f"Options in {path} cannot be used: {problems}.") from error


def check_followed(options: ParlaiOptions, path: Path, *, legacy: bool) -> None:
    """Check that saywhat replies as these options say.

    Args:
        options: of the model.
        path: of the options, for messages.
        legacy: whether the model is of version 0.

    Raises:
        CheckpointError: it does not; the message names each option and what to do.
    """
    problems = _unfollowed(options) + (_sampled(options) if legacy else _searched(options))
    if problems:
        raise CheckpointError(f"Options in {path} that cannot be used: {'; '.join(problems)}.")


def _unfollowed(options: ParlaiOptions) -> list[str]:
    problems = []
    if options.model not in _AGENTS:
        problems.append(
            f"model is {options.model!r:.100}: only the agents `legacy:seq2seq:0` and `seq2seq` "
            f"are read; if it replies as one of these, say so there, or {_ASK}"
        )
    if options.dict_tokenizer not in {"re", "split", "space"}:
        problems.append(
            f"dict_tokenizer is {options.dict_tokenizer!r:.50}: only re, split and space are "
            f"known, and another one would feed the model other words; {_ASK}"
        )
    if options.dict_max_ngram_size > 1:
        problems.append("dict_max_ngram_size is above 1: tokens of several words are not known")
    specials = (
        options.dict_nulltoken, options.dict_starttoken, options.dict_endtoken,
        options.dict_unktoken,
    )  # fmt: skip
    if "" in specials or len(set(specials)) < 4:
        problems.append("the four special tokens of the dictionary are not four different texts")
    return problems


def _sampled(options: ParlaiOptions) -> list[str]:
    if options.beam_size == 1 and options.topk != 1:
        return [f"topk is {options.topk}: replies would be drawn; set it to 1, or {_ASK}"]
    return []


def _searched(options: ParlaiOptions) -> list[str]:
    problems = []
    if options.inference not in {"", "greedy", "beam"}:
        problems.append(
            f"inference is {options.inference!r:.50}: only greedy and beam are followed; set one "
            f"of them, or {_ASK}"
        )
    if options.inference == "greedy" and options.beam_size != 1:
        problems.append("inference is greedy with a beam_size: set beam_size to 1")
    problems += [
        f"{name} is above 0: nothing is blocked; set it to -1, or {_ASK}"
        for name in ("beam_block_ngram", "beam_context_block_ngram")
        if getattr(options, name) > 0
    ]
    return problems + [
        f"{name} is given: this is not followed; take it out, or {_ASK}"
        for name in ("beam_block_list_filename", "beam_blacklist_filename", "special_tok_lst")
        if getattr(options, name)
    ]
