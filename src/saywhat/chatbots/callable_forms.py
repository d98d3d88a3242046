"""The forms that a user's function may have: how it is called, and what it may give back.

The form is read from the signature, never found out by a call: that would be a query which nobody
counted.

==========================================  ========================================
signature                                   the form of
==========================================  ========================================
``f(query)``, ``async f(query)``            most functions; deepteam's callback
``f(queries: list[str])``, also ``async``   a model, or a service that takes batches
``call_api(prompt, options, context)``      a promptfoo provider, also ``async``
``f(prompt, **kwargs)``                     a garak function
``f(prompt, generations, **kwargs)``        a garak function for several generations
==========================================  ========================================
"""

import collections.abc
import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, final, runtime_checkable

from saywhat.errors import ChatbotError, SetupError

_BATCHES: Final = (
    list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection,
)  # fmt: skip


@runtime_checkable
class _Turn(Protocol):
    """One turn of a conversation, as deepteam's callbacks and many clients give it."""

    content: str


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """How a function is called.

    Attributes:
        takes: one ``text``, a whole ``batch``, or one text with promptfoo's or garak's arguments.
        asynchronous: whether its reply is awaited.
        lists: whether it may answer one text with a list, of which the first item is the reply.
    """

    takes: Literal["text", "batch", "promptfoo", "garak"]
    asynchronous: bool
    lists: bool

    def arguments(self, query: str) -> tuple[object, ...]:
        """Give the arguments for one query; the function may alter them."""
        if self.takes == "promptfoo":
            options = {"id": "saywhat", "config": {}}
            context = {
                "vars": {},
                "prompt": {"raw": query, "label": query},
                "test": {"vars": {}, "metadata": {}},
            }
            return query, options, context
        return (query, 1) if self.takes == "garak" else (query,)


def form_of(function: Callable[..., Any], name: str) -> Form:
    """Read the form of a function from its signature.

    Args:
        function: the function.
        name: what it is called in messages.

    Raises:
        SetupError: it has none of the forms.

    Example:
        >>> form_of(lambda query: query, "f").takes
        'text'
        >>> form_of(lambda prompt, options, context: {"output": prompt}, "f").takes
        'promptfoo'
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise SetupError(f"{name}() gives its reply in pieces; join them and return one text.")
    asynchronous = _is_asynchronous(function)
    try:
        signature = _signature(function)
    except (TypeError, ValueError):  # written in C and undocumented: as good as unannotated
        return Form("text", asynchronous, lists=False)
    parameters = list(signature.parameters.values())
    if _is_promptfoo(signature, parameters, name):
        return Form("promptfoo", asynchronous, lists=True)
    if len(parameters) > 1 and parameters[1].name == "generations" and _takes(signature, 2):
        return Form("garak", asynchronous, lists=True)
    if not _takes(signature, 1):
        raise SetupError(
            f"Expected a function of one parameter, the query, or promptfoo's call_api(prompt, "
            f"options, context); got {name}{signature}."
        )
    if _is_batch(parameters[0].annotation):
        return Form("batch", asynchronous, lists=False)
    return Form("text", asynchronous, lists=_is_text(parameters[0]))


def text_of(reply: object, form: Form, *, name: str, query: str) -> str:
    """Read the reply to one query.

    Args:
        reply: what the function gave: text, promptfoo's dictionary, a turn of a conversation, or,
            if its form allows it, a list of texts.
        form: the function's form.
        name: what it is called in messages.
        query: the query.

    Raises:
        ChatbotError: it reported a failure, or gave something else.

    Example:
        >>> form = form_of(lambda prompt: [prompt], "f")
        >>> [text_of(r, form, name="f", query="") for r in ("a", {"output": "b"}, ["c", "d"])]
        ['a', 'b', 'c']
    """
    if isinstance(reply, list | tuple) and form.lists:
        if not reply:
            raise ChatbotError(f"{name}() gave no text", query=query, kind="no text")
        reply = reply[0]
    if isinstance(reply, str):
        return reply
    if isinstance(reply, Mapping):
        if failure := reply.get("error"):
            raise ChatbotError(
                f"{name}() reported an error: {failure!s:.300}", query=query, kind="reported error"
            )
        if "output" not in reply:
            keys = f"{sorted(map(str, reply))!r:.80}"
            raise _wrong(f"a dictionary without 'output' or 'error': {keys}", name, query)
        reply = reply["output"]
    elif isinstance(reply, _Turn):
        reply = reply.content
    if isinstance(reply, str):
        return reply
    raise _wrong(_described(reply, form), name, query)


def texts_of(
    replies: object, form: Form, *, name: str, queries: Sequence[str]
) -> list[str | ChatbotError]:
    """Read the replies to a batch: for each query its reply, or why there is none.

    Raises:
        ChatbotError: they cannot be matched with the queries.
    """
    if not isinstance(replies, list | tuple) or len(replies) != len(queries):
        got = f"{len(replies)}" if isinstance(replies, list | tuple) else type(replies).__name__
        raise ChatbotError(
            f"Expected a list of {len(queries)} texts from {name}(), got {got}",
            query=queries[0],
            kind="wrong replies",
            retry="never",
        )
    outcomes: list[str | ChatbotError] = []
    for query, reply in zip(queries, replies, strict=True):
        try:
            outcomes.append(text_of(reply, form, name=name, query=query))
        except ChatbotError as error:
            outcomes.append(error)
    return outcomes


def _wrong(got: str, name: str, query: str) -> ChatbotError:
    what = f"Expected text from {name}(), got {got}"
    # asked again, the same function would give the same type
    return ChatbotError(what, query=query, kind="wrong reply", retry="never")


def _described(reply: object, form: Form) -> str:
    if inspect.iscoroutine(reply):
        reply.close()
        return "a coroutine; declare the function with 'async def'"
    if isinstance(reply, list | tuple) and not (form.lists or form.takes == "batch"):
        return (
            "a list; annotate the function's parameter: 'str' if the list's first item is the "
            "reply, 'list[str]' if it takes a batch"
        )
    return type(reply).__name__


def _is_asynchronous(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        type(function).__call__
    )


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except Exception:  # noqa: BLE001  (an annotation in quotes may hold anything)
        return inspect.signature(function)


def _takes(signature: inspect.Signature, number: int) -> bool:
    """Whether a function can be called with so many arguments."""
    try:
        signature.bind(*[""] * number)
    except TypeError:
        return False
    return True


def _is_promptfoo(
    signature: inspect.Signature, parameters: Sequence[inspect.Parameter], name: str
) -> bool:
    """Whether the three arguments are promptfoo's: by the function's name or the parameters'."""
    if not _takes(signature, 3):
        return False
    named = [parameter.name.strip("_") for parameter in parameters[1:3]]
    return name.rpartition(".")[2] == "call_api" or named == ["options", "context"]


def _is_batch(annotation: object) -> bool:
    if isinstance(annotation, str):
        return annotation.partition("[")[0].rpartition(".")[2] in {"list", "List", "Sequence"}
    origin = typing.get_origin(annotation) or annotation
    return any(origin is batch for batch in _BATCHES)


def _is_text(parameter: inspect.Parameter) -> bool:
    """Whether a parameter says that it is one text: only then can a list be the reply to one."""
    annotation = parameter.annotation
    return annotation is str or annotation == "str" or parameter.name == "prompt"
