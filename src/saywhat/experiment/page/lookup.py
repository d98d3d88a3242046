"""What the experiment's page looks up in the document, and the names that its parts share."""

from collections.abc import Mapping
from typing import Any, Final

from saywhat.evaluation.success import threshold_key
from saywhat.experiment.page.cells import MISSING, Entry, find
from saywhat.experiment.paper import RAW, TABLE_1

_OURS: Final = ("pretrained-beam-200", "rl-sampling-200", "retrieval", "random-200")
Document = Mapping[str, Any]
NULLS: Final = (
    "Null: the mean similarity of unrelated replies. Generic: the best mean of the chatbot's most "
    "frequent replies, said whatever is asked."
)


def methods(document: Document) -> list[str]:
    """Name the paper's methods, and of those beside them the ones that the experiment has."""
    return [*TABLE_1, *(method for method in _OURS if method in document["methods"])]


def similarities(document: Document, *, with_judges: bool = True) -> list[str]:
    """Give the reward, the paper's similarity and the judges, whether they were measured or not."""
    judges = document["judges"]
    names = [name for name in document["similarities"] if name not in judges]
    return list(dict.fromkeys([*names, RAW, *(judges if with_judges else [])]))


def kind(document: Document, similarity: str) -> str:
    """Say what part a similarity has."""
    if similarity in document["judges"]:
        return f"the judge, {similarity}"
    first = (document["similarities"] or [None])[0]
    kinds = ["the reward"] * (similarity == first) + ["the paper's"] * (similarity == RAW)
    return f"{' and '.join(kinds) or 'another'}, {similarity}"


def pooled(
    document: Document, method: str, similarity: str, name: str, length: str, chatbot: str = ""
) -> Entry | None:
    """Give the pooled entry of a chatbot, the main one if none is named."""
    return find(
        document["pooled"],
        chatbot=chatbot or document["chatbot"],
        method=method,
        similarity=similarity,
        list=name,
        length=length,
    )


def point(document: Document) -> str:
    """Give the key of the threshold of success."""
    value = document["threshold"]
    return "" if value is None else threshold_key(value)


def threshold_text(document: Document) -> str:
    """Name the threshold of success."""
    value = document["threshold"]
    return MISSING if value is None else f"{value:g}"


def reward(document: Document) -> str:
    """Name the similarity that trained and selected."""
    return str(document["similarities"][0]) if document["similarities"] else ""
