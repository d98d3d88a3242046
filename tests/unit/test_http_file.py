"""The file of an ``http:`` chatbot: what is taken and refused, and that all is told at once."""

from pathlib import Path

import pytest
import yaml

from saywhat.chatbots.addresses import Address
from saywhat.chatbots.http import make
from saywhat.chatbots.http_file import read_http_file
from saywhat.chatbots.http_form import HttpFile
from saywhat.chatbots.openai import make as make_openai
from saywhat.config import ConnectionSettings, ModelSettings
from saywhat.errors import SetupError
from tests.http_chatbots import http_chatbot, write

HIDDEN = "tiger-7-hidden"  # what stands where no secret belongs


def problem(folder: Path, **keys: object) -> str:
    """Give what is said of a file."""
    with pytest.raises(SetupError) as caught:
        read_http_file(write(folder, **keys))
    assert HIDDEN not in str(caught.value)
    return str(caught.value)


def test_all_mistakes_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bot.yaml"
    path.write_text(
        f"""version: 2
url: ftp://bot.example.org
metod: POST
method: PATCH
authorised: perhaps
headers:
  Authorization: Bearer {HIDDEN}
  "Bad Name": x
  X-N: [1]
params: {{token: {HIDDEN}, q: "{{{{quer}}}}"}}
body:
  on: "{{{{query}}}}"
  when: 2026-01-01
  "{{{{query}}}}": 1
form: {{x: "1"}}
session: sometimes
""",
        encoding="utf-8",
    )
    with pytest.raises(SetupError) as caught:
        read_http_file(path)
    told = str(caught.value)
    assert HIDDEN not in told
    assert told.startswith(f"{path}: ")
    lines = told.splitlines()[1:]
    assert [line.strip().partition(": ")[0] for line in lines] == [
        *(f"line {n}" for n in (1, 1, 2, 3, 4, 5, 7, 8, 9, 10, 10, 11, 13, 14, 15, 16)),
    ]
    for message in (
        "line 1: reply: missing",
        "line 1: version: expected 1",
        "line 2: url: expected a URL such as https://bot.example.org/chat",
        "line 3: metod: unknown key; did you mean method?",
        "line 4: method: expected 'GET', 'POST' or 'PUT'",
        "line 5: authorised: expected a valid boolean",
        "line 7: headers.Authorization: a literal secret; write env:NAME or file:PATH",
        "line 8: headers.Bad Name: not a header's name",
        "line 9: headers.X-N: expected text, a number or a reference",
        "line 10: params.token: a literal secret",
        "line 10: params.q: unknown placeholder {{quer}}; known here: {{query}} and {{session}}",
        "line 11: body.True: expected text for a key; put it in quotes",
        "line 13: body.when: not JSON, but a date; put it in quotes",
        "line 14: body.{{query}}: placeholders belong in values, not in keys",
        "line 15: form: expected a body or a form, got both",
        "line 16: session: expected fresh, shared or {reset: {url: ...}}",
    ):
        assert message in told


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"body": {True: "{{query}}"}}, "body.True: expected text for a key; put it in quotes"),
        ({"body": {"{{query}}": 1}}, "placeholders belong in values, not in keys"),
        ({"body": {"a": "{{x}}", "b": "{{query}}"}}, "unknown placeholder {{x}}"),
        ({"body": {"a": "hi"}}, "{{query}} is missing"),
        ({"body": None}, "{{query}} is missing"),
        ({"params": {"q": "{{query}}"}}, "{{query}} belongs in one place; is in params and body"),
        ({"method": "GET"}, "GET sends no body; use params, or method: POST"),
        ({"form": {"q": "{{query}}"}}, "expected a body or a form, got both"),
        ({"headers": {"X": "{{query}}"}}, "unknown placeholder {{query}}; known here: {{session}}"),
        ({"headers": {"X": "a\nY: b"}}, "headers.X: a line break or another control character"),
        ({"headers": {"X": "{{session}}\r\n"}}, "headers.X: a line break or another"),
        ({"headers": {"X": {"env": "HOME", "prefix": "\n"}}}, "headers.X: a line break or another"),
        ({"headers": {"X\nY": "b"}}, "not a header's name"),
        ({"headers": {"X": "1", "x": "2"}}, "headers.x: given twice"),
        ({"headers": {"Content-Length": "5"}}, "this header is not yours to set"),
        ({"headers": {"transfer-encoding": "chunked"}}, "this header is not yours to set"),
        ({"headers": {"X": None}}, "headers.X: expected text, a number or a reference"),
        ({"headers": {"X": True}}, "headers.X: expected text, a number or a reference"),
        ({"headers": ["X"]}, "headers: expected names and values"),
        ({"headers": {"X-Api-Key": HIDDEN}}, "headers.X-Api-Key: a literal secret"),
        ({"headers": {"X": f"Bearer {HIDDEN}"}}, "headers.X: a literal secret"),
        ({"headers": {"Cookie": HIDDEN}}, "headers.Cookie: a literal secret"),
        ({"params": {"api_key": HIDDEN}}, "params.api_key: a literal secret"),
        ({"body": {"m": "{{query}}", "token": HIDDEN}}, "body.token: a literal secret"),
        ({"body": {"m": "{{query}}", "password": 1234}}, "body.password: a literal secret"),
        ({"body": {"m": "{{query}}", "tokens": [{"token": HIDDEN}]}}, "body.tokens.0.token: a lit"),
        ({"body": {"m": "{{query}}", "token": [HIDDEN]}}, "body.token.0: a literal secret"),
        ({"body": {"m": "{{query}}", "token": {"env": "A"}}}, "body.token: expected a reference"),
        ({"body": {"m": "{{query}}", "n": float("inf")}}, "body.n: not JSON, but a float"),
        ({"body": {"m": "{{query}}", "n": float("nan")}}, "body.n: not JSON, but a float"),
        ({"body": {"m": "{{query}}", "b": b"x"}}, "body.b: not JSON, but a bytes"),
        ({"reply": "reply.text"}, "reply: expected text, or a JSONPath such as $.reply.text"),
        ({"reply": "$.a["}, "reply: '$.a[' is not a JSONPath"),
        ({"reply": None}, "reply: missing"),
        ({"reply": 5}, "reply: expected a valid string"),
        ({"url": None}, "url: missing"),
        ({"url": 5}, "url: expected a valid string"),
        ({"url": "http://127.0.0.1/{{query}}"}, "url: it is fixed: placeholders belong in params"),
        ({"url": f"http://me:{HIDDEN}@127.0.0.1/"}, "url: a password does not belong in a URL"),
        ({"url": f"http://127.0.0.1/?api_key={HIDDEN}"}, "url: a secret does not belong in a URL"),
        ({"url": "http://127.0.0.1/#x"}, "url: the part from # on is never sent"),
        ({"url": "http://127.0.0.1:0/"}, "url: expected a port from 1 to 65535, got 0"),
        ({"url": "http://127.0.0.1:99999/"}, "url: expected a port from 1 to 65535"),
        ({"url": "http:///x"}, "url: expected a URL such as"),
        ({"url": "127.0.0.1:80/x"}, "url: expected a URL such as"),
        ({"url": "file:///etc/passwd"}, "url: expected a URL such as"),
        ({"url": "http://a b/"}, "url: expected a URL such as"),
        ({"url": "http://a\nb/"}, "url: expected a URL such as"),
        ({"url": "http://127.0.0.1\\@evil.example/"}, "url: a password does not belong in a URL"),
        ({"session": {"reset": {"urll": "http://127.0.0.1/"}}}, "session.reset.url: missing"),
        (
            {"session": {"reset": {"urll": "x"}}},
            "session.reset.urll: unknown key; did you mean url?",
        ),
        ({"session": {"rest": {}}}, "session.rest: unknown key; did you mean reset?"),
        ({"session": {"reset": {"url": "x"}}}, "session.reset.url: expected a URL such as"),
        (
            {"session": {"reset": {"url": "http://127.0.0.1/", "body": "{{query}}"}}},
            "session.reset.body: {{query}} does not belong here",
        ),
        (
            {"params": {"x": "é" * 3, 5: "x"}},
            "params.5: expected text for a name; put it in quotes",
        ),
        ({"answer": "x"}, "answer: unknown key; known: version, name, url"),
    ],
)
def test_what_cannot_be_used_is_explained(
    keys: dict[str, object], message: str, tmp_path: Path
) -> None:
    told = problem(tmp_path, **keys)
    assert message in told
    assert "line " in told


def test_data_that_refers_to_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bot.yaml"
    path.write_text(
        "url: http://127.0.0.1/\nreply: text\nbody: &body {m: '{{query}}', b: *body}\n",
        encoding="utf-8",
    )
    with pytest.raises(SetupError, match="nested more than 50 deep"):
        read_http_file(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"url: [", r"bot.yaml is not YAML: line \d: "),
        (f"a: b: {HIDDEN}".encode(), "bot.yaml is not YAML: line 1: mapping values are not allow"),
        (
            b"!!python/object/apply:os.system ['true']",
            "not YAML: line 1: could not determine a constructor",
        ),
        (b"\xff", "not UTF-8"),
        (b"a: \x00", "bot.yaml is not YAML"),
        (b"", "Expected keys and values"),
        (b"[]", "Expected keys and values"),
        (b"url: http://127.0.0.1/\nurl: http://127.0.0.2/", "line 2: url: given twice, first in l"),
        (b"body:\n  a: 1\n  a: 2", "line 3: body.a: given twice, first in line 2"),
        (b"body:\n- x: 1\n- a: 1\n  a: 2", "line 4: body.1.a: given twice, first in line 3"),
    ],
)
def test_what_is_not_such_a_file(text: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bot.yaml"
    path.write_bytes(text)
    with pytest.raises(SetupError, match=message) as caught:
        read_http_file(path)
    assert HIDDEN not in str(caught.value)


def sessions_told(folder: Path, session: object) -> str:
    """Give all that is said of a file whose session is wrong, without the file's name."""
    return problem(folder, session=session).removeprefix(f"{folder / 'bot.yaml'}")


@pytest.mark.parametrize(
    "session", [["a"], [], [["fresh"]], 5, True, 1.5, "sometimes", "", "Fresh", "{reset}"]
)
def test_a_session_that_is_none(session: object, tmp_path: Path) -> None:
    expected = ", line 5: session: expected fresh, shared or {reset: {url: ...}}"
    assert sessions_told(tmp_path, session) == expected


@pytest.mark.parametrize(
    ("session", "problems"),
    [
        ({}, ["line 5: session.reset: missing"]),
        (
            {"rest": {}},
            [
                "line 5: session.reset: missing",
                "line 6: session.rest: unknown key; did you mean reset?",
            ],
        ),
        ({"reset": {}}, ["line 6: session.reset.url: missing"]),
        ({"reset": None}, ["line 6: session.reset: expected keys and values"]),
        (
            {"reset": {"url": "http://127.0.0.1/", "method": "HEAD"}},
            ["line 8: session.reset.method: expected 'DELETE', 'GET', 'POST' or 'PUT'"],
        ),
    ],
)
def test_a_session_that_is_wrong_is_told_of_one_side_only(
    session: object, problems: list[str], tmp_path: Path
) -> None:
    told = sessions_told(tmp_path, session)
    if len(problems) == 1:
        assert told == f", {problems[0]}"
    else:
        assert told == f": {len(problems)} problems:\n  " + "\n  ".join(problems)


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(SetupError, match=r"absent.yaml: No such file.*That folder has bot\.yaml"):
        read_http_file(tmp_path / "absent.yaml")


def test_every_key_is_in_the_form_that_the_reader_reads(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        version=1,
        name="support",
        method="PUT",
        authorised=True,
        headers={"X": "y"},
        params={"n": 1},
        session="shared",
        model_version="2026-11",
    )
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(values) == set(HttpFile.model_fields) - {"form"}
    plan, authorised = read_http_file(path)
    assert authorised
    assert (plan.name, plan.call.method, plan.shared) == ("support", "PUT", True)
    assert plan.model_version == "2026-11"


class TestAuthority:
    elsewhere = ("https://bot.example.org/chat", "http://127.1/", "http://0.0.0.0/", "http://10.0.0.1",
                 "http://localhost.example.org", "http://2130706433/", "http://[::2]/")  # fmt: skip

    @pytest.mark.parametrize("url", elsewhere)
    def test_elsewhere_needs_a_word(self, url: str, tmp_path: Path) -> None:
        path = str(write(tmp_path, url=url))
        with pytest.raises(
            SetupError, match=r"not on this machine.*`authorised: true` in bot\.yaml"
        ):
            make(path, ConnectionSettings(), ModelSettings())
        make(path, ConnectionSettings(authorised=True), ModelSettings()).close()
        with http_chatbot(tmp_path, url=url, authorised=True):
            pass

    @pytest.mark.parametrize(
        "url",
        ["http://localhost:8000", "http://LOCALHOST/", "http://127.0.0.1", "http://127.9.9.9/x",
         "http://[::1]:8000/", "https://localhost"],
    )  # fmt: skip
    def test_this_machine_needs_none(self, url: str, tmp_path: Path) -> None:
        with http_chatbot(tmp_path, url=url):
            pass

    @pytest.mark.parametrize("proxy", ["http://proxy.example.org:3128", "http://10.0.0.1"])
    def test_so_does_this_machine_as_a_proxy_elsewhere_knows_it(
        self, proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """``localhost`` is then the proxy's own machine."""
        path = str(write(tmp_path, url="http://localhost:8000/chat"))
        monkeypatch.setenv("THE_PROXY", proxy)
        for given in (proxy, "env:THE_PROXY"):
            with pytest.raises(
                SetupError, match=r"localhost:8000, reached through .*, is not on this machine"
            ):
                make(path, ConnectionSettings(proxy=given), ModelSettings())
        make(path, ConnectionSettings(proxy=proxy, authorised=True), ModelSettings()).close()
        with http_chatbot(tmp_path, ConnectionSettings(proxy=proxy), authorised=True):
            pass
        with pytest.raises(SetupError, match="reached through"):
            make_openai(
                "http://localhost:8000/v1#a", ConnectionSettings(proxy=proxy), ModelSettings()
            )
        make(path, ConnectionSettings(proxy="http://127.0.0.1:1"), ModelSettings()).close()

    def test_a_reset_elsewhere_needs_it_too(self, tmp_path: Path) -> None:
        path = write(tmp_path, session={"reset": {"url": "http://bot.example.org/reset"}})
        with pytest.raises(SetupError, match=r"bot\.example\.org is not on this machine"):
            make(str(path), ConnectionSettings(), ModelSettings())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://EX.org", "http://ex.org/"),
        ("https://ex.org:443/a b?q=é", "https://ex.org/a%20b?q=%C3%A9"),
        ("http://bücher.example:8080/x", "http://xn--bcher-kva.example:8080/x"),
        (" http://[::1]:80/ ", "http://[::1]/"),
    ],
)
def test_urls_are_read_one_way(url: str, expected: str) -> None:
    assert Address.parse(url).url == expected
    assert Address.parse(expected) == Address.parse(url)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"proxy": "socks5://127.0.0.1"}, "connection.proxy: expected a URL such as http://"),
        ({"proxy": "nonsense"}, "connection.proxy: expected a URL such as http://"),
        (
            {"proxy": f"http://me:{HIDDEN}@127.0.0.1:1"},
            "connection.proxy: a password does not belong",
        ),
        ({"proxy": "env:NO_SUCH_PROXY"}, "NO_SUCH_PROXY is not set"),
        ({"ca_file": "/no/such/file.pem"}, "connection.ca_file: expected certificates"),
    ],
)
def test_connections_that_cannot_be_used(
    settings: dict[str, str], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path, url="https://localhost:1/")
    with pytest.raises(SetupError, match=message) as caught:
        make(str(path), ConnectionSettings(**settings), ModelSettings())
    assert HIDDEN not in str(caught.value)


def test_a_file_that_holds_no_certificate(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not one", encoding="utf-8")
    path = write(tmp_path, url="https://localhost:1/")
    with pytest.raises(SetupError, match=r"ca_file: expected certificates \(PEM\) in .*ca\.pem"):
        make(str(path), ConnectionSettings(ca_file=str(tmp_path / "ca.pem")), ModelSettings())
