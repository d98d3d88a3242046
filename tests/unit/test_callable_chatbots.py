"""Functions as chatbots: two forms, errors that help, and a fingerprint that follows the file."""

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from saywhat.chatbots.callable import CallableChatbot, load, wrap
from saywhat.chatbots.known import EchoChatbot, make
from saywhat.errors import ChatbotError, SetupError, UnknownNameError
from saywhat.registry import load_chatbot

BOT = """
import neighbour
calls = []
def one(query: str) -> str:
    return neighbour.loud(query)
def many(queries: list[str]) -> list[str]:
    calls.append(len(queries))
    return [neighbour.loud(q) for q in queries]
class Bot:
    name, fingerprint = "own", "1"
    def reply(self, queries):
        return ["own"] * len(queries)
    def __call__(self, query):
        return "called"
bot = Bot()
number = 5
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write a file of chatbots and a module that it imports."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "bot.py").write_text(BOT, encoding="utf-8")
    (tmp_path / "neighbour.py").write_text(
        "def loud(text):\n    return text.upper()\n", encoding="utf-8"
    )
    yield tmp_path
    sys.modules.pop("neighbour", None)


def test_both_forms_answer_a_batch(folder: Path) -> None:
    for name in ("one", "many"):
        chatbot = load(f"{folder}/bot.py:{name}")
        assert chatbot.reply(["a", "b"]) == ["A", "B"]
        assert chatbot.reply([]) == []
        assert chatbot.name == name


def test_a_batch_function_gets_the_whole_batch(folder: Path) -> None:
    chatbot = load("bot.py:many")
    chatbot.reply(["a", "b", "c"])
    [module] = [m for name, m in sys.modules.items() if name.startswith("saywhat_chatbot_") and
                getattr(m, "__file__", "") == str(folder / "bot.py")]  # fmt: skip
    assert module.calls == [3]


@pytest.mark.parametrize(
    "hint", ["list[str]", "Sequence[str]", "'list[str]'", "'Unknown[str]'", "str", ""]
)
def test_the_annotation_decides_the_form(hint: str) -> None:
    """A batch function gets ``["a", "b"]`` and returns it; the other gets each text."""
    seen: list[object] = []
    space: dict[str, object] = {"seen": seen, "Sequence": Sequence}
    code = f"def f(q{': ' + hint if hint else ''}):\n    seen.append(q)\n    return q\n"
    exec(code, space)  # noqa: S102  (the test's own text)
    function = space["f"]
    assert wrap(function).reply(["a", "b"]) == ["a", "b"]
    batched = "list" in hint or "Sequence" in hint
    assert seen == ([["a", "b"]] if batched else ["a", "b"])


def test_an_object_that_is_a_chatbot_is_taken_as_it_is(folder: Path) -> None:
    chatbot = load("bot.py:bot")
    assert (chatbot.name, chatbot.reply(["x"])) == ("own", ["own"])


def test_a_module_of_the_working_directory_is_found(folder: Path) -> None:
    (folder / "my_bots.py").write_text("def reply(q):\n    return q + '!'\n", encoding="utf-8")
    assert load_chatbot("python:my_bots:reply").reply(["a"]) == ["a!"]
    del sys.modules["my_bots"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("bot.py", "Expected python:FILE.py:FUNCTION"),
        (
            "absent.py:reply",
            r"Expected a Python file at absent.py: .* That folder has bot.py, neighbour.py",
        ),
        ("bot.py:onee", r"Did you mean 'one'\? Available: Bot, bot, many, one"),
        ("bot.py:number", "Expected a function, got number of type int"),
        ("bot.py:Bot", "got the class Bot"),
        ("absent_module:reply", "Importing absent_module raised ModuleNotFoundError"),
        ("broken.py:reply", "broken.py raised ZeroDivisionError: division by zero"),
    ],
)
def test_what_cannot_be_used_is_explained(folder: Path, argument: str, message: str) -> None:
    (folder / "broken.py").write_text("1 / 0\n", encoding="utf-8")
    if argument.startswith("absent.py"):
        (folder / "broken.py").unlink()
    with pytest.raises(SetupError, match=message):
        load(argument)


def test_functions_of_another_shape_are_refused() -> None:
    async def later(query: str) -> str:
        return query

    with pytest.raises(SetupError, match=r"asyncio\.run"):
        wrap(later)
    with pytest.raises(SetupError, match="one parameter"):
        wrap(lambda a, b: a + b)
    with pytest.raises(SetupError, match="one parameter"):
        wrap(lambda: "")


def test_failures_and_wrong_types_name_the_query() -> None:
    def picky(query: str) -> str | None:
        if query == "bad":
            raise OSError("down")
        return None if query == "none" else query

    chatbot = wrap(picky)
    with pytest.raises(ChatbotError, match=r"picky\(\) raised OSError: down") as caught:
        chatbot.reply(["ok", "bad"])
    assert caught.value.query == "bad"
    with pytest.raises(ChatbotError, match=r"Expected text from picky.*NoneType") as caught:
        chatbot.reply(["ok", "none"])
    assert caught.value.query == "none"


@pytest.mark.parametrize("answer", [["a"], "ab", None, ["a", 2]])
def test_a_batch_function_must_give_one_text_for_each(answer: object) -> None:
    def many(queries: list[str]) -> object:
        return answer

    with pytest.raises(ChatbotError, match="Expected"):
        wrap(many).reply(["x", "y"])


def test_the_fingerprint_follows_the_file_and_the_name(folder: Path) -> None:
    one, many = load("bot.py:one").fingerprint, load("bot.py:many").fingerprint
    assert load("bot.py:one").fingerprint == one != many
    (folder / "bot.py").write_text(BOT.replace("calls", "called"), encoding="utf-8")
    assert load("bot.py:one").fingerprint != one


def test_functions_without_a_file_have_fingerprints_too() -> None:
    made: list[Callable[[str], str]] = []
    for suffix in ("a", "a", "b"):
        space: dict[str, Callable[[str], str]] = {}
        exec(f"def f(q):\n    return q + '{suffix}'", space)  # noqa: S102  (the test's own text)
        made.append(space["f"])
    first, same, other = (wrap(function).fingerprint for function in made)
    assert first == same != other
    assert wrap(str.upper).fingerprint != wrap(str.lower).fingerprint


def test_arguments_of_a_partial_are_in_its_fingerprint() -> None:
    def answer(suffix: str, query: str) -> str:
        return query + suffix

    one, other = (wrap(functools.partial(answer, suffix)) for suffix in "ab")
    assert one.fingerprint != other.fingerprint
    assert one.reply(["x"]) == ["xa"]


def test_the_registry_takes_specs_objects_and_functions() -> None:
    echo = EchoChatbot()
    assert load_chatbot(echo) is echo
    assert load_chatbot("known:echo").fingerprint == echo.fingerprint
    assert isinstance(load_chatbot(str.upper), CallableChatbot)


def test_known_chatbots_have_names() -> None:
    assert make("deaf").reply(["a"]) == ["i don't know ."]
    [reply] = make("cipher").reply(["i love you"])
    assert len(reply.split()) == 3
    assert not set(reply.split()) & {"i", "love", "you"}
    with pytest.raises(UnknownNameError, match="Available: cipher, deaf, echo"):
        load_chatbot("known:wolf")
