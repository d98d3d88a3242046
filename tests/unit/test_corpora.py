"""Conversations in: cleaning, splits by conversation, pairs, posts and the readers' errors."""

import gzip
import json
import lzma
import os
from pathlib import Path

import pytest

from saywhat.corpora.conversations import Conversation, clean, sentences
from saywhat.corpora.files import check_conversations, read_conversations, read_pairs, write_pairs
from saywhat.corpora.pairs import (
    context_of,
    held_out_exchanges,
    held_out_pairs,
    posts,
    training_exchanges,
    training_pairs,
)
from saywhat.corpora.splits import SHARES, part_of, split
from saywhat.errors import CorpusError
from saywhat.records import Pair
from saywhat.text.normalise import normalise


def talk(key: str, *turns: str) -> Conversation:
    """Make a conversation; messages of a turn are separated by ``|``."""
    return Conversation(key, tuple(tuple(turn.split("|")) for turn in turns))


# --------------------------------------------------------------------------------------- splits


def test_the_part_depends_on_the_key_alone() -> None:
    few = [talk(f"key {i}", "hi", "hello") for i in range(50)]
    many = [talk(f"key {i}", "other", "words") for i in range(2000)]
    where = {c.key: part for part, found in split(many).items() for c in found}
    for part, found in split(few[::-1]).items():
        assert all(where[c.key] == part == part_of(c.key) for c in found)


def test_each_conversation_is_in_one_part_in_the_shares_asked_for() -> None:
    n = 5000
    parts = split(talk(f"key {i}", "hi", "hello") for i in range(n))
    assert sorted(c.key for found in parts.values() for c in found) == sorted(
        f"key {i}" for i in range(n)
    )
    assert sum(SHARES.values()) == pytest.approx(1.0)
    for part, share in SHARES.items():
        # five standard errors of a share; the hash is fixed, so this passes always or never
        assert abs(len(parts[part]) / n - share) < 5 * (share * (1 - share) / n) ** 0.5


# ------------------------------------------------------------------------------ cleaning, pairs


@pytest.mark.parametrize(
    ("message", "cleaned"),
    [
        ("  see   http://x.y/z?a=b  now ", "see now"),
        ("www.x.org", ""),
        ("write to me@x.org please", "write to please"),
        ("a\tb\nc\u00a0d", "a b c d"),
        ("half \ud83d of a pair", "half \ufffd of a pair"),
    ],
)
def test_cleaning(message: str, cleaned: str) -> None:
    assert clean(message) == cleaned
    assert clean(cleaned) == cleaned


def test_sentences_end_after_their_marks() -> None:
    assert sentences("i see! and you? no.") == ["i see!", "and you?", "no."]
    assert sentences("3.5 is a number") == ["3.5 is a number"]


def test_training_pairs_by_hand() -> None:
    conversations = [talk("1", "hi|how are you?", "fine. " + "word " * 9 + "more|and you?", "ok")]
    found = training_pairs(conversations, max_words=5, max_per_reply=9)
    # the last message, then the whole turn, as the query; the long first answer cut to a sentence;
    # queries keep their last ten words
    assert found == [
        Pair("how are you?", "fine."),
        Pair("hi how are you?", "fine."),
        Pair("and you?", "ok"),
        Pair("word word word word word word word more and you?", "ok"),
    ]


def test_training_pairs_repeat_no_text_and_bound_their_replies() -> None:
    conversations = [
        talk(str(i), f"post {i % 7}", ["yes", "Yes !", "no"][i % 3]) for i in range(40)
    ]
    found = training_pairs(conversations, max_words=5, max_per_reply=4)
    keys = [(normalise(p.query), normalise(p.reply)) for p in found]
    assert len(set(keys)) == len(keys)
    replies = [reply for _, reply in keys]
    assert {reply: replies.count(reply) for reply in replies} == {"yes": 4, "no": 4}


def test_held_out_pairs_are_last_message_and_first_answer() -> None:
    conversations = [talk("1", "hi|there", "yes|and more", "?!", "a b c d")]
    assert held_out_pairs(conversations, max_words=3) == [Pair("there", "yes")]


def test_contexts_change_no_pair() -> None:
    conversations = [
        talk(str(i), f"post {i % 7}", "so|what", ["yes", "Yes !", "no"][i % 3], "bye now")
        for i in range(40)
    ]
    for turns in (0, 3):
        examples = training_exchanges(conversations, max_words=5, max_per_reply=4, turns=turns)
        pairs = training_pairs(conversations, max_words=5, max_per_reply=4)
        assert [Pair(e.query, e.reply) for e in examples] == pairs
        held_out = held_out_exchanges(conversations, max_words=5, turns=turns)
        pairs = held_out_pairs(conversations, max_words=5)
        assert [Pair(e.query, e.reply) for e in held_out] == pairs
        longest = max(len(e.context) for e in [*examples, *held_out])
        assert longest == min(turns, 2)  # the last query of four turns has two before it


def test_a_context_is_the_turns_just_before() -> None:
    conversation = talk("1", "a", "b|c d e f", "g", "h", "i")
    found = {context_of(conversation, 3, turns=turns, max_words=2) for turns in range(9)}
    # each turn is one text, of which the last four words are kept
    assert found <= {(), ("g",), ("c d e f", "g"), ("a", "c d e f", "g")}
    assert len(found) > 1
    assert context_of(conversation, 0, turns=3, max_words=2) == ()
    assert context_of(conversation, 3, turns=0, max_words=2) == ()
    assert context_of(conversation, 3, turns=3, max_words=2) == context_of(
        conversation, 3, turns=3, max_words=2
    )


def test_each_length_of_context_is_as_frequent() -> None:
    conversation = Conversation("1", tuple((f"turn {i}",) for i in range(4003)))
    lengths = [len(context_of(conversation, i, turns=3, max_words=9)) for i in range(3, 4003)]
    # 4,000 places by a fixed hash; a share's standard error is 0.007, five of them
    for length in range(4):
        assert lengths.count(length) / 4000 == pytest.approx(0.25, abs=0.035)


def test_posts_are_distinct_and_of_the_right_length() -> None:
    found = posts([talk("1", "Hi there!|hi there. and you?", "no " * 9, "HI THERE")], max_words=5)
    assert found == ["Hi there!", "hi there. and you?", "and you?"]
    assert len({normalise(text) for text in found}) == len(found)


# ------------------------------------------------------------------------------------ the readers


FORMATS = {
    "talk.jsonl": '["hi", ["hello", "you"]]\n\n{"key": "k", "turns": ["a", "b"]}\n',
    "talk.txt": "hi\nhello you\n\n\na\nb\n",
    "talk.tsv": "hi\thello\na\tb\n",
    "talk.parlai.txt": (
        "text:hi\tlabels:hello|other\ntext:a\\nb\teval_labels:c\tepisode_done:True\n"
        "text:x\tlabels:y\tepisode_done:False\n"
    ),
}
TALKS = {
    "talk.jsonl": [("talk.jsonl:1", (("hi",), ("hello", "you"))), ("k", (("a",), ("b",)))],
    "talk.txt": [("talk.txt:1", (("hi",), ("hello you",))), ("talk.txt:5", (("a",), ("b",)))],
    "talk.tsv": [("talk.tsv:1", (("hi",), ("hello",))), ("talk.tsv:2", (("a",), ("b",)))],
    "talk.parlai.txt": [
        ("talk.parlai.txt:1", (("hi",), ("hello",), ("a b",), ("c",))),
        ("talk.parlai.txt:3", (("x",), ("y",))),
    ],
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("packed", ["", ".gz", ".xz"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_conversations_are_read(
    tmp_path: Path, name: str, packed: str, mark: str, end: str
) -> None:
    data = (mark + FORMATS[name].replace("\n", end)).encode()
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[packed]
    path = tmp_path / (name + packed)
    path.write_bytes(pack(data))
    # packed or not, a conversation has the same key and so is in the same part
    assert [(c.key, c.turns) for c in read_conversations(path)] == TALKS[name]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.jsonl", '["a", "b"]\n{broken\n', "line 2: not JSON"),
        ("x.jsonl", '["a", "b"]\n{"turns": "a"}\n', "line 2: expected a list of turns"),
        ("x.jsonl", "[1, 2]\n", "line 1: expected a list of turns"),
        ("x.jsonl", '[["a", 2]]\n', "line 1: each turn is a text"),
        ("x.tsv", "a\tb\nno tab\n", "line 2: Expected query<TAB>reply"),
        ("x.tsv", "a\tb\tc\n", "line 1: Expected query<TAB>reply"),
        ("x.parlai.txt", "text:a\tlabels:b\ntext:a\n", "line 2: expected text:"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(CorpusError, match=message) as caught:
        list(read_conversations(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["x.txt", "x.tsv", "x.jsonl"])
def test_what_is_not_utf8_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    lines = b'["a", "b"]\n["caf\xe9", "b"]\n'
    path.write_bytes(lines.replace(b", ", b"\t") if name == "x.tsv" else lines)
    with pytest.raises(CorpusError, match="line 2: not UTF-8"):
        list(read_conversations(path))


@pytest.mark.parametrize("name", ["talks.csv", "talks.json.gz", "TALKS.CSV", "talks.zip"])
def test_what_is_no_form_of_conversations_is_not_read_as_plain_text(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_text("query,reply\nhi,hello\n")
    with pytest.raises(CorpusError, match=r"not read from \.\w+ files.*\.jsonl: one conversation"):
        list(read_conversations(path))


def test_a_name_in_capitals_has_the_same_form(tmp_path: Path) -> None:
    path = tmp_path / "TALKS.JSONL"
    path.write_text('["hi", "hello"]\n')
    assert [c.turns for c in read_conversations(path)] == [(("hi",), ("hello",))]


@pytest.mark.timeout(20)
def test_a_pipe_is_not_opened_to_look_at_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.tsv")
    check_conversations(tmp_path / "x.tsv")  # opening it would wait for a writer


@pytest.mark.parametrize("name", ["x.txt", "x.txt.gz", "x.jsonl.xz"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(CorpusError, match=f"Expected a corpus file at .*{name}"):
        list(read_conversations(tmp_path / name))


@pytest.mark.parametrize("name", ["x.txt.gz", "x.txt.xz"])
@pytest.mark.parametrize("cut", [-4, 20])
def test_a_damaged_archive_is_named(tmp_path: Path, name: str, cut: int) -> None:
    pack = gzip.compress if name.endswith("gz") else lzma.compress
    path = tmp_path / name
    path.write_bytes(pack(b"hello there\n" * 5000)[:cut])
    with pytest.raises(CorpusError, match=f"{name} is damaged"):
        list(read_conversations(path))
    path.write_bytes(b"plain text")
    with pytest.raises(CorpusError, match=f"{name} is damaged"):
        list(read_conversations(path))


@pytest.mark.parametrize("name", ["p.jsonl", "p.jsonl.xz", "p.jsonl.gz"])
def test_pairs_come_back_as_they_were(tmp_path: Path, name: str) -> None:
    pairs = [
        Pair("what, http://x.org ?", "line\u2028separator"),
        Pair("  spaces  ", "tab\tand\nnewline"),
        Pair("émoji 🙂", "ok"),
    ]
    write_pairs(pairs, tmp_path / name)
    assert read_pairs(tmp_path / name) == pairs


def test_pairs_in_columns_are_taken_as_they_are(tmp_path: Path) -> None:
    # a query stands for what was asked: a link in it stays
    path = tmp_path / "p.tsv"
    path.write_text("see http://x.org\tok\n")
    assert read_pairs(path) == [Pair("see http://x.org", "ok")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no"),
        ('{"query": "a"}\n', "line 1"),
        ('{"query": "a", "reply": "b"}\n{"query": "a", "reply": 5}\n', "line 2: "),
        ('{"query": "a", "reply": "b", "x": 1}\n', "Unknown keys"),
    ],
)
def test_pairs_that_cannot_be_used_are_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(text)
    with pytest.raises(CorpusError, match=message):
        read_pairs(path)


def test_the_jsonl_of_conversations_survives_odd_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps(["a\u2028b", "c\x85d"], ensure_ascii=False) + "\n", encoding="utf-8")
    (conversation,) = read_conversations(path)
    assert conversation.turns == (("a b",), ("c d",))
