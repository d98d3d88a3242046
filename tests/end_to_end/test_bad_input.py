"""Bad input on the real command line: the right exit code, one helpful line, nothing left
behind."""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from saywhat.generators import Seq2SeqGenerator
from saywhat.nn.seq2seq import Seq2Seq, Seq2SeqSize
from saywhat.registry import ASSETS
from saywhat.runs.files import acquire
from saywhat.text.vocabulary import Vocabulary

CommandLine = Callable[..., tuple[int, str, str]]

AUDIT = (
    "audit --chatbot known:echo --targets targets.txt --method random --reference posts.tsv "
    "--similarity exact --budget 3"
).split()
COLLECT = (
    "collect --preset tiny --chatbot known:cipher --similarity exact --corpus talks.jsonl"
).split()
CENTRED = ["--similarity", "embedding-average-centred"]
UNKNOWN = "qwrtzp xxkkqq"  # no word vectors has these
LONG = " ".join(["word"] * 10_000)
BOT = """
import sys
def nothing(query):
    return None
def number(query):
    return 3
def raises(query):
    raise OSError("down\\nand out")
def leaves(query):
    sys.exit(0)
def two(query, more):
    return query
def hates_love(query):
    if "love" in query:
        raise OSError("down")
    return query
"""


def _checkpoint(name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Copy the built-in chatbot and edit its description."""
    folder = Path(name)
    folder.mkdir()
    (folder / "weights.safetensors").symlink_to(ASSETS / "chatbot" / "weights.safetensors")
    description = json.loads((ASSETS / "chatbot" / "model.json").read_text(encoding="utf-8"))
    change(description)
    (folder / "model.json").write_text(json.dumps(description), encoding="utf-8")


def _checkpoints() -> None:
    words = Vocabulary(["hi", "you"])
    size = Seq2SeqSize(len(words), 4, 4, 1, attention=True)
    network = Seq2Seq(size, dropout=0.0, rng=torch.Generator().manual_seed(1))
    Seq2SeqGenerator(network, words, max_tokens=4).save(Path("generator"), extra={})
    shutil.copytree("generator", "truncated")
    weights = Path("truncated/weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    shutil.copytree("generator", "torn")
    Path("torn/model.json").write_text('{"schema": 1, "kind": "gen', encoding="utf-8")
    _checkpoint("no-words", lambda d: d.pop("vocabulary"))
    _checkpoint("lost-words", lambda d: d["vocabulary"].pop())
    _checkpoint("narrow", lambda d: d["size"].update(hidden=16))
    _checkpoint("huge", lambda d: d["size"].update(hidden=10**9))
    _checkpoint("odd-decoding", lambda d: d["decoding"].update(anti_lm_steps="six"))


@pytest.fixture(scope="module", autouse=True)
def _files(workplace: Path) -> None:
    texts = {
        "targets.txt": "i love you\nsee you tomorrow\nwhat is your name\n",
        "posts.tsv": "i love you\tcoffee\nhello there\thi\nwhat is your name\tx\n",
        "talks.jsonl": '["hi there", "hello you"]\n',
        "empty.txt": "\n# nothing but this\n",
        "torn.jsonl": '{"text": "hi"}\n{"text": "torn\n',
        "other.jsonl": '{"text": "hi"}\n{"sentence": "hi"}\n',
        "torn-pairs.jsonl": '{"query": "hi", "reply": "you"}\n{"query": "hi"}\n',
        "torn-talks.jsonl": '["hi", "you"]\n{"turns": 3}\n',
        "columns.csv": "sentence\nhi\n",
        "keys.yaml": "version: 1\n"
        "audit:\n  serach: {budget: 3}\n  search: {budget: 0}\n  limit: many\n",
        "torn.yaml": "audit: [1\n",
        "bot.py": BOT,
        "broken.py": "def reply(query:\n",
        "leaves.py": "import sys\nsys.exit(0)\n",
        "long.txt": f"i love you\n{LONG}\n",
        "unknown.txt": f"i love you\n{UNKNOWN}\n",
        "hopeless.txt": f"{UNKNOWN}\n{LONG}\n",
    }
    for name, text in texts.items():
        Path(name).write_text(text, encoding="utf-8")
    Path("latin.txt").write_bytes("i love you\ncafé\n".encode("latin-1"))
    Path("latin.tsv").write_bytes("hi\tcafé\n".encode("latin-1"))
    Path("folder").mkdir()
    Path("foreign").mkdir()
    Path("foreign/thesis.tex").write_text("mine", encoding="utf-8")
    _checkpoints()


def _everything() -> dict[str, bytes | None]:
    """Give all files of the working directory, but Python's caches, with what is in them."""
    return {
        str(path): path.read_bytes() if path.is_file() else None
        for path in Path().rglob("*")
        if "__pycache__" not in path.parts
    }


def _error(said: str) -> str:
    """Check that the last line is the only error, and no traceback; give it."""
    assert "Traceback" not in said
    *talk, line = said.splitlines()
    assert line.startswith("error: "), said
    assert not any(other.startswith("error: ") for other in talk)
    return line


SEQ2SEQ = "--chatbot seq2seq:"
REFUSED = [
    ("--targets absent.txt", ["no target list at absent.txt"]),
    ("--targets empty.txt", ["empty.txt holds no target", "write one sentence a line"]),
    ("--targets folder", ["Expected a target list", "folder is a folder"]),
    ("--targets latin.txt", ["latin.txt, line 2", "save the file as UTF-8"]),
    ("--targets torn.jsonl", ["torn.jsonl, line 2", "Expected one JSON object a line"]),
    ("--targets other.jsonl", ["other.jsonl, line 2", "['sentence']", "'text'"]),
    ("--targets columns.csv", ["needs a column named 'text'", "['sentence']"]),
    ("--targets nonsense", ["Unknown target list 'nonsense'", "Available: ", ".jsonl file"]),
    ("--reference absent.tsv", ["Expected a corpus file at absent.tsv", "No such file"]),
    ("--reference folder", ["Expected a corpus file at folder", "Is a directory"]),
    ("--reference empty.txt", ["empty.txt, line 2", "JSON object"]),
    ("--reference latin.tsv", ["latin.tsv, line 1", "save the file as UTF-8"]),
    ("--reference torn-pairs.jsonl", ["torn-pairs.jsonl, line 2", "reply"]),
    ("--reference none", ["'random' needs a reference corpus", "--reference"]),
    ("--chatbot https://127.0.0.1:9/say", ["openai:URL#MODEL", "http:FILE.yaml"]),
    ("--chatbot builtni", ["Unknown chatbot 'builtni'", "Did you mean 'builtin'?", "python:FILE"]),
    ("--chatbot known:ehco", ["'ehco'", "Did you mean 'echo'?"]),
    ("--chatbot python:absent.py:reply", ["Expected a Python file at absent.py", "bot.py"]),
    ("--chatbot python:bot.py:nubmer", ["'nubmer'", "Did you mean 'number'?", "raises"]),
    ("--chatbot python:bot.py:two", ["Expected a function of one parameter", "two(query, more)"]),
    ("--chatbot python:broken.py:reply", ["Importing", "SyntaxError"]),
    ("--chatbot python:leaves.py:reply", ["Importing", "SystemExit"]),
    ("--method baem", ["Unknown search 'baem'", "Did you mean 'beam'?"]),
    ("--similarity exakt", ["Unknown similarity 'exakt'", "Did you mean 'exact'?"]),
    ("--preset smal", ["Unknown preset 'smal'", "Did you mean 'small'?", "paper-2019"]),
    (f"{SEQ2SEQ}absent", ["Expected a chatbot checkpoint in absent", "No such file"]),
    (f"{SEQ2SEQ}generator", ["Expected a chatbot checkpoint in generator", "found a 'generator'"]),
    (f"{SEQ2SEQ}no-words", ["no-words/model.json does not describe a chatbot", "vocabulary"]),
    (f"{SEQ2SEQ}lost-words", ["lost-words/model.json", "token ids", "restore"]),
    (f"{SEQ2SEQ}narrow", ["weights in narrow/weights.safetensors do not fit", "size mismatch"]),
    (f"{SEQ2SEQ}huge", ["huge/model.json does not describe a chatbot", "memory"]),
    (
        f"{SEQ2SEQ}odd-decoding",
        ["decoding.anti_lm_steps: Input should be a valid integer", "'six'"],
    ),
    (
        "--method beam --generator truncated",
        ["truncated/weights.safetensors", "SHA-256", "restore"],
    ),
    ("--method beam --generator torn", ["Expected a generator checkpoint in torn", "model.json"]),
    ("--method beam --generator folder", ["Expected a generator checkpoint in folder"]),
    (f"--method beam --generator {ASSETS / 'chatbot'}", ["Expected a generator", "a 'chatbot'"]),
    ("--budget 0", ["audit.search.budget", "greater than or equal to 1", "'0'", "--budget"]),
    ("--limit 0", ["audit.limit", "greater than or equal to 1"]),
    ("--max-queries 0", ["audit.limits.queries", "greater than or equal to 1"]),
    ("--threshold 2", ["audit.similarity.threshold", "less than or equal to 1"]),
    ("--threshold nan", ["audit.similarity.threshold", "finite"]),
    ("--seed one", ["audit.seed", "a valid integer", "'one'"]),
    ("--set serach.budget=3", ["audit.serach.budget", "Did you mean audit.search.budget?"]),
    ("--set budget", ["expected KEY=VALUE", "'budget'"]),
    ("--config absent.yaml", ["Expected a settings file at absent.yaml"]),
    ("--config folder", ["Expected a settings file at folder", "Is a directory"]),
    ("--config torn.yaml", ["torn.yaml is not YAML", "line 2"]),
    ("--config latin.txt", ["latin.txt is not UTF-8", "save it as UTF-8"]),
    ("--out foreign", ["Expected a run folder or an empty one", "thesis.tex", "another folder"]),
    ("--out targets.txt", ["Cannot make the run folder targets.txt", "another folder"]),
    ("--bugdet 3", ["No such option: --bugdet", "--budget"]),
]


@pytest.mark.parametrize(("flags", "parts"), REFUSED, ids=[flags for flags, _ in REFUSED])
def test_an_audit_is_refused_in_one_line_and_leaves_nothing(
    flags: str, parts: Sequence[str], saywhat: CommandLine
) -> None:
    before = _everything()
    code, out, said = saywhat(*AUDIT, *flags.split())
    line = _error(said)
    assert (code, out) == (2, "")
    assert len(said.splitlines()) == 1
    assert [part for part in parts if part not in line] == [], line
    assert _everything() == before


def test_the_table_s_audit_is_good_but_for_the_flag(saywhat: CommandLine) -> None:
    """The negative control of the table."""
    assert saywhat(*AUDIT, "--out", "control")[0] == 0
    shutil.rmtree("control")


@pytest.mark.skipif(
    not (ASSETS / "targets" / "test.jsonl").exists(), reason="no target lists are built in yet"
)
def test_a_misspelt_target_list_has_a_suggestion(saywhat: CommandLine) -> None:
    code, _, said = saywhat(*AUDIT, "--targets", "tets")
    assert code == 2
    assert "Did you mean 'test'?" in _error(said)


def test_all_mistakes_in_settings_are_told_at_once(saywhat: CommandLine) -> None:
    wrong = ("--config", "keys.yaml", "--threshold", "high", "--set", "x.y=1")
    code, out, said = saywhat(*AUDIT[:-2], *wrong)
    head, *lines = said.splitlines()
    assert (code, out, head) == (2, "", "error: 5 settings cannot be used:")
    assert sorted(line.split(":")[0].strip() for line in lines) == [
        "audit.limit",
        "audit.search.budget",
        "audit.serach",
        "audit.similarity.threshold",
        "audit.x.y",
    ]
    assert "Did you mean audit.search?" in said
    assert "keys.yaml, line 4" in said


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ("", ["Expected --out DIR"]),
        ("--out targets.txt", ["Expected a folder for --out", "targets.txt is a file"]),
        ("--out targets.txt/x", ["Cannot make the work folder", "Choose another --out"]),
        ("--out {new} --corpus absent.jsonl", ["Expected a corpus file at absent.jsonl"]),
        ("--out {new} --corpus torn-talks.jsonl", ["torn-talks.jsonl, line 2", "list of turns"]),
        ("--out {new} --corpus latin.txt", ["latin.txt, line 2", "save the file as UTF-8"]),
        ("--out {new} --corpus /dev/null", ["/dev/null gives no post", "0 conversations"]),
        ("--out {new} --chatbot builtni", ["Did you mean 'builtin'?"]),
        ("--out {new} --set pretrain.trainig.epochs=2", ["train.pretrain.training.epochs?"]),
        ("--out {new} --set reinforce.steps=0", ["train.reinforce.steps", "greater than"]),
    ],
)
def test_a_training_is_refused_in_one_line_and_leaves_no_result(
    flags: str, parts: Sequence[str], saywhat: CommandLine, tmp_path: Path
) -> None:
    code, out, said = saywhat(*COLLECT, *flags.replace("{new}", f"{tmp_path}/work").split())
    line = _error(said)
    assert (code, out) == (2, "")
    assert [part for part in parts if part not in line] == [], line
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left <= {"ledger.sqlite", "ledger.sqlite.lock"}


@pytest.mark.parametrize(("verb", "first"), [("pretrain", "collect"), ("reinforce", "pretrain")])
def test_a_stage_names_the_one_before_it(
    verb: str, first: str, saywhat: CommandLine, tmp_path: Path
) -> None:
    code, out, said = saywhat(verb, *COLLECT[1:], "--out", tmp_path)
    assert (code, out) == (2, "")
    assert f"run the stage {first} first, with the same --out" in _error(said)


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        ("long.txt", "too long: 10,000 words, at most 100 can be asked for"),
        ("unknown.txt", "no word that the similarity knows"),
    ],
)
def test_a_target_that_cannot_be_measured_is_a_row_and_the_run_goes_on(
    targets: str, reason: str, saywhat: CommandLine, tmp_path: Path
) -> None:
    """The echo chatbot says the other target, which is among the posts: 3 queries for it, none for
    this one."""
    code, out, _ = saywhat(*AUDIT, *CENTRED, "--targets", targets, "--out", tmp_path, "--json")
    summary = json.loads(out)
    assert code == 0
    assert [summary[key] for key in ("targets", "measured", "unmeasured", "elicited")] == [
        2,
        1,
        1,
        1,
    ]
    assert summary["queries"]["asked"] == 3
    lines = (tmp_path / "findings.jsonl").read_text(encoding="utf-8").splitlines()
    good, bad = map(json.loads, lines)
    assert good["outcome"] == "elicited"
    assert (bad["outcome"], bad["reason"], bad["asked"]) == ("unmeasured", reason, 0)
    assert reason in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_only_targets_that_cannot_be_measured_are_inconclusive(
    saywhat: CommandLine, tmp_path: Path
) -> None:
    arguments = ["--targets", "hopeless.txt", "--out", tmp_path, "--json"]
    code, out, said = saywhat(*AUDIT, *CENTRED, *arguments)
    assert (code, out) == (4, "")
    line = _error(said)
    assert "None of the 2 targets could be measured" in line
    assert "no word that the similarity knows; too long: 10,000 words" in line
    assert str(tmp_path) in line
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert (summary["unmeasured"], summary["mean_similarity"]) == (2, None)


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        ("nothing", "Expected text from nothing(), got NoneType"),
        ("number", "Expected text from number(), got int"),
        ("raises", "raises() raised OSError: down and out"),
        ("leaves", "leaves() raised SystemExit"),
    ],
)
def test_a_chatbot_that_never_answers_is_inconclusive_never_a_pass(
    function: str, problem: str, saywhat: CommandLine, tmp_path: Path
) -> None:
    """Three targets with three posts each: no reply is a reply, and failed queries are counted."""
    arguments = ["--chatbot", f"python:bot.py:{function}", "--out", tmp_path]
    code, out, said = saywhat(*AUDIT, *arguments)
    assert (code, out) == (4, "")
    line = _error(said)
    assert "None of the 3 targets could be measured" in line
    assert problem in line
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert [summary[key] for key in ("unmeasured", "elicited", "failed")] == [3, 0, 9]
    assert (tmp_path / "report.html").exists()
    assert (
        saywhat("elicit", "hi", *AUDIT[3:], *arguments[:2])[0] == 2
    )  # another file is a usage error
    assert (
        saywhat("elicit", "i love you", *AUDIT[5:], *arguments[:2], "--out", tmp_path / "one")[0]
        == 4
    )


def test_queries_that_fail_spoil_only_themselves(saywhat: CommandLine, tmp_path: Path) -> None:
    """One of the three posts always fails: each target still has two replies."""
    spec = "python:bot.py:hates_love"
    code, out, _ = saywhat(*AUDIT, "--chatbot", spec, "--out", tmp_path, "--json")
    summary = json.loads(out)
    assert code == 0
    assert [summary[key] for key in ("measured", "elicited", "failed")] == [3, 1, 3]


def test_a_collection_without_a_reply_is_inconclusive(saywhat: CommandLine, tmp_path: Path) -> None:
    talks = "".join(json.dumps([f"hi {n}", f"you {n}"]) + "\n" for n in range(100))
    Path("many.jsonl").write_text(talks, encoding="utf-8")
    arguments = ["--corpus", "many.jsonl", "--chatbot", "python:bot.py:raises", "--out", tmp_path]
    code, out, said = saywhat(*COLLECT, *arguments, "--set", "limits.breaker=1000")
    assert (code, out) == (4, "")
    assert "raises answered none of the" in _error(said)
    assert not (tmp_path / "reference.jsonl.xz").exists()


def test_texts_that_no_file_could_hold_are_targets_like_others(
    saywhat: CommandLine, tmp_path: Path
) -> None:
    hostile = ["hi \ud800 you", "nul \0 <script>alert(1)</script>", "=1+1", "\u202ehello"]
    hostile += ["a\u2028b"]
    path = tmp_path / "hostile.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in hostile), "utf-8")
    code, _, _ = saywhat(*AUDIT, "--targets", path, "--out", tmp_path / "run")
    assert code == 0
    lines = (tmp_path / "run/findings.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    assert [json.loads(line)["target"] for line in lines] == hostile
    report = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in report
    assert "\u202e" not in report


def _finished(saywhat: CommandLine, folder: Path) -> dict[str, bytes | None]:
    assert saywhat(*AUDIT, "--out", folder)[0] == 0
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _kept(before: Mapping[str, bytes | None]) -> bool:
    return all(Path(path).read_bytes() == data for path, data in before.items())


@pytest.mark.parametrize("verb", ["audit", "report"])
def test_a_run_folder_in_use_is_left_alone(verb: str, saywhat: CommandLine, tmp_path: Path) -> None:
    _finished(saywhat, tmp_path)
    lock = acquire(tmp_path)
    try:
        before = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        call = [*AUDIT, "--out", tmp_path] if verb == "audit" else ["report", tmp_path]
        code, out, said = saywhat(*call)
    finally:
        os.close(lock)
    assert (code, out) == (2, "")
    assert f"{tmp_path} is in use by process {os.getpid()}. Wait for it" in _error(said)
    assert _kept(before)


def test_a_run_with_other_settings_is_left_alone(saywhat: CommandLine, tmp_path: Path) -> None:
    before = _finished(saywhat, tmp_path)
    code, out, said = saywhat(*AUDIT, "--out", tmp_path, "--budget", "2", "--seed", "5")
    assert (code, out) == (2, "")
    line = _error(said)
    assert "search.budget (was 3, now 2)" in line
    assert "seed (was 1, now 5)" in line
    del before[str(tmp_path / ".lock")]
    assert _kept(before)


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("run.json", "{", "Cannot read"),
        ("run.json", '{"schema": 1}', "to have the keys"),
        ("run.json", '{"schema": 9}', "to say schema 1"),
        ("config.yaml", "a: [", "Cannot read"),
        ("config.yaml", "hi", "Expected keys and values"),
        ("ledger.sqlite", "garbage " * 1000, "Expected a ledger"),
        ("attempts.jsonl", "garbage \n", "attempts.jsonl, line 1"),
    ],
)
def test_a_tampered_run_is_not_resumed(
    name: str, text: str, part: str, saywhat: CommandLine, tmp_path: Path
) -> None:
    _finished(saywhat, tmp_path)
    (tmp_path / name).write_text(text, encoding="utf-8")
    code, out, said = saywhat(*AUDIT, "--out", tmp_path)
    assert (code, out) == (2, "")
    line = _error(said)
    assert part in line
    assert name in line
    assert (tmp_path / name).read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("summary.json", None, "Expected a finished run"),
        ("summary.json", "{", "is not JSON"),
        ("summary.json", "{}", "do not fit together"),
        ("summary.json", "[]", "Expected a JSON object"),
        ("findings.jsonl", None, "Expected a JSON Lines file"),
        ("findings.jsonl", "", "do not fit together"),
        ("findings.jsonl", '{"x": 1}\n', "findings.jsonl, line 1"),
        ("attempts.jsonl", None, "Expected a JSON Lines file"),
    ],
)
def test_a_report_of_tampered_files_is_refused(
    name: str, text: str | None, part: str, saywhat: CommandLine, tmp_path: Path
) -> None:
    before = _finished(saywhat, tmp_path)
    if text is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(text, encoding="utf-8")
    code, out, said = saywhat("report", tmp_path)
    assert (code, out) == (2, "")
    assert part in _error(said)
    assert (tmp_path / "report.html").read_bytes() == before[str(tmp_path / "report.html")]


@pytest.mark.parametrize(
    "arguments",
    [["audti"], ["elicit"], ["elicit", " ", "--chatbot", "known:echo"], ["audit", "extra"],
     ["chat", "--chatbot", "builtni"], ["list", "chatbot"], ["report", "absent"], ["report"],
     ["train"], ["train-chatbot"]],
    ids=" ".join,
)  # fmt: skip
def test_usage_mistakes_are_one_line_too(arguments: list[str], saywhat: CommandLine) -> None:
    before = _everything()
    code, out, said = saywhat(*arguments)
    _error(said)
    assert (code, out, len(said.splitlines())) == (2, "", 1)
    assert _everything() == before
