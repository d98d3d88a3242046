"""An audit opens no socket: not in this process, nor in one whose every socket is written down."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_socket import SocketBlockedError

pytestmark = pytest.mark.timeout(300)  # the machine may be busy

CommandLine = Callable[..., tuple[int, str, str]]

# Python's own audit events see every socket, look-up and connection, whoever asks for it and
# whatever becomes of the error.
RECORDER = """
import os, sys
def record(event, arguments):
    if event.startswith("socket."):
        log = os.open(os.environ["SOCKETS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(log, (event + "\\n").encode())
        os.close(log)
        raise OSError("no network here")
sys.addaudithook(record)
"""
AUDIT = (
    "audit --method random --budget 3 --targets targets.txt --reference posts.tsv --json"
).split()

HIDDEN = """
import contextlib, urllib.request
with contextlib.suppress(OSError):
    urllib.request.urlopen("http://127.0.0.1:9")
"""


@pytest.fixture(scope="module", autouse=True)
def _files(workplace: Path) -> None:
    Path("targets.txt").write_text("i love dogs\nsee you tomorrow\n", encoding="utf-8")
    posts = "".join(f"{text}\tnever heard\n" for text in ("hi", "do you like dogs", "bye", "why"))
    Path("posts.tsv").write_text(posts, encoding="utf-8")


@pytest.mark.filterwarnings("ignore:A test tried to use socket")
def test_sockets_are_blocked_in_process() -> None:
    """The control of the next test."""
    with pytest.raises(SocketBlockedError):
        socket.socket()


def test_in_process_with_sockets_blocked(saywhat: CommandLine) -> None:
    code, out, said = saywhat(*AUDIT, "--out", "run")
    assert code == 0, said
    assert json.loads(out)["measured"] == 2


def _recorded(folder: Path, *command: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run Python with the recorder, in its children too; give what became of it and its sockets."""
    log = folder / "sockets.txt"
    (folder / "sitecustomize.py").write_text(RECORDER, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "SOCKETS": str(log),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done, log.read_text(encoding="utf-8").split() if log.exists() else []


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    arguments = [*AUDIT, "--out", str(tmp_path / "run")]
    done, sockets = _recorded(tmp_path, "-m", "saywhat", *arguments)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["measured"] == 2
    assert sockets == []


@pytest.mark.parametrize(
    "program",
    [
        "import socket; socket.socket()",
        "import socket; socket.getaddrinfo('localhost', 80)",
        HIDDEN,
    ],
)
def test_the_recorder_sees_sockets(program: str, tmp_path: Path) -> None:
    """The negative control: also of a program that hides the error."""
    _, sockets = _recorded(tmp_path, "-c", program)
    assert sockets
