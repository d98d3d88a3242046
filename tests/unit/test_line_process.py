"""What is quoted of a program holds no credential, and its children end when it does."""

import json
import os
import sys
import time
import urllib.parse

import pytest

from saywhat.chatbots.line_process import LineProcess, quoted


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("PGPASSWORD", True),
        ("DB_PASS", True),
        ("STRIPE_KEY", True),
        ("STRIPE_KEY_2", True),
        ("github_token", True),
        ("botApiKey", True),
        ("MYSQL_PWD", True),
        ("BASIC_AUTH", True),
        ("AWS_SECRET_ACCESS_KEY", True),
        ("GIT_AUTHOR_NAME", False),
        ("SSH_AUTH_SOCK", False),
        ("KEYBOARD", False),
        ("PASSES", False),
        ("TOKENIZERS_PARALLELISM", False),
        ("OLDPWD", False),
    ],
)
def test_names_tell_which_variables_are_credentials(
    name: str, hidden: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "tiger")
    assert quoted("a tiger!") == ("'a ***!'" if hidden else "'a tiger!'")


@pytest.mark.parametrize("secret", ['ti"ger\\ 7', "tïger/€-7", "tiger\nlily\nrose", "ti&ger-7"])
def test_credentials_are_not_quoted_however_they_are_spelled(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOT_PASSWORD", secret)
    spelled = [secret, json.dumps(secret)[1:-1], json.dumps({"a": secret}, ensure_ascii=False)]
    spelled += [urllib.parse.quote(secret), json.dumps(secret)[1:-1].replace("/", "\\/")]
    for text in (*spelled, *secret.split("\n")):
        shown = quoted(f"[{text}]")
        assert "***" in shown
        assert not any(part in shown for part in ("ger", "lily", "rose", "7"))


def test_one_credential_in_another_is_no_way_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the environment the short one would go first, and leave the rest."""
    monkeypatch.setenv("A_TOKEN", "tiger")
    monkeypatch.setenv("B_TOKEN", "tiger-and-lily")
    assert quoted("it is tiger-and-lily") == "'it is ***'"


def test_no_cut_leaves_a_piece_of_a_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "".join(chr(ord("a") + number % 26) + str(number) for number in range(300))
    monkeypatch.setenv("BOT_TOKEN", secret)
    for start in range(0, len(secret) - 4, 7):
        assert quoted(f"{secret[start:]} was sent") == "'*** was sent'"
        assert quoted(f"i sent {secret[: start + 4]}") == "'i sent ***'"
    # so many shrink to less than what is shown
    assert set(quoted((secret + ".") * 9 + secret[:50])) == set("'*.")


def test_a_group_is_not_signalled_once_its_leader_is_long_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its number may be another's by then."""
    signalled: list[tuple[int, int]] = []
    killpg = os.killpg

    def spy(group: int, number: int) -> None:
        signalled.append((group, number))
        killpg(group, number)

    process = LineProcess([sys.executable, "-c", "pass"], name="short")
    monkeypatch.setattr(os, "killpg", spy)
    end = time.monotonic() + 20
    while process.alive and time.monotonic() < end:
        time.sleep(0.01)
    assert signalled, "what it left behind was never asked to end"
    signalled.clear()
    process.end()
    assert signalled == []
