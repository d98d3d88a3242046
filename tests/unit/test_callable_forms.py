"""What users have already written for other tools: told by signature, never by a trial call."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import pytest

from saywhat.chatbots.callable import wrap
from saywhat.chatbots.callable_forms import form_of
from saywhat.errors import ChatbotError, SetupError


def text(query: str) -> str:
    return query


def batch(queries: list[str]) -> list[str]:
    return queries


async def later(query: str) -> str:
    return query


async def batch_later(queries: list[str]) -> list[str]:
    return queries


async def model_callback(input: str, turns: object = None) -> str:  # noqa: A002  (deepteam's name)
    return input


def call_api(prompt: str, options: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
    return {"output": prompt}


async def call_api_later(prompt: str, options: object, context: object) -> dict[str, Any]:
    return {"output": prompt}


def other_names(prompt, _options, _context):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, RUF100
    return {"output": prompt}


def garak_single(prompt: str, **kwargs: object) -> list[str]:
    return [prompt]


def garak_multiple(prompt: str, generations: int, **kwargs: object) -> list[str]:
    return [prompt] * generations


def with_options(query: str, options: object = None, verbose: bool = False) -> str:
    return query


class Bot:
    """Methods and callable objects are functions too."""

    def ask(self, query: str) -> str:
        return query

    async def __call__(self, query: str) -> str:
        return query

    def call_api(self, prompt: str, opts: object, ctx: object) -> dict[str, str]:
        return {"output": prompt}


FORMS: list[tuple[Callable[..., Any], str, bool]] = [
    (text, "text", False),
    (batch, "batch", False),
    (later, "text", True),
    (batch_later, "batch", True),
    (model_callback, "text", True),
    (call_api, "promptfoo", False),
    (call_api_later, "promptfoo", True),
    (other_names, "promptfoo", False),
    (garak_single, "text", False),
    (garak_multiple, "garak", False),
    (with_options, "text", False),
    (Bot().ask, "text", False),
    (Bot(), "text", True),
    (Bot().call_api, "promptfoo", False),
    (functools.partial(later), "text", True),
    (functools.partial(call_api, options={}, context={}), "text", False),
    (str.upper, "text", False),
]


@pytest.mark.parametrize(("function", "takes", "asynchronous"), FORMS)
def test_the_signature_tells_the_form(
    function: Callable[..., Any], takes: str, asynchronous: bool
) -> None:
    form = form_of(function, getattr(function, "__name__", "f"))
    assert (form.takes, form.asynchronous) == (takes, asynchronous)


@pytest.mark.parametrize(
    "function", [function for function, _, _ in FORMS if function != str.upper]
)
def test_every_form_answers(function: Callable[..., Any]) -> None:
    chatbot = wrap(function)
    assert chatbot.reply(["a", "b"]) == ["a", "b"]
    chatbot.close()


def test_nothing_is_called_to_find_out() -> None:
    calls = []
    for parameters in ("q", "q: list[str]", "prompt, options, context", "prompt, generations"):
        for kind in ("def", "async def"):
            space: dict[str, Any] = {"calls": calls}
            exec(f"{kind} f({parameters}):\n    calls.append(1)\n", space)  # noqa: S102
            assert wrap(space["f"]).fingerprint
    assert calls == []


def test_annotations_that_mean_nothing_do_no_harm() -> None:
    for hint in ("[str]", "'list[str'", "'no such name'", "{}", "1 / 2", "'1 / 0'"):
        space: dict[str, Any] = {}
        exec(f"def f(q: {hint}):\n    return q\n", space)  # noqa: S102  (the test's own text)
        assert wrap(space["f"]).reply(["a"]) == ["a"], hint


def test_promptfoo_gets_arguments_of_its_own_in_each_call() -> None:
    seen = []

    def call_api(prompt: str, options: dict[str, Any], context: dict[str, Any]) -> dict[str, Any]:
        prefix = options.get("config", {}).get("prefix", "")
        seen.append((dict(options["config"]), context["prompt"]["raw"], dict(context["vars"])))
        options["config"]["prefix"] = context["vars"]["left"] = "from the last call"
        return {"output": prefix + prompt, "tokenUsage": {"total": 3}}

    assert wrap(call_api).reply(["a", "b"]) == ["a", "b"]
    assert seen == [({}, "a", {}), ({}, "b", {})]


@dataclasses.dataclass
class Turn:
    """As deepteam's RTTurn."""

    content: object
    role: str = "assistant"


@pytest.mark.parametrize(
    ("given", "reply"),
    [
        ("a", "a"),
        ("", ""),
        ({"output": "a"}, "a"),
        ({"output": "", "error": None}, ""),
        (["a", "b"], "a"),
        (("a",), "a"),
        ([{"output": "a"}], "a"),
        (Turn("a"), "a"),
    ],
)
def test_replies_that_are_understood(given: object, reply: str) -> None:
    assert wrap(lambda prompt: given).reply(["q"]) == [reply]


@pytest.mark.parametrize(
    ("given", "kind", "retry", "message"),
    [
        ({"output": "", "error": "quota"}, "reported error", "now", "reported an error: quota"),
        ({"error": {"code": 5}}, "reported error", "now", r"\{'code': 5\}"),
        ([None], "wrong reply", "never", "got NoneType"),
        ({"output": None}, "wrong reply", "never", "got NoneType"),
        ([], "no text", "now", "gave no text"),
        (None, "wrong reply", "never", "got NoneType"),
        (5, "wrong reply", "never", "got int"),
        (b"a", "wrong reply", "never", "got bytes"),
        ([5], "wrong reply", "never", "got int"),
        ({"output": {"a": 1}}, "wrong reply", "never", "got dict"),
        ({"text": "a"}, "wrong reply", "never", r"without 'output' or 'error': \['text'\]"),
        (Turn(None), "wrong reply", "never", "got NoneType"),
    ],
)
def test_replies_that_are_failures(given: object, kind: str, retry: str, message: str) -> None:
    with pytest.raises(ChatbotError, match=message) as caught:
        wrap(lambda prompt: given, name="f").reply(["q"])
    assert (caught.value.kind, caught.value.retry, caught.value.query) == (kind, retry, "q")


def test_a_list_is_no_reply_of_a_function_that_may_take_batches() -> None:
    """The first letter's reply must not pass for the query's."""

    def unannotated(queries):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, RUF100
        return [query.upper() for query in queries]

    with pytest.raises(ChatbotError, match=r"a list; annotate .*'list\[str\]'"):
        wrap(unannotated).reply(["hello"])


def test_a_coroutine_of_a_function_that_does_not_look_so() -> None:
    """It is closed, too: a warning, and so an error here, would tell otherwise."""
    with pytest.raises(ChatbotError, match="async def"):
        wrap(lambda query: later(query)).reply(["a"])  # noqa: PLW0108


@pytest.mark.parametrize("name", ["call_api", "provider.call_api"])
def test_three_parameters_of_other_names(name: str) -> None:
    def three(a: str, b: object, c: object) -> dict[str, str]:
        return {"output": a}

    assert form_of(three, name).takes == "promptfoo"
    with pytest.raises(SetupError, match="promptfoo's call_api"):
        form_of(three, "three")
