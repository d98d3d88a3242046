"""Paths into JSON of strangers: every suggestion leads where it says."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saywhat.chatbots.json_paths import MISSING, ReplyPath, text_paths
from saywhat.errors import SetupError

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(document=DOCUMENTS)
def test_each_suggested_path_leads_to_its_text(document: object) -> None:
    for path, sample in text_paths(document, most=100):
        found = ReplyPath(path).find(document)
        assert isinstance(found, str)
        assert " ".join(found.split()) == sample


@pytest.mark.parametrize(
    "key",
    ["'", '"', "\\", "\n", "\0", "\u2028", "\ud800", "\U000e0001", "😀", "", " ", "a.b", "[0]", "*",
     "..", "$", "@", "true", "null", "and", "in", "1", "-1", "a-b", "__class__", "\\u0041", "~",
     "#"],
)  # fmt: skip
def test_keys_of_any_kind(key: str) -> None:
    document = {"other": 1, key: [{"x": 1}, {key: "found"}]}
    [(path, sample)] = text_paths(document)
    assert sample == "found"
    assert ReplyPath(path).find(document) == "found"
    assert path.isprintable()


def test_the_likeliest_come_first_then_the_nearest() -> None:
    document = {
        "id": "0",
        "meta": {"a": {"b": "far"}, "c": "near"},
        "choices": [{"message": {"role": "bot", "content": "this"}}],
    }
    assert [path for path, _ in text_paths(document)] == [
        "$.choices[0].message.content", "$.id", "$.meta.c", "$.meta.a.b",
        "$.choices[0].message.role",
    ]  # fmt: skip
    assert len(text_paths(document, most=2)) == 2


def test_samples_are_short_lines_of_what_may_be_shown() -> None:
    [(_, sample)] = text_paths({"text": "a\n\tb " + "secret " * 20}, shown=lambda text: "c\n" * 50)
    assert sample == "c " * 19 + "c…"


@pytest.mark.parametrize(
    "document",
    [
        json.loads('{"a":' * 900 + '"x"' + "}" * 900),
        json.loads("[" * 900 + '"x"' + "]" * 900),
        ["x"] * 60_000,
        {"k" * 100_000: "x"},
        [[{}] * 250] * 250,
    ],
    ids=["deep object", "deep list", "long", "long key", "wide"],
)
def test_hostile_documents_are_soon_done_with(document: object) -> None:
    paths = text_paths(document)
    assert len(paths) <= 5
    assert all(len(path) < 600 for path, _ in paths)
    for path in ("$..x", "$..*", "$.a.a.a", "$[0][0]", "$[?@.a == 'x']"):
        found = ReplyPath(path).find(document)
        assert found is MISSING or isinstance(found, dict | list | str)


def test_text_is_not_read_as_json() -> None:
    assert ReplyPath("$.a").find('{"a": "b"}') is MISSING
    assert ReplyPath("$").find("hello") == "hello"
    assert ReplyPath("$.a").find(5) is MISSING
    assert ReplyPath("$.a").find(None) is MISSING


def test_the_first_match_counts() -> None:
    assert ReplyPath("$.a[*].t").find({"a": [{"x": 1}, {"t": "1"}, {"t": "2"}]}) == "1"
    assert ReplyPath("$.a | $.b").find({"b": "2"}) == "2"
    assert ReplyPath("$.a").find({"a": None}) is None


@pytest.mark.parametrize(
    "path", ["", "text", "a.b", "$.a[", "$[?@.a ==]", "$" + "[?" * 2000, "$.a b"]
)
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(SetupError, match=r"JSONPath"):
        ReplyPath(path)
