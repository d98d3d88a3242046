"""The part of the experiment's page on ablations, other chatbots and probes."""

from collections.abc import Iterator
from typing import Final

from saywhat.experiment.design import ABLATIONS
from saywhat.experiment.page.cells import (
    MISSING,
    Entry,
    counted_rate,
    difference_cell,
    find,
    made_table,
    mean_cell,
    measured_cell,
    null_cells,
    number_cell,
    rate_cell,
)
from saywhat.experiment.page.lookup import Document, pooled, reward, threshold_text
from saywhat.experiment.paper import LISTS
from saywhat.reports.pages import Section
from saywhat.reports.table import percent, score

CONTROLS: Final = ("constant-reward", "shuffled-reward")
"""Ablations whose reward says nothing of the target: they ought to lose."""
_PROBES: Final = ("should-not-change", "should-change", "contrast", "unrelated")


def ablations(document: Document) -> Section:
    """Give the ablations, and whether the negative controls lost."""
    found = {entry["name"]: entry for entry in document["ablations"]}
    absent = [name for name in ABLATIONS if name not in found]
    steps = sorted({entry["steps"] for entry in found.values() if entry["steps"]})
    scale = " or ".join(f"{number:,}" for number in steps) or MISSING
    lines = [
        (
            f"One seed, validation targets, and a shorter training than the main one: steps of "
            f"REINFORCE {scale}. Differences are to the baseline at the same scale, with the same "
            "search (no-rl: of the pre-trained generator against the trained one)."
        ),
        *(f"Negative control {name}: {_lost(found.get(name))}." for name in CONTROLS),
    ]
    if absent:
        lines.append(f"{MISSING.capitalize()}: {', '.join(absent)}.")
    training: list[tuple[str, ...]] = [
        (_marked(e["name"]), e["why"], number_cell(e, "steps"), score(e["validation_similarity"]),
         number_cell(e, "queries"), number_cell(e, "seconds", digits=1))
        for e in found.values()
    ]  # fmt: skip
    training += [(_marked(name), ABLATIONS[name].why, *[MISSING] * 4) for name in absent]
    results = [row for entry in found.values() for row in _ablation_rows(document, entry)]
    return Section(
        "Ablations",
        tuple(lines),
        (
            made_table(
                "The ablations",
                "Ablation|What changes|Steps|Validation similarity|Queries sent|Seconds",
                training,
                labels=2,
                note="n/e: nothing was trained.",
            ),
            made_table(
                "Their results",
                "Ablation|Method|List|n|Success|Mean similarity|Less the baseline|By the judge|"
                "Less the baseline|Null|Generic",
                results,
                labels=3,
                note=f"Success at {threshold_text(document)}. In brackets: the 95 % interval, of "
                "differences paired by target.",
            ),
        ),
    )


def _marked(name: str) -> str:
    return f"{name} (negative control)" if name in CONTROLS else name


def _ablation_rows(document: Document, entry: Entry) -> Iterator[tuple[str, ...]]:
    base = entry["name"] == "baseline"
    for method, found in entry["methods"].items():
        for name in LISTS:
            cell = found["list"].get(name)
            judge = None if cell is None else cell["judge"]
            judged = [
                mean_cell(judge, ends="mean_ci95"),
                "baseline" if base else difference_cell(judge),
            ]
            if cell is not None and judge is None:
                judged = [_no_judge(document)] * 2
            yield (
                _marked(entry["name"]),
                method,
                name,
                number_cell(cell, "targets"),
                MISSING if cell is None else counted_rate(cell["success"], cell["targets"]),
                mean_cell(cell, ends="mean_ci95"),
                "baseline" if base else difference_cell(cell),
                *judged,
                *null_cells(cell),
            )


def _no_judge(document: Document) -> str:
    return "the judge was the reward" if document["judges"] else "no judge"


def _lost(entry: Entry | None) -> str:
    """Say how a negative control fared, comparison by comparison."""
    if entry is None:
        return MISSING
    below = above = between = 0
    for found in entry["methods"].values():
        for cell in found["list"].values():
            if cell["ci95"] is None:
                continue
            low, high = cell["ci95"]
            below, above = below + (high < 0), above + (low > 0)
            between += low <= 0 <= high
    total = below + above + between
    if not total:
        return f"{MISSING} (no interval of its difference to the baseline)"
    verdict = "it lost" if below and not above else "it did not lose"
    return (
        f"{verdict}; of {total} comparisons with the baseline (method and list) it was below in "
        f"{below}, above in {above}, and not told apart in {between}"
    )


def chatbots(document: Document) -> Section:
    """Give the chatbots beside each other."""
    facts = [
        (
            bot["name"],
            ", ".join(f"{key} {value}" for key, value in (bot["size"] or {}).items()) or MISSING,
            number_cell(bot, "validation_perplexity", digits=1),
            number_cell(bot, "distinct_replies"),
            number_cell(bot, "pairs"),
            number_cell(bot, "queries"),
            number_cell(bot, "seconds", digits=1),
        )
        for bot in document["chatbots"]
    ]
    rows = [row for bot in document["chatbots"] for row in _chatbot_rows(document, bot)]
    return Section(
        "Other chatbots",
        (
            (
                "The same method from the start on other networks: a corpus, a generator and "
                "lists of their own each. Their targets differ, so compare methods within a "
                "chatbot."
            ),
        ),
        (
            made_table(
                "The chatbots",
                "Chatbot|Size|Perplexity|Distinct replies|Pairs|Queries sent|Seconds",
                facts,
                labels=2,
                note="Size and perplexity are of chatbots that this experiment trained; those of a "
                "built-in one stand in its card.",
            ),
            made_table(
                "Methods by chatbot, by the reward",
                "Chatbot|Method|List|n|Success|Mean similarity|Null|Generic",
                rows,
                labels=3,
                note=f"Success at {threshold_text(document)}. n: measured, of all. n/e: no target "
                "of this list can be measured so.",
            ),
        ),
    )


def _chatbot_rows(document: Document, bot: Entry) -> Iterator[tuple[str, ...]]:
    point = str(document["threshold"])
    for entry in bot["methods"]:
        whole = pooled(
            document, entry["method"], reward(document), entry["list"], "all", bot["name"]
        )
        rate = None if whole is None else whole["success"].get(point)
        yield (
            bot["name"],
            entry["method"],
            entry["list"],
            number_cell(entry, "targets") if whole is None else measured_cell(whole),
            percent(entry["success"]) if rate is None else rate_cell(rate),
            mean_cell(entry),
            *null_cells(entry),
        )


def probes(document: Document) -> Section:
    """Give how replies change with edits of the query."""
    names = list(dict.fromkeys(row["chatbot"] for row in document["probes"]))
    rows = []
    for name in names:
        for kind in _PROBES:
            entry = find(document["probes"], chatbot=name, kind=kind)
            rows.append(
                (
                    name,
                    kind,
                    number_cell(entry, "posts"),
                    number_cell(entry, "asked"),
                    mean_cell(entry, "similarity"),
                    "" if kind in _PROBES[2:] else rate_cell(entry, "unchanged", "unchanged_ci95"),
                )
            )
    return Section(
        "Probes: how replies change with small edits",
        (
            (
                "Posts are edited in ways that should not change a reply (a typing error, "
                "punctuation) and in ways that should (a negation, another word). Contrast: the "
                "similarity after the former less that after the latter. Unrelated: replies to "
                "different posts."
            ),
        ),
        (
            made_table(
                "Similarity of the reply after an edit to the reply before",
                "Chatbot|Edits|Posts|Queries|Similarity|Same reply",
                rows,
                labels=2,
                note="95 % intervals over posts.",
            ),
        ),
    )


def repeats(document: Document) -> Section:
    """Give what the best queries get when they are asked again."""
    rows = [
        (
            entry["chatbot"],
            entry["method"],
            entry["list"],
            number_cell(entry, "targets"),
            number_cell(entry, "queries"),
            mean_cell(entry, "found", "found_ci95"),
            mean_cell(entry, "again", "again_ci95"),
            difference_cell({**entry, "ci95": entry["difference_ci95"]}),
            rate_cell(entry, "success", "success_ci95"),
            rate_cell(entry, "success_again", "success_again_ci95"),
            rate_cell(entry, "kept", "kept_ci95"),
        )
        for entry in document["repeats"]
    ]
    times = sorted({entry["times"] for entry in document["repeats"]})
    asked = f"{' or '.join(map(str, times))} times" if times else "some times"
    return Section(
        "Asked again: how much was luck",
        (
            (
                "The best of many replies of a chatbot that draws them is partly a lucky draw. So "
                f"its best queries were asked {asked} more, with draws that selected nothing. The "
                "figures of such a chatbot elsewhere on this page are those of the draw that was "
                "kept. A method that asks one query selects nothing, and should come out as it "
                "was, give or take: targets that share a query share its draw, so intervals here "
                "are over queries, and those elsewhere are too narrow for such a chatbot."
            ),
        ),
        (
            made_table(
                "Similarity and success when found, and when asked again",
                "Chatbot|Method|List|n|Queries|Found|Again|Difference|Success when found|"
                "Success again|Of those elicited, again",
                rows,
                labels=3,
                note=f"Success at {threshold_text(document)}. 95 % intervals over queries. Success "
                "again: of all repeats, the share that reaches the threshold; the last column is "
                "over the targets that were elicited.",
            ),
        ),
    )
