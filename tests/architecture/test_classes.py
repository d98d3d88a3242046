"""Classes are interfaces or final, errors are in the drawn tree, ``__all__`` tells the truth."""

import ast
import dataclasses
import enum
import importlib
import inspect
import pkgutil
import re
from types import ModuleType

import pydantic

import saywhat
from saywhat import errors


def modules() -> list[ModuleType]:
    """Import every module of the package."""
    found = pkgutil.walk_packages(saywhat.__path__, "saywhat.")
    return [
        saywhat,
        *(importlib.import_module(m.name) for m in found if not m.name.endswith("__main__")),
    ]


def own_classes() -> list[type]:
    """Give the classes that the package defines."""
    return [
        item
        for module in modules()
        for item in vars(module).values()
        if inspect.isclass(item) and item.__module__ == module.__name__
    ]


def is_settled(item: type) -> bool:
    """Whether nobody can inherit behaviour from a class by accident."""
    return (
        getattr(item, "__final__", False)
        or inspect.isabstract(item)
        or getattr(item, "_is_protocol", False)
        or dataclasses.is_dataclass(item)
        or hasattr(item, "_fields")  # a named tuple
        or hasattr(item, "__total__")  # a typed dictionary
        or issubclass(item, (pydantic.BaseModel, enum.Enum, Exception))
    )


def test_classes_are_interfaces_records_or_final() -> None:
    classes = own_classes()
    assert len(classes) > 30, "the classes were not found"
    assert [f"{c.__module__}.{c.__name__}" for c in classes if not is_settled(c)] == []


def test_nobody_inherits_from_a_final_class() -> None:
    inherited = [
        f"{item.__module__}.{item.__name__}"
        for item in own_classes()
        if any(
            getattr(base, "__final__", False) and "__final__" in vars(base)
            for base in item.__mro__[1:]
        )
    ]
    assert inherited == []


def test_the_exception_tree_is_drawn_as_it_is() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"([ │├└─]*)(\w+Error)\b", line.removeprefix("    ")):
            depth = len(match[1]) // 4
            path[depth:] = [match[2]]
            drawn[match[2]] = path[depth - 1] if depth else "Exception"
    real = {
        item.__name__: item.__base__.__name__
        for item in vars(errors).values()
        if inspect.isclass(item) and item.__module__ == errors.__name__ and item.__base__
    }
    assert drawn == real


def test_all_errors_are_in_the_tree() -> None:
    elsewhere = [
        f"{item.__module__}.{item.__name__}"
        for item in own_classes()
        if issubclass(item, BaseException) and item.__module__ != errors.__name__
    ]
    assert elsewhere == []


def test_all_is_sorted_and_complete() -> None:
    for module in modules():
        names = getattr(module, "__all__", None)
        if names is None:
            continue
        assert list(names) == sorted(names), f"{module.__name__}.__all__ is not sorted"
        missing = [name for name in names if not hasattr(module, name)]
        assert missing == [], f"{module.__name__}.__all__ names what is not there"
        own = {
            name
            for name, item in vars(module).items()
            if not name.startswith("_")
            and getattr(item, "__module__", "") == module.__name__
            and (inspect.isclass(item) or inspect.isfunction(item))
        }
        assert own - set(names) == set(), f"{module.__name__}.__all__ lacks its own names"


def test_type_checkers_see_what_the_package_offers() -> None:
    tree = ast.parse(inspect.getsource(saywhat))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert sorted(str(node.names[0].asname) for node in imports) == list(saywhat.__all__)
