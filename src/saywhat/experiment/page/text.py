"""The part of the experiment's page that explains: why numbers differ, departures, how to repeat.

The words are fixed; every figure in them is taken from the document, or from the preset's file.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from saywhat.experiment.page.cells import MISSING, Entry, find, made_table
from saywhat.experiment.page.lookup import Document
from saywhat.experiment.page.settings import paper_preset, settings_table
from saywhat.experiment.paper import LENGTHS, RAW
from saywhat.reports.pages import Section
from saywhat.reports.table import count, score

_CHITCHAT: Final = "chitchat"
_GLOVE: Final = "glove-6b-50d"
_LINE: Final = re.compile(r"^( *)(\w+):\s*([^#]*?)\s*(?:#\s*(.*))?$")


def differences(document: Document) -> Section:
    """Explain why the numbers are not the paper's."""
    return Section(
        "Where our numbers differ from the paper's and why",
        (
            _data(document),
            _vectors(document),
            _ceilings(document),
            "Scale. The paper collects 160,000 posts and trains networks of 1,024 units. "
            + _scale(document),
            (
                "Estimator. The paper's equations (4) and (5) carry a factor pi that sampling "
                "already supplies; the presets small and tiny leave it out and take a "
                "leave-one-out baseline, a pull to the pre-trained generator and human sentences "
                "among the targets. The ablation paper-estimator takes the equations as printed, "
                "with the other settings of its preset."
            ),
            _reward(document),
            (
                "Early stopping. The generator that is tested is the best on a validation list "
                "that is disjoint from the test lists; the paper names none."
            ),
            (
                "Held out by text. Targets that stand word for word in the reference corpus are "
                "taken out of it, with their queries. In the paper only the utterances are new, "
                "and a chatbot repeats itself: Generated is harder here. Random posts and "
                "retrieval are drawn from what is left, so they cannot say a target word for word."
            ),
            (
                "Selection and judging. The paper picks the best query, and reports it, by the "
                "similarity that trained the generator. Here too the reward selects, and under "
                "the paper's similarity that one selects for itself, among what was asked; "
                "retrieval asks nothing and gives the known reply that the reward looked up, so it "
                "has no figure of another selection. A judge, which selects and trains nothing, "
                "scores what the reward selected. Judges here: "
                f"{', '.join(document['judges']) or 'none'}."
            ),
            _generic(document),
        ),
    )


def _data(document: Document) -> str:
    theirs = (
        "Data. The paper's chatbot learned from 2.5 million Twitter pairs and its targets are "
        "tweets"
    )
    corpus = document["corpus"]
    if corpus is None:
        return f"{theirs}. Ours: {MISSING}."
    if corpus == _CHITCHAT:
        return (
            f"{theirs} and replies to tweets; here all of it comes from chitchat, conversations "
            "between people who were asked to talk. They are fewer and more alike, and the chatbot "
            "says other things."
        )
    return f"{theirs}; here posts and real targets come from {Path(corpus).name}."


def _reward(document: Document) -> str:
    rewarded = (document["similarities"] or [None])[0]
    if rewarded is None:
        return f"Reward. Here: {MISSING}."
    if rewarded == RAW:
        return "Reward. The raw embedding average, as in the paper."
    return (
        f"Reward. Here {rewarded} trains and selects, since by the raw average any two sentences "
        "are alike. Under the raw average, which nothing trained, a trained generator may be below "
        "an untrained one."
    )


def _vectors(document: Document) -> str:
    theirs = "Vectors. The paper's similarity averages Google News vectors of 300 dimensions, ours "
    vectors = document["vectors"]
    if vectors == _GLOVE:
        ours = "GloVe vectors of 50, in which any two sentences are near each other"
    else:
        ours = MISSING if vectors is None else f"the vectors of {Path(vectors).name}"
    return f"{theirs}{ours}. {_raw_scale(document)}"


def _generic(document: Document) -> str:
    said = {
        "builtin": "The built-in chatbot is decoded against generic replies, since plain greedy "
        "decoding left it with a handful; the paper's is decoded plainly. ",
        "main": "The paper's chatbot is decoded plainly; this one as the settings of "
        "chatbot_training.decoding say. ",
    }.get(document["chatbot"], "How this chatbot picks its words is its own affair. ")
    return f"Generic replies. {said}Null and generic scores therefore stand beside the rates."


def _raw_scale(document: Document) -> str:
    nulls = [_raw(document, length) for length in LENGTHS]
    words = ", ".join(
        MISSING if e is None else f"{score(e['null_mean'])} ({length} words)"
        for e, length in zip(nulls, LENGTHS, strict=True)
    )
    return f"Unrelated replies to real targets score, as raw averages: {words}."


def _raw(document: Document, length: str) -> Entry | None:
    known = [e for e in document["pooled"] if e["null_mean"] is not None]
    wanted = {"chatbot": document["chatbot"], "similarity": RAW, "list": "real", "length": length}
    return find(known, **wanted)


def _ceilings(document: Document) -> str:
    parts = []
    for length in LENGTHS:
        entry = find(document["gains"], similarity=RAW, length=length)
        if entry is None or entry["ceiling_percent"] is None:
            parts.append(f"{length} words: {MISSING if entry is None else 'not estimable'}")
            continue
        above = "below" if entry["ceiling_percent"] < entry["paper"] else "above"
        parts.append(
            f"{length} words: {entry['ceiling_percent']:+.1f}%, {above} the paper's "
            f"{entry['paper']:+.1f}%"
        )
    return (
        "The raw average's ceiling. What a perfect score would gain over the real inputs is "
        f"bounded by how high these score already: {'; '.join(parts)}. A bar above the ceiling "
        "cannot be reached by any method."
    )


def _scale(document: Document) -> str:
    main = [e for e in document["phases"] if e["chatbot"] == document["chatbot"]]
    sent = {e["phase"]: f"{e['sent']:,} in phase {e['phase']}" for e in main}
    words = [sent.get(name, f"{name} {MISSING}") for name in ("reference", "reinforce", "search")]
    pairs = next((bot["pairs"] for bot in document["chatbots"]), None)
    return (
        f"Here the main chatbot was sent {', '.join(words)} (all seeds, ablations and extra "
        "searches together; reference posts make the lists, too), and "
        f"{count(pairs) or MISSING} pairs were left for pre-training, before frequent replies were "
        "thinned out."
    )


def departures(document: Document) -> Section:
    """List where the presets depart from the paper."""
    rows = [row for row in preset_remarks() if row[2].startswith(("ours", "none"))]
    own = (
        "This run's preset is the paper's. What was set otherwise stands in the command under How "
        "to reproduce and, as far as a part records it, in the first table; the second gives what "
        "the preset had to add."
        if str(document["name"]).endswith("2019")
        else "This run's preset departs further: the first table gives each of its settings that "
        "is another. paper-2019 is the paper's settings as printed, and the second table gives "
        "what it had to add."
    )
    return Section(
        "Departures of the presets from the paper",
        (
            own,
            (
                "REINFORCE of the presets small and tiny: (1) no extra factor pi, a "
                "leave-one-out baseline instead; (2) a KL term keeps queries ordinary; (3) part of "
                "the targets are human posts; (4) several queries are drawn for each target; (5) "
                "the weights that are kept are the best on a validation list; (6) the reward is "
                "the centred average."
            ),
            (
                "The program itself, whatever the settings: (1) the input and output embeddings of "
                "its networks are one matrix, reached through a projection, and encoders have no "
                "bias terms; (2) a finished chatbot is kept in half precision; (3) words that a "
                "vector file lacks start at random; (4) no target is in a pair that the generator "
                "trains on, nor is a reply that more than 5 % of the posts get a target; (5) "
                "special and unknown symbols are never written."
            ),
            (
                "What paper-2019 needs and does not bring: the paper's posts, utterances and "
                "pairs are from Twitter (experiment.corpus names a file), its chatbot starts from "
                "GloVe vectors of 300 (chatbot_training.embeddings), and its rewards use the "
                "Google News vectors (audit.similarity.vectors and train.similarity.vectors)."
            ),
        ),
        (
            settings_table(document),
            made_table(
                "Settings of paper-2019 that the paper does not give",
                "Setting|Value|+Remark",
                rows,
                labels=2,
                note="ours: the paper does not say; none: the paper does without it.",
            ),
        ),
    )


def preset_remarks() -> Iterator[tuple[str, str, str]]:
    """Give each setting of ``paper-2019`` that has a remark: its key, value and remark."""
    path: list[str] = []
    for line in paper_preset().splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        indent, key, value, remark = match.groups()
        path = [*path[: len(indent) // 2], key]
        if value and remark:
            yield ".".join(path), value, remark


def reproduction(document: Document) -> Section:
    """Say how to do it again."""
    made = document["provenance"]
    seconds = made["seconds"]
    spent = MISSING if not seconds else (
        f"{seconds:,.0f} seconds summed over the finished parts, of which several may have run at "
        "once"
    )  # fmt: skip
    first, last = made["first"], made["last"]
    packages = ", ".join(f"{name} {version}" for name, version in made["packages"].items())
    facts = [
        ("Seeds", ", ".join(map(str, document["seeds"]))),
        ("Seeds with figures", ", ".join(map(str, _seeds_measured(document))) or MISSING),
        ("Chatbot", document["chatbot"]),
        ("Commits", ", ".join(commit[:12] for commit in made["commits"]) or MISSING),
        ("Changes not committed", _dirty(made)),
        ("Hardware", "; ".join(made["hardware"]) or MISSING),
        ("Time", spent),
        ("Made", f"{first} to {last}" if first and last else MISSING),
        ("Packages", packages or "as the constraints file at these commits"),
    ]
    return Section(
        "How to reproduce",
        (
            (
                "The same command goes on where it stopped; finished parts are not done again. "
                "Give --out with a folder of your own to begin from nothing. Each part is a file "
                "of the folder of parts (--parts; of the results that the documentation shows, "
                "benchmarks/results/paper-small) and names its commit, date, machine, settings and "
                "seconds."
                f"{_judge_needs(document)}"
            ),
        ),
        (made_table("Where these figures come from", "What|+Value", facts, labels=2),),
        commands=(f"{document['command']} --out work/paper",),
    )


def _judge_needs(document: Document) -> str:
    return " The judge needs the extra: pip install 'saywhat[judge]'." if document["judges"] else ""


def _seeds_measured(document: Document) -> list[int]:
    """Give the seeds of the main chatbot's evaluations that are finished."""
    mine = [row for row in document["rows"] if row["part"].startswith("evaluate/main/")]
    return sorted({row["seed"] for row in mine})


def _dirty(made: Entry) -> str:
    if not made["commits"]:
        return MISSING
    return "yes, in at least one part" if made["dirty"] else "none"
