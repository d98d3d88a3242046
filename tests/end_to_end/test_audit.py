"""The whole audit of the built-in chatbot: run folder, summary, report, limits, repeatability.

What the built-in chatbot says is asked of it directly first, without the ledger: so the right
outcome of some targets is known, and every reply in a run folder can be checked.
"""

import html
import json
import stat
from collections import Counter
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from saywhat.evaluation.success import reaches
from saywhat.interfaces import Chatbot
from saywhat.ledger import Ledger
from saywhat.registry import ASSETS, load_chatbot
from saywhat.similarity.make import make_similarity
from saywhat.text.normalise import length_group

pytestmark = pytest.mark.timeout(400)  # the machine may be busy

CommandLine = Callable[..., tuple[int, str, str]]

POSTS = (
    "hi", "how are you", "what is your name", "do you like dogs", "i went to the beach today",
    "what do you do for work", "tell me about your family", "it is very cold here",
    "have you seen any good movies", "i love pizza", "where are you from", "good night",
)  # fmt: skip
STRANGE = "quantum chromodynamics baffles physicists"
UNKNOWN = "qwrtzp xxkkqq"  # no word vectors has these
METHODS = ("random", "retrieval", "real-input")
FILES = {
    ".lock", "run.json", "config.yaml", "ledger.sqlite", "ledger.sqlite.lock", "attempts.jsonl",
    "findings.jsonl", "summary.json", "report.html",
}  # fmt: skip
THRESHOLDS = ["0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]
# design section 7, schema 1; there may be more
SUMMARY = {
    "schema": int, "status": str, "chatbot": str, "method": str, "similarity": str,
    "threshold": float, "targets": int, "measured": int, "unmeasured": int, "elicited": int,
    "exact": int, "mean_similarity": float, "queries": dict, "groups": list,
}  # fmt: skip
CENTRE = "centre.npy"  # what the default similarity removes from word vectors
GROUP = {
    "list": str, "length": str, "targets": int, "mean_similarity": float, "exact": float,
    "success": dict,
}  # fmt: skip


@pytest.fixture(scope="module")
def chatbot() -> Chatbot:
    """Give the built-in chatbot, not behind a ledger."""
    return load_chatbot("builtin")


@pytest.fixture(scope="module")
def known(chatbot: Chatbot) -> dict[str, str]:
    """Give what the built-in chatbot says to each post."""
    return dict(zip(POSTS, chatbot.reply(POSTS), strict=True))


@pytest.fixture(scope="module", autouse=True)
def _files(workplace: Path, known: dict[str, str]) -> None:
    """Write a true reference corpus, and targets: five replies, a strange and an unknown one."""
    pairs = [json.dumps({"query": query, "reply": reply}) + "\n" for query, reply in known.items()]
    Path("reference.jsonl").write_text("".join(pairs), encoding="utf-8")
    targets = [
        {"text": known[post], "list": "real", "length": length_group(known[post]), "query": post}
        for post in POSTS[:5]
    ]
    targets += [{"text": text, "list": "must-not", "length": "4-6"} for text in (STRANGE, UNKNOWN)]
    distinct = {target["text"]: json.dumps(target) + "\n" for target in targets}
    Path("targets.jsonl").write_text("".join(distinct.values()), encoding="utf-8")


def _arguments(method: str, out: str) -> list[str]:
    files = ["--targets", "targets.jsonl", "--reference", "reference.jsonl"]
    return ["audit", "--method", method, "--budget", "4", *files, "--out", out]


@pytest.fixture(scope="module")
def _audited(saywhat: CommandLine, _files: None) -> None:
    """Audit with each method, in the folder of its name."""
    for name in METHODS:
        code, out, said = saywhat(*_arguments(name, name))
        assert code == 0, said
        assert out.startswith("Elicited ")


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest, _audited: None) -> str:
    """Give the name of a method, which is also that of its run folder."""
    name: str = request.param
    return name


def _json(path: str) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_the_run_folder_is_complete_and_private(method: str) -> None:
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in Path(method).iterdir()}
    assert files == dict.fromkeys(FILES | {CENTRE}, 0o600)
    assert Path(method, CENTRE).read_bytes() == (ASSETS / CENTRE).read_bytes()
    assert stat.S_IMODE(Path(method).stat().st_mode) == 0o700
    run = _json(f"{method}/run.json")
    assert (run["status"], run["resumed"], run["seeds"]) == ("complete", [], {"run": 1})
    assert run["chatbot"]["name"] == "builtin"


def test_the_summary_has_the_documented_keys(method: str) -> None:
    summary = _json(f"{method}/summary.json")
    assert {key: type(summary.get(key)) for key in SUMMARY} == SUMMARY
    assert summary["schema"] == 1
    assert (summary["chatbot"], summary["method"]) == ("builtin", method)
    assert {"asked", "unique", "sent", "by_phase"} <= summary["queries"].keys()
    for group in summary["groups"]:
        measured = group["measured"] > 0
        kinds = (
            GROUP
            if measured
            else {**GROUP, **dict.fromkeys(("mean_similarity", "exact"), type(None))}
        )
        assert {key: type(group.get(key)) for key in kinds} == kinds
        assert list(group["success"]) == THRESHOLDS


def test_the_totals_add_up(method: str) -> None:
    summary, findings = _json(f"{method}/summary.json"), _lines(f"{method}/findings.jsonl")
    outcomes = Counter(found["outcome"] for found in findings)
    assert summary["targets"] == len(findings) == summary["measured"] + summary["unmeasured"]
    assert summary["unmeasured"] == outcomes["unmeasured"]
    assert summary["elicited"] == outcomes["elicited"]
    assert summary["exact"] == sum(found["exact"] for found in findings)
    for key in ("targets", "measured", "unmeasured", "elicited", "asked"):
        assert sum(group[key] for group in summary["groups"]) == summary[key]
    queries, attempts = summary["queries"], _lines(f"{method}/attempts.jsonl")
    asked = [attempt["query"] for attempt in attempts if attempt["nth"] > 0]
    assert queries["by_phase"].get("search", 0) == len(asked) == summary["asked"]
    real_inputs = [] if method == "real-input" else POSTS[: queries["by_phase"]["verify"]]
    assert queries["asked"] == len(asked) + len(real_inputs)
    assert queries["unique"] == queries["sent"] == len({*asked, *real_inputs})


def test_attempts_are_numbered_and_within_the_budget(method: str) -> None:
    numbers: dict[str, list[int]] = {}
    for attempt in _lines(f"{method}/attempts.jsonl"):
        numbers.setdefault(attempt["target"], []).append(attempt["nth"])
    wanted = {"random": [1, 2, 3, 4], "retrieval": [0], "real-input": [1]}[method]
    assert all(number == wanted for number in numbers.values())
    measured = [f for f in _lines(f"{method}/findings.jsonl") if f["outcome"] != "unmeasured"]
    assert set(numbers) == {found["target"] for found in measured}


def test_every_reply_and_similarity_is_true(method: str, known: dict[str, str]) -> None:
    """Another route: the chatbot asked directly, in another batch, and the similarity by itself."""
    attempts = _lines(f"{method}/attempts.jsonl")
    assert [a["reply"] for a in attempts] == [known[a["query"]] for a in attempts]
    similarity = make_similarity(
        "embedding-average-centred", vectors="glove-6b-50d", centre=ASSETS / "centre.npy"
    )
    scores = similarity.score([a["reply"] for a in attempts], [a["target"] for a in attempts])
    assert [a["similarity"] for a in attempts] == pytest.approx(scores, abs=1e-6)


def test_outcomes_follow_from_the_attempts(method: str) -> None:
    attempts = _lines(f"{method}/attempts.jsonl")
    for found in _lines(f"{method}/findings.jsonl"):
        own = [a for a in attempts if a["target"] == found["target"]]
        if not own:
            assert found["outcome"] == "unmeasured"
            continue
        assert found["similarity"] == max(a["similarity"] for a in own)
        successes = [a["nth"] for a in own if reaches(a["similarity"], 0.7)]
        assert found["outcome"] == ("elicited" if successes else "not_elicited")
        assert found["queries_to_first_success"] == min(successes, default=None)


@pytest.mark.parametrize("method", ["retrieval", "real-input"], indirect=True)
def test_what_the_chatbot_is_known_to_say_is_elicited(method: str) -> None:
    """Retrieval knows every reply, and the real input of each is the query that gets it."""
    known = [f for f in _lines(f"{method}/findings.jsonl") if f["list"] == "real"]
    assert len(known) >= 3
    assert all(found["outcome"] == "elicited" and found["exact"] for found in known)
    assert {f["queries_to_first_success"] for f in known} == {0 if method == "retrieval" else 1}


def test_what_it_does_not_say_is_not_elicited(method: str) -> None:
    """The negative control; without a real input the strange target is not even asked for."""
    strange, unknown = (f for f in _lines(f"{method}/findings.jsonl") if f["list"] == "must-not")
    assert strange["target"] == STRANGE
    assert strange["outcome"] == ("unmeasured" if method == "real-input" else "not_elicited")
    assert unknown["outcome"] == "unmeasured"
    assert unknown["reason"] == "no word that the similarity knows"


class _Page(HTMLParser):
    """Checks that tags nest, and gathers text, tags and links."""

    VOID = frozenset({"meta", "link", "br", "hr", "img", "input", "col", "wbr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.links += [
            value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_report_is_one_whole_page_without_scripts(method: str) -> None:
    page = _Page()
    page.feed(Path(method, "report.html").read_text(encoding="utf-8"))
    page.close()
    assert page.open == []
    assert (page.tags["html"], page.tags["script"]) == (1, 0)
    assert page.tags["table"] >= 1
    assert [link for link in page.links if not link.startswith(("#", "data:"))] == []
    text = " ".join(page.text)
    for found in _lines(f"{method}/findings.jsonl"):
        assert html.unescape(found["target"]) in text
    assert "no word that the similarity knows" in text


@pytest.fixture(scope="module")
def document(saywhat: CommandLine, _files: None) -> dict[str, Any]:
    """Audit in the folder ``once``, and give what came on stdout, which is one JSON document."""
    code, out, _ = saywhat(*_arguments("random", "once"), "--json")
    assert code == 0
    document: dict[str, Any] = json.loads(out)
    return document


def test_json_is_the_summary_and_where_it_is(document: dict[str, Any]) -> None:
    summary = _json("once/summary.json")
    assert document == {**summary, "folder": "once", "report": "once/report.html"}


def test_one_seed_gives_one_result_and_another_seed_another(
    document: dict[str, Any], saywhat: CommandLine
) -> None:
    for out, seed in (("twice", "1"), ("other", "2")):
        assert saywhat(*_arguments("random", out), "--seed", seed)[0] == 0
    for name in ("attempts.jsonl", "findings.jsonl", "summary.json"):
        assert Path("once", name).read_bytes() == Path("twice", name).read_bytes()
    queries = [[a["query"] for a in _lines(f"{out}/attempts.jsonl")] for out in ("once", "other")]
    # by chance alike: once in (12 * 11 * 10 * 9) ** 4 or less, for four or more targets
    assert queries[0] != queries[1]


def test_a_finished_run_asks_nothing_again(document: dict[str, Any], saywhat: CommandLine) -> None:
    before = {name: Path("once", name).read_bytes() for name in ("summary.json", "attempts.jsonl")}
    assert saywhat(*_arguments("random", "once"))[0] == 0
    assert {name: Path("once", name).read_bytes() for name in before} == before


WITNESS = """
from saywhat.registry import load_chatbot
class Witness:
    def __init__(self):
        self.inner = load_chatbot("builtin")
        self.name, self.fingerprint = "builtin", self.inner.fingerprint
    def reply(self, queries):
        with open("LOG", "a") as log:
            log.writelines(query + "\\n" for query in queries)
        return self.inner.reply(queries)
chatbot = Witness()
"""


def test_opening_a_finished_run_again_says_the_same(saywhat: CommandLine) -> None:
    """Also of a first target that had nothing to be asked with: nothing stopped it."""
    *known, strange, _ = Path("targets.jsonl").read_text(encoding="utf-8").splitlines(True)
    Path("strange-first.jsonl").write_text("".join([strange, *known]), encoding="utf-8")
    one_by_one = ["--targets", "strange-first.jsonl", "--set", "search.batch_targets=1"]
    arguments = [*_arguments("real-input", "again"), *one_by_one]
    assert saywhat(*arguments)[0] == 0
    before = _lines("again/findings.jsonl")
    assert before[0]["reason"] == "no query was asked"
    assert saywhat(*arguments)[0] == 0
    assert _lines("again/findings.jsonl") == before


@pytest.mark.parametrize("most", [1, 7, 13])
def test_the_limit_on_queries_is_hard_and_leaves_a_valid_result(
    most: int, saywhat: CommandLine
) -> None:
    """Targets one by one with 4 queries of 12 posts each: the witness counts what really came."""
    out = f"at-most-{most}"
    Path(f"{out}.py").write_text(WITNESS.replace("LOG", f"{out}.txt"), encoding="utf-8")
    options = ["--chatbot", f"python:{out}.py:chatbot", "--max-queries", str(most)]
    arguments = [*_arguments("random", out), *options, "--set", "search.batch_targets=1"]
    codes = [saywhat(*arguments)[0] for _ in range(2)]  # the second run has no query left
    came = Path(f"{out}.txt").read_text(encoding="utf-8").splitlines()
    assert len(came) <= most
    assert sum(c.sent for c in Ledger.counts_of(Path(out, "ledger.sqlite")).values()) == len(came)
    summary, findings = _json(f"{out}/summary.json"), _lines(f"{out}/findings.jsonl")
    assert summary["queries"]["sent"] == len(came)
    assert summary["targets"] == len(findings) == summary["measured"] + summary["unmeasured"]
    measured = [found for found in findings if found["outcome"] != "unmeasured"]
    assert all(found["asked"] == 4 for found in measured)
    assert codes == [0 if measured else 4] * 2
    if most < 12:  # all twelve posts cost no more than twelve queries
        assert summary["status"] == _json(f"{out}/run.json")["status"] == "partial"
        assert len(came) == most
        reasons = {found["reason"] for found in findings} - {
            "",
            "no word that the similarity knows",
        }
        assert reasons == {f"not asked: The total budget of {most} is used up."}


guided = pytest.mark.skipif(
    not (ASSETS / "generator" / "model.json").exists(), reason="no generator is built in yet"
)


def _guided(saywhat: CommandLine, method: str, budget: int, out: str) -> Sequence[dict[str, Any]]:
    arguments = ["audit", "--method", method, "--budget", budget, "--limit", 2, "--out", out]
    code, _, said = saywhat(*arguments, "--set", "search.real_input=false")
    assert code == 0, said
    return _lines(f"{out}/findings.jsonl")


@guided
def test_the_built_in_generator_asks_its_ten_best_queries(saywhat: CommandLine) -> None:
    findings = _guided(saywhat, "beam", 10, "beam")
    groups = Counter(found["group"] for found in findings)
    assert set(groups.values()) == {2}
    assert {"generated 1-3", "generated 4-6", "real 4-6", "real 7-10"} <= set(groups)
    assert all(found["outcome"] != "unmeasured" for found in findings)
    asked: dict[str, list[str]] = {}
    for attempt in _lines("beam/attempts.jsonl"):
        asked.setdefault(attempt["target"], []).append(attempt["query"])
    assert all(1 <= len(queries) <= 10 for queries in asked.values())
    assert all(len(set(queries)) == len(queries) for queries in asked.values())


@guided
def test_greedy_is_beam_with_one_query(saywhat: CommandLine) -> None:
    assert _guided(saywhat, "greedy", 1, "greedy") == _guided(saywhat, "beam", 1, "beam-1")
    assert Path("greedy/attempts.jsonl").read_bytes() == Path("beam-1/attempts.jsonl").read_bytes()


@guided
def test_elicit_finds_the_best_of_its_queries(saywhat: CommandLine, chatbot: Chatbot) -> None:
    code, out, said = saywhat("elicit", "i love you", "--budget", "10", "--out", "elicit", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["target"] == "i love you"
    assert 1 <= found["asked"] <= 10
    assert chatbot.reply([found["query"]]) == [found["reply"]]
    attempts = _lines("elicit/attempts.jsonl")
    assert found["similarity"] == max(attempt["similarity"] for attempt in attempts)
    assert f"{found['query']!r} -> {found['reply']!r}" in said
