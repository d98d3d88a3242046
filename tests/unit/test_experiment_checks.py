"""What is looked at before an experiment goes on: all of it, and told in one message."""

import json
from pathlib import Path
from typing import Any

import pytest

from saywhat.config import TrainSettings
from saywhat.errors import NothingToLearnError, SetupError
from saywhat.experiment.checks import check_needed, check_same_chatbot, check_same_corpus
from saywhat.experiment.stages import Place
from saywhat.pipeline import ORIGIN
from saywhat.records import Pair
from saywhat.registry import load_chatbot
from saywhat.runs.files import file_hash
from saywhat.training.collect import check_replies
from tests.tiny_experiment import tiny


def written(place: Place, **origin: Any) -> None:
    place.corpus.mkdir(exist_ok=True)
    (place.corpus / ORIGIN).write_text(json.dumps(origin), encoding="utf-8")


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    absent = str(tmp_path / "absent.tsv")
    settings = tiny(
        experiment__corpus=absent,
        audit__similarity__vectors="no-such.bin",
        train__similarity__vectors="no-such.bin",
        experiment__judge="none",
    )
    with pytest.raises(SetupError) as caught:
        check_needed(settings)
    message = str(caught.value)
    assert message.startswith("2 things are missing or wrong. (1) Expected a corpus file at")
    assert absent in message
    assert message.count("no-such.bin") == 1, "once, though two similarities have them"
    check_needed(tiny(experiment__judge="none"))


def test_what_alone_is_missing_is_told_without_a_number() -> None:
    with pytest.raises(SetupError, match=r"^Word vectors: expected .*'no-such\.bin'"):
        check_needed(
            tiny(
                audit__similarity__vectors="no-such.bin",
                train__similarity__vectors="no-such.bin",
                experiment__judge="none",
            )
        )


@pytest.mark.parametrize("section", ["audit", "train"])
@pytest.mark.parametrize(
    ("key", "value"), [("model__temperature", 0.7), ("connection__authorised", True)]
)
def test_training_and_audits_ask_in_one_way(section: str, key: str, value: Any) -> None:
    dotted = key.replace("__", ".")
    with pytest.raises(SetupError, match=rf"set train\.{dotted} and audit\.{dotted} to the same"):
        check_needed(tiny(experiment__judge="none", **{f"{section}__{key}": value}))
    both = {f"{name}__{key}": value for name in ("audit", "train")}
    check_needed(tiny(experiment__judge="none", **both))


def test_a_chatbot_that_has_changed_is_refused(tmp_path: Path) -> None:
    place, settings = Place(tmp_path, "known:echo", "x"), TrainSettings()
    check_same_chatbot(place, settings)  # nothing was asked of any yet
    written(place, chatbot=load_chatbot("known:echo").fingerprint)
    check_same_chatbot(place, settings)
    written(place, chatbot="0123abcd")
    with pytest.raises(SetupError, match=r"known:echo has changed since .* was 0123abcd, now"):
        check_same_chatbot(place, settings)


def test_a_corpus_that_has_changed_under_its_name_is_refused(tmp_path: Path) -> None:
    place, file = Place(tmp_path, "known:echo", "x"), tmp_path / "talk.tsv"
    settings = tiny(experiment__corpus=str(file))
    file.write_text("hi\thello\n", encoding="utf-8")
    check_same_corpus(place, settings)  # nothing was collected yet
    written(place, **{"corpus file": file_hash(file)})
    check_same_corpus(place, settings)
    file.write_text("hi\tgood day\n", encoding="utf-8")
    with pytest.raises(SetupError, match=r"talk\.tsv has changed since .* two corpora"):
        check_same_corpus(place, settings)
    written(place)  # of before the hash was noted
    check_same_corpus(place, settings)


def pairs(replies: list[str]) -> list[Pair]:
    return [Pair(f"post {number}", reply) for number, reply in enumerate(replies)]


def test_a_chatbot_that_says_one_thing_teaches_nothing() -> None:
    with pytest.raises(
        NothingToLearnError, match=r"To 99 of 100 posts the chatbot said \"i'm not sure\""
    ):
        check_replies(pairs(["i'm not sure"] * 39 + ["I'm not sure!"] * 60 + ["no"]), max_words=12)
    check_replies(pairs(["i'm not sure"] * 98 + ["no", "yes"]), max_words=12)


@pytest.mark.parametrize(("replies", "told"), [(["a b c"], "; the shortest has 3"), ([], "")])
def test_replies_that_are_no_targets_are_told_first(replies: list[str], told: str) -> None:
    with pytest.raises(SetupError, match=f"has 1 to 2 words, so REINFORCE .* no target{told}. Set"):
        check_replies(pairs(replies), max_words=2)
