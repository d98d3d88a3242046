"""Functions as chatbots: one text or a batch, errors that help, a fingerprint of the file."""

import asyncio
import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from saywhat.chatbots import callable as functions
from saywhat.chatbots.callable import CallableChatbot, wrap
from saywhat.chatbots.known import EchoChatbot
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import BatchError, ChatbotError, SetupError, UnknownNameError
from saywhat.interfaces import Chatbot, ConcurrentChatbot
from saywhat.ledger import Ledger
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


def made(argument: str) -> Chatbot:
    """Make the chatbot of ``python:ARGUMENT``."""
    return functions.make(argument, ConnectionSettings(), ModelSettings())


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
        chatbot = made(f"{folder}/bot.py:{name}")
        assert chatbot.reply(["a", "b"]) == ["A", "B"]
        assert chatbot.reply([]) == []
        assert chatbot.name == name


def test_a_batch_function_gets_the_whole_batch(folder: Path) -> None:
    chatbot = made("bot.py:many")
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
    chatbot = made("bot.py:bot")
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
        made(argument)


def test_functions_of_another_shape_are_refused() -> None:
    def pieces(query: str) -> Iterator[str]:
        yield query

    with pytest.raises(SetupError, match=r"pieces\(\) gives its reply in pieces"):
        wrap(pieces)
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
        chatbot.reply(["bad"])
    assert (caught.value.query, caught.value.kind, caught.value.retry) == ("bad", "OSError", "now")
    with pytest.raises(ChatbotError, match=r"Expected text from picky.*NoneType") as caught:
        chatbot.reply(["none"])
    assert (caught.value.query, caught.value.retry) == ("none", "never")


def test_no_reply_is_lost_when_others_fail() -> None:
    def picky(query: str) -> str:
        return {"a": "A", "c": "C"}[query]

    with pytest.raises(BatchError) as caught:
        wrap(picky).reply(["a", "b", "c", "d"])
    told = [o if isinstance(o, str) else (o.kind, o.query) for o in caught.value.outcomes]
    assert told == ["A", ("KeyError", "b"), "C", ("KeyError", "d")]


def test_no_reply_of_a_batch_is_lost_either() -> None:
    def many(queries: list[str]) -> list[object]:
        table = {"a": "A", "b": None, "c": {"error": "refused"}, "d": 4, "e": {"output": "E"}}
        return [table[query] for query in queries]

    with pytest.raises(BatchError) as caught:
        wrap(many).reply(["a", "b", "c", "d", "e"])
    told = [o if isinstance(o, str) else (o.kind, o.retry) for o in caught.value.outcomes]
    failures = [("wrong reply", "never"), ("reported error", "now"), ("wrong reply", "never")]
    assert told == ["A", *failures, "E"]


def test_a_failure_raised_on_purpose_is_passed_on() -> None:
    """Who knows that asking again helps, and when, can say so."""

    def busy(query: str) -> str:
        raise ChatbotError("slow down", query=query, kind="HTTP 429", retry="busy", after=7.0)

    with pytest.raises(ChatbotError) as caught:
        wrap(busy).reply(["a"])
    assert (caught.value.kind, caught.value.retry, caught.value.after) == ("HTTP 429", "busy", 7.0)


def test_an_exit_is_a_failure_and_an_interruption_is_not() -> None:
    def leaving(query: str) -> str:
        raise SystemExit(0) if query == "exit" else KeyboardInterrupt

    with pytest.raises(ChatbotError, match=r"leaving\(\) raised SystemExit: 0"):
        wrap(leaving).reply(["exit"])
    with pytest.raises(KeyboardInterrupt):
        wrap(leaving).reply(["interrupt"])


def test_a_synchronous_function_is_asked_on_the_callers_thread() -> None:
    threads = set()

    def which(query: str) -> str:
        threads.add(threading.get_ident())
        return query

    chatbot = wrap(which)
    assert isinstance(chatbot, ConcurrentChatbot)
    assert chatbot.concurrency == 1
    assert chatbot.submit("a").done()
    chatbot.reply(["a", "b"])
    assert threads == {threading.get_ident()}


def test_a_function_may_have_a_loop_of_its_own() -> None:
    async def answer(query: str) -> str:
        await asyncio.sleep(0)
        return query.upper()

    chatbot = wrap(lambda query: asyncio.run(answer(query)))
    assert chatbot.reply(["a", "b"]) == ["A", "B"]


def test_the_ledger_keeps_each_reply_as_it_comes(tmp_path: Path) -> None:
    """An interruption in the middle of a batch costs one query, not the batch."""
    asked = []

    def answer(query: str) -> str:
        asked.append(query)
        if query == "2" and asked.count("2") == 1:
            raise KeyboardInterrupt
        return query

    queries = [str(number) for number in range(4)]
    for again in (False, True):
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            chatbot = ledger.chatbot(wrap(answer), phase="search")
            with contextlib.nullcontext() if again else pytest.raises(KeyboardInterrupt):
                chatbot.ask(queries, scope="a")
    assert asked == ["0", "1", "2", "2", "3"]


@pytest.mark.parametrize("answer", [["a"], "ab", None, ["a", 2]])
def test_a_batch_function_must_give_one_text_for_each(answer: object) -> None:
    def many(queries: list[str]) -> object:
        return answer

    with pytest.raises(ChatbotError, match="Expected"):
        wrap(many).reply(["x", "y"])


def test_the_fingerprint_follows_the_file_and_the_name(folder: Path) -> None:
    one, many = made("bot.py:one").fingerprint, made("bot.py:many").fingerprint
    assert made("bot.py:one").fingerprint == one != many
    (folder / "bot.py").write_text(BOT.replace("calls", "called"), encoding="utf-8")
    assert made("bot.py:one").fingerprint != one


def test_functions_without_a_file_have_fingerprints_too() -> None:
    made: list[Callable[[str], str]] = []
    for suffix in ("a", "a", "b"):
        space: dict[str, Callable[[str], str]] = {}
        exec(f"def f(q):\n    return q + '{suffix}'", space)  # noqa: S102  (the test's own text)
        made.append(space["f"])
    first, same, other = (wrap(function).fingerprint for function in made)
    assert first == same != other
    assert wrap(str.upper).fingerprint != wrap(str.lower).fingerprint


def test_the_fingerprint_follows_the_decorated_function(folder: Path) -> None:
    """The wrapper is in a file of its own, and the same for both."""
    (folder / "wrapping.py").write_text(
        "import functools\n"
        "def logged(function):\n"
        "    @functools.wraps(function)\n"
        "    def call(query):\n"
        "        return function(query)\n"
        "    return call\n",
        encoding="utf-8",
    )
    seen = set()
    for reply in ("one", "two"):
        code = f"import wrapping\n@wrapping.logged\ndef f(query):\n    return {reply!r}\n"
        (folder / "decorated.py").write_text(code, encoding="utf-8")
        chatbot = made("decorated.py:f")
        assert chatbot.reply(["a"]) == [reply]
        seen.add(chatbot.fingerprint)
    assert len(seen) == 2
    sys.modules.pop("wrapping")


def test_an_import_that_failed_leaves_nothing_behind(folder: Path) -> None:
    """Asked for again, it fails again: half of a module must not pass for the whole."""
    code = "def reply(query):\n    return 'half'\n1 / 0\n"
    (folder / "half.py").write_text(code, encoding="utf-8")
    before = set(sys.modules)
    for _ in range(2):
        with pytest.raises(SetupError, match="ZeroDivisionError"):
            made("half.py:reply")
        assert not {name for name in set(sys.modules) - before if name.startswith("saywhat_")}


def test_arguments_of_a_partial_are_in_its_fingerprint() -> None:
    def answer(suffix: str, query: str) -> str:
        return query + suffix

    one, other = (wrap(functools.partial(answer, suffix)) for suffix in "ab")
    assert one.fingerprint != other.fingerprint
    assert one.reply(["x"]) == ["xa"]


def test_the_registry_takes_specs_objects_and_functions() -> None:
    echo = EchoChatbot()
    assert load_chatbot(echo) is echo
    assert wrap(echo, name="other") is echo
    assert load_chatbot("known:echo").fingerprint == echo.fingerprint
    assert isinstance(load_chatbot(str.upper), CallableChatbot)


@pytest.mark.parametrize("load", [load_chatbot, wrap])
def test_a_class_is_no_chatbot(load: Callable[[object], object]) -> None:
    """It has the names of a chatbot's methods, and cannot answer."""
    assert isinstance(EchoChatbot, Chatbot), "the check that is not enough"
    with pytest.raises(SetupError, match=r"got the class EchoChatbot; name .* an instance"):
        load(EchoChatbot)


def test_known_chatbots_have_names() -> None:
    assert load_chatbot("known:deaf").reply(["a"]) == ["i don't know ."]
    [reply] = load_chatbot("known:cipher").reply(["i love you"])
    assert len(reply.split()) == 3
    assert not set(reply.split()) & {"i", "love", "you"}
    with pytest.raises(UnknownNameError, match="Available: cipher, deaf, echo"):
        load_chatbot("known:wolf")
