import contextlib
import dataclasses
import io
import itertools
import json
import pickle
import random
import re
import tarfile
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from saywhat.chatbots import plain_pickle
from saywhat.chatbots.parlai import ParlaiChatbot, _source, _tiles, make
from saywhat.chatbots.parlai_dictionary import ParlaiDictionary
from saywhat.chatbots.parlai_options import ParlaiOptions
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import CheckpointError
from saywhat.nn.parlai import ParlaiShape
from saywhat.nn.parlai_checkpoint import build, read_states
from tests.parlai_reference import END, PAD, WORDS, Reference, write

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "chatbots" / "parlai.md"
SOURCES = [[4, 5, 6], [7], [8, 9, 10, 11, 12, 13, 14], [3, 4]]
ATTENTIONS = ["none", "general", "dot", "concat", "local"]
VERSIONS = pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "last"])


def queries(count: int, longest: int = 14) -> list[str]:
    rng = random.Random(3)  # noqa: S311
    words = [*WORDS, "Unheard", "HI"]
    return [" ".join(rng.choices(words, k=rng.randint(1, longest))) for _ in range(count)]


def network_of(reference: Reference, folder: Path) -> Any:
    path = write(reference, folder)
    states = read_states(path)
    assert states.longest == reference.longest
    opt = reference.opt
    shape = ParlaiShape(
        vocabulary=len(reference.tokens),
        embedding=opt["embeddingsize"],
        hidden=opt["hiddensize"],
        layers=opt["numlayers"],
        cell=opt["rnn_class"],
        bidirectional=opt["bidirectional"],
        attention=opt["attention"],
        attends_first=opt["attention_time"] == "pre",
        window=opt["attention_length"],
        mixtures=opt["numsoftmax"],
        output_bias=opt.get("softmax_layer_bias", not reference.legacy),
        legacy=reference.legacy,
    )
    return build(shape, states, path)


def assert_layers_agree(reference: Reference, folder: Path) -> None:
    """Embeddings, encoder outputs and states, and logits of forced steps: ours against theirs."""
    network = network_of(reference, folder)
    width = max(map(len, SOURCES))
    batch = torch.tensor([ids + [PAD] * (width - len(ids)) for ids in SOURCES])
    assert torch.equal(network.encoder_embedding(batch), reference.encoder.lt(batch))
    assert torch.equal(network.decoder_embedding(batch), reference.decoder.lt(batch))
    memory = network.encode(batch)
    theirs = [reference.encode(ids) for ids in SOURCES]
    for row, (outputs, state) in enumerate(theirs):
        torch.testing.assert_close(memory.state[:, :, row], torch.stack(state))
        if reference.opt["attention"] != "none":
            read = len(outputs)
            torch.testing.assert_close(memory.outputs[row, :read], outputs)
            assert not memory.outputs[row, read:].any()
    states = [state for _, state in theirs]
    for token in (1, 5, 9, 2, 6):
        logits, memory = network.step(torch.full((len(SOURCES),), token), memory)
        for row, (outputs, _) in enumerate(theirs):
            expected, states[row] = reference.step(token, states[row], outputs)
            torch.testing.assert_close(logits[row], expected, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(memory.state[:, :, row], torch.stack(states[row]))


class TestLayers:
    @VERSIONS
    @pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "two-way"])
    @pytest.mark.parametrize(
        ("cell", "attention"),
        [*itertools.product(["lstm", "gru"], ATTENTIONS), ("rnn", "none"), ("rnn", "dot")],
    )
    def test_cells_directions_and_attention(
        self, cell: str, attention: str, bidirectional: bool, legacy: bool, tmp_path: Path
    ) -> None:
        options = {"rnn_class": cell, "attention": attention, "bidirectional": bidirectional}
        assert_layers_agree(Reference(legacy=legacy, **options), tmp_path)

    @VERSIONS
    @pytest.mark.parametrize("attention", ATTENTIONS[1:])
    def test_attention_before_the_decoder(
        self, attention: str, legacy: bool, tmp_path: Path
    ) -> None:
        options = {"attention": attention, "attention_time": "pre", "bidirectional": True}
        assert_layers_agree(Reference(legacy=legacy, **options), tmp_path)

    @VERSIONS
    @pytest.mark.parametrize("table", ["unique", "enc_dec", "dec_out", "all"])
    def test_shared_embeddings(self, table: str, legacy: bool, tmp_path: Path) -> None:
        assert_layers_agree(Reference(legacy=legacy, lookuptable=table), tmp_path)
        network = network_of(Reference(legacy=legacy, lookuptable=table), tmp_path)
        places = {
            module.weight.data_ptr()
            for module in (network.encoder_embedding, network.decoder_embedding, network.output)
        }
        # what is shared in the file takes memory once
        assert len(places) == {"unique": 3, "enc_dec": 2, "dec_out": 2, "all": 1}[table]

    @VERSIONS
    @pytest.mark.parametrize(
        "options",
        [
            {"embeddingsize": 8},
            {"numsoftmax": 3},
            {"numsoftmax": 2, "embeddingsize": 8},
            {"numlayers": 1},
            {"numlayers": 3, "attention": "general"},
            {"decoder": "shared"},
            {"attention": "local", "attention_length": 20},
        ],
        ids=str,
    )
    def test_other_options(self, options: dict[str, Any], legacy: bool, tmp_path: Path) -> None:
        assert_layers_agree(Reference(legacy=legacy, **options), tmp_path)

    def test_a_bias_in_the_output_layer_of_version_0(self, tmp_path: Path) -> None:
        assert_layers_agree(Reference(softmax_layer_bias=True), tmp_path)

    @VERSIONS
    def test_half_precision_is_read_as_single(self, legacy: bool, tmp_path: Path) -> None:
        reference = Reference(legacy=legacy, lookuptable="all").half().float()  # rounded, once
        reference.load_state_dict({k: v.half() for k, v in reference.state_dict().items()})
        path = write(reference, tmp_path)
        states = torch.load(path, weights_only=True)
        states["model"] = {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in states["model"].items()
        }
        torch.save(states, path)
        chatbot = ParlaiChatbot.load(path)
        assert chatbot.reply(queries(5)) == [reference.reply(query) for query in queries(5)]


CASES: list[dict[str, Any]] = [
    {},
    {"rnn_class": "gru", "attention": "general"},
    {"bidirectional": True, "attention": "dot", "lookuptable": "all"},
    {"bidirectional": True, "rnn_class": "gru", "numsoftmax": 2},
    {"attention": "local", "attention_time": "pre", "lookuptable": "dec_out"},
]


class TestReplies:
    @VERSIONS
    @pytest.mark.parametrize("beams", [1, 4])
    @pytest.mark.parametrize("options", CASES, ids=str)
    def test_they_are_those_of_the_agent(
        self, options: dict[str, Any], beams: int, legacy: bool, tmp_path: Path
    ) -> None:
        asked, replies = queries(10), set()
        for seed in range(2):
            reference = Reference(legacy=legacy, seed=seed, beam_size=beams, **options)
            if not legacy:
                reference.opt["label_truncate"] = 12
            chatbot = ParlaiChatbot.load(write(reference, tmp_path))
            expected = [reference.reply(query) for query in asked]
            assert chatbot.reply(asked) == expected
            replies |= set(expected)
        assert len(replies) > 5  # it is not one reply that agrees

    @pytest.mark.parametrize(
        "options",
        [
            {"beam_min_length": 6},
            {"beam_length_penalty": 3.0},
            {"temperature": 0.3},
            {"inference": "beam", "beam_size": 1, "beam_min_length": 4},
        ],
        ids=str,
    )
    def test_settings_of_the_beam(self, options: dict[str, Any], tmp_path: Path) -> None:
        plain = {"beam_size": 4, "label_truncate": 12, "lookuptable": "all"}

        def made(seed: int, **options: Any) -> Reference:
            reference = Reference(legacy=False, seed=seed, **{**plain, **options})
            reference.output.bias[END] = 2.0  # many hypotheses end
            return reference

        asked, differs = queries(8), 0
        for seed in range(3):
            reference = made(seed, **options)
            replies = ParlaiChatbot.load(write(reference, tmp_path)).reply(asked)
            if reference.opt["beam_size"] == 1:  # the agent would take the best of one
                expected = [self._of_one(reference, query) for query in asked]
            else:
                expected = [reference.reply(query) for query in asked]
            assert replies == expected
            differs += replies != ParlaiChatbot.load(write(made(seed), tmp_path)).reply(asked)
        assert differs  # the setting matters in this test

    def _of_one(self, reference: Reference, query: str) -> str:
        words = query.lower().split()
        ids = [reference.tokens.index(word) if word in reference.tokens else 3 for word in words]
        written = reference.beam(ids)
        return " ".join(reference.tokens[i] for i in written[: written.index(END)] if i != 1)

    def test_half_of_the_beam_must_end_in_version_0(self, tmp_path: Path) -> None:
        reference = Reference(seed=4, beam_size=6, softmax_layer_bias=True, longest=20)
        for parameter in reference.parameters():
            parameter.mul_(2.5)  # sure of what follows: to go on costs little
        reference.decoder.e2s.bias[END] = 2.0
        asked, chatbot = queries(10), ParlaiChatbot.load(write(reference, tmp_path))
        replies = chatbot.reply(asked)
        assert replies == [reference.reply(query) for query in asked]
        parts = chatbot._parts
        assert parts.search is not None
        later = dataclasses.replace(parts.search, enough=6.0)
        chatbot._parts = dataclasses.replace(parts, search=later)
        assert chatbot.reply(asked) != replies  # the rule matters in this test

    @VERSIONS
    def test_a_file_without_the_length_of_replies(self, legacy: bool, tmp_path: Path) -> None:
        # version 0 says one word then, the last version up to 255
        path = write(Reference(legacy=legacy, seed=5), tmp_path)
        states = torch.load(path, weights_only=True)
        del states["longest_label"]
        torch.save(states, path)
        longest = max(len(reply.split()) for reply in ParlaiChatbot.load(path).reply(queries(20)))
        assert longest == 1 if legacy else 12 < longest <= 255

    @VERSIONS
    @pytest.mark.parametrize("old", [True, False], ids=["old", "new"])
    def test_both_formats_of_files(self, old: bool, legacy: bool, tmp_path: Path) -> None:
        reference = Reference(legacy=legacy)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            chatbot = ParlaiChatbot.load(write(reference, tmp_path, old=old))
        assert chatbot.reply(queries(5)) == [reference.reply(query) for query in queries(5)]

    def test_an_end_symbol_in_the_first_place(self, tmp_path: Path) -> None:
        for legacy, reply in ((True, "__end__"), (False, "")):
            reference = Reference(legacy=legacy, softmax_layer_bias=True)
            bias = reference.decoder.e2s.bias if legacy else reference.output.bias
            bias[END] = 1e4
            for beams in (1, 3):
                reference.opt |= {"beam_size": beams, "beam_min_length": 0}
                chatbot = ParlaiChatbot.load(write(reference, tmp_path))
                assert chatbot.reply(["hi", "how are you"]) == [reply, reply]

    def test_special_symbols_in_a_reply(self, tmp_path: Path) -> None:
        # version 0 says each of them; the last version leaves the start symbol out
        for legacy, reply in ((True, "__start__ __start__ __start__"), (False, "")):
            reference = Reference(
                legacy=legacy, softmax_layer_bias=True, longest=3, label_truncate=4
            )
            (reference.decoder.e2s.bias if legacy else reference.output.bias)[1] = 1e4
            assert ParlaiChatbot.load(write(reference, tmp_path)).reply(["hi"]) == [reply]

    @VERSIONS
    def test_no_token_no_reply(self, legacy: bool, tmp_path: Path) -> None:
        chatbot = ParlaiChatbot.load(write(Reference(legacy=legacy), tmp_path))
        assert chatbot.reply(["", " \t\n"[:2], "__null__", "__NULL__ __null__"]) == [""] * 4


class TestCompany:
    @VERSIONS
    @pytest.mark.parametrize(
        "options",
        [{"beam_size": 1}, {"beam_size": 3}, {"attention": "general"}, {"attention": "local"}],
        ids=str,
    )
    def test_a_query_gets_the_same_reply_in_any(
        self, options: dict[str, Any], legacy: bool, tmp_path: Path
    ) -> None:
        sizes = {"hiddensize": 64, "embeddingsize": 48, "bidirectional": True}
        reference = Reference(legacy=legacy, longest=12, label_truncate=12, **sizes, **options)
        chatbot = ParlaiChatbot.load(write(reference, tmp_path))
        asked = queries(100, longest=20)
        together = chatbot.reply(asked)
        assert chatbot.reply(asked[::-1]) == together[::-1]
        assert [chatbot.reply([query])[0] for query in asked[:12]] == together[:12]
        assert len(set(together)) > 50

    def test_sources_of_unlike_width_stay_apart_where_width_can_matter(
        self, tmp_path: Path
    ) -> None:
        sources = [[4] * length for length in (8, 9, 1, 0, 16, 17)]
        for attention, expected in (("dot", [[2, 0], [1, 4], [5]]), ("none", [[2, 0, 1, 4, 5]])):
            path = write(Reference(attention=attention), tmp_path)
            assert list(_tiles(sources, ParlaiChatbot.load(path)._parts)) == expected

    def test_tiles_are_smaller_where_a_beam_is_searched(self, tmp_path: Path) -> None:
        for beams, size in ((1, 128), (3, 32), (20, 16)):
            parts = ParlaiChatbot.load(write(Reference(beam_size=beams), tmp_path))._parts
            assert max(map(len, _tiles([[4]] * 300, parts))) == size


class TestReading:
    """What the encoder reads, for texts whose ids are known."""

    def read(self, query: str, folder: Path, *, legacy: bool, **options: Any) -> list[int]:

        words = ["hi", "you", "!", "\n", "Hi", "don't", "__p1__", "__p2__"]
        reference = Reference(legacy=legacy, words=words, **{"dict_lower": False, **options})
        return _source(query, ParlaiChatbot.load(write(reference, folder))._parts)

    @VERSIONS
    @pytest.mark.parametrize(
        ("tokenizer", "query", "ids"),
        [
            ("re", "Hi you!\nhi", [8, 5, 6, 7, 4]),
            ("re", "don't", [3, 3, 3]),
            ("split", "don't hi!you ! x?", [9, 4, 6, 5, 6, 3, 3]),
            ("space", " hi  you! ", [4, 3, 3]),
        ],
    )
    def test_tokenizers(
        self, tokenizer: str, query: str, ids: list[int], legacy: bool, tmp_path: Path
    ) -> None:
        assert self.read(query, tmp_path, legacy=legacy, dict_tokenizer=tokenizer) == ids

    @VERSIONS
    def test_lower_case(self, legacy: bool, tmp_path: Path) -> None:
        assert self.read("Hi HI", tmp_path, legacy=legacy, dict_lower=True) == [4, 4]
        assert self.read("Hi HI", tmp_path, legacy=legacy) == [8, 3]

    @VERSIONS
    def test_truncation_keeps_the_end(self, legacy: bool, tmp_path: Path) -> None:
        assert self.read("hi you ! Hi", tmp_path, legacy=legacy, truncate=2) == [6, 8]

    def test_person_tokens(self, tmp_path: Path) -> None:
        def read(query: str, **options: Any) -> list[int]:
            return self.read(query, tmp_path, person_tokens=True, **options)

        assert read("hi", legacy=True) == [END, 4]
        assert read("", legacy=True) == [END]
        assert read("hi\nyou", legacy=False) == [10, 4, 7, 5]
        assert read("hi\nyou", legacy=False, add_p1_after_newln=True) == [4, 7, 10, 5]
        # the whole message for each of its lines: so does the agent
        assert read("hi\nyou", legacy=False, split_lines=True) == [10, 4, 7, 5, 7, 10, 4, 7, 5]

    def test_options_of_the_last_version(self, tmp_path: Path) -> None:
        def read(query: str, **options: Any) -> list[int]:
            return self.read(query, tmp_path, legacy=False, **options)

        assert read("hi you !", text_truncate=2, truncate=1) == [5, 6]
        assert read("hi you !", history_reversed=True, truncate=2) == [6, 5]
        assert read("hi", history_add_global_end_token="end") == [4, END]  # noqa: S106
        lines = {"split_lines": True, "delimiter": " ! "}
        assert read("hi\nyou\nHi", **lines) == [4, 6, 5, 6, 8]
        assert read("hi\nyou\nHi", **lines, history_size=2) == [5, 6, 8]


class TestDictionary:
    def tokens(self, text: str, folder: Path, *, legacy: bool, **options: Any) -> tuple[str, ...]:

        path = folder / "model.dict"
        path.write_bytes(text.encode())
        given = ParlaiOptions(hiddensize=1, embeddingsize=1, **options)
        return ParlaiDictionary.read(path, given, legacy=legacy)._tokens[4:]

    @VERSIONS
    def test_lines(self, legacy: bool, tmp_path: Path) -> None:
        text = "__UNK__\t9\nhi\t3\nyou\n\\n\t1\nhi\t2\n\\t\\r\t1\n__start__\t0\nq\t1\textra\n"
        found = self.tokens(text, tmp_path, legacy=legacy)
        assert found == ("hi", "you", "\n", "\t\r", "q")

    def test_ends_of_lines(self, tmp_path: Path) -> None:
        text = "a\u2028b\t1\r\n c\t2\n\n"
        assert self.tokens(text, tmp_path, legacy=False) == ("a\u2028b", " c", "")
        assert self.tokens(text, tmp_path, legacy=True) == ("a", "b", "c", "")

    def test_bytes_that_are_no_text_are_left_out(self, tmp_path: Path) -> None:

        (tmp_path / "d").write_bytes(b"h\xffi\t1\n")
        options = ParlaiOptions(hiddensize=1, embeddingsize=1)
        dictionary = ParlaiDictionary.read(tmp_path / "d", options, legacy=True)
        assert dictionary.encode("hi") == [4]

    def test_tokens_that_are_added(self, tmp_path: Path) -> None:
        filled = self.tokens("hi\t1\n", tmp_path, legacy=False, fp16=True)
        assert filled == ("hi", "__FP16_PAD_0__", "__FP16_PAD_1__", "__FP16_PAD_2__")
        both = self.tokens("", tmp_path, legacy=False, person_tokens=True, force_fp16_tokens=True)
        assert both == ("__p1__", "__p2__", "__FP16_PAD_0__", "__FP16_PAD_1__")
        # listed by a model that was saved with them: not added again
        text = "\n".join(["hi", *both])
        found = self.tokens(text + "\nx", tmp_path, legacy=False, person_tokens=True)
        assert found == ("hi", *both, "x")
        assert self.tokens("", tmp_path, legacy=True, person_tokens=True, fp16=True) == ()

    def test_a_count_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r"got 'hi\\tmany' in line 2"):
            self.tokens("you\t1\nhi\tmany\n", tmp_path, legacy=True)


class Payload:
    """Pickled, it is an order to write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def change(path: Path, **options: Any) -> None:
    """Write other options beside a model, as JSON."""
    file = path.with_name("model.opt")
    data = file.read_bytes()
    known = plain_pickle.load(data) if data[:1] == b"\x80" else json.loads(data)
    file.write_text(json.dumps({**known, **options}))


class TestFilesThatAreRefused:
    @pytest.mark.parametrize("old", [True, False], ids=["old", "zip"])
    def test_code_in_the_weights_is_not_run(self, old: bool, tmp_path: Path) -> None:
        path, trace = write(Reference(), tmp_path), tmp_path / "trace"
        states = {**torch.load(path, weights_only=True), "scheduler": Payload(trace)}
        torch.save(states, path, _use_new_zipfile_serialization=not old)
        with pytest.raises(CheckpointError, match=r"nothing of it was run.*convert it"):
            ParlaiChatbot.load(path)
        assert not trace.exists()
        torch.load(path, weights_only=False)  # the order was a real one
        assert trace.exists()

    def test_the_conversion_that_the_guide_shows(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write(Reference(), tmp_path)
        asked, replies = queries(5), ParlaiChatbot.load(path).reply(queries(5))
        states = {**torch.load(path, weights_only=True), "more": Payload(tmp_path / "trace")}
        torch.save(states, path)
        (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
        monkeypatch.chdir(tmp_path)
        exec(code.replace('"twitter_seq2seq_model"', '"model"'), {})  # noqa: S102
        Path("converted.dict").write_bytes(Path("model.dict").read_bytes())
        assert ParlaiChatbot.load(Path("converted")).reply(asked) == replies

    def test_code_in_a_plain_pickle_is_not_run(self, tmp_path: Path) -> None:
        path, trace = write(Reference(), tmp_path), tmp_path / "trace"
        path.write_bytes(pickle.dumps(Payload(trace)))
        with pytest.raises(CheckpointError, match="nothing of it was run"):
            ParlaiChatbot.load(path)
        assert not trace.exists()

    @pytest.mark.parametrize("protocol", range(6))
    def test_code_in_the_options_is_not_run(self, protocol: int, tmp_path: Path) -> None:
        path, trace = write(Reference(), tmp_path), tmp_path / "trace"
        options = {**Reference().opt, "override": Payload(trace)}
        path.with_name("model.opt").write_bytes(pickle.dumps(options, protocol=protocol))
        with pytest.raises(CheckpointError, match="Nothing of it was run; write the options"):
            ParlaiChatbot.load(path)
        assert not trace.exists()

    def test_a_reader_that_was_not_safe_is_not_used(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write(Reference(), tmp_path)
        monkeypatch.setattr(torch, "__version__", "2.5.1+cpu")
        with pytest.raises(CheckpointError, match=r"PyTorch 2.6 or later.*2\.5\.1"):
            ParlaiChatbot.load(path)
        monkeypatch.setattr(torch, "__version__", "2.10.0")
        ParlaiChatbot.load(path)

    def test_the_tar_format(self, tmp_path: Path) -> None:
        path = write(Reference(), tmp_path)
        with tarfile.open(path, "w") as tar:
            tar.addfile(tarfile.TarInfo("pickle"), io.BytesIO(b""))
        with pytest.raises(CheckpointError, match=r"tar format.*nothing of it was run"):
            ParlaiChatbot.load(path)

    @pytest.mark.parametrize("old", [True, False], ids=["old", "zip"])
    def test_a_file_cut_anywhere(self, old: bool, tmp_path: Path) -> None:
        path = write(Reference(), tmp_path, old=old)
        whole = path.read_bytes()
        for length in [*range(0, len(whole), len(whole) // 40), len(whole) - 1]:
            path.write_bytes(whole[:length])
            with pytest.raises(CheckpointError):
                ParlaiChatbot.load(path)

    @pytest.mark.parametrize("old", [True, False], ids=["old", "zip"])
    def test_a_file_with_any_byte_changed(self, old: bool, tmp_path: Path) -> None:
        path = write(Reference(hiddensize=2, embeddingsize=2), tmp_path, old=old)
        whole, rng = path.read_bytes(), random.Random(1)  # noqa: S311
        for _ in range(80):
            damaged = bytearray(whole)
            damaged[rng.randrange(min(3000, len(whole)))] = rng.randrange(256)
            path.write_bytes(damaged)
            with contextlib.suppress(CheckpointError):  # a change of a weight cannot be told
                ParlaiChatbot.load(path).reply(["hi"])

    @pytest.mark.parametrize("name", ["model", "model.opt", "model.dict"])
    def test_a_file_that_is_missing(self, name: str, tmp_path: Path) -> None:
        path = write(Reference(dict_file="/data/models/dict_30k"), tmp_path)
        (tmp_path / name).unlink()
        with pytest.raises(CheckpointError, match=f"{name}(;| )") as caught:
            make(str(path), ConnectionSettings(), ModelSettings())
        if name == "model.dict":
            assert "/data/models/dict_30k" in str(caught.value)

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="Expected a ParlAI model file"):
            ParlaiChatbot.load(tmp_path)
        with pytest.raises(CheckpointError, match="Expected a ParlAI model file"):
            ParlaiChatbot.load(Path("/"))

    @VERSIONS
    @pytest.mark.parametrize(("lines", "count"), [("hi\t1\n", "25"), ("", "23")])
    def test_a_dictionary_of_another_size(
        self, lines: str, count: str, legacy: bool, tmp_path: Path
    ) -> None:
        path = write(Reference(legacy=legacy), tmp_path)
        file = tmp_path / "model.dict"
        if lines:
            file.write_text(file.read_text() + "more\t1\n")
        else:
            file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
        with pytest.raises(CheckpointError, match=f"lists {count} tokens.*are for 24"):
            ParlaiChatbot.load(path)

    @VERSIONS
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"hiddensize": 9}, r"decoder.rnn.weight_ih_l0 has shape \(32, 6\), not \(36, 6\)"),
            ({"embeddingsize": 7}, r"encoder.lt.weight has shape \(24, 6\), not \(24, 7\)"),
            ({"numlayers": 3}, "encoder.rnn.weight_ih_l2 is missing"),
            ({"numlayers": 1}, "rnn.weight_ih_l1' has no place"),
            ({"rnn_class": "gru"}, r"has shape \(32, 6\), not \(24, 6\)"),
            ({"bidirectional": True}, "encoder.rnn.weight_ih_l0_reverse is missing"),
            ({"attention": "general"}, "decoder.attention.attn_combine.weight is missing"),
            ({"numsoftmax": 2}, "prior.weight is missing"),
            ({"lookuptable": "all"}, "encoder.lt.weight and decoder.lt.weight differ"),
            ({"lookuptable": "dec_out"}, "decoder.lt.weight and .* differ"),
            ({"decoder": "shared"}, "encoder.rnn.weight_ih_l0 and decoder.rnn.* differ"),
        ],
    )
    def test_options_of_another_model(
        self, options: dict[str, Any], message: str, legacy: bool, tmp_path: Path
    ) -> None:
        path = write(Reference(legacy=legacy), tmp_path)
        change(path, **options)
        with pytest.raises(CheckpointError, match=message):
            ParlaiChatbot.load(path)

    @VERSIONS
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"hiddensize": "many", "rnn_class": "qrnn"}, "hiddensize: .*; rnn_class: "),
            ({"hiddensize": 10**12}, "hiddensize: Input should be less than"),
            ({"numlayers": 10**9}, "numlayers: Input should be less than"),
            ({"attention": "flash"}, "attention: Input should be 'none', 'concat'"),
            ({"model": "transformer/generator"}, "model is 'transformer/generator'"),
            ({"dict_tokenizer": "nltk"}, "dict_tokenizer is 'nltk': only re, split and space"),
            ({"dict_max_ngram_size": 2}, "dict_max_ngram_size is above 1"),
            ({"dict_endtoken": "__start__"}, "not four different texts"),
        ],
    )
    def test_options_that_nobody_can_follow(
        self, options: dict[str, Any], message: str, legacy: bool, tmp_path: Path
    ) -> None:
        path = write(Reference(legacy=legacy), tmp_path)
        change(path, **options)
        with pytest.raises(CheckpointError, match=message):
            ParlaiChatbot.load(path)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"inference": "nucleus"}, "inference is 'nucleus'"),
            ({"inference": "greedy", "beam_size": 3}, "set beam_size to 1"),
            ({"beam_block_ngram": 3, "special_tok_lst": "A"}, "beam_block_ngram .*; special_tok"),
            ({"beam_block_list_filename": "bad.txt"}, "beam_block_list_filename is given"),
            ({"beam_blacklist_filename": "bad.txt"}, "beam_blacklist_filename is given"),
            ({"beam_size": 23}, "beam_size of 23 is too large for 24 tokens"),
        ],
    )
    def test_decoding_that_is_not_followed(
        self, options: dict[str, Any], message: str, tmp_path: Path
    ) -> None:
        path = write(Reference(legacy=False), tmp_path)
        change(path, **options)
        with pytest.raises(CheckpointError, match=message):
            ParlaiChatbot.load(path)

    def test_version_0_that_draws(self, tmp_path: Path) -> None:
        path = write(Reference(topk=10), tmp_path)
        with pytest.raises(CheckpointError, match="topk is 10: replies would be drawn"):
            ParlaiChatbot.load(path)

    @pytest.mark.parametrize("depth", [40, 400])
    @pytest.mark.parametrize("name", ["dict_file", "model", "hiddensize", "more"])
    def test_options_that_nobody_could_write_out(
        self, name: str, depth: int, tmp_path: Path
    ) -> None:
        """Each list holds the last one twice: a small file, and 2 ** depth leaves to show."""
        path = write(Reference(), tmp_path)
        (tmp_path / "model.dict").unlink()
        nested: list[Any] = []
        for _ in range(depth):
            nested = [nested, nested]
        data = pickle.dumps(Reference().opt | {name: nested}, protocol=2)
        assert len(data) < 10_000
        path.with_name("model.opt").write_bytes(data)
        with pytest.raises(CheckpointError) as caught:
            ParlaiChatbot.load(path)
        error: BaseException | None = caught.value
        while error is not None:  # what a traceback would show, too
            assert len(str(error)) < 1000
            error = error.__cause__ or error.__context__

    @pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000, "null", '{"a": NaN, }'])
    def test_options_that_are_none(self, text: str, tmp_path: Path) -> None:
        path = write(Reference(), tmp_path)
        path.with_name("model.opt").write_text(text)
        with pytest.raises(CheckpointError, match=r"Expected (JSON|options)"):
            ParlaiChatbot.load(path)

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda s: s["model"]["decoder.lt.weight"].fill_(torch.nan), "are not numbers"),
            (lambda s: s["model"].update(START=torch.tensor([7])), "start symbol"),
            (lambda s: s["model"].update(START=torch.zeros(3, 3)), "start symbol"),
            (lambda s: s["model"].update(START=torch.ones(1)), "start symbol"),
            (lambda s: s["model"].pop("START"), "start symbol"),
            (lambda s: s["model"].update({"decoder.lt.weight": torch.tensor(1.0)}), "are for 0"),
            (
                lambda s: s["model"].update({"encoder.lt.weight": torch.ones(24, 6).to_sparse()}),
                "no plain array",
            ),
            (
                lambda s: s["model"].update({"encoder.lt.weight": torch.ones(24, 6).to("meta")}),
                "no plain array",
            ),
            (lambda s: s["model"].update({"decoder.more": torch.ones(1)}), "'decoder.more' has no"),
            (lambda s: s["model"].pop("decoder.lt.weight"), "are for 0"),
            (lambda s: s.update(longest_label=0), "'longest_label'"),
            (lambda s: s.update(longest_label=True), "'longest_label'"),
            (lambda s: s.update(longest_label=10**9), "'longest_label'"),
            (lambda s: s.pop("model"), "under 'model'"),
            (lambda s: s.update(model=[1]), "under 'model'"),
            (lambda s: s["model"].update(a=1), "under 'model'"),
            (lambda s: s.update(model={"a": torch.ones(1)}), "other agents are not read"),
            (
                lambda s: s["model"].update({"encoder.lt.weight": torch.ones(1, 1).expand(24, 6)}),
                "no plain array",
            ),
            (
                lambda s: s["model"].update(
                    {"encoder.lt.weight": torch.ones(24, 6, dtype=torch.long)}
                ),
                "no plain array",
            ),
        ],
    )
    def test_weights_that_are_none(self, spoil: Any, message: str, tmp_path: Path) -> None:
        path = write(Reference(), tmp_path)
        states = torch.load(path, weights_only=True)
        spoil(states)
        torch.save(states, path)
        with pytest.raises(CheckpointError, match=message):
            ParlaiChatbot.load(path)

    @pytest.mark.parametrize("table", ["unique", "all"])
    def test_version_1_is_named(self, table: str, tmp_path: Path) -> None:
        path = write(Reference(legacy=False, lookuptable=table), tmp_path)
        states = torch.load(path, weights_only=True)
        model = states["model"]
        if table == "all":
            model |= {key: model[key][1:] for key in ("output.weight", "output.bias")}
        else:
            for key in ("weight", "bias"):
                model[f"output.e2s.{key}"] = model.pop(f"output.{key}")
        torch.save(states, path)
        with pytest.raises(CheckpointError, match="version 1"):
            ParlaiChatbot.load(path)


class TestFingerprint:
    def test_each_file_changes_it(self, tmp_path: Path) -> None:
        path = write(Reference(), tmp_path)
        files = [path, tmp_path / "model.opt", tmp_path / "model.dict"]
        before = ParlaiChatbot.load(path).fingerprint
        assert ParlaiChatbot.load(path).fingerprint == before
        seen = {before}
        change(path, batchsize=1)
        seen.add(ParlaiChatbot.load(path).fingerprint)
        files[2].write_text(files[2].read_text().replace("tomorrow", "today"))
        seen.add(ParlaiChatbot.load(path).fingerprint)
        states = torch.load(path, weights_only=True)
        states["model"]["decoder.lt.weight"][5, 0] += 1
        torch.save(states, path)
        seen.add(ParlaiChatbot.load(path).fingerprint)
        assert len(seen) == 4

    def test_it_is_that_of_the_contents_wherever_they_are(self, tmp_path: Path) -> None:
        (tmp_path / "there").mkdir()
        here, there = (write(Reference(), folder) for folder in (tmp_path, tmp_path / "there"))
        there.write_bytes(here.read_bytes())
        assert ParlaiChatbot.load(here).fingerprint == ParlaiChatbot.load(there).fingerprint
