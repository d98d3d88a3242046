"""``openai:URL#MODEL`` against a real server: what is asked, and what is made of the answers."""

import contextlib
from typing import Any

import pytest

from saywhat.chatbots.http import HttpChatbot
from saywhat.chatbots.openai import make
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import ChatbotError, SetupError
from tests.servers import Answer, Received, Server, completion, fail, query_of, say_json

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1"])
MARKED = "You are {{name}}. Say {{query}} and {% never %} {{session}}."


@pytest.fixture
def server(server: Server) -> Server:
    """Serve completions that say what was asked."""
    server.handler = lambda received: completion(query_of(received))
    return server


def chatbot_of(
    argument: str,
    connection: ConnectionSettings | None = None,
    model: ModelSettings | None = None,
) -> contextlib.closing[HttpChatbot]:
    """Make the chatbot and close it afterwards."""
    connection = connection or ConnectionSettings(timeout=5)
    return contextlib.closing(make(argument, connection, model or ModelSettings()))


def ask(server: Server, *, path: str = "/v1", name: str = "tiny", **settings: Any) -> list[Any]:
    """Ask once; give the reply, then what the server received."""
    connection = ConnectionSettings(timeout=5, api_key=settings.pop("api_key", None))
    model = ModelSettings(**settings)
    with chatbot_of(f"{server.origin}{path}#{name}", connection, model) as chatbot:
        return [*chatbot.reply(["hello"]), server.journal[-1]]


def test_the_request(server: Server) -> None:
    reply, received = ask(
        server, system_prompt="Be brief.", temperature=0.5, max_tokens=9, seed=3, stop=("\n", "END")
    )
    assert reply == "hello"
    assert (received.method, received.target) == ("POST", "/v1/chat/completions")
    assert received.json == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hello"},
        ],
        "temperature": 0.5,
        "max_tokens": 9,
        "seed": 3,
        "stop": ["\n", "END"],
        "stream": False,
    }
    assert "authorization" not in received.headers


def test_what_is_not_set_is_left_out(server: Server) -> None:
    _, received = ask(server, temperature=None, max_tokens=None)
    assert received.json == {
        "model": "tiny", "messages": [{"role": "user", "content": "hello"}], "stream": False,
    }  # fmt: skip
    _, received = ask(server)
    assert received.json["temperature"] == 0.0  # the default: the likeliest reply


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", "/chat/completions"),
        ("/", "/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("/openai?api-version=1", "/openai/chat/completions?api-version=1"),
    ],
)
def test_where_it_is_sent(path: str, target: str, server: Server) -> None:
    assert ask(server, path=path)[1].target == target


def test_names_and_prompts_are_taken_as_they_are(server: Server) -> None:
    """A system prompt is no template, and the model's name is what stands after the last #."""
    _, received = ask(server, name="org/a-model:7b@q4 {{query}}", system_prompt=MARKED)
    assert received.json["model"] == "org/a-model:7b@q4 {{query}}"
    assert received.json["messages"][0]["content"] == MARKED


def test_the_key(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "tiger-7")
    server.handler = lambda received: completion(received.headers["authorization"])
    reply, received = ask(server, api_key="env:A_KEY")
    assert received.headers["authorization"] == "Bearer tiger-7"
    assert reply == "Bearer ***"
    with pytest.raises(SetupError, match="OTHER_KEY is not set"):
        ask(server, api_key="env:OTHER_KEY")
    with pytest.raises(SetupError, match="expected a reference, not the key itself") as caught:
        ask(server, api_key="sk-literal")
    assert "sk-literal" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("http://localhost:8000/v1", "Expected openai:URL#MODEL.*the MODEL is missing"),
        ("http://localhost:8000/v1#", "the MODEL is missing"),
        ("#tiny", "the URL is missing"),
        ("localhost:8000/v1#tiny", "openai: expected a URL such as"),
        ("http://me:tiger@localhost/v1#tiny", "a password does not belong in a URL"),
        ("http://localhost/v1?key=a&api_key=tiger#tiny", "a secret does not belong in a URL"),
        (
            "https://api.example.org/v1#tiny",
            r"api\.example\.org is not on this machine.*authorised",
        ),
    ],
)
def test_specs_that_cannot_be_used(spec: str, message: str) -> None:
    with pytest.raises(SetupError, match=message) as caught, chatbot_of(spec):
        pass
    assert "tiger" not in str(caught.value)


def test_elsewhere_with_a_word() -> None:
    connection = ConnectionSettings(authorised=True)
    with chatbot_of("https://api.example.org/v1#tiny", connection) as chatbot:
        assert chatbot.name == "tiny"


NO_REPLIES = [
    (completion(None), "never", "no reply", "got null (finish_reason: stop)"),
    (completion(None, finish_reason="length"), "never", "no reply", "(finish_reason: length)"),
    (
        say_json({"choices": [{"message": {"content": None, "refusal": "I will not."}}]}),
        "never",
        "no reply",
        "(refusal: I will not.)",
    ),
    (
        say_json({"error": {"message": "out of memory"}}),
        "never",
        "no reply",
        "error: out of memory",
    ),
    (say_json({"choices": []}), "never", "no reply", "got nothing"),
    (
        say_json({"choices": [{"message": {"content": [{"type": "text", "text": "hi"}]}}]}),
        "never",
        "no reply",
        "got a list; text is at $.choices[0].message.content[0].text ('hi')",
    ),
    (fail(404, body=b'{"detail":"no such model"}'), "never", "HTTP 404", "no such model"),
    (fail(429, {"Retry-After": "1"}), "busy", "HTTP 429", "HTTP 429"),
]


@pytest.mark.parametrize(("answer", "retry", "kind", "message"), NO_REPLIES)
def test_no_reply(answer: Answer, retry: str, kind: str, message: str, server: Server) -> None:
    server.faults.append(answer)
    with pytest.raises(ChatbotError) as caught:
        ask(server)
    assert (caught.value.retry, caught.value.kind) == (retry, kind)
    assert message in str(caught.value)


def test_an_empty_reply_is_a_reply(server: Server) -> None:
    server.handler = lambda _: completion("")
    assert ask(server)[0] == ""


def test_the_fingerprint_follows_the_model_and_how_it_is_asked() -> None:
    def fingerprint(spec: str = "http://localhost/v1#a", **settings: Any) -> str:
        with chatbot_of(spec, model=ModelSettings(**settings)) as chatbot:
            return chatbot.fingerprint

    changed = [
        fingerprint(),
        fingerprint("http://localhost/v1#b"),
        fingerprint("http://localhost/v2#a"),
        fingerprint(system_prompt="x"),
        fingerprint(system_prompt="{{query}}"),
        fingerprint(temperature=0.1),
        fingerprint(temperature=None),
        fingerprint(max_tokens=1),
        fingerprint(seed=1),
        fingerprint(stop=("x",)),
        fingerprint(stop=("x", "y")),
    ]
    assert len(set(changed)) == len(changed)
    assert fingerprint(batch_size=3) == fingerprint("http://localhost/v1/chat/completions#a")


def test_a_query_is_paid_for_once_whatever_key_it_was_asked_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A", "one")
    monkeypatch.setenv("B", "another")
    prints = set()
    for key in (None, "env:A", "env:B"):
        with chatbot_of("http://localhost/v1#a", ConnectionSettings(api_key=key)) as chatbot:
            prints.add(chatbot.fingerprint)
    assert len(prints) == 1


def test_each_query_is_a_conversation_of_its_own(server: Server) -> None:
    seen: list[int] = []

    def count(received: Received) -> Answer:
        seen.append(len(received.json["messages"]))
        return completion("ok")

    server.handler = count
    with chatbot_of(f"{server.origin}/v1#tiny") as chatbot:
        chatbot.reply(["a", "b"])
        chatbot.reply(["c"])
    assert seen == [1, 1, 1]
