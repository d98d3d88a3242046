"""Secrets: they reach the server and nothing else, whatever it does with them."""

import dataclasses
import json
import logging
import traceback
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from saywhat.chatbots.http import HttpChatbot
from saywhat.chatbots.secrets import Mask, Secret, is_credential, reference
from saywhat.config import ConnectionSettings
from saywhat.errors import ChatbotError, SetupError
from tests.http_chatbots import http_chatbot
from tests.servers import Answer, Received, Server, fail, redirect, say, say_json

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1"])

TOKEN = 'tig/er "7" ä+%&-0123456789abcdef'  # noqa: S105  (escaping changes it)
OTHER = "second-secret-of-the-test"
KEYS = {
    "headers": {"Authorization": {"env": "BOT_TOKEN", "prefix": "Bearer "}},
    "params": {"key": "file:key.txt"},
    "body": {"message": "{{query}}", "api_key": "env:BOT_TOKEN"},
}


@pytest.fixture
def chatbot(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HttpChatbot]:
    """Make a chatbot that sends secrets in every way."""
    monkeypatch.setenv("BOT_TOKEN", TOKEN)
    (tmp_path / "key.txt").write_text(f"{OTHER}\n", encoding="utf-8")
    connection = ConnectionSettings(timeout=5)
    with http_chatbot(tmp_path, connection, url=server.url, **KEYS) as chatbot:
        yield chatbot


def test_they_are_sent(chatbot: HttpChatbot, server: Server) -> None:
    chatbot.reply(["hello"])
    [received] = server.journal
    assert received.headers["authorization"].encode("latin-1").decode() == f"Bearer {TOKEN}"
    assert received.params == {"key": OTHER}
    assert received.json["api_key"] == TOKEN


def spilt(received: Received) -> str:
    """Put everything that came into one text."""
    head = received.head.decode("latin-1").encode("latin-1").decode()
    return f"{head} {received.target} {received.body.decode()} {TOKEN} {OTHER}"


def _json_path(received: Received) -> Answer:
    return say_json({"x": {spilt(received)[-30:]: 1}, TOKEN: OTHER, "y": [spilt(received)]})


SPILLS: dict[str, Callable[[Received], Answer]] = {
    "reply": lambda r: say(spilt(r)),
    "error body": lambda r: fail(500, body=spilt(r).encode()),
    "json error body": lambda r: fail(400, body=json.dumps({"error": spilt(r)}).encode()),
    "latin-1 error body": lambda r: fail(400, body=spilt(r).encode("latin-1")),
    "at the cut": lambda r: fail(400, body=("x" * 185 + spilt(r)[-60:]).encode()),
    "html": lambda r: Answer(spilt(r).encode()),
    "no reply": _json_path,
    "long samples": lambda r: say_json({"text": f"{'y' * 20}{TOKEN}", "b": f"{'y' * 30}{OTHER}"}),
    "location": lambda r: redirect(f"http://{urllib.parse.quote(TOKEN)}.example/{OTHER}/?{OTHER}"),
    "header": lambda r: Answer(b"{", headers={"X-Echo": OTHER, "Set-Cookie": f"a={OTHER}"}),
    "retry-after": lambda r: fail(429, {"Retry-After": OTHER}),
    "charset": lambda r: Answer(b"{}", headers={"Content-Type": f"text/x; charset={OTHER}"}),
    "coding": lambda r: Answer(b"{}", headers={"Content-Encoding": OTHER}),
    "packed": lambda r: Answer(OTHER.encode(), headers={"Content-Encoding": "gzip"}),
    "not in its encoding": lambda r: Answer(spilt(r).encode() + b"\xff"),
    "broken header": lambda r: Answer(b"{}", headers={"Bad Name": OTHER}),
    "late": lambda r: say(spilt(r)).after(5),
    "cut": lambda r: dataclasses.replace(say(spilt(r)), cut=300),
}


@pytest.mark.parametrize("spill", SPILLS)
def test_nothing_that_comes_back_holds_them(
    spill: str, chatbot: HttpChatbot, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    chatbot._timeout = 0.3 if spill == "late" else 5
    server.handler = SPILLS[spill]
    shown = [repr(chatbot), str(vars(chatbot)), chatbot.fingerprint, chatbot.name]
    try:
        shown += chatbot.reply(["hello"])
    except ChatbotError as error:
        shown += [str(error), repr(error), str(vars(error)), error.kind, error.message]
        shown += traceback.format_exception(error)
        cause = error.__cause__ or error.__context__
        assert cause is None or not isinstance(cause, ChatbotError)
        shown += [repr(cause)]
    assert len(server.journal) == 1
    shown.append(caplog.text)
    for text in shown:
        for secret in (TOKEN, OTHER):
            forms = [secret, json.dumps(secret)[1:-1], urllib.parse.quote(secret)]
            assert not any(form[:12] in text for form in forms), text
    if spill == "reply":
        assert shown[4].count("***") >= 5


def test_a_rotated_secret_is_sent_and_masked(
    chatbot: HttpChatbot, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.handler = lambda received: say(received.headers["authorization"])
    monkeypatch.setenv("BOT_TOKEN", "rotated-while-running")
    assert chatbot.reply(["hello"]) == ["Bearer ***"]
    assert server.journal[-1].headers["authorization"] == "Bearer rotated-while-running"


@pytest.mark.parametrize("value", [None, "", "a\r\nX-Evil: 1", "a\nb", "a\0b", "a\x01b"])
def test_a_secret_that_became_unusable_sends_nothing(
    value: str | None, chatbot: HttpChatbot, server: Server, tmp_path: Path
) -> None:
    path = tmp_path / "key.txt"
    if value is None:
        path.unlink()
    else:
        path.write_text(value, encoding="utf-8")
    if value == "a\x01b":  # one line, so no header, but good in a query string
        assert chatbot.reply(["hello"]) == ["hello"]
        assert server.journal[0].params == {"key": value}
        return
    with pytest.raises(ChatbotError, match=r"key\.txt") as caught:
        chatbot.reply(["hello"])
    assert (caught.value.kind, caught.value.retry) == ("secret", "never")
    assert server.connections == 0


@pytest.mark.parametrize("value", ["a\rb", "a\nX-Evil: 1", "a\r\n\r\nGET / HTTP/1.1", "a\x01b"])
def test_a_secret_cannot_end_a_header(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOT_TOKEN", value)
    headers = {"X-Key": "env:BOT_TOKEN"}
    with pytest.raises(SetupError) as caught, http_chatbot(tmp_path, headers=headers):
        pass
    assert value not in str(caught.value)


def test_a_missing_secret_is_told_when_the_chatbot_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BOT_TOKEN", raising=False)
    with pytest.raises(SetupError, match="BOT_TOKEN is not set"), http_chatbot(tmp_path, **KEYS):
        pass


def test_so_is_a_missing_secret_of_the_reset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RESET_TOKEN", raising=False)
    reset = {"url": "http://127.0.0.1:1/reset", "headers": {"X-Key": "env:RESET_TOKEN"}}
    with (
        pytest.raises(SetupError, match="RESET_TOKEN is not set"),
        http_chatbot(tmp_path, session={"reset": reset}),
    ):
        pass


FORMS = {
    "plain": "tig er/7&\u00e9\"'+x",
    "JSON": r"""tig er/7&\u00e9\"'+x""",
    "JSON in UTF-8": "tig er/7&\u00e9\\\"'+x",
    "JSON, slashes escaped": r"""tig er\/7&\u00e9\"'+x""",
    "JSON in UTF-8, slashes escaped": "tig er\\/7&\u00e9\\\"'+x",
    "HTML": "tig er/7&amp;\u00e9&quot;&#x27;+x",
    "HTML in decimals": "tig er/7&amp;\u00e9&#34;&#39;+x",
    "HTML outside of tags": "tig er/7&amp;\u00e9\"'+x",
    "URL": "tig%20er%2F7%26%C3%A9%22%27%2Bx",
    "URL in lower case": "tig%20er%2f7%26%c3%a9%22%27%2bx",
    "path": "tig%20er/7%26%C3%A9%22%27%2Bx",
    "path in lower case": "tig%20er/7%26%c3%a9%22%27%2bx",
    "form": "tig+er%2F7%26%C3%A9%22%27%2Bx",
    "form in lower case": "tig+er%2f7%26%c3%a9%22%27%2bx",
}


@pytest.mark.parametrize("form", FORMS)
def test_each_spelling_of_a_secret_is_masked(form: str) -> None:
    mask = Mask()
    mask.add(FORMS["plain"])
    assert len(set(FORMS.values())) == len(FORMS)
    assert mask(f"<{FORMS[form]}>") == "<***>"


def test_a_slash_is_escaped_though_nothing_else_is() -> None:
    mask = Mask()
    mask.add("a b/c&d")
    assert mask(r"<a b\/c&d|a b/c&amp;d|a%20b%2fc%26d|a+b%2Fc%26d>") == "<***|***|***|***>"


def test_the_environments_secrets_are_known_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        "OPENAI_KEY",
        "PGPASSWORD",
        "MYSQL_PWD",
        "SERVICE_AUTH",
        "credentials_of_x",
        "A_TOKEN_1",
    ]
    for number, name in enumerate(names):
        monkeypatch.setenv(name, f"hidden-{number}")
    monkeypatch.setenv("HEADER", "Bearer hidden-by-look")
    monkeypatch.setenv("PWD", "/some/folder")
    monkeypatch.setenv("OLDPWD", "/other/folder")
    monkeypatch.setenv("GREETING", "good morning")
    monkeypatch.setenv("PASSES", "1000")
    mask = Mask.of_environment()
    hidden = " ".join(f"hidden-{number}" for number in range(len(names)))
    assert mask(hidden) == " ".join(["***"] * len(names))
    assert mask("Bearer hidden-by-look") == "***"
    assert mask("/some/folder /other/folder good morning 1000").count("*") == 0


def test_a_mask_leaves_short_words_alone() -> None:
    mask = Mask()
    mask.add("abc")
    mask.add("abcd")
    mask.add("abcdefg")
    assert mask("abc abcd abcdefgh") == "abc *** ***h"
    assert "abc" not in repr(mask)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("env:A_B1", Secret("env", "A_B1")),
        ("file:~/k.txt", Secret("file", "~/k.txt")),
        ({"env": "A", "prefix": "Basic "}, Secret("env", "A", "Basic ")),
        ({"file": "a b.txt"}, Secret("file", "a b.txt")),
        ("env:", None),
        ("env:A B", None),
        ("env: A", None),
        ("env:A\n", None),
        ("file:", None),
        ("file:a\nb", None),
        ("A", None),
        ({"env": "A", "file": "b"}, None),
        ({"env": 5}, None),
        ({"env": "A", "prefix": 5}, None),
        ({"prefix": "A"}, None),
        ({}, None),
        (["env:A"], None),
        (None, None),
    ],
)
def test_references(value: object, expected: Secret | None) -> None:
    assert reference(value, Path()) == expected


def test_a_mapping_in_data_is_a_reference_only_with_its_prefix() -> None:
    assert reference({"env": "prod"}, Path(), needs_prefix=True) is None
    assert reference({"env": "A", "prefix": ""}, Path(), needs_prefix=True) == Secret("env", "A")


@pytest.mark.parametrize(
    "key",
    [
        "Authorization", "X-Authorization-Extra", "authorization", "Cookie", "X-API-Key", "apikey",
        "apiKey", "api_key", "access_token", "accessToken", "ACCESS_TOKEN", "token", "X-Auth-Token",
        "client_secret", "password", "userPassword", "Ocp-Apim-Subscription-Key", "X-Auth",
        "APIKey", "private_key", "credentials",
    ],
)  # fmt: skip
def test_names_of_credentials(key: str) -> None:
    assert is_credential(key)


@pytest.mark.parametrize(
    "key",
    ["max_tokens", "message", "key", "tokenizer", "token_type", "author", "keyboard", "secretary",
     "Content-Type", "session", "x-password-hint", "", "monkey"],
)  # fmt: skip
def test_names_of_other_things(key: str) -> None:
    assert not is_credential(key)
    assert is_credential(key, "Bearer abc")


def test_a_file_is_beside_the_yaml_and_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_bytes("  clé\r\n".encode())
    assert Secret("file", "key.txt", folder=tmp_path).read() == "clé"
    (tmp_path / "key.txt").write_bytes(b"\xff")
    with pytest.raises(SetupError, match=r"key\.txt, which is not UTF-8"):
        Secret("file", "key.txt", folder=tmp_path).read()
