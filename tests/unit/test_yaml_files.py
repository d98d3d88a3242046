"""YAML files: one reader for settings and chatbots; what it says never holds a value."""

import time
from pathlib import Path

import pytest

from saywhat.config.yaml_files import YamlFile, read_yaml
from saywhat.errors import SetupError

HIDDEN = "tiger-7-hidden"


def read(folder: Path, text: str) -> YamlFile:
    """Write a file and read it."""
    path = folder / "made.yaml"
    path.write_text(text, encoding="utf-8")
    return read_yaml(path)


def test_each_key_has_its_line(tmp_path: Path) -> None:
    file = read(tmp_path, "a: 1\nb:\n  c: [x, {d: 2}]\n  e:\n  - f: 3\n  - - g: 4\n5: x\n")
    assert file.values == {
        "a": 1, "b": {"c": ["x", {"d": 2}], "e": [{"f": 3}, [{"g": 4}]]}, "5": "x",
    }  # fmt: skip
    assert file.lines == {
        "a": 1, "b": 2, "b.c": 3, "b.c.0": 3, "b.c.1": 3, "b.c.1.d": 3, "b.e": 4, "b.e.0": 5,
        "b.e.0.f": 5, "b.e.1": 6, "b.e.1.0": 6, "b.e.1.0.g": 6, "5": 7,
    }  # fmt: skip
    assert file.repeated == []
    assert [file.line_of(key) for key in ("b.e.0.f.x", "b.e.7", "b", "z", "")] == [5, 4, 2, 1, 1]


def test_a_key_is_given_twice_within_one_mapping_only(tmp_path: Path) -> None:
    file = read(tmp_path, "a.b: 1\na:\n  b: 2\nc: [{d: 1}, {d: 2}]\n")
    assert file.repeated == []
    assert file.lines["a.b"] == 1
    file = read(tmp_path, "a: 1\nb:\n- c: 1\n- d: 1\n  c: 2\n  d: 3\n  d: 4\na: 2\n")
    assert file.repeated == [("b.1.d", 6, 4), ("b.1.d", 7, 4), ("a", 8, 1)]


def test_a_merge_gives_nothing_twice(tmp_path: Path) -> None:
    file = read(tmp_path, "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n")
    assert file.values["b"] == {"x": 1, "y": 3}
    assert file.repeated == []
    assert file.line_of("b.x") == 2  # it is written elsewhere


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~"])
def test_nothing_is_no_keys(text: str, tmp_path: Path) -> None:
    assert read(tmp_path, text) == YamlFile({}, {}, [])


def test_a_file_that_unfolds_without_end_is_soon_read(tmp_path: Path) -> None:
    lines = ["a0: &a0 {k: v}"]
    lines += [
        f"a{n}: &a{n} {{{', '.join(f'k{i}: *a{n - 1}' for i in range(9))}}}" for n in range(1, 30)
    ]
    lines += ["self: &self {inner: *self}", "list: &list [*list, *a29]"]
    started = time.monotonic()
    file = read(tmp_path, "\n".join(lines))
    assert len(file.lines) < 1000
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"a: b: {HIDDEN}", "is not YAML: line 1: mapping values are not allowed here."),
        (f"a: {HIDDEN}\nb: [{HIDDEN}", "is not YAML: line 2: "),
        (f"a: 'x {HIDDEN}", "is not YAML: line 1: "),
        (f"? [{HIDDEN}]\n: 1", "is not YAML: line 1: found unhashable key"),
        (f"? &k {{a: {HIDDEN}}}\n: *k", "is not YAML: line 1: found unhashable key"),
        (f"a: !x {HIDDEN}", "could not determine a constructor"),
        (f"a: !!int {HIDDEN}", "is not YAML (ValueError)."),
        ("a: !!int ''", "is not YAML (IndexError)."),
        (f"a: !!bool {HIDDEN}", "is not YAML (KeyError)."),
        (f"a: !!timestamp {HIDDEN}", "is not YAML (AttributeError)."),
        ("a: 2026-13-45", "is not YAML (ValueError)."),
        ("a: 1\n---\nb: 2", "is not YAML: line 2: but found another document."),
        ("[" * 5000, "is not YAML (RecursionError)."),
        (f"- {HIDDEN}", "got a list."),
        (HIDDEN, "got a str."),
    ],
)
def test_what_is_no_such_file(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert HIDDEN not in str(caught.value)
    assert caught.value.__cause__ is None
    context = caught.value.__context__
    assert context is None or caught.value.__suppress_context__
