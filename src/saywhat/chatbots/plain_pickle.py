"""Reads plain values out of a pickle without unpickling it.

A pickle is a program. This runs only its instructions for dictionaries, lists, tuples, texts,
numbers, booleans and ``None``; any other (above all those that name or call something) is refused.
"""

import pickletools
from collections.abc import Callable
from typing import Any, Final

_MARK: Final = object()
_CONSTANTS: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: Final[dict[str, Callable[[], Any]]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
# without LONG4: numbers of thousands of digits, which Python itself refuses to print
_ARGUMENTS: Final = frozenset(
    {
        "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
        "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    }
)  # fmt: skip
_TUPLES: Final = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def load(data: bytes) -> Any:
    """Give the value that a pickle of plain values holds.

    Args:
        data: the pickle, of protocol 2 or later.

    Raises:
        ValueError: it is damaged, or asks for anything but plain values; nothing of it was run.

    Example:
        >>> import pickle
        >>> load(pickle.dumps({"a": [1, 2.5, ("b", None, True)]}))
        {'a': [1, 2.5, ('b', None, True)]}
        >>> load(pickle.dumps(print))
        Traceback (most recent call last):
        ...
        ValueError: the instruction STACK_GLOBAL is not one for plain values
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                (value,) = stack
                return value
            _run(opcode.name, argument, stack, memo)
    except (LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"it is damaged ({type(error).__name__})") from error
    raise ValueError("it ends too soon")


def _run(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    if name in _ARGUMENTS:
        stack.append(argument)
    elif name in _CONSTANTS:
        stack.append(_CONSTANTS[name])
    elif name in _EMPTY:
        stack.append(_EMPTY[name]())
    elif name == "MARK":
        stack.append(_MARK)
    elif name in {"BINPUT", "LONG_BINPUT", "MEMOIZE"}:
        memo[len(memo) if name == "MEMOIZE" else argument] = stack[-1]
    elif name in {"BINGET", "LONG_BINGET"}:
        stack.append(memo[argument])
    elif name not in {"PROTO", "FRAME"}:
        _gather(name, stack)


def _gather(name: str, stack: list[Any]) -> None:
    """Run an instruction that puts the topmost values into a collection."""
    if name in {"SETITEMS", "APPENDS", "TUPLE"}:
        taken = _to_mark(stack)
    elif name in {"SETITEM", "APPEND"} | _TUPLES.keys():
        count = _TUPLES.get(name, 2 if name == "SETITEM" else 1)
        taken = [stack.pop() for _ in range(count)][::-1]
    else:
        raise ValueError(f"the instruction {name} is not one for plain values")
    if name.startswith("TUPLE"):
        stack.append(tuple(taken))
    elif name.startswith("APPEND"):
        list.extend(stack[-1], taken)
    else:
        if any(isinstance(key, tuple) for key in taken[::2]):  # hashing one can take for ever
            raise ValueError("a key is not a text or a number")
        dict.update(stack[-1], zip(taken[::2], taken[1::2], strict=True))


def _to_mark(stack: list[Any]) -> list[Any]:
    taken = []
    while (value := stack.pop()) is not _MARK:
        taken.append(value)
    return taken[::-1]
