"""The words of the experiment's page: lists, methods, similarities, and marks in cells."""

from typing import Final

from saywhat.experiment import design
from saywhat.experiment.page.cells import MISSING, made_table
from saywhat.experiment.page.lookup import HELD_OUT, Document, reward, threshold_text
from saywhat.experiment.paper import RAW
from saywhat.reports.pages import Section
from saywhat.reports.table import NOT_ESTIMABLE

_CENTRED: Final = "embedding-average-centred"


def terms(document: Document) -> Section:
    """Say what the page's names stand for."""
    sharp = next(each for each in design.SHARPENED if each.temperature != 1.0)
    judges = ", ".join(document["judges"])
    rows = [
        ("Generated", "targets that the chatbot itself said, to posts held out for this list"),
        ("Real", "targets that people said in held-out conversations, which it may never say"),
        (RAW, "the paper's similarity: the cosine of the mean word vectors of reply and target"),
        (_CENTRED, "the same, less the mean vector of all sentences: unrelated ones are near 0"),
        ("reward", f"the similarity that trained and selects; here {reward(document) or MISSING}"),
        ("judge", f"a similarity that trained and selected nothing; here {judges or 'none'}"),
        (
            "success, elicited",
            f"the best reply is as similar as the threshold, {threshold_text(document)}, or more",
        ),
        (design.REAL_INPUT, "asks what people had said before a Real target"),
        ("retrieval", "looks the nearest known reply of the reference corpus up; asks nothing new"),
        ("random-N", "asks N posts of the reference corpus, whatever the target is"),
        ("pretrained-...", "a generator that learned from the chatbot's (reply, query) pairs"),
        ("rl-...", "the same after REINFORCE"),
        ("...-greedy", "one query: the likeliest word each time"),
        ("...-beam-N", "the N best of a beam search of width N"),
        ("...-diverse-beam-N", "N of a beam whose parts are pushed apart"),
        ("...-sampling-N", "N queries drawn from the generator"),
        ("...-sharp-N", f"N drawn at temperature {sharp.temperature:g}; repeats are asked once"),
        ("rnn-agent-N", "a language model that is retrained for each target by up to N queries"),
        ("Null, Generic", "what chance scores: unrelated replies, and one said whatever is asked"),
        (NOT_ESTIMABLE, "nothing to measure, or too little for a figure"),
        (HELD_OUT, "the method cannot do it, so nothing was measured"),
    ]
    return Section("Words used here", (), (made_table("Words", "Word|+Meaning", rows, labels=2),))
