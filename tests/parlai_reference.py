"""ParlAI's seq2seq agents once more, from the definition of their checkpoints, to compare with.

Modules are torch's own, in the places and under the names that the format gives them, so that
``state_dict`` writes it. A conversation is one message, read alone: there is no batch, no padding
and no shortcut. Agent ``legacy:seq2seq:0`` is ``legacy=True``; else it is the last ``seq2seq``.
"""

import json
import math
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

PAD, START, END, UNK = 0, 1, 2, 3
SPECIALS = ["__null__", "__start__", "__end__", "__unk__"]
RNNS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
WORDS = "hi how are you see tomorrow i don t know ? , . ! no yes well why not me".split()

State = tuple[Tensor, ...]


class Attention(nn.Module):
    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__()
        hidden, outputs = opt["hiddensize"], opt["hiddensize"] * (1 + opt["bidirectional"])
        read = opt["embeddingsize"] if opt["attention_time"] == "pre" else hidden
        self.kind, self.length = opt["attention"], opt["attention_length"]
        if self.kind == "none":
            return
        self.attn_combine = nn.Linear(outputs + read, read, bias=False)
        if self.kind == "general":
            self.attn = nn.Linear(hidden, outputs, bias=False)
        if self.kind == "concat":
            self.attn = nn.Linear(hidden + outputs, hidden, bias=False)
            self.attn_v = nn.Linear(hidden, 1, bias=False)
        if self.kind == "local":
            self.attn = nn.Linear(hidden + read, self.length, bias=False)

    def forward(self, read: Tensor, top: Tensor, outputs: Tensor) -> Tensor:
        """read: (I,), top: (H,), outputs: (S, F)."""
        if self.kind == "local":
            shares = self.attn(torch.cat([read, top])).softmax(0)
            outputs = outputs[-self.length :]
            shares = shares[: len(outputs)]
        else:
            shares = torch.stack([self.score(top, output) for output in outputs]).softmax(0)
        context = sum(share * output for share, output in zip(shares, outputs, strict=True))
        return torch.tanh(self.attn_combine(torch.cat([context.new_tensor([]), read, context])))

    def score(self, top: Tensor, output: Tensor) -> Tensor:
        if self.kind == "dot":
            return output @ torch.cat([top] * (len(output) // len(top)))
        if self.kind == "general":
            return output @ self.attn(top)
        return self.attn_v(torch.tanh(self.attn(torch.cat([output, top]))))[0]


class Encoder(nn.Module):
    def __init__(self, opt: dict[str, Any], tokens: int) -> None:
        super().__init__()
        self.lt = nn.Embedding(tokens, opt["embeddingsize"], padding_idx=PAD)
        self.rnn = RNNS[opt["rnn_class"]](
            opt["embeddingsize"],
            opt["hiddensize"],
            opt["numlayers"],
            batch_first=True,
            bidirectional=opt["bidirectional"],
        )


class Decoder(nn.Module):
    def __init__(self, opt: dict[str, Any], tokens: int) -> None:
        super().__init__()
        embedding, hidden = opt["embeddingsize"], opt["hiddensize"]
        self.lt = nn.Embedding(tokens, embedding, padding_idx=PAD)
        self.rnn = RNNS[opt["rnn_class"]](embedding, hidden, opt["numlayers"], batch_first=True)
        self.attention = Attention(opt)


class Output(nn.Module):
    """The output layer of the last version."""

    def __init__(self, opt: dict[str, Any], tokens: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(tokens))
        self.weight = nn.Parameter(torch.zeros(tokens, opt["embeddingsize"]))
        add_features(self, opt, bias=True)


def add_features(module: nn.Module, opt: dict[str, Any], *, bias: bool) -> None:
    embedding, hidden, mixed = opt["embeddingsize"], opt["hiddensize"], opt["numsoftmax"]
    if mixed > 1:
        module.prior = nn.Linear(hidden, mixed, bias=False)
        module.latent = nn.Linear(hidden, mixed * embedding)
    elif hidden != embedding:
        module.o2e = nn.Linear(hidden, embedding, bias=bias)


DEFAULTS: dict[str, Any] = {
    "hiddensize": 8, "embeddingsize": 6, "numlayers": 2, "rnn_class": "lstm",
    "bidirectional": False, "attention": "none", "attention_length": 3, "attention_time": "post",
    "decoder": "same", "lookuptable": "unique", "numsoftmax": 1, "dropout": 0.1,
    "dict_tokenizer": "re", "dict_lower": True, "truncate": -1, "person_tokens": False,
    "beam_size": 1, "rank_candidates": False, "optimizer": "sgd", "batchsize": 64,
}  # fmt: skip


class Reference(nn.Module):
    """The network, with random weights.

    Args:
        legacy: which version.
        words: of the dictionary, after the special ones.
        seed: of the weights.
        longest: the longest label that training saw.
        options: in place of ``DEFAULTS``.
    """

    def __init__(
        self,
        *,
        legacy: bool = True,
        words: list[str] | None = None,
        seed: int = 0,
        longest: int = 12,
        **options: Any,
    ) -> None:
        super().__init__()
        self.legacy, self.longest = legacy, longest
        named = {"model": "legacy:seq2seq:0" if legacy else "seq2seq"}
        self.opt = opt = {**DEFAULTS, **named, **options}
        self.tokens = SPECIALS + (WORDS if words is None else words)
        count = len(self.tokens)
        self.register_buffer("START", torch.tensor([START]))
        self.decoder, self.encoder = Decoder(opt, count), Encoder(opt, count)
        table = opt["lookuptable"]
        if table in {"enc_dec", "all"}:
            self.encoder.lt = self.decoder.lt
        if opt["decoder"] == "shared":
            self.encoder.rnn = self.decoder.rnn
        if legacy:
            add_features(self.decoder, opt, bias=False)
            bias = opt.get("softmax_layer_bias", False)
            self.decoder.e2s = nn.Linear(opt["embeddingsize"], count, bias=bias)
            if table in {"dec_out", "all"}:
                self.decoder.e2s.weight = self.decoder.lt.weight
        else:
            self.output = Output(opt, count)
            if table in {"dec_out", "all"}:
                self.output.weight = self.decoder.lt.weight
        rng = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-1.5, 1.5, generator=rng)
        self.requires_grad_(requires_grad=False)

    @torch.no_grad()
    def encode(self, ids: list[int]) -> tuple[Tensor, State]:
        """Give the encoder's outputs, (S, F), and the decoder's first state, each (L, H)."""
        outputs, last = self.encoder.rnn(self.encoder.lt(torch.tensor([ids])))
        states = last if isinstance(last, tuple) else (last,)
        merged = []
        for state in states:
            if self.opt["bidirectional"]:
                # torch: layer 0 forward, layer 0 backward, layer 1 forward, ...
                there, back = state[0::2, 0], state[1::2, 0]
                merged.append(torch.maximum(there, back) if self.legacy else there + back)
            else:
                merged.append(state[:, 0])
        return outputs[0], tuple(merged)

    @torch.no_grad()
    def step(self, token: int, state: State, outputs: Tensor) -> tuple[Tensor, State]:
        """Give the logits of the next token, (V,), and the next state."""
        attends, first = self.opt["attention"] != "none", self.opt["attention_time"] == "pre"
        read = self.decoder.lt.weight[token]
        if attends and first:
            read = self.decoder.attention(read, state[0][-1], outputs)
        given = tuple(part[:, None].contiguous() for part in state)
        written, new = self.decoder.rnn(read[None, None], given if len(given) == 2 else given[0])
        features = written[0, 0]
        state = tuple(part[:, 0] for part in (new if isinstance(new, tuple) else (new,)))
        if attends and not first:
            features = self.decoder.attention(features, state[0][-1], outputs)
        return self.logits(features), state

    def logits(self, features: Tensor) -> Tensor:
        layer = self.decoder if self.legacy else self.output
        weight = self.decoder.e2s.weight if self.legacy else self.output.weight
        bias = self.decoder.e2s.bias if self.legacy else self.output.bias
        bias = 0.0 if bias is None else bias
        if self.opt["numsoftmax"] > 1:
            parts = torch.tanh(layer.latent(features)).split(self.opt["embeddingsize"])
            shares = layer.prior(features).softmax(0)
            each = [(weight @ part + bias).softmax(0) for part in parts]
            logits = sum(share * one for share, one in zip(shares, each, strict=True)).log()
        else:
            if self.opt["hiddensize"] != self.opt["embeddingsize"]:
                features = layer.o2e(features)
            logits = weight @ features + bias
        if not self.legacy:
            logits[PAD] = -1e20
        return logits

    def greedy(self, ids: list[int]) -> list[int]:
        """Give the ids that the agent writes, its end symbol included where it comes to one."""
        limit = self.longest if self.legacy else self.opt.get("label_truncate", 256)
        outputs, state = self.encode(ids)
        written = [START]
        while len(written) <= limit and written[-1] != END:
            logits, state = self.step(written[-1], state, outputs)
            logits[PAD] = -math.inf
            written.append(int(logits.argmax()))
        if not self.legacy and written[-1] != END:
            written[-1] = END
        return written[1:]

    def beam(self, ids: list[int]) -> list[int]:
        """The same by beam search, one hypothesis at a time."""
        size, limit = self.opt["beam_size"], self.longest
        power, enough, shortest, temperature = 0.65, size / 2, 0, 1.0
        if not self.legacy:
            limit, enough = self.opt.get("label_truncate", 256), size
            power = self.opt.get("beam_length_penalty", 0.65)
            shortest = self.opt.get("beam_min_length", 1)
            temperature = self.opt.get("temperature", 1.0)
        outputs, state = self.encode(ids)
        beam = [([START], 0.0, state)]
        finished: list[tuple[float, list[int]]] = []
        led = False
        for step in range(1, limit + 1):
            if led and len(finished) >= enough:
                break
            grown = []
            for text, score, before in beam:
                if text[-1] == END:
                    continue
                logits, after = self.step(text[-1], before, outputs)
                log_probs = (logits / temperature).log_softmax(0)
                if step <= shortest:
                    log_probs[END] = -1e20
                grown += [
                    ([*text, token], score + float(log_prob), after)
                    for token, log_prob in enumerate(log_probs)
                ]
            beam = sorted(grown, key=lambda one: -one[1])[:size]
            penalty = ((1 + step + 1) / 6) ** power
            finished += [(score / penalty, text) for text, score, _ in beam if text[-1] == END]
            led = led or beam[0][0][-1] == END
        if not finished:
            return [*beam[0][0][1:-1], END]
        return max(finished, key=lambda one: one[0])[1][1:]

    def reply(self, query: str) -> str:
        """Give the reply to a text, for the ``re`` tokenizer in lower case."""
        ids = [
            self.tokens.index(word) if word in self.tokens else UNK
            for word in re.findall(r"\w+|[^\w\s]|\n", query.lower())
        ]
        if not ids:
            return ""
        written = self.greedy(ids) if self.opt["beam_size"] == 1 else self.beam(ids)
        if self.legacy:
            end = written.index(END, 1) if END in written[1:] else len(written)
            return " ".join(self.tokens[index] for index in written[:end])
        kept = written[: written.index(END)]
        return " ".join(self.tokens[index] for index in kept if index != START)


def write(reference: Reference, folder: Path, *, old: bool | None = None) -> Path:
    """Write the three files of a model.

    Args:
        reference: the model.
        folder: where to.
        old: whether torch's format of before 2020 and a pickle of the options are used, as
            version 0 did; ``None``: if the model is of that version.

    Returns:
        The model file.
    """
    path = folder / "model"
    old = reference.legacy if old is None else old
    states = {
        "model": reference.state_dict(),
        "longest_label": reference.longest,
        "optimizer": {"state": {}, "param_groups": [{"lr": 1.0, "params": [0]}]},
        "optimizer_type": "sgd",
    }
    torch.save(states, path, _use_new_zipfile_serialization=not old)
    opt_file, dict_file = path.with_name("model.opt"), path.with_name("model.dict")
    if old:
        opt_file.write_bytes(pickle.dumps(reference.opt, protocol=4))
    else:
        opt_file.write_text(json.dumps(reference.opt))
    lines = [token.replace("\n", "\\n") + "\t7\n" for token in reference.tokens]
    dict_file.write_text("".join(lines), encoding="utf-8")
    return path
