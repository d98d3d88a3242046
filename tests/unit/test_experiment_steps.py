"""The list of parts: in order, of plain settings, and each recording what it depends on."""

import fnmatch
import json
from pathlib import Path
from typing import Any

import pytest

from saywhat.config import ReinforceSettings
from saywhat.errors import SetupError
from saywhat.experiment import checks, evaluations, extras, stages
from saywhat.experiment import steps as steps_module
from saywhat.experiment.binding import plain
from saywhat.experiment.steps import Steps
from tests.tiny_experiment import steps_of, tiny

OTHERS: tuple[str, ...] = ("sampling", "hred")
ASKED = (
    "evaluate/*", "search/*", "ablation/*", "oracle/*", "probes/*", "keywords/*", "repeat/*",
)  # fmt: skip
WITHOUT_KEYWORDS = tuple(name for name in ASKED if not name.startswith("keywords"))


def touched(before: Any, after: Any) -> set[str]:
    one, other = steps_of(before), steps_of(after)
    assert one.keys() == other.keys()
    return {name for name in one if one[name].settings != other[name].settings}


def fitting(names: Any, patterns: tuple[str, ...]) -> set[str]:
    found = [set(fnmatch.filter(names, pattern)) for pattern in patterns]
    assert all(found), "a pattern that fits nothing expects nothing"
    return set().union(*found)


@pytest.mark.parametrize("chatbot", ["builtin", "train", "python:bot.py:reply"])
def test_every_need_is_a_part_and_comes_before(chatbot: str) -> None:
    steps = steps_of(tiny(experiment__chatbot=chatbot, experiment__others=OTHERS))
    seen: set[str] = set()
    for name, step in steps.items():
        assert name == step.name
        assert set(step.needs) <= seen, "so there is no circle either"
        seen.add(name)
    made = {name for name in steps if name.startswith("chatbot/")}
    assert made == {f"chatbot/{n}" for n in (*OTHERS, *["main"] * (chatbot == "train"))}
    # the white-box oracle needs weights
    assert ("oracle/main" in steps) == (chatbot != "python:bot.py:reply")


def test_whoever_works_on_a_product_needs_its_maker() -> None:
    steps = steps_of(tiny(experiment__chatbot="train", experiment__others=OTHERS))
    for name, step in steps.items():
        kind, _, rest = name.partition("/")
        chatbot = "main" if kind == "ablation" else rest.split("/")[0]
        if kind not in ("chatbot", "human", "pretrain"):  # which asks nothing
            assert f"chatbot/{chatbot}" in step.needs
        if kind in ("evaluate", "search", "keywords"):
            method = step.settings["method"]
            stage = {"rl": "reinforce", "pretrained": "pretrain", "": None}[method["generator"]]
            seed = rest.split("/")[1]
            assert not stage or f"{stage}/{chatbot}/{seed}" in step.needs
        if kind == "repeat":
            evaluated = {n for n in steps if n.startswith(f"evaluate/{chatbot}/seed-1/")}
            assert evaluated < set(step.needs)
        elif kind not in ("chatbot", "human", "collect", "probes"):
            assert f"collect/{chatbot}" in step.needs
    assert "chatbot/main" in steps["chatbot/sampling"].needs, "it is the main one's network"


def test_only_what_makes_files_has_a_product_and_no_two_the_same() -> None:
    steps = steps_of(tiny(experiment__others=OTHERS))
    products = [step.product for step in steps.values() if step.product is not None]
    assert len(set(products)) == len(products)
    kinds = {name.split("/")[0] for name, step in steps.items() if step.product is not None}
    assert kinds == {"chatbot", "collect", "pretrain", "reinforce", "evaluate", "search"}
    assert all(step.product for name, step in steps.items() if name.split("/")[0] in kinds)


def test_settings_are_json_and_hold_no_path_of_the_machine(tmp_path: Path) -> None:
    settings = tiny(experiment__chatbot="train", experiment__others=OTHERS)
    here, there = steps_of(settings, tmp_path / "work"), steps_of(settings, Path("elsewhere"))
    for name, step in here.items():
        text = json.dumps(step.settings, allow_nan=False)
        assert str(tmp_path) not in text
        assert str(Path.cwd()) not in text
        assert str(Path.home()) not in text
        assert step.settings == there[name].settings


TOUCHED: dict[str, tuple[Any, tuple[str, ...]]] = {
    "experiment__per_group": (1, ("evaluate/main/*",)),
    "experiment__others_epochs": (2, ("chatbot/hred",)),
    "experiment__others_context": (("hi",), ("chatbot/hred",)),
    "experiment__others_posts": (500, ("collect/sampling", "collect/hred")),
    "experiment__others_steps": (3, ("reinforce/sampling/*", "reinforce/hred/*")),
    "experiment__others_per_group": (
        2, ("evaluate/sampling/*", "evaluate/hred/*", "repeat/sampling"),
    ),
    "experiment__repeats": (3, ("repeat/*",)),
    "experiment__ablation_steps": (3, ("ablation/*",)),
    "experiment__ablation_per_group": (2, ("ablation/*",)),
    "experiment__search_per_group": (
        2, ("search/*/random-*", "search/*/rl-*", "search/*/pretrained-*"),
    ),
    "experiment__agent_per_group": (2, ("search/*/rnn-agent-10",)),
    "experiment__oracle_per_group": (2, ("oracle/main",)),
    "experiment__probe_posts": (6, ("probes/*",)),
    "experiment__keywords_per_count": (2, ("keywords/*",)),
    "experiment__judge": ("sentence-encoder", ASKED),
    "experiment__corpus": ("talks.jsonl", ("chatbot/hred", "collect/*", "human/main")),
    "audit__similarity__threshold": (0.6, WITHOUT_KEYWORDS),
    "audit__similarity__name": ("embedding-average", WITHOUT_KEYWORDS),
    "audit__search__agent__samples": (3, ("search/*/rnn-agent-10",)),
    "audit__search__diversity_strength": (0.1, ("search/*/rl-diverse-beam-*",)),
    "train__collect__posts": (999, ("collect/main",)),
    "train__collect__max_words": (11, ("collect/*", "human/main")),
    "train__lists__per_length": (3, ("collect/*",)),
    "train__pretrain__max_per_reply": (9, ("pretrain/*", "ablation/*")),
    "train__reinforce__kl": (
        0.5, ("reinforce/*", "ablation/*"),
    ),
    "train__similarity__name": (
        "exact", ("reinforce/*", "ablation/*"),
    ),
    "chatbot_training__network__hidden": (8, ("chatbot/hred",)),
    "chatbot_training__decoding__max_reply_tokens": (7, ("chatbot/*",)),
}  # fmt: skip


@pytest.mark.parametrize("key", TOUCHED)
def test_a_change_touches_the_parts_that_depend_on_it_and_no_other(key: str) -> None:
    value, patterns = TOUCHED[key]
    before, after = tiny(experiment__others=OTHERS), tiny(experiment__others=OTHERS, **{key: value})
    assert before != after
    assert touched(before, after) == fitting(steps_of(before), patterns)


@pytest.mark.parametrize(
    "key",
    [
        "audit__limit", "audit__search__budget", "audit__limits__queries", "audit__seed",
        "audit__connection__concurrency", "train__limits__queries", "train__seed",
    ],
)  # fmt: skip
def test_what_no_part_depends_on_is_recorded_by_none(key: str) -> None:
    before, after = tiny(), tiny(**{key: 77})
    assert before != after
    assert touched(before, after) == set()


def test_another_chatbot_is_another_corpus_and_the_built_in_one_is_not_named() -> None:
    """Files that were made before other chatbots were named are still those of the built-in one."""
    one, other = (
        steps_of(tiny(experiment__chatbot=spec)) for spec in ("builtin", "seq2seq:models/mine")
    )
    for name in ("collect/main", "chatbot/sampling"):
        assert "chatbot" not in one[name].settings
        assert other[name].settings["chatbot"] == "seq2seq:models/mine"
    for name in ("evaluate/main/seed-1/rl-greedy", "oracle/main", "probes/main", "ablation/no-rl"):
        assert one[name].settings["chatbot"] == "builtin"
        assert other[name].settings["chatbot"] == "seq2seq:models/mine"


def test_the_seeds_are_those_of_the_generator() -> None:
    names = set(steps_of(tiny(experiment__seeds=(4, 7))))
    for kind in ("pretrain/main", "reinforce/main"):
        assert {f"{kind}/seed-4", f"{kind}/seed-7"} <= names
    assert {n.split("/")[2] for n in names if n.startswith("evaluate/main")} == {"seed-4", "seed-7"}
    # floors know nothing of the generator
    assert [n for n in names if n.endswith("real-input")].count(
        "evaluate/main/seed-7/real-input"
    ) == 0
    for kind in ("search", "keywords"):
        assert {n.split("/")[2] for n in names if n.startswith(f"{kind}/")} == {"seed-4"}
    steps = steps_of(tiny(experiment__seeds=(4, 7)))
    assert steps["collect/main"].settings["seed"] == 4
    assert steps["reinforce/main/seed-7"].settings["seed"] == 7
    assert steps["ablation/baseline"].settings["train"]["seed"] == 4


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("search_per_group", "search"), ("oracle_per_group", "oracle"),
        ("probe_posts", "probes"), ("keywords_per_count", "keywords"), ("repeats", "repeat"),
    ],
)  # fmt: skip
def test_what_is_set_to_none_is_left_out(key: str, kind: str) -> None:
    names = steps_of(tiny(**{f"experiment__{key}": 0, "experiment__agent_per_group": 0}))
    assert not [name for name in names if name.startswith(f"{kind}/")]
    assert [name for name in steps_of(tiny()) if name.startswith(f"{kind}/")]


def test_what_a_chatbot_may_answer_otherwise_is_asked_again() -> None:
    def repeated(**changes: Any) -> set[str]:
        return {name for name in steps_of(tiny(**changes)) if name.startswith("repeat/")}

    assert repeated(experiment__others=OTHERS) == {"repeat/sampling"}
    assert repeated(experiment__others=("hred",)) == set(), "it writes the likeliest reply"
    assert repeated(experiment__others=(), experiment__chatbot="train") == set()
    of_the_user = repeated(experiment__others=(), experiment__chatbot="python:bot.py:reply")
    assert of_the_user == {"repeat/main"}, "nothing is known of it"


def test_ablations_ask_for_the_validation_list_and_evaluations_for_the_test_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Which list each part asks for, with everything else stubbed out."""
    asked: list[str] = []

    def targets_of(place: Any, name: str) -> list[Any]:
        asked.append(name)
        return []

    monkeypatch.setattr(stages, "targets_of", targets_of)
    for name in ("share", "lend", "pretrain", "reinforce"):
        monkeypatch.setattr(stages, name, lambda *_: {})
    nulls: list[str] = []

    def evaluate(*_: Any, listed: str = "test", **__: Any) -> dict[str, Any]:
        nulls.append(listed)
        return {}

    monkeypatch.setattr(evaluations.Evaluations, "evaluate", evaluate)
    monkeypatch.setattr(extras, "oracle", lambda *_, **__: {})
    monkeypatch.setattr(steps_module, "similarity_of", lambda _: None)
    steps = steps_of(tiny())
    wanted = {
        "ablation": {"validation"},
        "evaluate": {"test"},
        "search": {"test"},
        "oracle": {"test"},
    }
    for name, step in steps.items():
        if (kind := name.split("/")[0]) in wanted:
            asked.clear()
            nulls.clear()
            step.make()
            assert set(asked) == wanted[kind], name
            assert set(nulls) == (set() if kind == "oracle" else wanted[kind]), name
    monkeypatch.setattr(extras, "keywords", lambda *_, **__: [])
    nulls.clear()
    steps["keywords/main/seed-1/retrieval"].make()
    assert nulls == [""], "keywords are of no list: their null is their own"


def test_plain_settings_leave_out_what_changes_no_outcome() -> None:
    assert set(plain(ReinforceSettings(), "kl", "steps")) == {"kl", "steps"}
    assert not {"limits", "connection"} & set(plain(tiny().audit))
    assert {"search", "similarity"} <= set(plain(tiny().audit))


def test_methods_that_the_settings_do_not_name_are_left_out() -> None:
    names = steps_of(tiny(experiment__methods=["rl-greedy", "retrieval"]))
    assert [name for name in names if name.startswith("evaluate/main/seed-1/")] == [
        "evaluate/main/seed-1/retrieval",
        "evaluate/main/seed-1/rl-greedy",
    ]


def test_a_judge_that_is_not_installed_is_told_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(settings: Any) -> None:
        raise SetupError(f"{settings.name} needs the package x.")

    monkeypatch.setattr(checks, "similarity_of", missing)
    with pytest.raises(SetupError, match=r"sentence-encoder needs .* --set experiment\.judge=none"):
        Steps(tiny(experiment__judge="sentence-encoder"), Path()).check()
    Steps(tiny(experiment__judge="none"), Path()).check()


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_chatbot_that_draws_has_no_oracle_and_is_asked_again(
    tmp_path: Path, temperature: float
) -> None:
    drawing = temperature > 0
    decoding = {"temperature": temperature}
    trained = tiny(experiment__chatbot="train", chatbot_training__decoding=decoding)
    model = tmp_path / "model"
    model.mkdir()
    description = {"kind": "chatbot", "decoding": decoding}
    (model / "model.json").write_text(json.dumps(description), encoding="utf-8")
    given = tiny(experiment__chatbot=f"seq2seq:{model}")
    for settings, again in ((trained, drawing), (given, True)):
        steps = steps_of(settings)
        assert ("oracle/main" in steps) is not drawing
        assert ("repeat/main" in steps) is again
    assert "oracle/main" in steps_of(tiny(experiment__chatbot=f"seq2seq:{tmp_path / 'none'}"))
