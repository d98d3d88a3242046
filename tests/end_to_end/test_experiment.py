"""The experiment as users meet it, smaller than ``tiny``: the same command again is the same thing.

The chatbot is the built-in one; the conversations are those of ``test_kill``.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saywhat.cli.exits import DONE, INTERRUPTED, SETUP
from saywhat.experiment.parts import Parts
from tests.end_to_end import test_kill as kill
from tests.end_to_end.conftest import CommandLine

pytestmark = pytest.mark.timeout(1800)  # several processes on what may be a busy machine

PATIENCE = 600.0
SMALL = (
    "experiment tiny --set experiment.corpus=talks.jsonl --set experiment.per_group=1 "
    '--set experiment.others=[] --set experiment.ablations=["no-rl"] --set experiment.budgets=[1] '
    "--set experiment.search_per_group=0 --set experiment.agent_per_group=0 "
    "--set experiment.oracle_per_group=0 --set experiment.keywords_per_count=0 "
    "--set experiment.probe_posts=2 --set experiment.seeds=[1] --set train.lists.per_length=1 "
    "--set train.lists.validation_per_length=1 --set train.lists.utterances=40 "
    "--set train.collect.posts=200 --set train.collect.batch_size=32 "
    "--set train.pretrain.training.max_tokens=7"
).split()
WHOLE = {
    "ablation/no-rl", "collect/main", "human/main", "pretrain/main/seed-1", "probes/main",
    "reinforce/main/seed-1",
    *(f"evaluate/main/seed-1/{method}" for method in (
        "real-input", "retrieval", "random-200", "pretrained-greedy", "pretrained-beam-200",
        "rl-greedy", "rl-beam-50", "rl-beam-200", "rl-sampling-200",
    )),
}  # fmt: skip
SOME = "*-greedy"  # and what two of these need: all stages of training
NEEDED = {
    "collect/main", "pretrain/main/seed-1", "reinforce/main/seed-1",
    "evaluate/main/seed-1/pretrained-greedy", "evaluate/main/seed-1/rl-greedy",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _conversations(workplace: Path) -> None:
    (workplace / "talks.jsonl").write_text(kill._conversations(), encoding="utf-8")


@pytest.fixture(scope="module")
def first(workplace: Path, saywhat: CommandLine) -> tuple[Path, tuple[int, str, str]]:
    """Some parts in one go, with what was said."""
    return workplace / "first", saywhat(*SMALL, "--only", SOME, "--out", "first")


def outcomes(folder: Path) -> dict[str, Any]:
    """Give the outcomes of all parts, without what a clock or an interruption decides."""
    parts = Parts(folder / "parts")
    return {name: untimed(parts.outcome(name)) for name in parts.names()}


def untimed(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in {"seconds", "sent"}}
        return {key: untimed(inner) for key, inner in kept.items()}
    return [untimed(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture
def started(workplace: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Give a list of processes that do not outlive the test."""
    begun: list[subprocess.Popen[bytes]] = []
    yield begun
    for process in begun:
        process.kill()
        process.wait()


def start(workplace: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SAYWHAT_")}
    command = [sys.executable, "-m", "saywhat", *SMALL, *arguments]
    with (workplace / f"{arguments[-1]}.txt").open("ab") as said:
        return subprocess.Popen(
            command,
            cwd=workplace,
            env=environment | {"OMP_NUM_THREADS": "1"},
            stdout=said,
            stderr=subprocess.STDOUT,
        )


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while not path.exists():
        assert process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < until, "the moment to interrupt it never came"
        time.sleep(0.01)


def test_only_does_what_is_needed_and_says_how_much_is_done(
    first: tuple[Path, tuple[int, str, str]],
) -> None:
    folder, (code, out, err) = first
    assert code == DONE, err
    assert set(outcomes(folder)) == NEEDED
    assert f"{len(NEEDED)} of {len(WHOLE)} parts are finished." in out
    assert "reinforce/main/seed-1" in err
    for said in (r"Epoch 1: loss ", r"Step \d+: validation similarity "):
        assert re.search(said, err), "long stages tell how far they are"
    assert "Auditing builtin · 6 targets · greedy · " in err


def test_the_same_command_again_does_nothing(
    first: tuple[Path, tuple[int, str, str]], saywhat: CommandLine
) -> None:
    folder, _ = first
    files = sorted((folder / "parts").glob("**/*.json"))
    before = [(file.read_bytes(), file.stat().st_mtime_ns) for file in files]
    code, out, err = saywhat(*SMALL, "--only", SOME, "--out", "first", "-q")
    assert (code, err) == (DONE, "")
    assert "parts are finished" in out
    assert [(file.read_bytes(), file.stat().st_mtime_ns) for file in files] == before


def test_json_is_one_document_and_nothing_else(
    first: tuple[Path, tuple[int, str, str]], saywhat: CommandLine
) -> None:
    code, out, _ = saywhat(*SMALL, "--only", SOME, "--out", "first", "--json")
    assert code == DONE
    document = json.loads(out)
    assert document["parts"]["finished"] == len(NEEDED)
    given = dict.fromkeys(shlex.split(document["command"])[4::2])
    assert set(given) == set(SMALL[3::2]), "each setting that is not the preset's, and no other"


def test_the_parts_of_a_pattern_are_listed_with_what_they_need(saywhat: CommandLine) -> None:
    code, out, _ = saywhat(*SMALL, "--only", SOME, "--out", "first", "--dry-run", "--json")
    assert code == DONE
    assert {part["part"] for part in json.loads(out)["parts"]} == NEEDED
    code, out, _ = saywhat(*SMALL, "--only", SOME, "--out", "new", "--dry-run")
    assert code == DONE
    assert "to do     collect/main  280 queries at most" in out  # 200 posts and 40 for each list
    assert "to do     evaluate/main/seed-1/rl-greedy  6 queries at most" in out
    assert re.search(r"^At most [\d,]+ queries to builtin, beside", out, re.MULTILINE)


def test_set_up_that_cannot_be_is_refused_before_anything_is_done(
    first: tuple[Path, tuple[int, str, str]], saywhat: CommandLine, workplace: Path
) -> None:
    for arguments, what in (
        (("--only", "evalute/*"), "evaluate/main/seed-1/rl-greedy"),
        (("--set", 'experiment.ablations=["no-r1"]'), "no-rl"),
    ):
        code, _, err = saywhat(*SMALL, *arguments, "--out", "refused")
        assert code == SETUP
        assert what in err
    assert not (workplace / "refused" / "work").exists()
    page = (first[0] / "page.md").read_bytes()
    other = (*SMALL, "--set", "train.reinforce.kl=0.5", "--out", "first")
    assert saywhat(*other, "--dry-run")[0] == SETUP, "another's parts are not listed as finished"
    code, _, err = saywhat(*other)
    assert code == SETUP
    assert (first[0] / "page.md").read_bytes() == page, "a refused command writes no page"
    assert "seed-1.json was made with other settings of reinforce.kl;" in err
    assert set(outcomes(first[0])) == NEEDED


@pytest.mark.slow
def test_an_interrupted_and_a_killed_experiment_end_as_one_that_was_not(
    first: tuple[Path, tuple[int, str, str]],
    workplace: Path,
    started: list[subprocess.Popen[bytes]],
) -> None:
    """Ctrl-C while posts are asked, and a kill in the middle of REINFORCE."""
    folder, arguments = workplace / "again", ("--only", SOME, "--out", "again")
    started.append(process := start(workplace, *arguments))
    wait_for(folder / "work" / "main" / "corpus" / "ledger.sqlite", process)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == INTERRUPTED
    assert "collect/main" not in Parts(folder / "parts").names()
    said = (workplace / "again.txt").read_text(encoding="utf-8")
    assert "Interrupted." in said

    started.append(process := start(workplace, *arguments))
    wait_for(folder / "work" / "main" / "seed-1" / "reinforce", process)
    process.kill()
    assert process.wait(PATIENCE) == -signal.SIGKILL
    assert "reinforce/main/seed-1" not in Parts(folder / "parts").names()

    started.append(process := start(workplace, *arguments))
    assert process.wait(PATIENCE) == DONE
    assert outcomes(folder) == outcomes(first[0])


@pytest.mark.slow
def test_two_processes_share_the_whole_and_it_comes_out_alike(
    first: tuple[Path, tuple[int, str, str]],
    workplace: Path,
    started: list[subprocess.Popen[bytes]],
) -> None:
    folder = workplace / "shared"
    started += [start(workplace, "--out", "shared") for _ in range(2)]
    for process in started:
        assert process.wait(2 * PATIENCE) == DONE
    shared = outcomes(folder)
    assert set(shared) == WHOLE
    alone = outcomes(first[0])
    assert {name: shared[name] for name in alone} == alone
    assert shared["ablation/no-rl"]["methods"].keys() == {
        "pretrained-greedy", "pretrained-beam-50", "pretrained-sampling-50",
    }  # fmt: skip
