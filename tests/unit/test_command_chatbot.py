"""Programs as chatbots: no reply goes to the wrong query, nothing hangs, nothing is left behind."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from saywhat.chatbots.command import CommandChatbot
from saywhat.chatbots.line_process import MAX_LINE
from saywhat.config import ConnectionSettings
from saywhat.errors import BatchError, ChatbotError, SetupError
from saywhat.interfaces import Closable, ConcurrentChatbot
from saywhat.registry import load_chatbot
from saywhat.rng import derive

Made = Callable[..., CommandChatbot]

# a chatbot whose ``answer(query)`` the tests write; without a return it has answered by itself
PROGRAM = """
import json, os, signal, subprocess, sys, time

def say(line):
    sys.stdout.buffer.write(line if isinstance(line, bytes) else line.encode())
    sys.stdout.buffer.flush()

{body}

for line in sys.stdin:
    reply = answer(json.loads(line)["query"])
    if reply is not None:
        say(json.dumps({{"reply": reply}}) + "\\n")
"""


def written(folder: Path, body: str) -> str:
    """Write a program, and give its command line."""
    path = folder / "program.py"
    path.write_text(PROGRAM.format(body=textwrap.dedent(body)), encoding="utf-8")
    return shlex.join([sys.executable, str(path)])


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """Make chatbots of programs, and close them."""
    chatbots: list[CommandChatbot] = []

    def make(body: str, *, timeout: float = 30) -> CommandChatbot:
        spec = f"command:{written(tmp_path, body)}"
        chatbot = load_chatbot(spec, connection=ConnectionSettings(timeout=timeout))
        assert isinstance(chatbot, CommandChatbot)
        chatbots.append(chatbot)
        return chatbot

    yield make
    for chatbot in chatbots:
        chatbot.close()


def failure(chatbot: CommandChatbot, query: str = "bad") -> ChatbotError:
    """Give how a query fails."""
    with pytest.raises(ChatbotError) as caught:
        chatbot.reply([query])
    assert caught.value.query == query
    return caught.value


def runs(pid: int) -> bool:
    """Whether a process exists and has not ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def soon(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether a condition holds within some time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


# ------------------------------------------------------------------ answers


def test_the_surface(made: Made) -> None:
    chatbot = made("def answer(query): return query")
    assert isinstance(chatbot, ConcurrentChatbot)
    assert isinstance(chatbot, Closable)
    assert (chatbot.name, chatbot.concurrency) == ("program.py", 1)


def test_texts_arrive_as_they_are(made: Made) -> None:
    chatbot = made("def answer(query): return query + '|' + query")
    texts = ["é", "\u2028", "\0", "a\nb\r\n", '"}\\', "\U0001f600", "", "\x85", "x" * 300_000]
    assert chatbot.reply(texts) == [f"{text}|{text}" for text in texts]


def test_queries_come_as_lines_of_ascii(made: Made) -> None:
    chatbot = made("""
        first = sys.stdin.buffer.readline()
        say(json.dumps({"reply": first.decode("ascii")}) + "\\n")
        def answer(query): return query
    """)
    assert chatbot.reply(["é\n\ud83d"]) == ['{"query": "\\u00e9\\n\\ud83d"}\n']


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ('{"reply": "a", "more": [1]}', "a"),
        ('"a"', "a"),
        ('  {"reply": "a"}\r', "a"),
        ('\n\n{"reply": "a"}\n', "a"),
        ('{"reply": "é", "error": null}', "é"),
        ('{"reply": ""}', ""),
    ],
)
def test_lines_that_are_replies(line: str, reply: str, made: Made) -> None:
    chatbot = made(f"def answer(query): say({line + chr(10)!r})")
    assert chatbot.reply(["a", "b"]) == [reply, reply]


def test_one_process_answers_all_and_starts_with_the_first(made: Made, tmp_path: Path) -> None:
    chatbot = made("""
        open(os.path.join(os.path.dirname(__file__), "started"), "a").write("x")
        def answer(query): return str(os.getpid())
    """)
    assert not (tmp_path / "started").exists()
    assert len(set(chatbot.reply(["a", "b"]) + chatbot.reply(["c"]))) == 1
    assert (tmp_path / "started").read_text(encoding="utf-8") == "x"


def test_it_has_our_environment_and_folder(
    made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BOT_REGION", "north")
    monkeypatch.chdir(tmp_path)
    chatbot = made("def answer(query): return os.environ['BOT_REGION'] + os.getcwd()")
    assert chatbot.reply(["a"]) == [f"north{tmp_path}"]


def test_a_python_program_need_not_flush(made: Made) -> None:
    chatbot = made("def answer(query): print(json.dumps({'reply': query}))", timeout=10)
    assert chatbot.reply(["a", "b"]) == ["a", "b"]


def test_stderr_never_blocks_it(made: Made) -> None:
    """More than a pipe holds, before and after each reply, and a reply as large."""
    chatbot = made("""
        def answer(query):
            print("x" * 200_000, file=sys.stderr)
            say(json.dumps({"reply": query * 1000}) + "\\n")
            print("x" * 200_000, file=sys.stderr)
    """)
    assert chatbot.reply(["a" * 100, "b" * 100]) == ["a" * 100_000, "b" * 100_000]


def test_it_may_write_before_it_has_read_all(made: Made) -> None:
    """Both sides of a pipe full at once: a program that streams must not stand still."""
    chatbot = made("""
        first = sys.stdin.buffer.read(100)
        say('"' + "y" * 500_000)
        sys.stdin.readline()
        say('"\\n')
        def answer(query): return query
    """)
    assert chatbot.reply(["x" * 500_000]) == ["y" * 500_000]


# ------------------------------------------------------------------ failures

FAULTS = {
    "exit": ("os._exit(3)", "exited with code 3", "later"),
    "no more": ("os._exit(0)", "exited with code 0", "later"),
    "killed": ("os.kill(os.getpid(), 9)", "exited with code -9", "later"),
    "late": ("time.sleep(60)", "timeout", "later"),
    "talk": ("say('Loading...\\n')", "malformed JSON", "later"),
    "half": ("say('{\"reply\": \\n')", "malformed JSON", "later"),
    "deep": ("say('[' * 100_000 + '\\n')", "malformed JSON", "later"),
    "two": ('say(\'"a"\\n"b"\\n\')', "extra line", "later"),
    "latin": ("say(b'\"\\xe9\"\\n')", "invalid UTF-8", "later"),
    "endless": (f"say('x' * {MAX_LINE + 1})", "line too long", "later"),
    "long": (f"say('\"' + 'x' * {MAX_LINE} + '\"\\n')", "line too long", "later"),
    "number": ("say('5\\n')", "wrong reply", "never"),
    "other key": ('say(\'{"text": "a"}\\n\')', "wrong reply", "never"),
    "other type": ("say('{\"reply\": 5}\\n')", "wrong reply", "never"),
    "deaf": ("os.close(1); time.sleep(60)", "closed its stdout", "later"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_one_query_and_the_process(fault: str, made: Made) -> None:
    code, kind, retry = FAULTS[fault]
    chatbot = made(
        f"""
        def answer(query):
            if query == "bad":
                {code}
                return None
            return str(os.getpid())
        """,
        timeout=1.2 if fault in {"late", "deaf"} else 30,
    )
    [before] = chatbot.reply(["good"])
    error = failure(chatbot)
    assert (error.kind, error.retry) == (kind, retry)
    [after] = chatbot.reply(["good"])
    assert after != before
    assert not runs(int(before))


def test_a_failure_that_it_reports_costs_the_query_only(made: Made) -> None:
    chatbot = made("""
        def answer(query):
            if query == "bad":
                say(json.dumps({"error": "quota\\nof " + "x" * 999}) + "\\n")
            else:
                return str(os.getpid())
    """)
    [before] = chatbot.reply(["good"])
    error = failure(chatbot)
    assert (error.kind, error.retry) == ("reported error", "now")
    assert error.message.startswith("program.py reported an error: 'quota\\nof xxx")
    assert len(error.message) < 260
    assert chatbot.reply(["good"]) == [before]


def test_the_others_of_a_batch_are_kept(made: Made) -> None:
    chatbot = made("""
        def answer(query):
            if query == "bad":
                sys.exit(1)
            return query.upper()
    """)
    with pytest.raises(BatchError) as caught:
        chatbot.reply(["a", "bad", "b"])
    first, bad, last = caught.value.outcomes
    assert (first, last) == ("A", "B")
    assert isinstance(bad, ChatbotError)


def test_a_line_too_many_is_never_the_next_reply(made: Made) -> None:
    """The extra line comes late, when its query has been answered and the next is due."""
    chatbot = made("""
        def answer(query):
            say(json.dumps({"reply": query}) + "\\n")
            if query == "bad":
                time.sleep(0.05)
                say('"bad too"\\n')
    """)
    assert chatbot.reply(["bad"]) == ["bad"]
    time.sleep(0.5)
    error = failure(chatbot, "next")
    assert error.kind == "extra line"
    assert "answers no query: '\"bad too\"'" in error.message
    assert chatbot.reply(["next"]) == ["next"]


def test_a_greeting_in_json_does_not_shift_the_replies(made: Made) -> None:
    """The reply to the greeted query comes while the next one waits for its own."""
    chatbot = made("""
        say('{"status": "ready"}\\n')
        def answer(query):
            time.sleep(0.1)
            return query
    """)
    with pytest.raises(BatchError) as caught:
        chatbot.reply(["a", "b", "c"])
    assert {getattr(outcome, "kind", outcome) for outcome in caught.value.outcomes} <= {
        "wrong reply",
        "extra line",
    }


def test_whatever_fails_no_reply_goes_to_another_query(made: Made) -> None:
    """Every reply names its query; faults of all kinds are strewn in."""
    chatbot = made(
        """
        faults = {
            "exit": lambda: os._exit(1),
            "talk": lambda: say("hm\\n"),
            "twice": lambda: say('"x"\\n"y"\\n'),
            "before": lambda: say('"stray"\\n"stray"\\n'),
            "late": lambda: time.sleep(3),
            "error": lambda: say('{"error": "no"}\\n'),
        }
        def answer(query):
            fault = faults.get(query.split()[0])
            if fault:
                fault()
            return None if query.split()[0] in ("talk", "twice", "error") else "re: " + query
        """,
        timeout=1.5,
    )
    kinds = ["exit", "talk", "twice", "before", "error"] * 6 + ["late"] + ["good"] * 29
    derive(5, "faults").shuffle(kinds)
    queries = [f"{kind} {number}" for number, kind in enumerate(kinds)]
    with pytest.raises(BatchError) as caught:
        chatbot.reply(queries)
    wrong = [
        (query, outcome)
        for query, outcome in zip(queries, caught.value.outcomes, strict=True)
        if isinstance(outcome, str) and outcome != f"re: {query}"
    ]
    assert wrong == []
    assert sum(isinstance(outcome, str) for outcome in caught.value.outcomes) >= 14


def test_what_it_said_last_is_quoted_harmlessly(made: Made) -> None:
    chatbot = made("""
        def answer(query):
            print("first", file=sys.stderr)
            print("\\x1b[31mred\\u202e" + "x" * 999 + "\\n\\n", file=sys.stderr)
            sys.exit(1)
    """)
    message = failure(chatbot).message
    begin = "program.py exited with code 1; its last line on stderr: '\\x1b[31mred\\u202exxx"
    assert message.startswith(begin)
    assert len(message) < 280
    assert message.isprintable()


def test_credentials_of_the_environment_are_not_quoted(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOT_API_KEY", "sk-123456789")
    chatbot = made("""
        def answer(query):
            key = os.environ["BOT_API_KEY"]
            if query == "report":
                say(json.dumps({"error": "denied: " + key}) + "\\n")
            elif query == "line":
                say("denied " + key + "\\n")
            else:
                print("401 for", key, file=sys.stderr)
                sys.exit(1)
    """)
    for query in ("report", "line", "exit"):
        error = failure(chatbot, query)
        assert "sk-123456789" not in str(error)
        assert "***" in str(error)


def test_a_last_line_that_is_cut_shows_no_piece_of_a_credential(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4,096 bytes are kept of what it said, so the first credential of the line is cut."""
    secret = "".join(f"{number:03}" for number in range(100))
    monkeypatch.setenv("BOT_TOKEN", secret)
    chatbot = made("""
        def answer(query):
            print((os.environ["BOT_TOKEN"] + "-") * 20, file=sys.stderr)
            sys.exit(1)
    """)
    message = failure(chatbot).message
    said = message.partition("stderr: ")[2]
    assert set(said) == set("'*-")


def test_what_it_says_is_not_kept_without_end(made: Made) -> None:
    chatbot = made("""
        def answer(query):
            for _ in range(100):
                print("x" * 10_000, file=sys.stderr)
            return query
    """)
    assert chatbot.reply(["a", "b"]) == ["a", "b"]
    assert chatbot._process is not None
    assert 0 < len(chatbot._process._said) <= 4096


def test_it_may_close_its_stdin_and_still_answer(made: Made) -> None:
    chatbot = made("""
        sys.stdin.readline()
        os.close(0)
        say('"done"\\n')
        time.sleep(60)
        def answer(query): return query
    """)
    assert chatbot.reply(["x" * 200_000]) == ["done"]


# ------------------------------------------------------------------ the end

FAMILY = """
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    def answer(query):
        if query == "hang":
            time.sleep(600)
        return f"{os.getpid()} {child.pid}"
"""


def family(chatbot: CommandChatbot) -> list[int]:
    """Give the process and its child, both alive."""
    pids = [int(pid) for pid in chatbot.reply(["who"])[0].split()]
    assert all(map(runs, pids))
    return pids


def test_closing_ends_the_process_and_its_children(made: Made) -> None:
    chatbot = made(FAMILY)
    pids = family(chatbot)
    chatbot.close()
    assert soon(lambda: not any(map(runs, pids)))
    assert not Path(f"/proc/{pids[0]}").exists(), "it is a zombie"
    chatbot.close()
    assert family(chatbot) != pids


def test_who_does_not_listen_is_killed(made: Made) -> None:
    chatbot = made("""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        def answer(query): return str(os.getpid())
    """)
    [pid] = chatbot.reply(["a"])
    chatbot.close()
    assert not Path(f"/proc/{pid}").exists()


CHILD = """
import pathlib, signal, time
def clean(*_):
    time.sleep(0.5)
    pathlib.Path(__file__).with_name("cleaned").touch()
    raise SystemExit
signal.signal(signal.SIGTERM, clean)
pathlib.Path(__file__).with_name("ready").touch()
time.sleep(600)
"""
PARENT = """
    folder = os.path.dirname(__file__)
    child = subprocess.Popen([sys.executable, os.path.join(folder, "child.py")])
    def answer(query):
        while not os.path.exists(os.path.join(folder, "ready")):
            time.sleep(0.01)
        if query != "leave":
            say(json.dumps({"reply": str(child.pid)}) + "\\n")
        if "leave" in query:
            os._exit(0)
"""


@pytest.mark.parametrize("query", ["stay", "leave", "reply and leave"])
def test_children_have_time_to_clean_up(query: str, made: Made, tmp_path: Path) -> None:
    """Also those of a program that has left them behind."""
    (tmp_path / "child.py").write_text(CHILD, encoding="utf-8")
    chatbot = made(PARENT)
    [pid] = chatbot.reply(["first"])
    with contextlib.nullcontext() if query != "leave" else pytest.raises(ChatbotError):
        chatbot.reply([query])
    chatbot.close()
    assert (tmp_path / "cleaned").exists()
    assert soon(lambda: not runs(int(pid)))


def test_a_child_that_holds_the_pipes_does_not_hold_us(made: Made) -> None:
    """It has a session of its own, so nobody ends it, and stdout has no end."""
    chatbot = made("""
        child = subprocess.Popen(["sleep", "20"], start_new_session=True)
        def answer(query):
            if query == "bad":
                sys.exit(4)
            return str(child.pid)
    """)
    [child] = chatbot.reply(["a"])
    begun = time.monotonic()
    assert failure(chatbot).kind == "exited with code 4"
    chatbot.close()
    assert time.monotonic() - begun < 10
    os.kill(int(child), signal.SIGKILL)


def test_closing_does_not_wait_for_a_reply(made: Made) -> None:
    chatbot = made(FAMILY)
    pids = family(chatbot)
    hanging, waiting = chatbot.submit("hang"), chatbot.submit("who")
    begun = time.monotonic()
    chatbot.close()
    assert time.monotonic() - begun < 4
    for future in (hanging, waiting):
        assert future.done() or future.cancel()
        with pytest.raises(BaseException, match=r"exited|closed|^$"):
            future.result()
    assert soon(lambda: not any(map(runs, pids)))


def test_it_ends_when_nobody_needs_it(made: Made, tmp_path: Path) -> None:
    made(FAMILY)
    command = shlex.join([sys.executable, str(tmp_path / "program.py")])
    chatbot = load_chatbot(f"command:{command}")
    assert isinstance(chatbot, CommandChatbot)
    pids = family(chatbot)
    del chatbot
    assert soon(lambda: not any(map(runs, pids)))


AUDITOR = """
import sys
from saywhat.registry import load_chatbot
from saywhat.rng import derive
chatbot = load_chatbot(sys.argv[1])
print(*chatbot.reply(["who"]), flush=True)
if sys.argv[2] == "hang":
    chatbot.reply(["hang"])
"""


@pytest.mark.parametrize("stop", [None, signal.SIGINT])
def test_nothing_is_left_when_we_end(stop: signal.Signals | None, tmp_path: Path) -> None:
    command = f"command:{written(tmp_path, FAMILY)}"
    with subprocess.Popen(
        [sys.executable, "-c", AUDITOR, command, "hang" if stop else "go"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as auditor:
        assert auditor.stdout
        pids = [int(pid) for pid in auditor.stdout.readline().split()]
        assert len(pids) == 2
        if stop:
            time.sleep(0.2)
            auditor.send_signal(stop)
        begun = time.monotonic()
        auditor.communicate(timeout=30)
        assert time.monotonic() - begun < 10
    assert soon(lambda: not any(map(runs, pids)))


def test_the_program_ends_when_we_are_killed(tmp_path: Path) -> None:
    """Nothing can be done any more but to let its stdin end."""
    command = f"command:{written(tmp_path, 'def answer(query): return str(os.getpid())')}"
    with subprocess.Popen(
        [sys.executable, "-c", AUDITOR, command, "hang"], stdout=subprocess.PIPE, text=True
    ) as auditor:
        assert auditor.stdout
        pid = int(auditor.stdout.readline())
        auditor.kill()
    assert soon(lambda: not runs(pid))


def test_no_thread_is_left(made: Made) -> None:
    before = threading.active_count()
    chatbot = made("def answer(query): return query")
    chatbot.reply(["a"])
    chatbot.close()
    assert threading.active_count() == before


# ------------------------------------------------------------------ set-up


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("no-such-program --flag secret", "found no 'no-such-program'"),
        ("./plain.txt secret", r"plain.txt, which may not be run; make it executable \(chmod"),
        ("'open secret", "got one with no closing quotation"),
        ("  ", "got no program"),
        ("'' secret", "got no program"),
        (".", r"found no '\.'"),
        ("x" * 5000, "found no"),
    ],
)
def test_what_cannot_be_run_is_explained(
    command: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.txt").write_text("", encoding="utf-8")
    with pytest.raises(SetupError, match=message) as caught:
        load_chatbot(f"command:{command}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("program", ["./bot", "bot", "{folder}/bot"])
def test_programs_of_the_working_directory(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bot = tmp_path / "bot"
    bot.write_text('#!/bin/sh\nwhile read -r line; do echo "\\"sh\\""; done\n', encoding="utf-8")
    bot.chmod(0o755)
    chatbot = load_chatbot(f"command:{program.format(folder=tmp_path)}")
    assert isinstance(chatbot, CommandChatbot)
    monkeypatch.chdir("/")
    assert (chatbot.name, chatbot.reply(["a"])) == ("bot", ["sh"])
    chatbot.close()


def test_what_the_system_cannot_start(tmp_path: Path) -> None:
    bot = tmp_path / "bot"
    bot.write_bytes(b"\x7fELF nonsense")
    bot.chmod(0o755)
    chatbot = load_chatbot(f"command:{bot}")
    assert isinstance(chatbot, CommandChatbot)
    error = failure(chatbot)
    assert (error.kind, error.retry) == ("cannot be started", "never")
    chatbot.close()


def test_no_shell_sees_the_arguments(tmp_path: Path) -> None:
    code = "import json, sys; input(); print(json.dumps(' '.join(sys.argv[1:])))"
    arguments = ["$HOME", "a b", "*", ";", "|", "`id`"]
    command = shlex.join([sys.executable, "-c", code, *arguments])
    chatbot = load_chatbot(f"command:{command}")
    assert chatbot.reply(["a"]) == [" ".join(arguments)]


def test_the_fingerprint_is_of_words_and_files(tmp_path: Path) -> None:
    def fingerprint(*words: str) -> str:
        return load_chatbot(f"command:{shlex.join(words)}").fingerprint

    program, weights = tmp_path / "bot", tmp_path / "weights"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    weights.write_text("1", encoding="utf-8")
    words = (str(program), str(weights), f"--config={weights}")
    seen = [fingerprint(*words)]
    assert fingerprint(*words) == seen[0]
    seen.append(fingerprint(*words, "--more"))
    seen.append(fingerprint(*words[:2], str(weights)))
    for path in (weights, program):
        path.write_text(path.read_text(encoding="utf-8") + "#", encoding="utf-8")
        seen.append(fingerprint(*words))
    assert len(set(seen)) == 5
    seen = [fingerprint(str(program), f"--config={weights}")]
    weights.write_text("2", encoding="utf-8")
    assert fingerprint(str(program), f"--config={weights}") != seen[0]
    assert json.dumps(seen)
