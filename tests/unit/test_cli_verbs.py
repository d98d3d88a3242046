"""The verbs: what they write where, and that stdout holds results and nothing else."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from saywhat.chatbots.known import CIPHER_WORDS
from saywhat.cli import run
from saywhat.cli.settings import SettingsFile
from saywhat.rng import derive

TARGETS = ["i love you", "see you tomorrow", "what is your name"]
REFERENCE = [("i love you", "coffee"), ("hello there", "hi"), ("what is your name", "x")]
CHEAP = ["--method", "random", "--reference", "ref.tsv", "--similarity", "exact", "--budget", "3"]
AUDIT = ["audit", "--targets", "targets.txt", *CHEAP]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with targets and a reference corpus, without settings outside it."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SAYWHAT_")]:
        monkeypatch.delenv(name)
    Path("targets.txt").write_text("\n".join(TARGETS), encoding="utf-8")
    Path("ref.tsv").write_text("".join(f"{q}\t{r}\n" for q, r in REFERENCE), encoding="utf-8")
    return tmp_path


@pytest.fixture
def bot(tmp_path: Path) -> Callable[[str], str]:
    """Write a chatbot's function body to a file and give its spec."""

    def write(body: str) -> str:
        (tmp_path / "bot.py").write_text(f"def reply(query: str) -> str:\n{body}", encoding="utf-8")
        return "python:bot.py:reply"

    return write


def test_an_audit_writes_its_table_to_stdout_and_its_talk_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The echo chatbot says two of the three targets: those that the reference corpus asks."""
    assert run([*AUDIT, "--chatbot", "known:echo", "--out", "run"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Elicited 2 of 3 measured targets")
    assert "Report: run/report.html" in said.out
    assert said.err.startswith("Auditing echo · 3 targets · random · at most 9 queries")
    assert "saywhat audit --targets targets.txt" in said.err
    assert Path("run/report.html").is_file()


def test_json_is_one_document_even_if_the_chatbot_prints(
    bot: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    spec = bot("    print('noise')\n    return query\n")
    assert run([*AUDIT, "--chatbot", spec, "--json"]) == 0
    said = capsys.readouterr()
    summary = json.loads(said.out)
    assert (summary["elicited"], summary["targets"]) == (2, 3)
    assert Path(summary["report"]).is_file()
    assert "noise" in said.err


def test_quiet_leaves_results_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*AUDIT, "--chatbot", "known:echo", "-q"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "Elicited 2 of 3" in said.out


def test_verbose_tells_each_finding(capsys: pytest.CaptureFixture[str]) -> None:
    run([*AUDIT, "--chatbot", "known:echo", "-v"])
    assert "elicited 1.00 'i love you' <- 'i love you'" in capsys.readouterr().err


def test_the_file_in_the_working_directory_is_picked_up(capsys: pytest.CaptureFixture[str]) -> None:
    Path("saywhat.yaml").write_text("version: 1\naudit: {chatbot: known:deaf}\n", encoding="utf-8")
    assert run([*AUDIT, "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["chatbot"] == "deaf"
    assert "Settings: saywhat.yaml" in said.err


def test_flags_have_variables_and_win_over_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAYWHAT_CHATBOT", "known:deaf")
    run([*AUDIT, "--json"])
    assert json.loads(capsys.readouterr().out)["chatbot"] == "deaf"
    run([*AUDIT, "--json", "--chatbot", "known:echo"])
    assert json.loads(capsys.readouterr().out)["chatbot"] == "echo"


def test_elicit_tells_the_best_so_far_and_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["elicit", "I love you!", "--chatbot", "known:echo", *CHEAP]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[1:4] == [
        "target      I love you!",
        "query       i love you",
        "reply       i love you",
    ]
    assert said.out.startswith("elicited within 3 queries, first at query ")
    assert " 1.00  'i love you' -> 'i love you'" in said.err


def test_elicit_that_finds_nothing_is_done_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["elicit", "i love you", "--chatbot", "known:deaf", *CHEAP, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["outcome"], found["asked"], found["similarity"]) == ("not_elicited", 3, 0.0)
    assert Path(found["folder"], "report.html").is_file()


def test_a_report_is_rebuilt_without_a_query(capsys: pytest.CaptureFixture[str]) -> None:
    run([*AUDIT, "--chatbot", "known:echo", "--out", "run"])
    before = Path("run/report.html").read_bytes()
    Path("run/report.html").unlink()
    Path("run/ledger.sqlite").unlink()  # nothing could be asked or looked up
    capsys.readouterr()
    assert run(["report", "run"]) == 0
    assert capsys.readouterr().out == "run/report.html\n"
    assert Path("run/report.html").read_bytes() == before


def test_a_report_of_no_run_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("error: Expected a finished run in nowhere")


def test_list_gives_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {
        "chatbots",
        "generators",
        "presets",
        "searches",
        "similarities",
        "targets",
    }
    assert "known:NAME" in found["chatbots"]
    assert run(["list", "searches"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("greedy ")
    assert run(["list", "serches"]) == 2
    assert "Did you mean 'searches'" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("saywhat ")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Write conversations of random words: 500 of six turns, in all length groups."""
    rng = derive(1, "corpus")
    turns = [" ".join(rng.choices(CIPHER_WORDS, k=rng.randint(1, 10))) for _ in range(3000)]
    talks = [turns[start : start + 6] for start in range(0, 3000, 6)]
    path = tmp_path / "talks.jsonl"
    path.write_text("".join(json.dumps(talk) + "\n" for talk in talks), encoding="utf-8")
    return path


def test_train_makes_a_generator_that_an_audit_can_use(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = ["--preset", "tiny", "--chatbot", "known:cipher", "--similarity", "exact",
                "--corpus", str(corpus), "--out", "work"]  # fmt: skip
    assert run(["collect", *training]) == 0
    assert run(["pretrain", *training]) == 0
    capsys.readouterr()
    assert run(["reinforce", *training]) == 0
    said = capsys.readouterr()
    made = dict(line.split(maxsplit=1) for line in said.out.splitlines())
    assert set(made) == {"reference", "targets", "pretrained", "generator"}
    assert "Step 4: validation similarity" in said.err
    assert f"--generator {made['generator']}" in said.err
    assert run(["train", *training, "--json"]) == 0  # every stage is done: nothing is asked
    queries = json.loads(capsys.readouterr().out)["queries"]
    assert queries["reference"]["sent"] > 0
    assert queries["reinforce"]["sent"] > 0
    audit = ["audit", "--preset", "tiny", "--chatbot", "known:cipher", "--similarity", "exact"]
    places = [
        "--generator",
        made["generator"],
        "--targets",
        made["targets"],
        "--reference",
        made["reference"],
    ]
    assert run([*audit, *places, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["method"] == SettingsFile().audit.search.method


def test_train_chatbot_makes_a_chatbot_that_talks(
    corpus: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [
        "--preset",
        "tiny",
        "--corpus",
        str(corpus),
        "--out",
        "work",
        "--set",
        "max_words=10",
    ]
    assert run(["train-chatbot", *options]) == 0
    said = capsys.readouterr()
    assert said.out == "seq2seq:work/model\n"
    assert "Epoch 1: loss" in said.err
    assert run(["elicit", "i love you", "--chatbot", "seq2seq:work/model", *CHEAP]) == 0


def test_training_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train"]) == 2
    assert capsys.readouterr().err == (
        "error: Expected --out DIR, the folder that keeps all of the training; got none.\n"
    )
