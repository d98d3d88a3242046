"""Target lists: the right lengths, no leak, no dependence on order, and files that users bring."""

import json
from pathlib import Path

import pytest

from saywhat.corpora.targets import (
    frequent_replies,
    generated_candidates,
    hold_out,
    leaks,
    limit_per_group,
    mark_seen,
    pick,
    pick_lists,
    read_targets,
    real_candidates,
)
from saywhat.errors import CorpusError
from saywhat.records import Pair, Target
from saywhat.rng import derive
from saywhat.text.normalise import LENGTH_GROUPS, normalise, word_count

WORDS = "red green blue pink grey black white brown".split()


def sentences(count: int, seed: int = 0) -> list[str]:
    """Give random sentences of 1 to 12 words, in several spellings."""
    rng = derive(seed, "sentences")
    made = []
    for _ in range(count):
        text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 12)))
        made.append(rng.choice([text, text.upper(), text + " !", text.replace(" ", "  ")]))
    return made


CANDIDATES = generated_candidates(sentences(900))
REAL = real_candidates(Pair(f"before {i}", text) for i, text in enumerate(sentences(900, seed=1)))


def test_picked_targets_are_distinct_and_of_their_length() -> None:
    picked = pick(CANDIDATES, per_length=20, seed=1)
    assert [target.length for target in picked] == [g for g in LENGTH_GROUPS for _ in range(20)]
    assert len({normalise(target.text) for target in picked}) == 60
    for target in picked:
        low, high = LENGTH_GROUPS[target.length]
        assert low <= word_count(target.text) <= high
        assert target.text in sentences(900)
    assert pick(CANDIDATES, per_length=20, seed=2) != picked


def test_the_order_of_candidates_does_not_matter() -> None:
    assert len({normalise(t.text) for t in REAL}) < len({t.text for t in REAL}), "one spelling each"
    for seed in range(10):
        turned = [*REAL]
        derive(seed, "turn").shuffle(turned)
        assert pick(turned, per_length=20, seed=1) == pick(REAL, per_length=20, seed=1)


def test_more_candidates_replace_few() -> None:
    # by hash: a target leaves the list only for one that ranks before it
    few, many = (
        {normalise(t.text) for t in pick(CANDIDATES[:n], per_length=10, seed=1)} for n in (500, 900)
    )
    added = {normalise(t.text) for t in CANDIDATES[500:]}
    assert many - few <= added
    assert few & many


def test_too_few_candidates_are_told() -> None:
    with pytest.raises(CorpusError, match="Expected 500 distinct targets of 1-3 words, found"):
        pick(CANDIDATES, per_length=500, seed=1)


def test_no_sentence_is_in_two_lists() -> None:
    both = [*CANDIDATES, *REAL]
    test = pick_lists(both, per_length=15, seed=1)
    validation = pick_lists(both, per_length=10, seed=1, without=test)
    assert [t.list for t in test] == ["generated"] * 45 + ["real"] * 45
    assert [t.list for t in validation] == ["generated"] * 30 + ["real"] * 30
    texts = [normalise(target.text) for target in (*test, *validation)]
    assert len(set(texts)) == len(texts) == 150


def test_real_targets_keep_the_query_before_them() -> None:
    before = {pair.text: pair.query for pair in REAL}
    assert all(
        before[target.text].startswith("before ") for target in pick(REAL, per_length=9, seed=1)
    )
    assert all(target.query == "" for target in pick(CANDIDATES, per_length=9, seed=1))


def test_held_out_pairs_leak_nothing_in_any_spelling() -> None:
    targets = [Target("I don't know!"), Target("red blue")]
    pairs = [
        Pair("hi", "i DONT know"),
        Pair("Red, blue?", "fine"),
        Pair("hi", "red blue green"),
        Pair("i know", "hi"),
    ]
    kept = hold_out(pairs, targets)
    assert kept == pairs[2:]
    assert leaks(targets, [text for pair in pairs for text in (pair.query, pair.reply)]) == targets
    assert leaks(targets, [text for pair in kept for text in (pair.query, pair.reply)]) == []


def test_seen_targets_are_marked_and_are_no_leak() -> None:
    pairs = [Pair("hi", "Red blue!")]
    (seen,) = mark_seen([Target("red blue", length="1-3"), Target("green")], pairs, name="again")
    assert seen == Target("red blue", list="again", length="1-3", seen=True)
    assert leaks([seen], ["red blue"]) == []


def test_a_limit_counts_by_list_and_length() -> None:
    targets = pick_lists([*CANDIDATES, *REAL], per_length=5, seed=1)
    few = limit_per_group(targets, 2)
    groups = [(target.list, target.length) for target in few]
    assert {group: groups.count(group) for group in groups} == {
        (name, length): 2 for name in ("generated", "real") for length in LENGTH_GROUPS
    }
    assert limit_per_group(targets, None) == targets


# ------------------------------------------------------------------------------- files of users


def write(tmp_path: Path, name: str, text: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_plain_lines(tmp_path: Path) -> None:
    text = "\ufeff# a comment\r\n\r\n  i know  \r\nsee you tomorrow then\ni know\nodd\u2028line\n"
    assert read_targets(write(tmp_path, "t.txt", text)) == [
        Target("i know", length="1-3"),
        Target("see you tomorrow then", length="4-6"),
        Target("odd\u2028line", length="1-3"),
    ]


def test_tables(tmp_path: Path) -> None:
    rows = 'query,text,list\nhi,"one, two",mine\n,"three\nfour",\n,,\n'
    expected = [
        Target("one, two", list="mine", length="1-3", query="hi"),
        Target("three\nfour", length="1-3"),
    ]
    assert read_targets(write(tmp_path, "t.csv", rows)) == expected
    tabs = "text\tquery\none, two\thi\n"
    assert read_targets(write(tmp_path, "t.tsv", tabs)) == [
        Target("one, two", length="1-3", query="hi")
    ]


def test_json_lines(tmp_path: Path) -> None:
    lines = [{"text": "a\u2028b"}, {"text": "c d", "list": "x", "length": "7-10", "seen": True}]
    text = "\n\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    assert read_targets(write(tmp_path, "t.jsonl", text)) == [
        Target("a\u2028b", length="1-3"),
        Target("c d", list="x", length="7-10", seen=True),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.txt", "# nothing\n\n", "holds no target"),
        ("t.csv", "sentence\nhi\n", "column named 'text'"),
        ("t.csv", "", "column named 'text'"),
        ("t.csv", 'text\n"' + "x" * 200_000, "line 2: not a table"),
        ("t.jsonl", '{"text": "a"}\n\n{"text"\n', "line 3: Expected one JSON object"),
        ("t.jsonl", '{"text": 5}\n', "line 1: "),
        ("t.jsonl", '{"text": "a"}\n{"text": " "}\n', "line 2: Expected a sentence"),
        ("t.jsonl", '{"text": "a", "colour": 1}\n', "line 1: Unknown keys"),
        ("t.txt", b"a\nb\ncaf\xe9\n", "line 3: not UTF-8"),
    ],
)
def test_what_cannot_be_used_is_told(
    tmp_path: Path, name: str, text: str | bytes, message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        read_targets(write(tmp_path, name, text))


def test_no_file_and_no_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="There is no target list"):
        read_targets(tmp_path / "nowhere.txt")
    with pytest.raises(CorpusError, match="is a folder"):
        read_targets(tmp_path)


def test_a_short_group_gives_half_of_what_it_has_when_asked_to_tell() -> None:
    few = generated_candidates(["one two", "three four", "five six", "seven", "a b c d"])
    told: list[str] = []
    picked = pick(few, per_length=5, seed=1, short=told.append)
    # 4 of 1-3 words -> 2, 1 of 4-6 words -> 0, none of 7-10
    assert [target.length for target in picked] == ["1-3", "1-3"]
    assert len(told) == 3
    assert "found 4; 2 are taken" in told[0]


def test_only_replies_over_the_share_are_frequent() -> None:
    pairs = [Pair(str(n), "ok.") for n in range(3)] + [Pair("x", "well"), Pair("y", "so")]
    assert frequent_replies(pairs, share=0.5) == ["ok"]  # 3 of 5
    assert frequent_replies(pairs, share=0.6) == []  # exactly the share is not over it
