"""Evaluations: against numbers worked out by hand, with a chatbot whose replies are known."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import pytest

from saywhat.config import AuditSettings, SimilaritySettings
from saywhat.errors import InconclusiveError
from saywhat.experiment import evaluations
from saywhat.experiment.design import Method
from saywhat.experiment.evaluate import (
    Scales,
    by_list,
    distinct_by_group,
    evaluate,
    examples,
    judged,
    rescored,
)
from saywhat.experiment.evaluations import Evaluations
from saywhat.experiment.paper import RAW
from saywhat.experiment.queries import QueryMeasures
from saywhat.experiment.stages import Place
from saywhat.records import Attempt, Finding, Pair, Target, to_json, write_jsonl
from saywhat.similarity.contains import Contains
from saywhat.similarity.exact import Exact
from saywhat.similarity.null import null_by_group
from tests.tiny_experiment import tiny

BOT = """
REPLIES = {"hello": "good day", "bye": "see you soon"}

def reply(query):
    return REPLIES.get(query, "what?")
"""
# three targets in two lists; the chatbot says the first and, but for a word, the second
GOOD = Target("good day", list="generated", length="1-3")
SEE = Target("see you", list="real", length="1-3")
CATS = Target("cats", list="real", length="1-3")
TARGETS = [GOOD, SEE, CATS]
ATTEMPTS = {
    "good day": [
        Attempt("good day", "bye", 1, "see you soon", 0.9),  # stored scores are not believed
        Attempt("good day", "hello", 2, "good day", 0.1),
    ],
    "see you": [
        Attempt("see you", "hello", 1, "good day", 0.9),
        Attempt("see you", "bye", 2, "see you soon", 0.1),
        Attempt("see you", "ask", 3, None, None, "it broke"),
    ],
}  # and for cats none: the chatbot never answered
MEASURES = QueryMeasures(["hello there", "bye now", "see you"], [Pair("hello", "good day")])


@final
@dataclasses.dataclass
class Judge:
    """Scores half of what ``Contains`` does, and writes down what it was shown."""

    name: str = "judge"
    seen: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    def score(self, replies: Sequence[str], targets: Sequence[str]) -> list[float]:
        self.seen += zip(replies, targets, strict=True)
        return [score / 2 for score in Contains().score(replies, targets)]

    def measurable(self, text: str) -> bool:
        return bool(text)


def told(findings: Sequence[Finding]) -> list[tuple[Any, ...]]:
    return [(f.outcome, f.query, f.similarity, f.queries_to_first_success) for f in findings]


def test_stored_replies_are_scored_and_selected_anew() -> None:
    exact = rescored(TARGETS, ATTEMPTS, Exact(), threshold=0.7)
    assert told(exact) == [
        ("elicited", "hello", 1.0, 2),
        ("not_elicited", "hello", 0.0, None),  # of equals the earliest
        ("unmeasured", "", None, None),
    ]
    contains = rescored(TARGETS, ATTEMPTS, Contains(), threshold=0.7)
    assert told(contains) == [
        ("elicited", "hello", 1.0, 2),
        ("elicited", "bye", 1.0, 2),  # its own choice, not that of the first similarity
        ("unmeasured", "", None, None),
    ]
    assert [(f.asked, f.failed) for f in exact] == [(2, 0), (3, 1), (0, 0)]


def test_a_judge_scores_the_selected_reply_and_selects_none() -> None:
    chosen = rescored(TARGETS, ATTEMPTS, Exact(), threshold=0.7)
    found = judged(chosen, judge := Judge(), threshold=0.5)
    assert judge.seen == [("good day", "good day"), ("good day", "see you")]
    assert told(found) == [
        ("elicited", "hello", 0.5, 1),
        ("not_elicited", "hello", 0.0, None),  # "see you soon" was there, and would have had 0.5
        ("unmeasured", "", None, None),
    ]
    # what it took is what it took
    assert [(f.asked, f.failed) for f in found] == [(2, 0), (3, 1), (0, 0)]
    assert [(f.list, f.length, f.exact) for f in found] == [
        (f.list, f.length, f.exact) for f in chosen
    ]


def test_distinct_replies_are_counted_over_a_groups_attempts() -> None:
    assert distinct_by_group(TARGETS, ATTEMPTS) == {"generated 1-3": 2, "real 1-3": 2}
    assert distinct_by_group([CATS], ATTEMPTS) == {"real 1-3": 0}


def test_queries_are_measured_by_list_and_the_successful_ones_alone_too() -> None:
    found = by_list(rescored(TARGETS, ATTEMPTS, Exact(), threshold=0.7), MEASURES)
    assert found == {
        "generated": {name: MEASURES.of([("hello", "good day")]) for name in ("all", "elicited")},
        "real": {"all": MEASURES.of([("hello", "see you")]), "elicited": MEASURES.of([])},
    }
    assert found["real"]["all"]["queries"] == 1, "the unmeasured target has no query"
    assert found["real"]["elicited"]["queries"] == 0
    assert found["real"]["elicited"]["perplexity"] is None


def test_copied_words_are_counted_by_hand() -> None:
    measured = MEASURES.of([("see me", "see you"), ("hello", "see you"), ("i see you", "see you")])
    assert measured["queries"] == 3
    assert measured["words"] == pytest.approx((0.5 + 0 + 1) / 3, abs=1e-4)
    assert measured["contained"] == pytest.approx(1 / 3, abs=1e-4)


def test_examples_are_elicited_ones_four_of_each_group_whatever_the_order() -> None:
    def found(text: str, kind: str, similarity: float) -> Finding:
        attempt = Attempt(text, f"q {text}", 1, f"r {text}", similarity)
        return rescored_one(Target(text, list=kind, length="1-3"), attempt)

    many = [found(f"t{n}", "real", 0.75 + n / 100) for n in range(9)]
    others = [found("g", "generated", 0.123456), found("h", "generated", 0.987654)]
    shown = examples([*many, *others])
    assert len(shown) == 5
    assert shown[-1] == {
        "list": "generated", "length": "1-3", "target": "h", "query": "q h", "reply": "r h",
        "similarity": 0.987654,
    }  # fmt: skip
    assert examples([*others, *many[::-1]])[1:] == shown[:-1]
    assert {each["target"] for each in shown[:-1]} != {"t5", "t6", "t7", "t8"}, "not the best ones"


def rescored_one(target: Target, attempt: Attempt) -> Finding:
    @final
    class Stored:
        name = "stored"

        def score(self, replies: Sequence[str], targets: Sequence[str]) -> list[float]:
            assert attempt.similarity is not None
            return [attempt.similarity for _ in replies]

        def measurable(self, text: str) -> bool:
            return True

    return rescored([target], {target.text: [attempt]}, Stored(), threshold=0.7)[0]


@pytest.fixture
def settings(tmp_path: Path) -> AuditSettings:
    """Ask both of the posts that are known, for each of the three targets."""
    (tmp_path / "bot.py").write_text(BOT, encoding="utf-8")
    write_jsonl(TARGETS, tmp_path / "targets.jsonl")
    pairs = [Pair("hello", "good day"), Pair("bye", "see you soon")]
    write_jsonl(pairs, tmp_path / "reference.jsonl")
    plain = {
        "chatbot": f"python:{tmp_path / 'bot.py'}:reply",
        "targets": str(tmp_path / "targets.jsonl"),
        "reference": str(tmp_path / "reference.jsonl"),
        "similarity": {"name": "exact", "threshold": 0.7},
        "seed": 3,
    }
    return AuditSettings.model_validate(plain)


def scales(judge: Judge | None = None) -> Scales:
    made = {"exact": Exact(), "contains": Contains()}
    nulls = {
        name: null_by_group(each, TARGETS, replies=["good day", "what?"], seed=1)
        for name, each in made.items()
    }
    judges = {"judge": judge} if judge else {}
    return Scales(made, judges, {**nulls, "judge": {}}, MEASURES)


def test_an_evaluation_as_a_whole(settings: AuditSettings, tmp_path: Path) -> None:
    method, judge = Method("random-2", "random", 2), Judge()
    made = evaluate(method, settings, TARGETS, scales(judge), label="mine", folder=tmp_path / "run")
    assert made["scores"]["exact"] == [1.0, 0.0, 0.0]
    assert made["scores"]["contains"] == [1.0, 1.0, 0.0]
    assert made["exact"] == [1, 0, 0]
    assert made["first"][1:] == [None, None]
    assert made["first"][0] in {1, 2}
    assert {k: made["counts"][k] for k in ("asked", "unique", "sent")} == {
        "asked": 6, "unique": 2, "sent": 2,
    }  # fmt: skip
    assert len(judge.seen) == 3, "one reply a target, the selected one"
    rows = {(row["similarity"], row["list"]): row for row in made["rows"]}
    assert len(rows) == len(made["rows"]) == 3 * 2
    for row in made["rows"]:
        assert (row["chatbot"], row["method"], row["seed"]) == ("mine", "random-2", 3)
        assert row["queries_per_target"] == 2.0, "by the judge too"
        assert row["distinct_replies"] == 2
        assert str(tmp_path) not in str(row)
    assert rows["exact", "generated"]["mean_similarity"] == 1.0
    assert rows["exact", "real"]["mean_similarity"] == 0.0
    assert rows["contains", "real"]["mean_similarity"] == 0.5
    assert rows["contains", "real"]["success"]["1.0"] == 0.5
    # of the two replies "good day" holds half the generated targets' pairs, none of the real ones
    assert rows["exact", "real"]["null_mean"] == rows["exact", "real"]["generic_best"] == 0.0
    assert rows["exact", "generated"]["generic_best"] == 1.0
    assert 0.4 < rows["exact", "generated"]["null_mean"] < 0.6
    assert rows["judge", "real"]["null_mean"] is None
    assert [e["target"] for e in made["examples"]] == ["good day"]


def test_the_same_again_gives_the_same(settings: AuditSettings, tmp_path: Path) -> None:
    """A process may die after the audit and before its part is written."""
    method = Method("random-2", "random", 2)
    folders = (tmp_path / "run", tmp_path / "run", tmp_path / "other")
    first, again, other = (
        evaluate(method, settings, TARGETS, scales(Judge()), label="mine", folder=folder)
        for folder in folders
    )
    assert first == again == other


def test_the_seed_reaches_the_search(settings: AuditSettings, tmp_path: Path) -> None:
    """Of two posts some seeds ask one first, and some the other."""
    method = Method("random-1", "random", 1)
    found = set()
    for seed in range(8):
        of_seed = settings.model_copy(update={"seed": seed})
        folder = tmp_path / f"run-{seed}"
        made = evaluate(method, of_seed, TARGETS, scales(), label="mine", folder=folder)
        assert {row["seed"] for row in made["rows"]} == {seed}
        found.add(tuple(made["exact"]))
    assert found == {(1, 0, 0), (0, 0, 0)}


def test_a_list_that_a_limit_cut_is_no_result(settings: AuditSettings, tmp_path: Path) -> None:
    method, folder = Method("random-2", "random", 2), tmp_path / "run"
    cut = settings.model_dump()
    cut["limits"]["queries"] = 1
    cut["search"]["batch_targets"] = 1
    few = AuditSettings.model_validate(cut)
    with pytest.raises(InconclusiveError):
        evaluate(method, few, TARGETS, scales(), label="mine", folder=folder)
    more = AuditSettings.model_validate({**cut, "limits": {}})
    made = evaluate(method, more, TARGETS, scales(), label="mine", folder=folder)
    assert made["scores"]["contains"] == [1.0, 1.0, 0.0]


@pytest.fixture
def place(settings: AuditSettings, tmp_path: Path) -> Place:
    """Give a chatbot's folder as ``collect`` leaves it, with a target that training knows."""
    made = Place(tmp_path / "main", settings.chatbot, "mine")
    (made.corpus / "targets").mkdir(parents=True)
    pairs = [Pair("hello", "good day"), Pair("bye", "see you soon")]
    write_jsonl(pairs, made.corpus / "reference.jsonl")
    seen = Target("soon", list="generated-seen", length="1-3", seen=True)
    write_jsonl([*TARGETS, seen], made.corpus / "targets" / "test.jsonl")
    write_jsonl([SEE], made.corpus / "targets" / "validation.jsonl")
    return made


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, place: Place) -> Evaluations:
    """Give evaluations by ``exact``; word vectors and the conversations are not read."""
    similarities = {"exact": Exact(), RAW: Contains(), "judge": Judge(), "contains": Contains()}
    monkeypatch.setattr(evaluations, "similarity_of", lambda s: similarities[s.name])
    monkeypatch.setattr(QueryMeasures, "of_corpus", lambda *_, **__: MEASURES)
    monkeypatch.setattr(
        evaluations.stages, "pairs_of", lambda _: [Pair("hello", "good day"), Pair("a", "what?")]
    )
    return Evaluations(tiny(audit__similarity={"name": "exact"}))


def test_held_out_targets_are_those_of_the_two_lists(place: Place, measured: Evaluations) -> None:
    assert measured.targets(place, "test", None) == TARGETS
    assert measured.targets(place, "test", 1) == [GOOD, SEE]
    assert measured.targets(place, "validation", None) == [SEE]


def test_the_null_of_each_group_is_that_of_its_whole_list(
    place: Place, measured: Evaluations
) -> None:
    exact = SimilaritySettings(name="exact")
    found = measured.scales_of(place, "test", [GOOD], exact)
    replies = ["good day", "what?"]
    assert found.nulls == {
        "exact": null_by_group(Exact(), TARGETS, replies=replies, seed=1),
        RAW: null_by_group(Contains(), TARGETS, replies=replies, seed=1),
    }
    assert list(found.selectors) == ["exact", RAW], "the reward first, then the paper's"
    assert measured.scales_of(place, "test", TARGETS, exact) is found
    other = measured.scales_of(place, "validation", [SEE], exact)
    assert other.nulls["exact"] == null_by_group(Exact(), [SEE], replies=replies, seed=1)


def test_keywords_are_scored_by_their_similarity_alone(place: Place, measured: Evaluations) -> None:
    settings = AuditSettings.model_validate({"similarity": {"name": "contains", "threshold": 1.0}})
    words = [
        Target("good", list="keywords", length="1"),
        Target("day", list="keywords", length="1"),
    ]
    found = measured.scales_of(place, "", words, settings.similarity)
    assert (list(found.selectors), dict(found.judges)) == (["contains"], {})
    # half of the known replies hold either word; "good day", said always, holds both
    (null,) = found.nulls["contains"].values()
    assert null.mean == pytest.approx(0.5, abs=0.05)
    assert [reply.mean for reply in null.generic] == [1.0, 0.0]


def test_what_an_evaluation_asks_and_where_it_leaves_it(
    monkeypatch: pytest.MonkeyPatch, place: Place, measured: Evaluations, tmp_path: Path
) -> None:
    got: dict[str, Any] = {}

    def note(method: Method, settings: AuditSettings, *_: Any, **named: Any) -> dict[str, Any]:
        got.update(named, settings=settings)
        return {}

    monkeypatch.setattr(evaluations, "evaluate", note)
    for guide, folder in (("rl", "generator"), ("pretrained", "pretrained"), ("", None)):
        method = Method("any", "beam", 7, guide)
        measured.evaluate(place, tmp_path / "seed-4", method, 4, [GOOD], tmp_path / "deep" / "run")
        settings = got["settings"]
        assert settings.generator == (str(tmp_path / "seed-4" / folder) if folder else "builtin")
        assert (settings.seed, settings.chatbot, settings.limit) == (4, place.spec, None)
        assert settings.reference == str(place.corpus / "reference.jsonl.xz")
        assert got["label"] == "mine"
        assert Path(settings.targets).read_text(encoding="utf-8") == to_json(GOOD) + "\n"


def test_a_run_of_other_targets_or_another_generator_is_not_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, place: Place, measured: Evaluations, tmp_path: Path
) -> None:
    asked: list[Path] = []

    def note(*_: Any, folder: Path, **__: Any) -> dict[str, Any]:
        asked.append(folder)
        return {}

    monkeypatch.setattr(evaluations, "evaluate", note)
    generators, run = tmp_path / "seed-1", tmp_path / "seed-1" / "evaluate" / "m"
    weights = generators / "generator" / "weights.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_text("one", encoding="utf-8")
    run.mkdir(parents=True)

    def again(targets: list[Target], guide: str = "rl") -> bool:
        """Evaluate, and say whether the run that was there still is."""
        run.mkdir(exist_ok=True)
        (run / "attempts.jsonl").touch()
        measured.evaluate(place, generators, Method("m", "beam", 7, guide), 1, targets, run)
        return (run / "attempts.jsonl").exists()

    assert again([GOOD])
    assert again([GOOD])
    assert not again([GOOD, SEE])
    assert again([GOOD, SEE])
    weights.write_text("two", encoding="utf-8")
    assert not again([GOOD, SEE])
    assert again([GOOD, SEE])
    assert asked == [run] * 6
    # its settings name files where they were
    moved = generators.rename(tmp_path / "moved")
    there = moved / "evaluate" / "m"
    measured.evaluate(place, moved, Method("m", "beam", 7, "rl"), 1, [GOOD, SEE], there)
    assert not there.exists()


@pytest.mark.parametrize("kind", ["real-input", "greedy"])
def test_a_method_with_nothing_to_ask_asks_nothing(
    settings: AuditSettings, tmp_path: Path, kind: str
) -> None:
    silent = [dataclasses.replace(target, query="") for target in TARGETS]
    targets = silent if kind == "real-input" else []
    method, folder = Method(kind, kind, 1), tmp_path / "run"
    made = evaluate(method, settings, targets, scales(), label="mine", folder=folder)
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("findings.jsonl", "")]
    assert (made["rows"], made["counts"]["asked"]) == ([], 0)
    assert made["scores"] == dict.fromkeys(made["scores"], [None] * len(targets))
    assert list(made["scores"]) == [*scales().selectors, *scales().judges]
    assert made["exact"] == [0] * len(targets)
