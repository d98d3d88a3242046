"""Hostile text made visible: code points for what hides or acts, a said cut for what is long."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saywhat.reports.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ordinary: é ß 你好 עברית", "plain, ordinary: é ß 你好 עברית"),
        ("\x1b]0;owned\x07", "<U+001B>]0;owned<U+0007>"),
        ("a\x00b\r\nc\td", "a<U+0000>b<U+000D><U+000A>c<U+0009>d"),
        ("\u202egpj.exe\u2066", "<U+202E>gpj.exe<U+2066>"),
        ("zero\u200bwidth\ufeff", "zero<U+200B>width<U+FEFF>"),
        ("no\u00a0break\u2028line", "no<U+00A0>break<U+2028>line"),
        ("\ud800", "<U+D800>"),
        ("\U000e0041tag", "<U+E0041>tag"),
        ("\u3164\u2800\U000e0100", "<U+3164><U+2800><U+E0100>"),
        ("\u2764\ufe0f a\ufe0f", "\u2764\ufe0f a<U+FE0F>"),
        ("a" + "\u0301" * 5, "a\u0301\u0301\u0301<U+0301><U+0301>"),
        ("", ""),
    ],
)
def test_what_hides_is_shown_and_the_rest_is_kept(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_nothing_that_acts_is_left_and_showing_twice_changes_nothing(text: str) -> None:
    shown = visible(text)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl"}
    assert visible(shown) == shown


def test_a_cut_is_said() -> None:
    assert visible("x" * 100_000, limit=2) == "xx... [cut: 100,000 characters in all]"
    assert visible("xx", limit=2) == "xx"
