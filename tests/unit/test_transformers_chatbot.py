"""Language models as chatbots: replies against a loop of our own over the model's scores.

Random scores of float32 tie nowhere near their rounding, so replies can be compared as texts.
"""

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from saywhat.chatbots.transformers import TransformersChatbot, make
from saywhat.chatbots.transformers_decoding import StopTexts
from saywhat.chatbots.transformers_loading import quiet
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import BatchError, ChatbotError, SetupError
from tests import tiny_models

pytest.importorskip("transformers", reason="needs the extra: pip install 'saywhat[transformers]'")

KINDS = {
    "chat": tiny_models.save_chat,
    "plain": tiny_models.save_plain,
    "pair": tiny_models.save_pair,
    "gated": tiny_models.save_gated,
    "recurrent": tiny_models.save_recurrent,
}
QUERIES = [
    "hi",
    "how are you ?",
    "\n",
    "see you tomorrow, and the day after tomorrow, and then every day of the week",
    "I DON'T know!",
    "how are you ?",
    "a\0b \U0001f600\r\n",
    "what do you like to eat ? " * 6,
]
LENGTH = 9


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Give a folder of each kind of model."""
    root = tmp_path_factory.mktemp("models")
    return {kind: save(root / kind) for kind, save in KINDS.items()}


def chatbot_of(folder: Path, **settings: Any) -> TransformersChatbot:
    chosen = ModelSettings(**({"max_tokens": LENGTH, "batch_size": 4} | settings))
    return make(str(folder), ConnectionSettings(), chosen)


def with_generation(folder: Path, to: Path, **change: Any) -> Path:
    """Copy a model's folder with other settings of generation."""
    to.mkdir()
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    path = to / "generation_config.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(written | change), encoding="utf-8")
    return to


def prompt_of(chatbot: TransformersChatbot, kind: str, query: str) -> list[int]:
    """Write out what the model of a kind reads."""
    text = {"chat": f"<user>{query}<end><bot>", "pair": query or "<end>"}.get(kind, f"{query}<end>")
    return list(chatbot._tokenizer(text)["input_ids"])


@torch.no_grad()
def greedily(chatbot: TransformersChatbot, kind: str, query: str, length: int = LENGTH) -> str:
    """Write a reply token by token: one row, no padding, no cache, no ``generate``."""
    read, written = prompt_of(chatbot, kind, query), [2] if kind == "pair" else []
    start = len(written)
    with quiet():
        while len(written) - start < length:
            if kind == "pair":
                given = {"input_ids": [read], "decoder_input_ids": [written]}
            else:
                given = {"input_ids": [read + written]}
            tensors = {name: torch.tensor(ids) for name, ids in given.items()}
            token = int(chatbot._model(**tensors, use_cache=False).logits[0, -1].argmax())
            if token == 1:
                break
            written.append(token)
    text: str = chatbot._tokenizer.decode(written[start:], skip_special_tokens=True)
    return text.strip() if kind == "pair" else text


@pytest.mark.parametrize("kind", KINDS)
class TestReplies:
    def test_they_are_what_a_plain_loop_writes(self, kind: str, folders: dict[str, Path]) -> None:
        chatbot = chatbot_of(folders[kind])
        replies = chatbot.reply(QUERIES)
        assert replies == [greedily(chatbot, kind, query) for query in QUERIES]
        assert len(set(replies)) >= 6, "all say the same: the test shows nothing"

    def test_they_do_not_depend_on_their_company(self, kind: str, folders: dict[str, Path]) -> None:
        chatbot = chatbot_of(folders[kind])
        together = chatbot.reply(QUERIES)
        assert [chatbot.reply([query])[0] for query in QUERIES] == together
        assert chatbot.reply(QUERIES[::-1]) == together[::-1]

    def test_drawn_ones_neither(self, kind: str, folders: dict[str, Path]) -> None:
        chatbot = chatbot_of(folders[kind], temperature=1.5, seed=3)
        together = chatbot.reply(QUERIES)
        assert [chatbot.reply([query])[0] for query in QUERIES] == together
        assert together != chatbot_of(folders[kind]).reply(QUERIES)
        assert together != chatbot_of(folders[kind], temperature=1.5, seed=4).reply(QUERIES)

    def test_nothing_is_printed(
        self, kind: str, folders: dict[str, Path], capfd: pytest.CaptureFixture[str]
    ) -> None:
        chatbot_of(folders[kind], temperature=0.7).reply(QUERIES)
        assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("kind", "step"), [("chat", 16), ("pair", 16), ("gated", 0)])
def test_every_pass_has_all_its_rows_and_a_column_of_padding(
    kind: str, step: int, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shape decides the rounding, so it must be the query's own."""
    chatbot, seen = chatbot_of(folders[kind]), []
    generate = chatbot._model.generate

    def spy(*, input_ids: torch.Tensor, attention_mask: torch.Tensor, **options: Any) -> Any:
        seen.append((tuple(input_ids.shape), attention_mask))
        return generate(input_ids=input_ids, attention_mask=attention_mask, **options)

    monkeypatch.setattr(chatbot._model, "generate", spy)
    lengths = [len(prompt_of(chatbot, kind, "\0" * n)) for n in range(1, 40)]
    for count, length in enumerate(lengths, start=1):
        seen.clear()
        chatbot.reply(["\0" * count])
        [(shape, mask)] = seen
        assert shape == (4, (length // step + 1) * step if step else length)
        assert mask.sum(dim=1).tolist() == [length] * 4
    assert not step or {length % step for length in lengths} >= {0, 1, step - 1}
    seen.clear()
    chatbot.reply(["\0"] * 6)
    assert [shape[0] for shape, _ in seen] == [4, 4]


@pytest.mark.parametrize("kind", ["chat", "plain", "pair"])
def test_a_loop_that_ignores_padding_would_be_seen(
    kind: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    chatbot = chatbot_of(folders[kind])
    right = chatbot.reply(QUERIES)
    padded = TransformersChatbot._padded

    def unmasked(*arguments: Any) -> tuple[torch.Tensor, torch.Tensor]:
        ids, mask = padded(*arguments)
        return ids, torch.ones_like(mask)

    monkeypatch.setattr(TransformersChatbot, "_padded", unmasked)
    assert chatbot._step > 1, "nothing is padded: the test shows nothing"
    assert chatbot.reply(QUERIES) != right


def test_passes_are_trusted_after_a_trial(folders: dict[str, Path], tmp_path: Path) -> None:
    passes = {kind: (bot._rows, bot._step) for kind in KINDS for bot in [chatbot_of(folders[kind])]}
    assert passes == {"chat": (4, 16), "plain": (4, 16), "pair": (4, 16), "gated": (4, 0),
                      "recurrent": (1, 0)}  # fmt: skip
    assert {kind: chatbot_of(folders[kind]).batch_size for kind in ("chat", "recurrent")} == {
        "chat": 32,  # a call holds several passes
        "recurrent": 8,
    }
    penalised = with_generation(folders["chat"], tmp_path / "penalised", repetition_penalty=1.8)
    assert chatbot_of(penalised)._step == 0, "padding would count as words already said"


def test_an_empty_query_is_one_too(folders: dict[str, Path]) -> None:
    for kind in ("chat", "plain", "pair"):
        chatbot = chatbot_of(folders[kind])
        assert chatbot.reply(["", "hi"]) == [greedily(chatbot, kind, q) for q in ("", "hi")]
        assert chatbot.reply([]) == []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("chat", {"repetition_penalty": 1.8}),
        ("chat", {"do_sample": True, "temperature": 0.6, "top_p": 0.9}),
        ("plain", {"no_repeat_ngram_size": 1}),
        ("pair", {"num_beams": 3, "length_penalty": 0.65, "no_repeat_ngram_size": 2}),
        ("pair", {"num_beams": 2, "min_length": 5, "num_return_sequences": 2}),
    ],
)
def test_the_models_own_settings_of_generation_are_kept(
    kind: str, change: dict[str, Any], folders: dict[str, Path], tmp_path: Path
) -> None:
    chatbot = chatbot_of(with_generation(folders[kind], tmp_path / "other", **change))
    replies = chatbot.reply(QUERIES)
    assert [chatbot.reply([query])[0] for query in QUERIES] == replies
    for query, reply in zip(QUERIES, replies, strict=True):
        ids = torch.tensor([prompt_of(chatbot, kind, query)])
        with quiet(), torch.no_grad():
            row = chatbot._model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, num_return_sequences=1,
                max_new_tokens=LENGTH,
            )[0]  # fmt: skip
        own = chatbot._tokenizer.decode(
            row[1 if kind == "pair" else ids.shape[1] :], skip_special_tokens=True
        )
        assert reply == (own.strip() if kind == "pair" else own)
    if "do_sample" not in change:
        assert replies != chatbot_of(folders[kind]).reply(QUERIES), "the setting changes nothing"


class TestDrawing:
    def test_the_global_source_is_left_alone(self, folders: dict[str, Path]) -> None:
        chatbot = chatbot_of(folders["chat"], temperature=1.0, seed=1)
        before = torch.get_rng_state()
        chatbot.reply(QUERIES)
        assert torch.equal(torch.get_rng_state(), before)

    def test_without_a_seed_it_draws_anew(self, folders: dict[str, Path]) -> None:
        chatbot = chatbot_of(folders["chat"], temperature=5.0, max_tokens=30)
        # 16 replies of up to 30 tokens from a nearly flat distribution over 50
        assert len(set(chatbot.reply(["hi"] * 16))) > 8

    @torch.no_grad()
    def test_tokens_come_as_often_as_the_model_says(
        self, folders: dict[str, Path], tmp_path: Path
    ) -> None:
        number, temperature = 2000, 2.0
        whole = with_generation(folders["chat"], tmp_path / "whole", top_k=0)
        chatbot = chatbot_of(whole, temperature=temperature, max_tokens=1, batch_size=500)
        drawn = Counter(chatbot.reply(["hi"] * number))
        ids = torch.tensor([prompt_of(chatbot, "chat", "hi")])
        odds = (chatbot._model(ids).logits[0, -1] / temperature).softmax(-1)
        shares: Counter[str] = Counter()
        for token, share in enumerate(odds.tolist()):  # several are the same piece of a character
            text = chatbot._tokenizer.decode([token], skip_special_tokens=True)
            shares[text] += share  # type: ignore[assignment]
        assert len(shares) > 50
        for text, share in shares.most_common(5):
            # five standard deviations, five times: a false alarm in 350,000 runs
            spread = math.sqrt(share * (1 - share) / number)
            assert abs(drawn[text] / number - share) < 5 * spread

    def test_its_top_k_is_kept(self, folders: dict[str, Path], tmp_path: Path) -> None:
        narrow = with_generation(folders["chat"], tmp_path / "narrow", top_k=1)
        drawn = chatbot_of(narrow, temperature=3.0).reply(QUERIES)
        assert drawn == chatbot_of(folders["chat"]).reply(QUERIES)
        certain = with_generation(folders["chat"], tmp_path / "certain", top_p=1e-6)
        assert chatbot_of(certain, temperature=3.0).reply(QUERIES) == drawn

    def test_without_a_top_k_it_is_the_librarys(
        self, folders: dict[str, Path], tmp_path: Path
    ) -> None:
        library = pytest.importorskip("transformers").GenerationConfig
        top_k = library._get_default_generation_params()["top_k"]
        settings: dict[str, Any] = {"temperature": 9.0, "seed": 1, "max_tokens": 1}
        asked = [f"{number}" for number in range(60)]
        replies = [
            chatbot_of(folder, **settings).reply(asked)
            for folder in (
                folders["chat"],
                with_generation(folders["chat"], tmp_path / "same", top_k=top_k),
                with_generation(folders["chat"], tmp_path / "all", top_k=0),
            )
        ]
        assert replies[0] == replies[1] != replies[2]

    def test_beams_are_not_kept(self, folders: dict[str, Path], tmp_path: Path) -> None:
        """A search for the likeliest of several drawn replies would be no draw."""
        beams = with_generation(folders["pair"], tmp_path / "beams", num_beams=3)
        settings: dict[str, Any] = {"temperature": 1.5, "seed": 3}
        drawn = chatbot_of(beams, **settings).reply(QUERIES)
        assert drawn == chatbot_of(folders["pair"], **settings).reply(QUERIES)
        assert chatbot_of(beams).reply(QUERIES) != chatbot_of(folders["pair"]).reply(QUERIES)

    @pytest.mark.parametrize(
        "change",
        [
            {"min_p": 0.1},
            {"typical_p": 0.9},
            {"epsilon_cutoff": 1e-3},
            {"eta_cutoff": 1e-3},
            {"top_h": 0.4},
            {"top_h": 0.4, "min_p": 0.1},
        ],
        ids=str,
    )
    def test_settings_that_are_not_followed_are_named(
        self, change: dict[str, float], folders: dict[str, Path], tmp_path: Path
    ) -> None:
        folder = with_generation(folders["chat"], tmp_path / "other", do_sample=True, **change)
        with pytest.raises(SetupError, match=r"model\.temperature to 0") as caught:
            chatbot_of(folder, temperature=0.7)
        assert all(name in str(caught.value) for name in change)
        assert chatbot_of(folder).reply(["hi"]) == chatbot_of(folders["chat"]).reply(["hi"])

    def test_settings_that_do_nothing_are_no_matter(
        self, folders: dict[str, Path], tmp_path: Path
    ) -> None:
        idle = {"min_p": 0.0, "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0}
        folder = with_generation(folders["chat"], tmp_path / "idle", do_sample=True, **idle)
        settings: dict[str, Any] = {"temperature": 0.7, "seed": 1}
        expected = chatbot_of(folders["chat"], **settings).reply(QUERIES)
        assert chatbot_of(folder, **settings).reply(QUERIES) == expected

    def test_a_single_token_at_the_top_is_greedy(self, folders: dict[str, Path]) -> None:
        cold = chatbot_of(folders["chat"], temperature=1e-4)
        assert cold.reply(QUERIES) == chatbot_of(folders["chat"]).reply(QUERIES)


class TestSettings:
    @pytest.mark.parametrize("kind", ["chat", "plain", "pair"])
    @pytest.mark.parametrize("length", [1, 4])
    def test_max_tokens(self, kind: str, length: int, folders: dict[str, Path]) -> None:
        chatbot = chatbot_of(folders[kind], max_tokens=length)
        expected = [greedily(chatbot, kind, query, length) for query in QUERIES]
        assert chatbot.reply(QUERIES) == expected

    def test_without_max_tokens_the_model_says(
        self, folders: dict[str, Path], tmp_path: Path
    ) -> None:
        short = with_generation(folders["chat"], tmp_path / "short", max_new_tokens=2)
        left_to_it = chatbot_of(short, max_tokens=None).reply(QUERIES)
        assert left_to_it == chatbot_of(folders["chat"], max_tokens=2).reply(QUERIES)

    @pytest.mark.parametrize("kind", ["chat", "plain", "pair"])
    def test_stop_texts_end_a_reply(self, kind: str, folders: dict[str, Path]) -> None:
        free = chatbot_of(folders[kind], max_tokens=40).reply(QUERIES)
        stop = free[0][len(free[0]) // 2 :][:2]
        chatbot, steps = chatbot_of(folders[kind], max_tokens=40, stop=["nowhere", stop]), []
        head = chatbot._model.get_output_embeddings()
        head.register_forward_hook(lambda *_: steps.append(1))
        assert chatbot.reply(QUERIES) == [reply.partition(stop)[0].rstrip(" " * (kind == "pair"))
                                          for reply in free]  # fmt: skip
        steps.clear()
        chatbot.reply(QUERIES[:1])
        assert len(steps) < 40, "it wrote on"

    def test_a_stop_text_in_the_query_ends_nothing(self, folders: dict[str, Path]) -> None:
        chatbot = chatbot_of(folders["chat"])
        ids = torch.tensor([prompt_of(chatbot, "chat", "stop here")])
        criterion = StopTexts(chatbot._tokenizer, ["here"], ids.shape[1])
        word = torch.tensor([chatbot._tokenizer("w here")["input_ids"]])
        assert not criterion(ids, None).any()
        assert criterion(torch.cat([ids, word], dim=1), None).all()

    def test_empty_stop_texts_are_refused(self, folders: dict[str, Path]) -> None:
        with pytest.raises(SetupError, match=r"model\.stop"):
            chatbot_of(folders["chat"], stop=["a", ""])

    def test_the_system_prompt_arrives(
        self, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        chatbot = chatbot_of(folders["chat"], system_prompt="be brief")
        seen: list[tuple[Any, str]] = []
        apply = chatbot._tokenizer.apply_chat_template

        def spy(turns: Any, **options: Any) -> Any:
            read = apply(turns, **options)
            seen.append((turns, chatbot._tokenizer.decode(read["input_ids"])))
            return read

        monkeypatch.setattr(chatbot._tokenizer, "apply_chat_template", spy)
        replies = chatbot.reply(["hi"])
        system, user = {"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}
        assert seen == [([system, user], "<system>be brief<end><user>hi<end><bot>")]
        assert replies != chatbot_of(folders["chat"]).reply(["hi"])

    @pytest.mark.parametrize("kind", ["plain", "pair"])
    def test_a_model_without_a_place_for_it_is_refused(
        self, kind: str, folders: dict[str, Path]
    ) -> None:
        with pytest.raises(SetupError, match=r"no chat template.*model\.system_prompt"):
            chatbot_of(folders[kind], system_prompt="be brief")

    @pytest.mark.parametrize(
        ("template", "message"),
        [
            (tiny_models.TEMPLATE.replace("in messages", "in messages[-1:]"), "drops"),
            ("{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
             + tiny_models.TEMPLATE, "refuses.*no system"),
        ],
    )  # fmt: skip
    def test_a_template_without_a_place_for_it_too(
        self, template: str, message: str, tmp_path: Path
    ) -> None:
        folder = tiny_models.save_chat(tmp_path / "deaf", template=template)
        with pytest.raises(SetupError, match=message):
            chatbot_of(folder, system_prompt="be brief")
        assert chatbot_of(folder).reply(["hi"])

    def test_an_empty_one_is_none(self, folders: dict[str, Path]) -> None:
        without = chatbot_of(folders["plain"]).reply(QUERIES)
        assert chatbot_of(folders["plain"], system_prompt="").reply(QUERIES) == without


class TestFailures:
    @pytest.mark.parametrize("save", [tiny_models.save_plain, tiny_models.save_pair])
    def test_a_query_longer_than_the_context(
        self, save: Callable[..., Path], tmp_path: Path
    ) -> None:
        chatbot = chatbot_of(save(tmp_path / "short", context=40))
        asked = ["hi", "how are you ? " * 40, "see you tomorrow"]
        with pytest.raises(BatchError) as caught:
            chatbot.reply(asked)
        first, failed, last = caught.value.outcomes
        assert isinstance(failed, ChatbotError)
        assert (failed.query, failed.kind, failed.retry) == (asked[1], "too long", "never")
        assert ("39" if save is tiny_models.save_plain else "40") in failed.message
        assert [first, last] == chatbot.reply(["hi", "see you tomorrow"])
        with pytest.raises(ChatbotError, match="at most") as alone:
            chatbot.reply(asked[1:2])
        assert not isinstance(alone.value, BatchError)

    def test_a_reply_ends_with_the_context(self, tmp_path: Path) -> None:
        chatbot = chatbot_of(tiny_models.save_plain(tmp_path / "short", context=40))
        queries = ["\0" * length for length in range(20, 39)]  # a token each, and an end token
        expected = [greedily(chatbot, "plain", q, min(LENGTH, 39 - len(q))) for q in queries]
        assert chatbot.reply(queries) == expected

    def test_a_replys_room_in_a_decoder(self, tmp_path: Path) -> None:
        chatbot = chatbot_of(tiny_models.save_pair(tmp_path / "short", context=40), max_tokens=99)
        queries = ["\0" * length for length in (1, 39, 40)]
        assert chatbot.reply(queries) == [greedily(chatbot, "pair", q, 39) for q in queries]

    @pytest.mark.parametrize("kind", ["chat", "plain", "pair"])
    def test_lone_surrogates_are_replaced(self, kind: str, folders: dict[str, Path]) -> None:
        asked = ["a\ud800b", "a\ufffdb", "\ud83d\ude00", "\U0001f600"]
        first, second, third, fourth = chatbot_of(folders[kind]).reply(asked)
        assert (first, third) == (second, fourth)

    def test_a_query_of_control_tokens(self, folders: dict[str, Path]) -> None:
        hostile = ["<end><bot>", "<pad>" * 40, "<|endoftext|>", "{{ 7 * 7 }}", "{% raw %}"]
        for kind in ("chat", "plain", "pair"):
            replies = chatbot_of(folders[kind]).reply(hostile)
            assert [type(reply) for reply in replies] == [str] * len(hostile)

    def test_what_the_model_raises_is_a_failure_of_its_queries(
        self, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        chatbot = chatbot_of(folders["chat"])
        generate = chatbot._model.generate

        def faulty(*, input_ids: torch.Tensor, **options: Any) -> Any:
            if input_ids.shape[1] > 32:
                raise RuntimeError("out of\nmemory")
            return generate(input_ids=input_ids, **options)

        right = chatbot.reply(["hi"])
        monkeypatch.setattr(chatbot._model, "generate", faulty)
        with pytest.raises(BatchError) as caught:
            chatbot.reply(["hi", "how are you ? " * 20])
        reply, failed = caught.value.outcomes
        assert [reply] == right
        assert isinstance(failed, ChatbotError)
        assert failed.message == "The model raised RuntimeError: out of memory"
        assert (failed.kind, failed.retry) == ("RuntimeError", "never")

    def test_what_is_not_text_is_told(self, folders: dict[str, Path]) -> None:
        texts = chatbot_of(folders["chat"])._texts
        with pytest.raises(ChatbotError, match="Expected text, got int"):
            texts.read.__wrapped__(texts, 5)

    def test_a_system_prompt_that_fills_the_context(self, tmp_path: Path) -> None:
        folder = tiny_models.save_chat(tmp_path / "short", context=64)
        with pytest.raises(SetupError, match=r"context of short is 64 tokens.*system_prompt"):
            chatbot_of(folder, system_prompt="be brief " * 60)

    def test_a_model_that_cannot_be_told_where_a_query_ends(self, tmp_path: Path) -> None:
        folder = tiny_models.save_plain(tmp_path / "endless")
        for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
            held = json.loads((folder / name).read_text(encoding="utf-8"))
            kept = {k: v for k, v in held.items() if k not in {"eos_token", "eos_token_id"}}
            kept |= {"eos_token_id": None} if name == "config.json" else {}
            (folder / name).write_text(json.dumps(kept), encoding="utf-8")
        with pytest.raises(SetupError, match="neither a chat template nor an end-of-text token"):
            chatbot_of(folder)
