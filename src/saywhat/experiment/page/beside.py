"""The part of the experiment's page that goes beyond the paper's tables, on the main chatbot."""

from collections.abc import Sequence
from typing import Final

from saywhat.experiment.page.cells import (
    MISSING,
    Entry,
    counted_rate,
    difference_cell,
    find,
    made_table,
    mean_cell,
    null_cells,
    number_cell,
    rate_cell,
)
from saywhat.experiment.page.lookup import (
    HELD_OUT_NOTE,
    Document,
    exact_text,
    reward,
    threshold_text,
)
from saywhat.reports.pages import Section
from saywhat.reports.table import percent, score

NO_TEST: Final = "no test"


def comparisons(document: Document) -> Section:
    """Give the paired comparisons of methods."""
    rows = [
        (
            entry["a"],
            entry["b"],
            entry["similarity"],
            entry["list"],
            f"{entry['targets']:,}",
            difference_cell(entry),
            *_test_cells(entry["mcnemar"]),
        )
        for entry in document["comparisons"]
    ]
    table = made_table(
        "Difference of mean similarity, a less b",
        "a|b|Similarity|List|n|a less b|Only a/only b|McNemar p|Holm p",
        rows,
        labels=4,
        note="In brackets the paired 95 % bootstrap interval, of targets and of seeds where there "
        "are several. Only a: "
        f"targets that a elicited at {threshold_text(document)} and b did not, seed by seed. "
        "McNemar's exact test of each seed; p is the largest, and 1 if the seeds point different "
        "ways: small where every seed differs. Holm's correction is over all tests of this table. "
        "No test by the paper's raw average unless it is the reward: the threshold is that one's.",
    )
    return Section("Methods compared on the same targets", (), (table,))


def _test_cells(test: Entry | None) -> tuple[str, str, str]:
    if test is None:
        return NO_TEST, NO_TEST, NO_TEST
    sides = zip(test["only_a"], test["only_b"], strict=True)
    counts = ", ".join(f"{a:,}/{b:,}" for a, b in sides)
    return counts, f"{test['p']:.2g}", f"{test['p_holm']:.2g}"


def _means(entry: Entry) -> tuple[str, str]:
    return rate_cell(entry, "success"), mean_cell(entry, "mean", "mean_ci95")


def _exact(method: str, entry: Entry) -> str:
    return exact_text(method, entry["exact"], counted_rate(entry["exact"], entry["targets"]))


def budgets(document: Document) -> Section:
    """Give the searches at every budget."""
    rows = [
        (
            entry["search"],
            f"{entry['budget']:,}",
            entry["list"],
            number_cell(entry, "targets"),
            *_means(entry),
            _exact(entry["search"], entry),
            *_chance(document, entry["list"]),
        )
        for entry in document["budgets"]
    ]
    return Section(
        "Searches by budget",
        (f"Success at {threshold_text(document)} by the reward; one seed.",),
        (
            made_table(
                "Searches with the same queries a target",
                "Search|Budget|List|n|Success|Mean similarity|Word for word|Null|Generic",
                rows,
                labels=3,
                note=HELD_OUT_NOTE,
            ),
        ),
    )


def _chance(document: Document, name: str) -> tuple[str, str]:
    """Give chance on a list under the reward."""
    known = [
        entry
        for entry in document["pooled"]
        if entry["length"] == "all" and entry["null_mean"] is not None
    ]
    wanted = {"chatbot": document["chatbot"], "similarity": reward(document), "list": name}
    return null_cells(find(known, **wanted))


def agent(document: Document) -> Section:
    """Give the agent that is retrained for each target."""
    rows = [
        (
            entry["method"],
            entry["list"],
            number_cell(entry, "queries_per_target", digits=1),
            number_cell(entry, "targets"),
            *_means(entry),
            *_chance(document, entry["list"]),
        )
        for entry in document["agent"]
    ]
    return Section(
        "The language-model agent",
        (
            (
                "A language model that is retrained for each target by what the chatbot replies "
                "(the paper's Section 3.2). The other searches are shown on the agent's own "
                "targets only."
            ),
        ),
        (
            made_table(
                "The agent and the other searches, same targets",
                "Method|List|Queries a target|n|Success|Mean similarity|Null|Generic",
                rows,
                labels=2,
            ),
        ),
    )


def oracle(document: Document) -> Section:
    """Give what is reachable at all."""
    found = document["oracle"]
    text = (
        "A search that sees the chatbot's weights. It is a bound and never a competitor: what it "
        "reaches, word for word, is reachable. Generated targets are replies of this chatbot, so "
        "all of them are. What its decoder can never write, for a word that it does not know or "
        "for length, is proven out of reach and was not searched for; what is not found may be "
        f"reachable still. Success of the others is at {threshold_text(document)}: near a target "
        "is easier than saying it."
    )
    reached = [
        (
            name,
            number_cell(entry, "targets"),
            number_cell(entry, "reachable"),
            number_cell(entry, "unwritable"),
            rate_cell(entry),
        )
        for name, entry in (found["by_list"] if found else {}).items()
    ]
    strata = [
        (
            entry["method"],
            entry["list"],
            entry["stratum"],
            number_cell(entry, "targets"),
            counted_rate(entry["success"], entry["targets"]),
            _exact(entry["method"], entry),
            *_chance(document, entry["list"]),
        )
        for entry in (found["strata"] if found else [])
    ]
    cost = (
        f"It cost {found['asked']:,} queries, {found['passes']:,} forward passes and "
        f"{found['gradients']:,} gradients in all."
        if found
        else f"Its cost: {MISSING}."
    )
    return Section(
        "The oracle: a lower bound of what is reachable",
        (text, cost),
        (
            made_table(
                "Targets that the oracle reached",
                "List|n|Reached|Cannot be written|Share reached",
                reached,
                note="Wilson's 95 % interval.",
            ),
            made_table(
                "Black-box methods by what the oracle reached",
                "Method|List|Oracle|n|Success|Word for word|Null|Generic",
                strata,
                labels=3,
                note="First seed; Wilson's 95 % interval: of a handful of targets it says little. "
                f"n/e: no such target. {HELD_OUT_NOTE}",
            ),
        ),
    )


def keywords(document: Document) -> Section:
    """Give how often a reply held keywords."""
    rows = [
        (
            entry["method"],
            entry["keywords"],
            number_cell(entry, "targets"),
            rate_cell(entry, "success"),
            *(number_cell(entry, key, digits=3) for key in ("null_mean", "generic_best")),
        )
        for entry in document["keywords"]
    ]
    return Section(
        "Keywords",
        (
            (
                "A target here is one to three words: success is a reply that holds all of them. "
                "Seed 1; the generators were trained for whole sentences and not for this goal."
            ),
        ),
        (
            made_table(
                "Replies that hold every keyword",
                "Method|Keywords|n|Success|Null|Generic",
                rows,
                labels=2,
                note="Up to 50 queries a target; retrieval asks none. Null: the share of unrelated "
                "replies that hold the words. Generic: the share of targets whose words the best "
                "frequent reply holds.",
            ),
        ),
    )


def queries(document: Document) -> Section:
    """Give how ordinary the queries are, and what they copy."""
    rows = [_query_row(entry) for entry in document["queries"]]
    people = find(document["queries"], method="human")
    rows += [] if people else [("human", "", "all", *[MISSING] * 6)]
    auc = None if people is None else people["shuffle_auc"]
    return Section(
        "Queries: fluency and copying, against people's",
        (
            (
                "Ordinariness: the mean percentile of a query among people's posts of similar "
                "length under a language model of held-out posts; 0.5 is as ordinary as a "
                "person's post. Words, content words: the share of the target's that the query "
                "already holds. Contained: queries that hold the whole target. For people, the "
                "target is what was said next."
            ),
            "How well the language model tells people's posts from the same words shuffled (AUC): "
            + (MISSING if auc is None else f"{auc:.3f}; 0.5 is not at all, 1 always."),
        ),
        (
            made_table(
                "The best query of each target, means over seeds",
                "Method|List|Of|n|Perplexity|Ordinariness|Words|Content words|Contained",
                rows,
                labels=3,
                note="Elicited: only of targets that were. n/e: no such query.",
            ),
        ),
    )


def _query_row(entry: Entry) -> Sequence[str]:
    perplexity = entry["perplexity"]
    return (
        entry["method"],
        entry["list"] or "",
        entry["of"],
        number_cell(entry, "queries", digits=1),
        "n/e" if perplexity is None else f"{perplexity:,.1f}",
        score(entry["ordinariness"]),
        *(percent(entry[key]) for key in ("words", "content", "contained")),
    )


def costs(document: Document) -> Section:
    """Give what was asked in each phase, and how long it took."""
    asked = [
        (e["phase"], e["chatbot"], *(number_cell(e, key) for key in ("asked", "unique", "sent")))
        for e in document["phases"]
    ]
    times = [
        (e["kind"], number_cell(e, "parts"), number_cell(e, "seconds", digits=1))
        for e in document["times"]
    ]
    bills = [
        (
            e["method"],
            number_cell(e, "before"),
            number_cell(e, "a_target", digits=1),
            number_cell(e, "targets"),
            MISSING if e["before"] is None else f"{e['before'] + e['search']:,.0f}",
        )
        for e in document["bills"]
    ]
    return Section(
        "Queries by phase, and time",
        (),
        (
            made_table(
                "What one attack on the main chatbot asks for",
                "Method|Queries before any target|Queries a target|Targets|In all",
                bills,
                note="Means over seeds. Before any target: sent for the reference corpus and by "
                "REINFORCE; random-N needs posts alone. A target: asked, whether the cache knew "
                "the answer or not; over all targets, also those that cannot be asked for.",
            ),
            made_table(
                "Queries by phase",
                "Phase|Chatbot|Asked|Unique|Sent",
                asked,
                labels=2,
                note="Of all seeds, ablations and searches together. Asked: answered from the "
                "cache or not. Unique: not answered before in the same ledger; parts that can run "
                "apart keep ledgers of their own, so a query may count in several. Sent: left for "
                "the chatbot, retries included.",
            ),
            made_table(
                "Time by kind of part",
                "Kind|Parts finished|Seconds",
                times,
                note="Summed over parts. Parts may run side by side, and one that shared its core "
                "or stood still took longer.",
            ),
        ),
    )
