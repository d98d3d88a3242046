"""The part of the experiment's page that stands beside the paper: claims, and its two tables."""

from collections.abc import Sequence

from saywhat.experiment.design import UNGUIDED
from saywhat.experiment.page.cells import (
    MISSING,
    Entry,
    find,
    made_table,
    mean_cell,
    measured_cell,
    null_cells,
)
from saywhat.experiment.page.lookup import (
    NULLS,
    Document,
    kind,
    methods,
    pooled,
    reward,
    similarities,
)
from saywhat.experiment.paper import GAIN, LENGTHS, LISTS, RAW, TABLE_1, TABLE_2
from saywhat.reports.pages import Section
from saywhat.reports.table import NOT_ESTIMABLE, Table, score


def introduction(document: Document) -> Section:
    """Say what the page is, and how complete."""
    parts = document["parts"]
    missing = parts["missing"]
    complete = f"{parts['finished']:,} of {parts['total']:,} parts are finished" + (
        f"; {len(missing):,} are missing." if missing else "."
    )
    lines = [
        (
            'The experiment of Liu, Derr, Liu and Tang (2019), "Say What I Want: Towards the '
            'Dark Side of Neural Dialogue Models", done again with saywhat, and beyond it: '
            "other searches, ablations, other chatbots, and what an attack with the weights in "
            f'hand can reach. {complete} What no finished part measures reads "{MISSING}".'
        ),
    ]
    if "tiny" in str(document["name"]):
        lines.append("This run only shows that every stage works: its figures mean nothing.")
    table = made_table("Parts that are missing", "Part|Which|Number", _by_kind(missing), labels=2)
    return Section("What this is", tuple(lines), (table,) if missing else ())


def _by_kind(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Put the parts of one kind in a row: where they are, their last names, how many."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        place, _, last = name.rpartition("/")
        kinds.setdefault(place, []).append(last)
    return [(place, ", ".join(last), f"{len(last):,}") for place, last in kinds.items()]


def claims(document: Document) -> Section:
    """Give the paper's claims with their verdicts."""
    rows = [(c["claim"], c["verdict"], c["figure"], c["rule"]) for c in document["claims"]]
    return Section(
        "The paper's claims",
        (
            (
                "The rules are in the code and the same for every run. They were written before "
                "the figures of the preset small, though not before the first results on the "
                "built-in chatbot. Since then they were changed, mostly to be stricter: a bar (a "
                "rate, half of the targets) that random queries reach is no test, and neither are "
                "queries that are more ordinary than people's; intervals are of seeds as well; a "
                "gain must lie at the paper's number with its whole interval; on other chatbots "
                "what is not told apart decides nothing. Lengths in which a perfect score would "
                "not reach the paper's gain, or in which unrelated replies score high, are left "
                "out: that can help. Two claims were added, the one on the real inputs' scores "
                "and the one on the agent."
            ),
            (
                "A comparison of two methods says what it names and no more. Beside one of many "
                "queries with a single one stands by how much as many random ones are above it. "
                "Claims on methods are judged by the reward, which all of them were selected by; "
                "claims on sizes that the paper prints are judged by its raw similarity."
            ),
        ),
        (made_table("Claims and verdicts", "+Claim|Verdict|+Figures|+Rule", rows, labels=4),),
    )


def table_1(document: Document) -> Section:
    """Give average similarity on the Real list, ours and the paper's side by side."""
    ordered = sorted(similarities(document), key=lambda name: name != RAW)
    return Section(
        "Table 1: average similarity on Real",
        (
            (
                "The paper's numbers are raw embedding averages with other vectors on other "
                "targets. They stand beside every similarity, and can be compared with ours in "
                "direction, not in size."
            ),
        ),
        (*(_table_1(document, similarity) for similarity in ordered), _by_seed(document)),
    )


def _table_1(document: Document, similarity: str) -> Table:
    rows = []
    for method in methods(document):
        for place, length in enumerate(LENGTHS):
            entry = pooled(document, method, similarity, "real", length)
            published = f"{TABLE_1[method][place]:.3f}" if method in TABLE_1 else "not in the paper"
            rows.append(
                (method, length, measured_cell(entry), mean_cell(entry), published,
                 *null_cells(entry))
            )  # fmt: skip
    return made_table(
        f"Average similarity, real targets, by {kind(document, similarity)}",
        "Method|Words|n|Ours|The paper's|Null|Generic",
        rows,
        labels=2,
        note=f"In brackets the 95 % interval. n: measured, of all. {NULLS}",
    )


def _by_seed(document: Document) -> Table:
    """Give each seed's mean by itself: how much of a difference is a seed's luck."""
    rows = []
    for method in methods(document):
        for name in LISTS:
            cells = [_seed_mean(document, method, name, seed) for seed in document["seeds"]]
            rows.append((method, name, *cells))
    return made_table(
        f"Average similarity of each seed, all lengths, by {kind(document, reward(document))}",
        "|".join(["Method", "List", *(f"Seed {seed}" for seed in document["seeds"])]),
        rows,
        labels=2,
        note="Over measured targets; their number in brackets. Methods that no generator guides "
        "have one seed.",
    )


def _seed_mean(document: Document, method: str, name: str, seed: int) -> str:
    part = f"evaluate/main/seed-{seed}/{method}"
    rows = [
        row
        for row in document["rows"]
        if (row["part"], row["similarity"], row["list"]) == (part, reward(document), name)
    ]
    if not rows:
        return "one seed only" if _is_unguided(document, method) else MISSING
    measured = sum(row["measured"] for row in rows)
    if not measured:
        return NOT_ESTIMABLE
    total = sum(row["mean_similarity"] * row["measured"] for row in rows if row["measured"])
    return f"{score(total / measured)} ({measured:,})"


def _is_unguided(document: Document, method: str) -> bool:
    """Say whether a method was done, and is one that has no generator and so one seed."""
    done = any(row["method"] == method for row in document["rows"])
    return done and method in {each.name for each in UNGUIDED}


def gains(document: Document) -> Section:
    """Give by how much the best method is above the real inputs."""
    rows = []
    for similarity in similarities(document):
        for length in LENGTHS:
            entry = find(document["gains"], similarity=similarity, length=length)
            best = pooled(document, "rl-beam-200", similarity, "real", length)
            rows.append(
                (
                    kind(document, similarity),
                    length,
                    measured_cell(best),
                    MISSING if entry is None else score(entry["real_input"]),
                    MISSING if entry is None else score(entry["mean"]),
                    _gain(entry),
                    _percentage(entry, "ceiling_percent"),
                    f"{GAIN[length]:+.1f}%" if similarity == RAW else "not of this similarity",
                )
            )
    table = made_table(
        "rl-beam-200 against real-input, real targets",
        "Similarity|Words|n|Real input|rl-beam-200|Our gain|Perfect score's gain|The paper's gain",
        rows,
        labels=2,
        note="Gain: of the mean, with its 95 % interval, of targets and of seeds where there are "
        "several. No interval, or n/e: the real inputs' mean may not be, or is not, above 0, so "
        "that a ratio says nothing. A gain in percent depends on where a similarity has its zero: "
        "the paper's stand beside its own similarity alone.",
    )
    text = (
        'The paper: "the similarity is improved by 41.5%, 34.0% and 28.3%". The gain of a perfect '
        "score is the ceiling: no method can be above it."
    )
    return Section("Gains over the real inputs", (text,), (table,))


def _percentage(entry: Entry | None, key: str) -> str:
    if entry is None:
        return MISSING
    return NOT_ESTIMABLE if entry[key] is None else f"{entry[key]:+.1f}%"


def _gain(entry: Entry | None) -> str:
    written = _percentage(entry, "percent")
    ends = None if entry is None else entry["ci95"]
    return f"{written} ({ends[0]:+.1f} to {ends[1]:+.1f}%)" if ends else written


def table_2(document: Document) -> Section:
    """Give example cases: the paper's, and ours."""
    theirs = [(q, t, r, f"{s:g}") for q, t, r, s in TABLE_2]
    ours = [
        (e["query"], e["target"], e["reply"], score(e["similarity"]), e["method"],
         f"{e['list']} {e['length']}")
        for e in document["examples"]
    ]  # fmt: skip
    titles = "*Query|*Target|*Reply|Similarity"
    return Section(
        "Table 2: example cases",
        (
            (
                "Ours are elicited targets of the first seed, drawn by a hash of the target: "
                "none was picked for its looks. The paper does not say how its own were chosen."
            ),
        ),
        (
            made_table("The paper's", titles, theirs, labels=3),
            made_table("Ours", f"{titles}|Method|Targets", ours, labels=3),
        ),
    )


def chance(document: Document) -> Section:
    """Give what unrelated and generic replies score."""
    rows = []
    for similarity in similarities(document):
        for name in LISTS:
            for length in LENGTHS:
                entry = find(
                    [e for e in document["pooled"] if e["null_mean"] is not None],
                    chatbot=document["chatbot"], similarity=similarity, list=name, length=length,
                )  # fmt: skip
                rows.append((kind(document, similarity), name, length, *null_cells(entry)))
    table = made_table(
        "Null and generic replies by similarity", "Similarity|List|Words|Null|Generic", rows,
        labels=3, note=NULLS,
    )  # fmt: skip
    return Section(
        "What chance scores",
        (
            (
                "A mean or a threshold near these numbers is no skill. For a method of 200 queries "
                "that is not enough: its floor is the best of 200 random queries, random-200."
            ),
        ),
        (table,),
    )
