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
    "frequent replies, one said whatever is asked; over all lengths, the mean of each length's own "
    "best."
)
HELD_OUT: Final = "held out"
"""What stands where a method cannot say a target, so that 0 was not measured."""
HELD_OUT_NOTE: Final = (
    "Held out: random and retrieval know the posts of the reference corpus, of which every one was "
    "removed whose reply is a target, so they cannot say one word for word."
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


def exact_text(method: str, share: float | None, cell: str) -> str:
    """Give the cell of the share said word for word, if the method could say a target at all."""
    knows_only_posts = method == "retrieval" or method.startswith("random")
    return HELD_OUT if knows_only_posts and share == 0 else cell


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
