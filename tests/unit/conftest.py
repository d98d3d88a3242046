"""Ledgers in virtual time: the subject of every test of what leaves when."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from saywhat.ledger import Ledger
from tests.virtual import PATIENT, World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a world whose clock nobody waits for."""
    return World(monkeypatch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give where the ledger is."""
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(world: World, path: Path) -> Iterator[Ledger]:
    """Give a ledger that bears any number of failures."""
    with world.ledger(path, PATIENT) as opened:
        yield opened
