import collections
import math
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saywhat.chatbots import plain_pickle

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=40,
)


@settings(max_examples=60)
@given(VALUES, st.integers(2, 5))
def test_plain_values_come_back(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol=protocol)
    assert plain_pickle.load(data) == value
    assert repr(plain_pickle.load(data)) == repr(value)  # True is not 1, nor (1,) a list


def test_shared_and_long_values() -> None:
    shared = ["a" * 300, 2**2000, -1, 255, 256, 65_536, -math.inf]
    value = {"one": shared, "two": shared, "many": list(range(3000)), "é\ud800": "\U0001f600"}
    assert plain_pickle.load(pickle.dumps(value)) == value


class Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_keys_that_nobody_could_hash_are_refused() -> None:
    """A tuple's hash is that of all its leaves, and here are 2 ** 40."""
    key = b")" + b"2\x86" * 40  # an empty tuple; twice the topmost value, and both in a tuple
    with pytest.raises(ValueError, match="DUP is not one for plain values"):
        plain_pickle.load(b"\x80\x02}" + key + b"K\x01s.")
    remembered = b")" + b"q\x00h\x00\x86" * 40  # the same by way of the memo
    with pytest.raises(ValueError, match="a key is not a text or a number"):
        plain_pickle.load(b"\x80\x02}" + remembered + b"K\x01s.")
    plain = pickle.dumps({"a": (1, 2), 3: {"b": None}})
    assert plain_pickle.load(plain) == {"a": (1, 2), 3: {"b": None}}


@pytest.mark.parametrize("protocol", range(6))
def test_code_is_refused_and_not_run(protocol: int, tmp_path: Path) -> None:
    data = pickle.dumps({"a": [Payload(tmp_path / "trace")]}, protocol=protocol)
    with pytest.raises(ValueError, match=r"the instruction [A-Z_0-9]+ is not one for plain values"):
        plain_pickle.load(data)
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    "value",
    [print, object(), {1, 2}, b"bytes", 1j, collections.OrderedDict(a=1), 1 << 9999],
    ids=lambda value: type(value).__name__,
)
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="is not one for plain values"):
        plain_pickle.load(pickle.dumps(value))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04.",  # nothing on the stack
        b"\x80\x04NN.",  # two values
        b"\x80\x04a.",  # append to nothing
        b"\x80\x04}N(u.",  # items for no dictionary
        b"\x80\x04}(Nu.",  # a key without a value
        b"\x80\x04}]Ns.",  # a key that cannot be one
        b"\x80\x04NNa.",  # append to no list
        b"\x80\x04h\x07.",  # what was never put down
        b"\x80\x04N\x94u.",  # no mark
        b"\x80\x04\xff.",  # no instruction
    ],
)
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        plain_pickle.load(data)


def test_a_cut_pickle_is_refused() -> None:
    data = pickle.dumps({"a": [1, 2.5, "text"], "b": {"c": (None, True, 1, 2)}})
    for length in range(len(data)):
        with pytest.raises(ValueError, match=r"."):
            plain_pickle.load(data[:length])


def test_a_place_far_away_takes_no_memory() -> None:
    # torch's and Python's own readers would make room for 2 ** 31 places
    assert plain_pickle.load(b"\x80\x04Nr\xff\xff\xff\x7f.") is None
