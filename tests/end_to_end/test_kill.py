"""``kill -9`` in the middle of a stage, then the same command again: the end is the same, bit for
bit.

The chatbot is the built-in one behind a witness, which writes down every query that reaches it. So
what was sent is known from outside, without the ledger's word.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from saywhat.corpora.files import read_pairs
from saywhat.corpora.splits import part_of
from saywhat.ledger import Ledger
from saywhat.records import PHASES
from saywhat.rng import derive

pytestmark = pytest.mark.timeout(900)  # each runs several processes on what may be a busy machine

PATIENCE = 240.0  # seconds that a process may take to get to the moment of its death, or to its end
BATCH = 32
WITNESS = """
import json, os, time
from saywhat.registry import load_chatbot

def write(queries):
    log = os.open(os.environ["WITNESS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(log, (json.dumps(queries) + "\\n").encode())
    os.close(log)

class Witness:
    def __init__(self):
        self.inner = load_chatbot("builtin")
        self.name, self.fingerprint = self.inner.name, self.inner.fingerprint

    def reply(self, queries):
        write(list(queries))
        time.sleep(0.03)  # so that there is time to kill it
        return self.inner.reply(queries)

chatbot = Witness()
"""
# at most 7 words, so that the built-in chatbot computes each batch as one tile
WAYS = (
    "hi {}", "why {}", "do you like {}", "what do you think about {}", "tell me about {} please",
    "my sister says that {} is great", "have you ever been to see {}", "i really hate {}",
    "is {} good", "i saw {} again yesterday",
)  # fmt: skip
THINGS = (
    "dogs", "pizza", "school", "music", "football", "coffee", "snow", "math", "cars", "books",
    "texas", "movies", "candy", "work", "horses", "tea", "weather", "dancing", "rain", "games",
    "mothers", "london", "cooking", "summer", "chemistry", "guitars", "birds",
)  # fmt: skip
TRAINING = (
    f"--preset tiny --similarity embedding-average-centred --set collect.batch_size={BATCH} "
    "--set collect.posts=200 --set lists.per_length=1 --set lists.validation_per_length=1 "
    "--set lists.utterances=40 --set pretrain.training.max_tokens=7 --set reinforce.steps=9 "
    "--set pretrain.training.precision=fp32 --set reinforce.precision=fp32 "
    "--set reinforce.validate_every=3 --set reinforce.samples=4 --set reinforce.reward_cut=0.05 "
    "--set reinforce.learning_rate=0.01"
).split()
AUDIT = (
    "audit --method random --budget 6 --set search.batch_targets=2 --targets targets.txt "
    "--reference posts.tsv"
).split()


def _conversations() -> str:
    """Write 54 conversations of ten turns: 30 of posts, 8 for each held-out part."""
    rng = derive(1, "talks")
    sentences = [way.format(thing) for way in WAYS for thing in THINGS]
    rng.shuffle(sentences)
    wanted = Counter(posts=30, validation=8, generated=8, real=8)
    lines: list[str] = []
    for number in range(10_000):
        part = part_of(f"talk {number}")
        if wanted[part] > 0:
            wanted[part] -= 1
            turns = rng.sample(sentences, 10)
            lines.append(json.dumps({"key": f"talk {number}", "turns": turns}) + "\n")
    assert wanted.total() == 0
    return "".join(lines)


class Place:
    """A folder in which commands run, with the witness's log of what they sent."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "witness.jsonl"
        folder.mkdir()
        (folder / "witness.py").write_text(WITNESS, encoding="utf-8")
        (folder / "talks.jsonl").write_text(_conversations(), encoding="utf-8")
        sentences = [way.format(thing) for thing in THINGS for way in WAYS]
        (folder / "targets.txt").write_text("\n".join(sentences[:24]) + "\n", encoding="utf-8")
        posts = "".join(f"{sentence}\tnever heard\n" for sentence in sentences[24:])
        (folder / "posts.tsv").write_text(posts, encoding="utf-8")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command; what it says goes to a file."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SAYWHAT_")}
        environment |= {"WITNESS": str(self.log), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "saywhat", *arguments]
        command += ["--chatbot", "python:witness.py:chatbot"]
        with (self.folder / "said.txt").open("wb") as said:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=said, stderr=subprocess.STDOUT
            )

    def finish(self, *arguments: str) -> None:
        """Run a command to its end."""
        process = self.start(*arguments)
        try:
            assert process.wait(PATIENCE) == 0, self._said()
        finally:
            process.kill()
            process.wait()

    def kill(self, *arguments: str, when: Callable[[], bool]) -> None:
        """Run a command and kill it the moment that ``when`` says so."""
        process = self.start(*arguments)
        try:
            until = time.monotonic() + PATIENCE
            while not when():
                assert process.poll() is None, f"it ended before it could be killed: {self._said()}"
                assert time.monotonic() < until, f"the moment to kill it never came: {self._said()}"
                time.sleep(0.005)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == -signal.SIGKILL, f"it ended too early: {self._said()}"

    def sent(self) -> list[str]:
        """Give every query that reached the chatbot, in order."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [query for line in lines for query in json.loads(line)]

    def stored(self, ledger: str) -> set[str]:
        """Give the queries whose replies a ledger holds."""
        with Ledger(self.folder / ledger) as opened:
            return {pair.query for phase in PHASES for pair in opened.pairs(phase)}

    def bought(self, ledger: str) -> int:
        """Count the replies of a ledger that a process may be writing to."""
        path = self.folder / ledger
        if not path.exists():
            return 0
        return sum(count.unique for count in Ledger.counts_of(path).values())

    def json(self, name: str) -> Any:
        """Read a JSON file."""
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def lines(self, name: str) -> int:
        """Count the whole lines of a file that may not be there yet."""
        path = self.folder / name
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def bytes(self, name: str) -> bytes:
        """Read a file."""
        return (self.folder / name).read_bytes()

    def _said(self) -> str:
        return (self.folder / "said.txt").read_text(encoding="utf-8", errors="replace")


def _stage(verb: str) -> list[str]:
    return [verb, *TRAINING, "--corpus", "talks.jsonl", "--out", "work"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """All stages of a training in one go."""
    place = Place(tmp_path_factory.mktemp("whole") / "here")
    place.finish(*_stage("train"))
    return place


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, dict[str, set[str]]]:
    """The same, stage by stage; ``collect`` and ``reinforce`` were killed once.

    With it the queries that were in flight: sent by the killed process, their replies not stored.
    """
    place, ledger = Place(tmp_path_factory.mktemp("killed") / "here"), "work/ledger.sqlite"
    in_flight: dict[str, set[str]] = {}
    place.kill(*_stage("collect"), when=lambda: place.bought(ledger) >= 3 * BATCH)
    in_flight["collect"] = set(place.sent()) - place.stored(ledger)
    assert not (place.folder / "work/reference.jsonl.xz").exists(), "nothing was left to resume"
    place.finish(*_stage("collect"))
    place.finish(*_stage("pretrain"))
    metrics, state = "work/reinforce/metrics.jsonl", "work/reinforce/state.json"
    place.kill(*_stage("reinforce"), when=lambda: place.lines(metrics) >= 4)
    assert 3 <= place.json(state)["step"] < 9, "the kill was to hit between two checkpoints"
    in_flight["reinforce"] = set(place.sent()) - place.stored(ledger)
    place.finish(*_stage("reinforce"))
    return place, in_flight


def test_collect_ends_in_the_same_reference_corpus_and_lists(
    killed: tuple[Place, dict[str, set[str]]], whole: Place
) -> None:
    place, _ = killed
    corpus = "work/reference.jsonl.xz"
    pairs = read_pairs(place.folder / corpus)
    assert pairs == read_pairs(whole.folder / corpus)
    assert len(pairs) > 100
    for name in ("test", "validation"):
        path = f"work/targets/{name}.jsonl"
        assert place.bytes(path) == whole.bytes(path)
        assert place.lines(path) >= 6  # one of each of three lengths in two lists


def test_reinforce_ends_in_the_same_weights_bit_for_bit(
    killed: tuple[Place, dict[str, set[str]]], whole: Place
) -> None:
    place, _ = killed
    for name in ("pretrained", "generator"):
        weights = f"work/{name}/weights.safetensors"
        assert place.bytes(weights) == whole.bytes(weights)
    last = "work/reinforce/state-9.safetensors"  # with the optimiser's state
    assert place.bytes(last) == whole.bytes(last)
    trained = load_file(place.folder / last)
    before = load_file(place.folder / "work/pretrained/weights.safetensors")
    moved = [
        name
        for name, tensor in before.items()
        if (trained[f"model.network.{name}"] != tensor).any()
    ]
    assert len(moved) > len(before) / 2, "no step changed the weights: equality would prove nothing"


def test_reinforce_logs_each_step_once_and_alike(
    killed: tuple[Place, dict[str, set[str]]], whole: Place
) -> None:
    place, _ = killed

    def log(of: Place) -> list[dict[str, Any]]:
        lines = of.bytes("work/reinforce/metrics.jsonl").splitlines()
        return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]

    assert [step["step"] for step in log(place)] == list(range(1, 10))
    assert log(place) == log(whole)


def test_a_training_sends_nothing_twice_but_what_was_in_flight(
    killed: tuple[Place, dict[str, set[str]]], whole: Place
) -> None:
    place, in_flight = killed
    assert len(in_flight["collect"]) <= BATCH
    assert len(in_flight["reinforce"]) <= 4 * 4  # a step: 4 targets with 4 queries each
    times = Counter(place.sent())
    twice = {query for query, count in times.items() if count > 1}
    assert twice <= in_flight["collect"] | in_flight["reinforce"]
    once = Counter(whole.sent())
    assert set(times) == set(once)
    assert set(once.values()) == {1}
    for of in (place, whole):  # the ledger's word against the witness's
        counts = Ledger.counts_of(of.folder / "work/ledger.sqlite").values()
        assert sum(count.sent for count in counts) == len(of.sent())
        assert sum(count.unique for count in counts) == len(once)
    asked = [
        {phase: c.asked for phase, c in Ledger.counts_of(of.folder / "work/ledger.sqlite").items()}
        for of in (place, whole)
    ]
    assert asked[0] == asked[1]


@pytest.fixture(scope="module")
def audits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, set[str], Place]:
    """An audit that was killed twice, with the queries that were in flight; one that was not."""
    place, whole = (Place(tmp_path_factory.mktemp("audit") / "here") for _ in range(2))
    in_flight: set[str] = set()
    for attempts in (4 * 6, 12 * 6):  # six for each of 24 targets

        def so_far(attempts: int = attempts) -> bool:
            return place.lines("run/attempts.jsonl") >= attempts

        place.kill(*AUDIT, "--out", "run", when=so_far)
        in_flight |= set(place.sent()) - place.stored("run/ledger.sqlite")
        assert place.lines("run/attempts.jsonl") < 6 * 24, "nothing was left to resume"
        assert not (place.folder / "run/findings.jsonl").exists()
    place.finish(*AUDIT, "--out", "run")
    whole.finish(*AUDIT, "--out", "run")
    return place, in_flight, whole


def test_an_audit_ends_in_the_same_findings_and_summary(
    audits: tuple[Place, set[str], Place],
) -> None:
    place, _, whole = audits
    for name in ("attempts.jsonl", "findings.jsonl"):
        assert place.bytes(f"run/{name}") == whole.bytes(f"run/{name}")
    assert place.lines("run/findings.jsonl") == 24
    summaries = [of.json("run/summary.json") for of in (place, whole)]
    for summary in summaries:
        del summary["queries"]["sent"]
        del summary["queries"]["detail"]["search"]["sent"]
    assert summaries[0] == summaries[1]
    assert summaries[0]["status"] == "complete"
    assert len(place.json("run/run.json")["resumed"]) == 2


def test_an_audit_sends_nothing_twice_but_what_was_in_flight(
    audits: tuple[Place, set[str], Place],
) -> None:
    """A batch is two targets of six queries, so at most 12 are in flight at each of two deaths."""
    place, in_flight, whole = audits
    assert len(in_flight) <= 2 * 12
    times, once = Counter(place.sent()), Counter(whole.sent())
    assert {query for query, count in times.items() if count > 1} <= in_flight
    assert set(times) == set(once)
    assert set(once.values()) == {1}
    assert place.json("run/summary.json")["queries"]["sent"] == len(place.sent())
    assert whole.json("run/summary.json")["queries"]["sent"] == len(whole.sent())
