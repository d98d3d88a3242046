"""``saywhat check`` and ``audit --dry-run`` on chatbots whose faults are known.

Each chatbot is a file that writes down every query that reaches it, so that what a check says it
sent can be held against what came. They are imported once: those that count what they heard (dying,
flaky, hiccup) are checked once.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.http_chatbots import write
from tests.servers import Answer, Server, fail, redirect, say_json

CommandLine = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[2]
TARGETS = [
    "see you tomorrow",
    "i love you too",
    "word " * 101,
]  # the last is too long to be asked for
UNKNOWN = "qwrtzp xxkkqq"  # no word vectors has these
NAMES = [
    "reachable", "reply", "plain text", "distinct replies", "deterministic", "keeps state",
    "long query", "odd text",
]  # fmt: skip
JOURNAL = """
import json, pathlib, random, time
HEARD = []
def reply(query: str) -> str:
    HEARD.append(query)
    with pathlib.Path("{name}.journal").open("a", encoding="utf-8") as file:
        file.write(json.dumps(query) + "\\n")
    return answer(query)
"""
BOTS = {
    "plain": "return f'you said: {query[:40]}'",
    "stateful": "return ' / '.join(HEARD)[-3000:]",
    "sampling": "return ' '.join(random.choices(['a', 'b', 'c', 'd'], k=12))",
    "broken": "raise OSError('expected $.reply, got\\n$.data.text\\n  did you mean $.data.text?')",
    "slow": "time.sleep(0.03); return query.upper()",
    "empty": "return ''",
    "escaping": "return '\\x1b[2J\\u202e' + query",
    "deaf": "return 'i do not know'",
    "picky": "assert len(query) < 500 and '\\n' not in query, 'HTTP 413'; return query",
    "dying": "assert len(HEARD) < 5; return query",
    "flaky": "assert len(HEARD) != 3, 'once'; return query",
    "hiccup": "assert len(HEARD) != 3, 'the reason'; return query",
}


@pytest.fixture(scope="module", autouse=True)
def _files(workplace: Path) -> None:
    """Write the chatbots and a target list."""
    for name, body in BOTS.items():
        source = f"{JOURNAL.replace('{name}', name)}\ndef answer(query):\n    {body}\n"
        Path(f"{name}.py").write_text(source, encoding="utf-8")
    Path("targets.txt").write_text("\n".join(TARGETS), encoding="utf-8")
    Path("unknown.txt").write_text("\n".join([*TARGETS[:2], UNKNOWN]), encoding="utf-8")


def _arguments(bot: str) -> list[str]:
    spec, similarity = f"python:{bot}.py:reply", ["--similarity", "exact"]  # quickly loaded
    return ["check", "--chatbot", spec, "--targets", "targets.txt", "--budget", "7", *similarity]


def _heard(bot: str) -> list[str]:
    journal = Path(f"{bot}.journal")
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    journal.unlink(missing_ok=True)
    return [json.loads(line) for line in lines]


@pytest.fixture
def check(saywhat: CommandLine) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """Check a chatbot: exit code, JSON document, stderr. Every query that it heard was counted."""

    def run(bot: str, *more: str) -> tuple[int, dict[str, Any], str]:
        _heard(bot)
        code, out, said = saywhat(*_arguments(bot), *more, "--json")
        document: dict[str, Any] = json.loads(out)
        assert document["queries"]["sent"] == len(_heard(bot))
        assert document["queries"]["asked"] <= 12
        return code, document, said

    return run


Check = Callable[..., tuple[int, dict[str, Any], str]]


def _warned(document: dict[str, Any]) -> dict[str, str]:
    return {v["name"]: v["status"] for v in document["verdicts"] if v["status"] != "ok"}


def test_a_chatbot_without_a_fault(check: Check) -> None:
    code, found, said = check("plain")
    assert (code, said, _warned(found)) == (0, "", {})
    assert [verdict["name"] for verdict in found["verdicts"]] == NAMES
    assert found["queries"] == {"asked": 12, "unique": 12, "sent": 12, "failed": 0}
    assert found["usable"] is True
    assert found["latency"]["calls"] == 8
    assert [p["reply"] == f"you said: {p['query'][:40]}" for p in found["probes"]] == [True] * 12


def test_the_plan_is_that_of_an_audit(check: Check) -> None:
    """3 targets, one of 101 words: 2 x 7 queries, 3 tries each."""
    _, found, _ = check("plain")
    plan = found["plan"]
    assert (plan["targets"], plan["unmeasurable"], plan["longest"]) == (3, 1, 101)
    assert (plan["asked"], plan["sent"]) == (14, 42)
    _, found, _ = check("plain", "--set", "limits.queries=30")
    assert (found["plan"]["asked"], found["plan"]["sent"]) == (14, 30)


def test_a_slow_chatbot_is_timed_and_the_estimate_follows(check: Check) -> None:
    code, found, _ = check("slow")
    latency, plan = found["latency"], found["plan"]
    assert code == 0
    assert 0.03 <= latency["median"] <= latency["slowest"]
    together = plan["concurrency"] or 1
    assert plan["seconds"] == pytest.approx(14 * latency["median"] / together)
    _, found, _ = check("slow", "--rate", "200")
    assert found["plan"]["seconds"] >= 14 / 200


def test_waiting_for_the_pace_is_no_latency(check: Check) -> None:
    """At 10 queries a second a quick chatbot stays quick, and an audit takes 14 / 10 s."""
    _, found, _ = check("plain", "--rate", "10")
    assert found["latency"]["median"] < 0.08
    assert found["plan"]["seconds"] == pytest.approx(14 / 10)


def test_a_chatbot_that_answers_batches_is_timed_by_a_batch(saywhat: CommandLine) -> None:
    """14 queries at the pace of 8 together, which is not that of one alone."""
    more = ["--targets", "targets.txt", "--budget", "7", "--similarity", "exact", "--json"]
    code, out, _ = saywhat("check", "--chatbot", "known:echo", *more)
    found = json.loads(out)
    assert (code, found["queries"]["asked"], found["queries"]["sent"]) == (0, 20, 20)
    assert [verdict["name"] for verdict in found["verdicts"]] == [*NAMES, "batch"]
    assert found["plan"]["concurrency"] is None
    assert found["plan"]["seconds"] == pytest.approx(14 * found["pace"])
    code, out, _ = saywhat("check", "--chatbot", "known:echo", *more, "--max-queries", "15")
    found = json.loads(out)
    assert (found["queries"]["sent"], len(found["probes"]), found["pace"]) == (15, 12, None)
    assert "total budget of 15" in found["stopped"]


def test_a_batch_that_fails_as_a_whole_is_told_though_each_query_is_answered(
    saywhat: CommandLine,
) -> None:
    """Each of the eight was sent twice, so the pace of a batch is unknown."""
    code = "def reply(queries: list[str]):\n    if len(queries) > 1: raise OSError('one, please')\n"
    Path("single.py").write_text(f"{code}    return queries\n", encoding="utf-8")
    more = ["--targets", "targets.txt", "--budget", "7", "--similarity", "exact", "--json"]
    code_, out, _ = saywhat("check", "--chatbot", "python:single.py:reply", *more)
    found = json.loads(out)
    assert (code_, found["queries"]["asked"], found["queries"]["sent"]) == (0, 20, 28)
    [batch] = [verdict for verdict in found["verdicts"] if verdict["name"] == "batch"]
    assert batch["status"] == "warning"
    assert "one, please" in batch["text"]
    assert "asked again alone" in batch["text"]
    assert found["pace"] is None


def test_a_chatbot_that_remembers(check: Check) -> None:
    code, found, _ = check("stateful")
    assert code == 0
    assert _warned(found) == {"deterministic": "warning", "keeps state": "warning"}


def test_each_check_tells_another_secret(check: Check) -> None:
    secrets = {
        next(p["query"] for p in check("stateful")[1]["probes"] if p["kind"] == "secret")
        for _ in range(3)
    }
    assert len(secrets) == 3


def test_a_chatbot_that_draws(check: Check) -> None:
    """All 4 replies to repeated posts are the same by chance once in 4^24 times."""
    code, found, _ = check("sampling")
    assert code == 0
    assert _warned(found) == {"deterministic": "warning"}


@pytest.mark.parametrize(
    ("bot", "warned"),
    [
        ("escaping", {"plain text": "warning"}),
        ("deaf", {"distinct replies": "warning"}),
        ("picky", {"long query": "warning", "odd text": "warning"}),
        ("flaky", {"reachable": "warning"}),
    ],
)
def test_faults_that_an_audit_survives(bot: str, warned: dict[str, str], check: Check) -> None:
    code, found, _ = check(bot)
    assert (code, _warned(found), found["usable"]) == (0, warned, True)
    assert all(v["advice"] for v in found["verdicts"] if v["status"] == "warning")
    assert len(found["probes"]) == 12


def test_a_chatbot_that_never_answers_is_left_alone_after_two_queries(
    saywhat: CommandLine, check: Check
) -> None:
    code, found, said = check("broken")
    assert (code, found["usable"], found["queries"]["sent"]) == (4, False, 2)
    assert said.startswith("error: ")
    assert found["probes"][0]["failure"] == "OSError"
    assert found["latency"] is None
    assert found["plan"]["seconds"] is None
    code, out, _ = saywhat(*_arguments("broken"))
    assert code == 4
    assert "reachable         no: " in out
    # the message in full, line by line
    assert "                  $.data.text\n" in out
    assert "                    did you mean $.data.text?\n" in out
    assert "try by hand: saywhat chat --chatbot python:broken.py:reply" in out
    assert "a full run        at most 14 queries" in out


def test_a_breaker_that_trips_at_once_hides_no_reason(check: Check) -> None:
    code, found, _ = check("hiccup", "--set", "limits.breaker=1")
    assert (code, found["queries"]["sent"], found["stopped"]) == (0, 12, "")
    assert "the reason" in found["verdicts"][0]["text"]


def test_a_chatbot_that_dies_is_left_alone(check: Check) -> None:
    """It answers four times, then fails: three failures in a row are enough."""
    code, found, _ = check("dying")
    assert (code, found["queries"]["sent"]) == (0, 7)
    assert found["stopped"] == "3 queries in a row failed"
    assert _warned(found)["reachable"] == "warning"
    assert _warned(found)["keeps state"] == "unknown"


def test_a_chatbot_that_says_nothing_is_of_no_use(check: Check) -> None:
    code, found, _ = check("empty")
    assert (code, found["usable"], _warned(found)) == (4, False, {"reply": "failed"})


def test_the_limits_of_the_settings_bind_a_check_too(check: Check) -> None:
    code, found, _ = check("plain", "--max-queries", "3")
    assert (code, found["queries"]["sent"], len(found["probes"])) == (0, 3, 3)
    assert found["stopped"] == "The total budget of 3 is used up."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--chatbot", "python:gone.py:reply"], "gone.py"),
        (["--chatbot", "bultin"], "builtin"),
        (["--chatbot", "known:echo", "--targets", "gone.txt"], "gone.txt"),
        (["--chatbot", "known:echo", "--method", "beem"], "beam"),
        (["--chatbot", "known:echo", "--budget", "0"], "budget"),
    ],
)
def test_a_wrong_set_up_is_told_before_anything_is_asked(
    arguments: list[str], said: str, saywhat: CommandLine
) -> None:
    for verb in (["check"], ["audit", "--dry-run"]):
        code, out, err = saywhat(*verb, *arguments)
        assert (code, out) == (2, "")
        assert said in err


def test_a_terminal_is_safe_from_what_a_chatbot_says(saywhat: CommandLine) -> None:
    code, out, said = saywhat(*_arguments("escaping"))
    assert code == 0
    assert not set(out + said) & {"\x1b", "\u202e"}
    assert "no: <U+001B> <U+202E> in 12 of 12 replies" in out
    assert saywhat(*_arguments("escaping"), "--json")[1].isascii()


def test_nothing_is_left_behind(saywhat: CommandLine) -> None:
    saywhat(*_arguments("plain"))  # Python's own cache of the chatbot, and its journal
    before = {path.name for path in Path().iterdir()}
    saywhat(*_arguments("plain"))
    saywhat(*AUDIT, "--dry-run", "--chatbot", "known:echo")
    assert {path.name for path in Path().iterdir()} == before


# ---------------------------------------------------------------------- over HTTP


def _served(server: Server, folder: Path, saywhat: CommandLine) -> tuple[int, str]:
    """Check the chatbot of a server, and see that what arrived there was counted."""
    spec = f"http:{write(folder, url=server.url)}"
    more = ["--targets", "targets.txt", "--similarity", "exact", "--budget", "7"]
    code, out, _ = saywhat("check", "--chatbot", spec, *more)
    sent = len(server.journal)
    assert f"this check        {sent} asked, {sent} sent" in out
    return code, out


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_over_http(saywhat: CommandLine, tmp_path: Path) -> None:
    """With 8 at once, 14 queries of 0.02 s take about 0.035 s."""
    with Server(latency=0.02) as server:
        code, out = _served(server, tmp_path, saywhat)
        assert (code, len(server.journal), server.peak) == (0, 12, 1)
        assert re.search(r"time of asking    under a second, .* ms a reply, 8 at once\n", out)
        assert "->" not in out


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            say_json({"data": {"text": "hi there"}}),
            ["$.data.text ('hi there')", "-> take the reply"],
        ),
        (fail(401), ["HTTP 401: sorry", "-> see that the key is right"]),
        (fail(404), ["HTTP 404: sorry", "-> correct the address"]),
        (fail(500), ["HTTP 500: sorry", "-> look into the log"]),
        (redirect("/elsewhere"), ["redirects are not followed"]),
    ],
)
def test_faults_over_http_are_told_in_full_with_what_to_change(
    answer: Answer, said: list[str], saywhat: CommandLine, tmp_path: Path
) -> None:
    with Server(lambda _: answer) as server:
        code, out = _served(server, tmp_path, saywhat)
        assert (code, len(server.journal)) == (4, 2)
    for text in said:
        assert text in out


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_server_that_is_not_there(saywhat: CommandLine, tmp_path: Path) -> None:
    with Server() as server:
        spec = f"http:{write(tmp_path, url=server.url)}"
    code, out, _ = saywhat("check", "--chatbot", spec, "--targets", "targets.txt")
    assert code == 4
    assert "-> start the chatbot, or correct its address" in out


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_server_that_asks_for_an_hour_is_left_alone(saywhat: CommandLine, tmp_path: Path) -> None:
    with Server(lambda _: fail(429, {"Retry-After": "3600"})) as server:
        code, out = _served(server, tmp_path, saywhat)
        assert (code, len(server.journal)) == (4, 1)
    assert "3,600 seconds" in out
    assert "-> ask more slowly" in out


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_waiting_that_a_server_asks_for_is_no_latency(saywhat: CommandLine, tmp_path: Path) -> None:
    with Server() as server:
        server.faults.append(fail(429, {"Retry-After": "1"}))
        spec = f"http:{write(tmp_path, url=server.url)}"
        more = ["--targets", "targets.txt", "--similarity", "exact", "--json"]
        code, out, _ = saywhat("check", "--chatbot", spec, *more)
        found = json.loads(out)
        assert (code, len(server.journal), found["queries"]["sent"]) == (0, 13, 13)
    assert found["latency"]["slowest"] < 0.9


# ---------------------------------------------------------------------- audit --dry-run

AUDIT = ["audit", "--targets", "unknown.txt", "--method", "random", "--budget", "5"]


def test_a_dry_run_sends_nothing_and_tells_what_then_happens(saywhat: CommandLine) -> None:
    """The bound, the folder and that a run is resumed are foretold, then seen."""
    audit = [*AUDIT, "--chatbot", "python:plain.py:reply", "--similarity", "exact"]
    audit += ["--set", "search.batch_targets=1"]
    _heard("plain")

    def foretold() -> dict[str, Any]:
        code, out, _ = saywhat(*audit, "--dry-run", "--json")
        assert (code, _heard("plain")) == (0, [])
        document: dict[str, Any] = json.loads(out)
        return document

    first = foretold()
    assert (first["plan"]["chatbot"], first["run"]["status"]) == ("reply", None)
    code, out, _ = saywhat(*audit, "--max-queries", "6", "--json")
    stopped = json.loads(out)
    assert (code, stopped["status"]) == (0, "partial")
    assert len(_heard("plain")) == 6
    before, after = first["run"]["folder"].split("<time>")
    assert re.fullmatch(f"{re.escape(before)}.*{re.escape(after)}", stopped["folder"])
    second = foretold()
    assert second["run"] == {"folder": stopped["folder"], "status": "partial", "resumed": True}
    code, out, _ = saywhat(*audit, "--json")
    done = json.loads(out)
    assert (code, done["folder"], done["status"]) == (0, stopped["folder"], "complete")
    assert len(_heard("plain")) == 9
    assert done["queries"]["asked"] == first["plan"]["asked"] == 15
    assert "<time>" in foretold()["run"]["folder"]


def test_a_dry_run_says_it_in_words(saywhat: CommandLine) -> None:
    more = ["--max-queries", "8", "--rate", "2.5", "--threshold", "0.75", "--out", "here"]
    code, out, said = saywhat(*AUDIT, "--chatbot", "known:echo", *more, "--dry-run")
    lines = dict(re.findall(r"^(\S.{16}) (\S.*)$", out, re.MULTILINE))
    assert code == 0
    assert {label.strip(): text for label, text in lines.items()} == {
        "chatbot": "echo (known:echo)",
        "search": "random, at most 5 queries a target",
        "your list": "3 targets, longest 4 words; 1 cannot be measured",
        "queries": "at most 10 queries; no more than 8 sent (10 of the search)",
        "limits": "queries 8, rate 2.5, 3 tries for each query",
        "similarity": "embedding-average-centred, elicited from 0.75",
        "seed": "1",
        "run folder": "here (new)",
    }
    assert "                  custom 1-3: 2\n                  custom 4-6: 1\n" in out
    assert said == "Nothing was sent.\n"


# ---------------------------------------------------------------------- the guide


def _without_figures(text: str) -> str:
    """Leave out times, and the hash of all settings, among which there may be new ones."""
    text = re.sub(r"-[0-9a-f]{8}\b", "-HASH", text)
    text = re.sub(r"under 1 ms|[\d,]+ ms|[\d.]+ s\b", "N ms", text)
    return re.sub(r"under a second|about [\d.]+ (s|min|h|days)\b|about N ms", "T", text).rstrip()


def test_the_guide_shows_what_is_said() -> None:
    """But for times, the page is what the commands write."""
    page = (ROOT / "docs" / "guide" / "check.md").read_text(encoding="utf-8")
    shown = re.findall(r"```console\n\$ saywhat (.*)\n((?:.*\n)*?)```", page)
    assert [command.split()[0] for command, _ in shown] == ["check", "audit"]
    for command, output in shown:
        done = subprocess.run(
            [sys.executable, "-m", "saywhat", *command.split(), "-q"],
            capture_output=True, text=True, check=True, cwd=ROOT,
        )  # fmt: skip
        assert _without_figures(done.stdout) == _without_figures(output)
