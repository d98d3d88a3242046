"""The part of the experiment's page on other chatbots: methods, probes, and asking again."""

from collections.abc import Iterator
from typing import Final

from saywhat.experiment.page.cells import (
    MISSING,
    Entry,
    difference_cell,
    find,
    made_table,
    mean_cell,
    measured_cell,
    null_cells,
    number_cell,
    rate_cell,
)
from saywhat.experiment.page.lookup import NULLS, Document, point, pooled, reward, threshold_text
from saywhat.experiment.paper import LISTS
from saywhat.reports.pages import Section
from saywhat.reports.table import Table, percent

NOT_TRAINED: Final = "not trained here"
_PROBES: Final = ("should-not-change", "should-change", "contrast", "unrelated")


def chatbots(document: Document) -> Section:
    """Give the chatbots beside each other."""
    facts = [
        (
            bot["name"],
            *_of_card(document, bot),
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
                "chatbot. The one called sampling is the main chatbot's network; it draws its "
                "replies (their first words from the likelier ones only, as decoding.anti_lm_floor "
                "says), and does not pull away from generic ones: two changes at once."
            ),
            *_scale(document),
        ),
        (
            made_table(
                "The chatbots",
                "Chatbot|Size|Decoding|Perplexity|Distinct replies|Pairs|Queries sent|Seconds",
                facts,
                labels=3,
                note="Size, decoding and perplexity are of chatbots that this experiment made; "
                "those of another one stand in its card. Decoding: how it draws its words (greedy "
                "at temperature 0), and the weight that it pulls away from generic replies with.",
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


def _scale(document: Document) -> Iterator[str]:
    """Say how much smaller than the main one the other chatbots' experiments are."""
    main = [bot for bot in document["chatbots"] if bot["name"] == document["chatbot"]]
    rest = [bot for bot in document["chatbots"] if bot not in main]
    if not (main and rest):
        return

    def each(bots: list[Entry], key: str) -> str:
        known = sorted({bot[key] for bot in bots if bot[key] is not None})
        return " or ".join(f"{value:,}" for value in known) or "an unknown number of"

    yield (
        f"They are smaller in scale: {each(rest, 'steps')} steps of REINFORCE where the main "
        f"chatbot's generator has {each(main, 'steps')}, {each(rest, 'per_list')} targets of a "
        f"list where it has {each(main, 'per_list')}, {each(rest, 'seeds')} seed of the generator "
        f"where it has {each(main, 'seeds')}; and a chatbot that is trained here has "
        f"{each(rest, 'epochs')} epochs. What is not told apart here may be with more."
    )


def _of_card(document: Document, bot: Entry) -> tuple[str, str, str]:
    """Give a chatbot's size, decoding and perplexity, of its part if there is one."""
    if bot["size"] is None and bot["name"] == document["chatbot"]:
        return (NOT_TRAINED,) * 3
    size = ", ".join(f"{key} {value}" for key, value in (bot["size"] or {}).items())
    decoding = bot["decoding"]
    how = MISSING if decoding is None else (
        f"temperature {decoding['temperature']:g}, weight {decoding['anti_lm_weight']:g}"
    )  # fmt: skip
    return size or MISSING, how, number_cell(bot, "validation_perplexity", digits=1)


def _chatbot_rows(document: Document, bot: Entry) -> Iterator[tuple[str, ...]]:
    for entry in bot["methods"]:
        whole = pooled(
            document, entry["method"], reward(document), entry["list"], "all", bot["name"]
        )
        rate = None if whole is None else whole["success"].get(point(document))
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
                "punctuation) and in ways that should (a negation, other words). Contrast: the "
                "similarity after the former less that after the latter. Unrelated: replies to "
                "different posts. A chatbot that draws its replies changes them without any edit: "
                "its contrast is still one of edits, its similarities are not."
            ),
            (
                "The contrast is of unlike edits: capitals are no edit to a chatbot that reads all "
                "in lower case, and other-words replaces every content word. The second table "
                "gives each edit; between small ones a chatbot need not tell a meaning that "
                "changed from one that did not."
            ),
            *_negations(document),
        ),
        (
            made_table(
                "Similarity of the reply after an edit to the reply before",
                "Chatbot|Edits|Posts|Queries|Similarity|Same reply",
                rows,
                labels=2,
                note="95 % intervals over posts.",
            ),
            _by_edit(document),
        ),
    )


def _by_edit(document: Document) -> Table:
    rows = [
        (
            entry["chatbot"],
            entry["kind"],
            entry["edit"],
            number_cell(entry, "edits"),
            mean_cell(entry, "similarity"),
            rate_cell(entry, "unchanged", "unchanged_ci95"),
        )
        for entry in document["edits"]
    ]
    return made_table(
        "The same by edit",
        "Chatbot|Edits|Edit|n|Similarity|Same reply",
        rows,
        labels=3,
        note="95 % intervals over posts. n: edited posts; an edit does not fit every one.",
    )


def _negations(document: Document) -> Iterator[str]:
    """Say on how many chatbots a negation changes the reply less than punctuation does."""
    pairs = [
        (entry["similarity"], other["similarity"])
        for entry in document["edits"]
        if entry["edit"] == "negation"
        and (other := find(document["edits"], chatbot=entry["chatbot"], edit="punctuation"))
        and None not in (entry["similarity"], other["similarity"])
    ]
    if pairs:
        more = sum(negation > punctuation for negation, punctuation in pairs)
        yield (
            f"On {more} of {len(pairs)} chatbots the reply after a negation is nearer to the one "
            "before than the reply after a change of punctuation is."
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
            number_cell(entry, "elicited"),
            mean_cell(entry, "found", "found_ci95"),
            mean_cell(entry, "again", "again_ci95"),
            difference_cell({**entry, "ci95": entry["difference_ci95"]}),
            rate_cell(entry, "success", "success_ci95"),
            rate_cell(entry, "success_again", "success_again_ci95"),
            rate_cell(entry, "kept", "kept_ci95"),
            *null_cells(
                pooled(
                    document,
                    entry["method"],
                    reward(document),
                    entry["list"],
                    "all",
                    entry["chatbot"],
                )
            ),
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
                "was, give or take; retrieval asks none, and its reply was selected from the whole "
                "corpus. Targets that share a query share its draw, so intervals here "
                "are over queries, and those elsewhere are too narrow for such a chatbot. Where "
                "few queries serve many targets, these are too narrow as well: a single draw may "
                "move the mean."
            ),
            *_against_generic(document),
        ),
        (
            made_table(
                "Similarity and success when found, and when asked again",
                "Chatbot|Method|List|n|Queries|Elicited|Found|Again|Difference|"
                "Success when found|Success again|Of those elicited, again|Null|Generic",
                rows,
                labels=3,
                note=f"Success at {threshold_text(document)}. 95 % intervals over queries. Success "
                "again: of all repeats, the share that reaches the threshold; of those elicited: "
                f"over these targets alone. {NULLS}",
            ),
        ),
    )


def _against_generic(document: Document) -> Iterator[str]:
    """Say how many figures, asked again, are above what one reply said always would get."""
    for name in LISTS:
        rows = [entry for entry in document["repeats"] if entry["list"] == name]
        pairs = [
            (entry["again"], best)
            for entry in rows
            if (whole := pooled(document, entry["method"], reward(document), name, "all",
                                entry["chatbot"])) is not None
            and (best := whole["generic_best"]) is not None and entry["again"] is not None
        ]  # fmt: skip
        if pairs:
            above = sum(again > best for again, best in pairs)
            yield (
                f"Asked again, {above} of {len(pairs)} methods on {name.capitalize()} are above "
                "what the best frequent reply of each length would score if it were said whatever "
                "is asked."
            )
