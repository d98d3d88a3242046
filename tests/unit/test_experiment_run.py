"""The runner: what is needed comes first, nothing is done twice, what is lost is made again."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saywhat.errors import NothingToLearnError, SetupError
from saywhat.experiment.parts import Parts
from saywhat.experiment.run import Experiment, alike
from saywhat.experiment.step import Step
from saywhat.experiment.steps import Steps
from tests.tiny_experiment import tiny

NEEDS = {
    "chatbot/x": (),
    "collect/x": ("chatbot/x",),
    "train/x": ("chatbot/x", "collect/x"),
    "judge/x": ("chatbot/x", "train/x"),
    "judge/y": (),
}
PRODUCTS = ("chatbot/x", "collect/x", "train/x")


class Plan:
    """A small experiment in the place of the real list of parts; it writes down what is done."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder, self.done, self.checked, self.changes = folder, [], 0, changes
        self.said: list[str] = []
        self.before: Callable[[str], None] = lambda _: None

    def check(self) -> None:
        self.checked += 1

    def product(self, name: str) -> Path | None:
        return self.folder / "work" / name.replace("/", "-") if name in PRODUCTS else None

    def all(self) -> list[Step]:
        return [
            Step(
                name, {"of": self.changes.get(name, 1)}, self.maker(name), needs, self.product(name)
            )
            for name, needs in NEEDS.items()
        ]

    def maker(self, name: str) -> Callable[[], dict[str, Any]]:
        def make() -> dict[str, Any]:
            self.before(name)
            for need in NEEDS[name]:
                if (product := self.product(need)) is not None:
                    assert product.exists(), f"{name} works on {need}, which is gone"
            if (mine := self.product(name)) is not None:
                mine.parent.mkdir(exist_ok=True, parents=True)
                mine.touch()
            self.done.append(name)
            return {
                "name": name,
                "of": self.changes.get(f"outcome of {name}", 1),
                "queries": len(self.done),
            }

        return make

    @property
    def parts(self) -> Parts:
        return Parts(self.folder / "parts")

    def run(self, only: str = "*") -> list[str]:
        """Run it, and give what was done."""
        self.done.clear()
        self.experiment().run(only)
        return list(self.done)

    def experiment(self) -> Experiment:
        steps = Steps(tiny(), self.folder)
        vars(steps).update(all=self.all, check=self.check)
        return Experiment(steps, self.parts, tell=self.said.append)

    def lose(self, *names: str) -> None:
        for name in names:
            product = self.product(name)
            assert product is not None
            product.unlink()


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(tmp_path)


def test_all_is_done_in_order_and_once(plan: Plan) -> None:
    assert plan.run() == list(NEEDS)
    assert plan.run() == []
    assert plan.parts.names() == sorted(NEEDS)
    assert plan.checked == 1, "what is finished needs no vectors"


def test_only_does_what_is_needed_first_and_no_more(plan: Plan) -> None:
    assert plan.run("train/*") == ["chatbot/x", "collect/x", "train/x"]
    assert plan.run("judge/x") == ["judge/x"]
    assert plan.run("judge/*") == ["judge/y"]


def test_parts_are_named_with_what_they_need(plan: Plan) -> None:
    assert plan.experiment().names("train/*") == ["chatbot/x", "collect/x", "train/x"]
    assert plan.experiment().names() == list(NEEDS)
    with pytest.raises(SetupError, match="'jugde/"):
        plan.experiment().names("jugde/*")


def test_a_pattern_that_fits_nothing_says_which_parts_there_are(plan: Plan) -> None:
    with pytest.raises(SetupError) as caught:
        plan.run("jugde/*")
    assert "'jugde/*'" in str(caught.value)
    assert all(name in str(caught.value) for name in NEEDS)
    assert plan.done == []


def test_a_lost_product_is_made_again_and_its_part_stays_as_it_is(plan: Plan) -> None:
    plan.run("train/*")
    files = {name: (plan.folder / "parts" / f"{name}.json") for name in NEEDS}
    before = {
        name: (f.read_bytes(), f.stat().st_mtime_ns) for name, f in files.items() if f.exists()
    }
    plan.lose("train/x")
    assert plan.run("judge/x") == ["train/x", "judge/x"]
    after = {name: (files[name].read_bytes(), files[name].stat().st_mtime_ns) for name in before}
    assert after == before
    assert any("train/x" in each and "again" in each for each in plan.said)
    assert not any("Warning" in each for each in plan.said), "only the queries differ: cached"


def test_what_a_lost_product_is_made_from_is_made_again_too(plan: Plan) -> None:
    plan.run("train/*")
    plan.lose(*PRODUCTS)
    assert plan.run("judge/x") == ["chatbot/x", "collect/x", "train/x", "judge/x"]


def test_what_is_made_again_is_asked_again(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saywhat.experiment.run.most_queries", lambda *_, per_length: per_length)
    plan.run("train/*")

    def asking(only: str = "*") -> set[str]:
        return {n for n, most in plan.experiment().most_queries(only, per_length=7).items() if most}

    assert asking() == {"judge/x", "judge/y"}
    plan.lose("collect/x", "train/x")
    assert asking() == {"collect/x", "train/x", "judge/x", "judge/y"}
    assert asking("judge/y") == {"judge/y"}
    assert asking("train/*") == set()


def test_a_lost_product_that_nobody_needs_is_not_missed(plan: Plan) -> None:
    plan.run()
    plan.lose(*PRODUCTS)
    assert plan.run() == []


def test_a_product_that_does_not_come_out_as_it_was_is_told(plan: Plan) -> None:
    plan.run("train/*")
    plan.lose("train/x")
    plan.changes["outcome of train/x"] = 2
    plan.run("judge/x")
    (warning,) = [each for each in plan.said if "Warning" in each]
    assert "train/x did not come out as it was (of)" in warning


@pytest.mark.parametrize(
    ("before", "now", "equal"),
    [
        ({"a": [0.7, None]}, {"a": [0.70004, None]}, True),  # 4 digits, as parts had, and 6
        ({"a": [0.7, None]}, {"a": [0.7002, None]}, False),
        ({"a": [0.7]}, {"a": [0.7, 0.7]}, False),
        ({"a": 1}, {"b": 1}, False),
        ([1.0, None], [1, 0.0], False),
        ("a", "a", True),
        (None, 0.0, False),
        (3, 4, False),
    ],
)
def test_numbers_are_compared_up_to_the_digits_that_parts_hold(
    before: Any, now: Any, *, equal: bool
) -> None:
    assert alike(before, now) is equal
    assert alike(now, before) is equal


def test_other_settings_of_any_finished_part_stop_the_run(plan: Plan) -> None:
    plan.run("collect/*")
    plan.changes["collect/x"] = 2
    with pytest.raises(SetupError, match=r"collect/x\.json was made with other settings of of;"):
        plan.run("judge/y")
    assert plan.done == []


def test_what_was_made_from_a_removed_part_is_not_kept(plan: Plan) -> None:
    """Else new lists would stand beside figures from the old ones."""
    plan.run()
    (plan.folder / "parts" / "collect" / "x.json").unlink()
    with pytest.raises(SetupError) as caught:
        plan.run()
    assert "gone: collect/x." in str(caught.value)
    assert str(caught.value).endswith("again: train/x, judge/x.")
    for name in ("train/x", "judge/x"):
        (plan.folder / "parts" / f"{name}.json").unlink()
    assert plan.run() == ["collect/x", "train/x", "judge/x"]


def test_a_part_that_fails_is_not_finished_and_those_before_it_are(plan: Plan) -> None:
    def fail(name: str) -> None:
        if name == "train/x":
            raise KeyboardInterrupt

    plan.before = fail
    with pytest.raises(KeyboardInterrupt):
        plan.run()
    assert plan.parts.names() == ["chatbot/x", "collect/x"]
    plan.before = lambda _: None
    assert plan.run() == ["train/x", "judge/x", "judge/y"]


def test_a_part_of_which_nothing_comes_does_not_keep_the_others_from_being_done(
    plan: Plan,
) -> None:
    def fail(name: str) -> None:
        if name == "collect/x":
            raise NothingToLearnError("it says one thing")

    plan.before = fail
    with pytest.raises(
        NothingToLearnError, match=r"parts.*needs them\. collect/x: it says one thing"
    ):
        plan.run()
    assert plan.parts.names() == ["chatbot/x", "judge/y"]
    assert plan.said.count("collect/x") == 1, "it is tried once, whatever needs it"
    plan.before = lambda _: None
    assert plan.run() == ["collect/x", "train/x", "judge/x"]


def test_a_lost_product_of_which_nothing_comes_is_not_tried_for_ever(plan: Plan) -> None:
    def fail(name: str) -> None:
        if name == "train/x":
            raise NothingToLearnError("it says one thing")

    plan.run("train/*")
    plan.lose("train/x")
    plan.before = fail
    with pytest.raises(NothingToLearnError, match="train/x: it says one thing"):
        plan.run()
    assert plan.done == ["judge/y"]


def test_what_another_process_works_on_is_left_to_it(tmp_path: Path) -> None:
    """While one works on ``collect/x``, the other does what does not need it, and then waits."""
    one, other = Plan(tmp_path), Plan(tmp_path)
    begun, go = threading.Event(), threading.Event()

    def hold(name: str) -> None:
        if name == "collect/x":
            begun.set()
            assert go.wait(30)

    one.before = hold
    first = threading.Thread(target=one.run)
    first.start()
    try:
        assert begun.wait(30)
        assert other.run("judge/y") == ["judge/y"]
        other.said.clear()
        second = threading.Thread(target=other.run)
        second.start()
        second.join(0.3)
        assert second.is_alive(), "all that is left needs collect/x"
    finally:
        go.set()
        first.join(30)
    second.join(30)
    assert sorted([*one.done, *other.done, "judge/y"]) == sorted({*NEEDS, *other.done, "judge/y"})
    assert not second.is_alive()
    assert sorted(one.parts.names()) == sorted(NEEDS)


def test_a_process_takes_the_free_part_before_the_taken_one(tmp_path: Path) -> None:
    plan = Plan(tmp_path)
    plan.before = _stop_after_first()
    chatbot = Parts(tmp_path / "parts").alone("chatbot/x")  # without which the others wait
    with chatbot, pytest.raises(InterruptedError):
        plan.run()
    assert plan.parts.names() == []
    assert plan.said == ["judge/y"], "the last of the list, but the only one that is free"


def _stop_after_first() -> Callable[[str], None]:
    def stop(name: str) -> None:
        raise InterruptedError(name)

    return stop


def test_the_files_hold_the_settings_of_the_steps(plan: Plan) -> None:
    plan.run()
    for step in plan.all():
        record = json.loads((plan.folder / "parts" / f"{step.name}.json").read_text())
        assert record["settings"] == step.settings
