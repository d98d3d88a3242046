"""The composition root: an audit from settings to report, in order, on one page.

    settings -> chatbot, behind the ledger -> targets -> search -> attempts -> findings -> summary
    -> report

Everything is made here and handed on; nothing below knows where its parts come from.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from saywhat.config import AuditSettings
from saywhat.errors import (
    BudgetError,
    InconclusiveError,
    SetupError,
    UnreachableError,
)
from saywhat.evaluation.findings import finding
from saywhat.evaluation.success import success_against_queries
from saywhat.evaluation.tables import check_asked, summarise, with_null
from saywhat.inputs import (
    load_generator,
    load_reference,
    load_similarity,
    load_targets,
    unmeasurable,
)
from saywhat.interfaces import Chatbot, OneShotSearch, Search, Similarity
from saywhat.ledger import Counts, Ledger, LedgeredChatbot, Limits
from saywhat.planning import GUIDED, plan_of
from saywhat.records import PHASES, Attempt, Finding, Pair, Target
from saywhat.registry import open_chatbot
from saywhat.reports.html import build_report
from saywhat.rng import derive_seed
from saywhat.runs import RunFolder, Status
from saywhat.search import SearchParts, make_search, run_search
from saywhat.similarity import CentredEmbeddingAverage, save_centre
from saywhat.similarity.null import null_scores


@dataclasses.dataclass(frozen=True)
class AuditResult:
    """What an audit leaves: the run folder's path, the summary and the findings."""

    folder: Path
    summary: dict[str, Any]
    findings: list[Finding]


@dataclasses.dataclass(frozen=True)
class AuditReports:
    """Who is told of progress, and how much is written down.

    Attributes:
        begin: is told the plan, in one line.
        target: each finding with (done, total).
        sent: the number of queries of each batch that left.
        listener: given the similarity, gives who is told of each query and reply as they come.
        page: whether ``report.html`` is written; its figures take longer than a small audit.
    """

    begin: Callable[[str], None] = lambda _: None
    sent: Callable[[int], None] = lambda _: None
    listener: Callable[[Similarity], Callable[[str, str], None] | None] = lambda _: None
    target: Callable[[Finding, int, int], None] = lambda *_: None
    page: bool = True


@dataclasses.dataclass(frozen=True)
class _Parts:
    """Everything an audit is made of."""

    targets: list[Target]
    reference: list[Pair]
    similarity: Similarity
    search: Search
    reasons: dict[str, str]


def audit(
    settings: AuditSettings,
    *,
    root: Path = Path("runs"),
    out: Path | None = None,
    reports: AuditReports | None = None,
    chatbot: Chatbot | None = None,
) -> AuditResult:
    """Ask a chatbot to say each target, and report what it took.

    The same settings again resume an unfinished run. A run that a budget ends is a valid partial
    result: targets that were not reached are *unmeasured*.

    Args:
        settings: of the run.
        root: where run folders are made.
        out: exactly this folder instead.
        reports: who is told of progress.
        chatbot: asked instead of the one that the settings name.

    Raises:
        SetupError: the settings name something that cannot be used; nothing was asked.
        UnreachableError: the chatbot kept failing; the run folder has what was measured until then.
        InconclusiveError: not one target could be measured; the run folder has the reasons.
    """
    parts = _make(settings)
    plain = settings.model_dump(mode="json")
    name = settings.search.method
    with contextlib.ExitStack() as open_things:
        chatbot = open_things.enter_context(
            open_chatbot(
                chatbot or settings.chatbot, connection=settings.connection, model=settings.model
            )
        )
        folder = open_things.enter_context(
            RunFolder.at(out, name, plain, seed=settings.seed)
            if out
            else RunFolder.open_or_resume(root, name, plain, seed=settings.seed)
        )
        ledger = open_things.enter_context(
            Ledger(folder.file("ledger.sqlite"), Limits.of(settings.limits))
        )
        _same_chatbot(folder, chatbot)
        return _run(settings, parts, chatbot, folder, ledger, reports or AuditReports())


def _same_chatbot(folder: RunFolder, chatbot: Chatbot) -> None:
    """Note whose run this is.

    Raises:
        SetupError: it was begun with another chatbot: half of each would be the result of neither.
    """
    before = folder.run.get("chatbot")
    now = {"name": chatbot.name, "fingerprint": chatbot.fingerprint}
    if folder.resumed and before and before != now:
        raise SetupError(
            f"{folder.path} was begun with a chatbot that has changed since (its fingerprint was "
            f"{before.get('fingerprint', '')[:12]}, now {now['fingerprint'][:12]}). Give another "
            "--out or --seed to begin anew, or bring the chatbot back."
        )
    folder.annotate(chatbot=now)


def _run(
    settings: AuditSettings,
    parts: _Parts,
    chatbot: Chatbot,
    folder: RunFolder,
    ledger: Ledger,
    reports: AuditReports,
) -> AuditResult:
    if isinstance(parts.similarity, CentredEmbeddingAverage):
        save_centre(parts.similarity.centre, folder.file("centre.npy"))
    plan = plan_of(settings, parts.targets, chatbot=chatbot, without=parts.reasons)
    reports.begin(
        f"Auditing {chatbot.name} · {len(parts.targets):,} targets · {settings.search.method} · "
        f"{plan.at_most} · seed {settings.seed}"
        f"{' · resumed' if folder.resumed else ''} · {folder.path}"
    )
    asker = ledger.chatbot(
        chatbot,
        phase="search",
        attempts=settings.limits.attempts,
        on_sent=reports.sent,
        on_reply=reports.listener(parts.similarity),
    )
    findings, attempts, stopped = _search(settings, parts, asker, folder, reports)
    real: list[Finding] = []
    if not stopped:
        real, stopped = _real_input(settings, parts, ledger, chatbot)
    status: Status = "partial" if stopped else "complete"
    counts = ledger.counts()
    summary = _summarise(settings, parts, findings, counts, attempts, status, chatbot.name)
    if real:
        rng = np.random.default_rng(derive_seed(settings.seed, "real-input"))
        table = _table(settings, real, rng, chatbot.name, "real-input")
        summary["real_input"] = table["groups"]
    folder.write_jsonl("findings.jsonl", findings)
    folder.write_json("summary.json", summary)
    folder.finish(status)
    if reports.page:
        folder.write_text("report.html", report(summary, findings, folder.run, attempts))
    if isinstance(stopped, UnreachableError):
        raise UnreachableError(f"{stopped} What was measured is in {folder.path}.")
    if not any(found.outcome != "unmeasured" for found in findings):
        reasons = sorted({" ".join(found.reason.split()) for found in findings})
        more = [f"and {len(reasons) - 3:,} more reasons"] if len(reasons) > 3 else []
        raise InconclusiveError(
            f"None of the {len(findings)} targets could be measured "
            f"({'; '.join(reasons[:3] + more)}). See {folder.path}."
        )
    return AuditResult(folder.path, summary, findings)


def _make(settings: AuditSettings) -> _Parts:
    similarity = load_similarity(settings.similarity)
    targets = load_targets(settings.targets, limit=settings.limit)
    method = settings.search.method
    reference = load_reference(settings.reference)
    generator = load_generator(settings.generator) if method in GUIDED else None
    reasons = unmeasurable(targets, similarity)
    search = make_search(method, SearchParts(similarity, generator, reference), settings.search)
    return _Parts(targets, reference, similarity, search, reasons)


def _search(
    settings: AuditSettings,
    parts: _Parts,
    chatbot: LedgeredChatbot,
    folder: RunFolder,
    reports: AuditReports,
) -> tuple[list[Finding], list[list[Attempt]], BudgetError | UnreachableError | None]:
    """Search all measurable targets; goes on from the attempts that an earlier run left."""
    threshold = settings.similarity.threshold
    wanted = [target for target in parts.targets if target.text not in parts.reasons]
    done: dict[str, list[Attempt]] = {}
    stopped: BudgetError | UnreachableError | None = None
    with folder.attempts() as log:
        # only targets that share a call of the ledger are cut together
        size = settings.search.batch_targets if isinstance(parts.search, OneShotSearch) else 1
        for attempt in log.recover():
            done.setdefault(attempt.target, []).append(attempt)
        whole = len(done) // size * size if len(done) < len(wanted) else len(done)
        # a batch that was cut in the middle is asked again, from the ledger: every total stays
        # what it would have been
        again = {target.text for target in wanted[whole:]}
        log.recover(lambda attempts: attempts[0].target not in again)
        done = {text: attempts for text, attempts in done.items() if text not in again}
        runs: Iterator[tuple[Target, list[Attempt]]] = run_search(
            parts.search,
            wanted,
            chatbot,
            parts.similarity,
            budget=settings.search.budget,
            seed=settings.seed,
            batch_targets=size,
            first=whole,
        )
        try:
            for number, (target, attempts) in enumerate(runs, start=whole + 1):
                log.append(attempts)
                done[target.text] = attempts
                reports.target(finding(target, attempts, threshold=threshold), number, len(wanted))
        except (BudgetError, UnreachableError) as error:
            stopped = error
    findings = []
    for target in parts.targets:
        reason = parts.reasons.get(target.text, "")
        # without a query no block is written, and a run that is opened again does not know of it
        if not reason and stopped is not None and target.text not in done:
            reason = f"not asked: {stopped}"
        found = finding(target, done.get(target.text, []), threshold=threshold, reason=reason)
        findings.append(found)
    return findings, [done.get(target.text, []) for target in parts.targets], stopped


def _summarise(
    settings: AuditSettings,
    parts: _Parts,
    findings: Sequence[Finding],
    counts: dict[str, Counts],
    attempts: Sequence[Sequence[Attempt]],
    status: str,
    chatbot: str,
) -> dict[str, Any]:
    rng = np.random.default_rng(derive_seed(settings.seed, "intervals"))
    summary = summarise(
        findings,
        counts=query_counts(counts),
        chatbot=chatbot,
        method=settings.search.method,
        similarity=settings.similarity.name,
        threshold=settings.similarity.threshold,
        status=status,
        rng=rng,
    )
    check_asked(summary)
    # the null: what this chatbot says anyway. Ordinary replies if they are known, else what the
    # search got
    replies = [pair.reply for pair in parts.reference] or [
        attempt.reply for group in attempts for attempt in group if attempt.reply
    ]
    texts = [target.text for target in parts.targets]
    null = null_scores(parts.similarity, texts, replies=replies, rng=rng)
    return {**with_null(summary, null), "budget": settings.search.budget, "seed": settings.seed}


def _real_input(
    settings: AuditSettings, parts: _Parts, ledger: Ledger, chatbot: Chatbot
) -> tuple[list[Finding], BudgetError | UnreachableError | None]:
    """Ask the human query before each target that has one (Table 1), in phase ``verify``."""
    targets = [t for t in parts.targets if t.query and t.text not in parts.reasons]
    if not targets or not settings.search.real_input or parts.search.name == "real-input":
        return [], None
    search = make_search("real-input", SearchParts(parts.similarity))
    asker = ledger.chatbot(chatbot, phase="verify", attempts=settings.limits.attempts)
    try:
        asked = list(
            run_search(
                search,
                targets,
                asker,
                parts.similarity,
                budget=1,
                seed=settings.seed,
                batch_targets=256,
            )
        )
    except (BudgetError, UnreachableError) as error:
        return [], error
    threshold = settings.similarity.threshold
    return [finding(target, attempts, threshold=threshold) for target, attempts in asked], None


def _table(
    settings: AuditSettings,
    findings: Sequence[Finding],
    rng: np.random.Generator,
    chatbot: str,
    method: str,
) -> dict[str, Any]:
    asked = sum(found.asked for found in findings)
    return summarise(
        findings,
        counts={"asked": asked, "unique": asked, "sent": asked, "by_phase": {"verify": asked}},
        chatbot=chatbot,
        method=method,
        similarity=settings.similarity.name,
        threshold=settings.similarity.threshold,
        status="complete",
        rng=rng,
    )


def report(
    summary: dict[str, Any],
    findings: Sequence[Finding],
    run: dict[str, Any],
    attempts: Sequence[Sequence[Attempt]],
) -> str:
    """Write the HTML report of a run: both curves, and the real inputs beside it."""
    baseline = [
        {"chatbot": summary["chatbot"], "method": "real-input", "null_mean": None, **group}
        for group in summary.get("real_input", [])
    ]
    groups: dict[tuple[str, str], list[Sequence[Attempt]]] = {}
    for found, asked in zip(findings, attempts, strict=True):
        groups.setdefault((found.list, found.length), []).append(asked)
    most = max((found.asked for found in findings), default=0)
    steps = sorted({n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if n <= most} | {most})
    curves = {
        summary["method"]: {
            group: success_against_queries(members, steps, threshold=summary["threshold"])
            for group, members in groups.items()
        }
    }
    return build_report(
        summary, findings, run, query_curves=curves if most > 1 else None, baselines=baseline
    )


def query_counts(counts: dict[str, Counts]) -> dict[str, Any]:
    """Give the three counts of design section 6 in total, and asked, unique and sent by phase."""
    # what an interrupted phase had sent stays paid for, also when it has not begun again
    used = {p: counts[p] for p in PHASES if p in counts and counts[p] != Counts()}
    return {
        "asked": sum(c.asked for c in used.values()),
        "unique": sum(c.unique for c in used.values()),
        "sent": sum(c.sent for c in used.values()),
        "by_phase": {phase: c.asked for phase, c in used.items()},
        "detail": {phase: dataclasses.asdict(c) for phase, c in used.items()},
    }
