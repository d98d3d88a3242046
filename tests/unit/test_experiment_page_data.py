"""What the experiment's page says of the run's own data and methods."""

from pathlib import Path
from typing import Any

from saywhat.experiment.page import paper, text
from saywhat.experiment.page.cells import MISSING
from saywhat.experiment.paper import TABLE_1
from saywhat.experiment.parts import Parts
from saywhat.experiment.results.document import document


def made(**changes: Any) -> dict[str, Any]:
    """Give the document of an experiment of which nothing is finished, with changes."""
    names = ["collect/main", "evaluate/main/seed-1/rl-greedy"]
    found = document(Parts(Path("nowhere")), names, preset="small", seeds=[1], chatbot="builtin")
    return {**found, **changes}


def said(**changes: Any) -> str:
    return " ".join(text.differences(made(**changes)).paragraphs)


def test_the_explanation_is_of_the_runs_own_data() -> None:
    ours = said(corpus="chitchat", vectors="glove-6b-50d")
    assert "from chitchat, conversations between people" in ours
    assert "ours GloVe vectors of 50" in ours
    assert "The built-in chatbot is decoded against generic replies" in ours
    theirs = said(corpus="/data/me/talks.jsonl", vectors="own.bin", chatbot="openai:http://x#m")
    assert "real targets come from talks.jsonl." in theirs
    assert "ours the vectors of own.bin." in theirs
    assert not [word for word in ("chitchat", "GloVe", "built-in", "/data") if word in theirs]
    assert f"tweets. Ours: {MISSING}." in said()


def test_methods_that_are_no_part_have_no_rows() -> None:
    for table in paper.table_1(made()).tables:
        assert {row[0] for row in table.rows} == set(TABLE_1), "the paper's have theirs beside"
    beside = paper.table_1(made(methods=["rl-greedy", "retrieval"])).tables[0]
    assert {row[0] for row in beside.rows} == {*TABLE_1, "retrieval"}
