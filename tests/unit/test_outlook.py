"""Where a run would go is where it goes: each case is foretold, then done."""

from pathlib import Path
from typing import Any

import pytest

from saywhat.errors import SetupError
from saywhat.runs import RunFolder
from saywhat.runs.outlook import Outlook, outlook

SETTINGS: dict[str, Any] = {"budget": 5, "limits": {"queries": 10}}


def _foretold(root: Path, out: Path | None = None, **settings: Any) -> Outlook:
    before = sorted(root.rglob("*"))
    found = outlook("demo", {**SETTINGS, **settings}, seed=1, root=root, out=out)
    assert sorted(root.rglob("*")) == before, "something was made"
    return found


def _done(root: Path, status: Any, out: Path | None = None) -> Path:
    opened = (
        RunFolder.at(out, "demo", SETTINGS, seed=1)
        if out
        else RunFolder.open_or_resume(root, "demo", SETTINGS, seed=1)
    )
    with opened as folder:
        folder.finish(status)
        return folder.path


def test_a_new_run_gets_the_folder_that_was_named(tmp_path: Path) -> None:
    foretold = _foretold(tmp_path)
    assert (foretold.status, foretold.resumed) == (None, False)
    before, after = foretold.folder.split("<time>")
    path = str(_done(tmp_path, "complete"))
    assert path.startswith(before)
    assert path.endswith(after)


@pytest.mark.parametrize("status", ["running", "partial", "failed"])
def test_an_unfinished_run_is_carried_on(tmp_path: Path, status: str) -> None:
    path = _done(tmp_path, status)
    foretold = _foretold(tmp_path, limits={"queries": 99})
    assert (foretold.folder, foretold.status, foretold.resumed) == (str(path), status, True)
    assert _done(tmp_path, "partial") == path


def test_a_finished_run_is_not(tmp_path: Path) -> None:
    path = _done(tmp_path, "complete")
    assert "<time>" in _foretold(tmp_path).folder
    assert "<time>" in _foretold(tmp_path, budget=6).folder
    assert _done(tmp_path, "complete") != path


def test_a_named_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert _foretold(tmp_path, out) == Outlook(str(out), None)
    out.mkdir()
    assert _foretold(tmp_path, out) == Outlook(str(out), None)
    _done(tmp_path, "partial", out)
    assert _foretold(tmp_path, out).resumed
    _done(tmp_path, "complete", out)
    assert _foretold(tmp_path, out) == Outlook(str(out), "complete")
    assert not _foretold(tmp_path, out).resumed


def test_a_named_folder_that_a_run_would_refuse_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("x", encoding="utf-8")
    _done(tmp_path, "partial", tmp_path / "out")
    for name, settings in (("file", {}), ("other", {}), ("out", {"budget": 6})):
        with pytest.raises(SetupError):
            _foretold(tmp_path, tmp_path / name, **settings)
        with pytest.raises(SetupError):
            RunFolder.at(tmp_path / name, "demo", {**SETTINGS, **settings}, seed=1)
