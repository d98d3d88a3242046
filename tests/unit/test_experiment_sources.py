"""Work that rests on other files than it was made from is set aside, never taken for new."""

from pathlib import Path

import pytest

from saywhat.config import TrainSettings
from saywhat.errors import SetupError
from saywhat.experiment import stages
from saywhat.experiment.sources import renew, set_aside
from saywhat.experiment.stages import Place
from saywhat.pipeline import Reports

SHARED = ("reference.jsonl.xz", "targets/test.jsonl", "targets/validation.jsonl")


def filled(folder: Path, text: str) -> Path:
    """Give a folder that holds a file with a text."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.safetensors").write_text(text, encoding="utf-8")
    return folder


def text_of(folder: Path) -> str:
    return (folder / "weights.safetensors").read_text(encoding="utf-8")


def test_what_rests_on_the_same_files_is_kept(tmp_path: Path) -> None:
    made, note = filled(tmp_path / "run", "replies"), tmp_path / "note.json"
    source = tmp_path / "targets.jsonl"
    source.write_text("a", encoding="utf-8")
    assert not renew([made], [source], note), "of what is there, nothing is known"
    assert not renew([made], [source], note)
    source.write_text("b", encoding="utf-8")
    assert renew([made, tmp_path / "absent"], [source], note)
    assert not made.exists()
    assert text_of(tmp_path / "run.old-1") == "replies", "what was paid for is not deleted"
    filled(made, "new replies")
    assert not renew([made], [source], note), "it is bound to the new file now"
    source.unlink()
    assert renew([made], [source], note), "a file that is gone is another one"
    assert text_of(tmp_path / "run.old-2") == "new replies"


def test_sources_are_told_apart_by_folder(tmp_path: Path) -> None:
    made, note = filled(tmp_path / "run", "r"), tmp_path / "note.json"
    one, other = filled(tmp_path / "one", "1"), filled(tmp_path / "other", "2")
    files = [folder / "weights.safetensors" for folder in (one, other)]
    renew([made], files, note)
    filled(one, "2")
    filled(other, "1")
    assert renew([made], files, note)


def corpus(folder: Path, text: str) -> Path:
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    for name in SHARED:
        (folder / name).write_text(f"{name} {text}", encoding="utf-8")
    return folder


def test_a_generator_of_another_corpus_is_set_aside_and_runs_are_not(tmp_path: Path) -> None:
    first, folder = corpus(tmp_path / "corpus", "one"), tmp_path / "seed-1"
    assert not stages.share(first, folder)
    for name in ("pretrain", "pretrained", "reinforce", "generator"):
        filled(folder / name, f"{name} of one")
    filled(folder / "evaluate" / "random-200", "another process writes here")
    assert not stages.share(first, folder)
    assert text_of(folder / "generator") == "generator of one"
    assert stages.share(corpus(first, "two"), folder)
    for name in ("pretrain", "pretrained", "reinforce", "generator"):
        assert not (folder / name).exists()
        assert text_of(folder / f"{name}.old-1") == f"{name} of one"
    assert text_of(folder / "evaluate" / "random-200") == "another process writes here"
    for name in SHARED:
        assert (folder / name).read_text(encoding="utf-8") == f"{name} two"


def test_a_generator_is_not_trained_on_with_another_corpus(tmp_path: Path) -> None:
    place = Place(tmp_path, "known:echo", "x")
    corpus(place.corpus, "one")
    stages.share(place.corpus, place.seed(1))
    filled(place.seed(1) / "pretrained", "of one")
    corpus(place.corpus, "two")
    with pytest.raises(SetupError, match=r"did not come out as the corpus .* same command again"):
        stages.reinforce(TrainSettings(), place, place.seed(1), Reports())
    assert text_of(place.seed(1) / "pretrained.old-1") == "of one"


def test_what_remembers_its_place_is_not_moved(tmp_path: Path) -> None:
    source, note = tmp_path / "targets.jsonl", tmp_path / "note.json"
    source.write_text("a", encoding="utf-8")
    made = filled(tmp_path / "run", "replies")
    assert not renew([made], [source], note, at=tmp_path / "here")
    assert not renew([made], [source], note, at=tmp_path / "here")
    assert renew([made], [source], note, at=tmp_path / "there")
    assert text_of(tmp_path / "run.old-1") == "replies"


def test_what_did_not_note_its_place_may_have_been_moved(tmp_path: Path) -> None:
    source, note = tmp_path / "targets.jsonl", tmp_path / "note.json"
    source.write_text("a", encoding="utf-8")
    made = filled(tmp_path / "run", "replies")
    renew([made], [source], note)
    assert renew([made], [source], note, at=tmp_path / "here")
    filled(made, "new")
    assert not renew([made], [source], note, at=tmp_path / "here")


def test_half_a_share_is_completed(tmp_path: Path) -> None:
    first, folder = corpus(tmp_path / "corpus", "one"), tmp_path / "seed-1"
    stages.share(first, folder)
    (folder / SHARED[1]).unlink()
    filled(folder / "pretrained", "p")
    stages.share(first, folder)
    assert (folder / SHARED[1]).exists()
    assert (folder / "pretrained").exists()


def test_another_generator_is_lent_anew(tmp_path: Path) -> None:
    source, folder = filled(tmp_path / "pretrained", "one"), tmp_path / "ablation" / "pretrained"
    folder.parent.mkdir()
    stages.lend(source, folder)
    stages.lend(source, folder)
    assert not list(folder.parent.glob("*.old-*"))
    stages.lend(filled(source, "two"), folder)
    assert (text_of(folder), text_of(folder.with_name("pretrained.old-1"))) == ("two", "one")


def test_names_that_are_taken_are_not_overwritten(tmp_path: Path) -> None:
    for text in ("first", "second"):
        set_aside(filled(tmp_path / "run", text))
    assert [text_of(tmp_path / f"run.old-{n}") for n in (1, 2)] == ["first", "second"]
