"""What an audit would do, worked out before it asks anything: from settings and targets alone.

``audit`` takes the bound of its first line from here, ``saywhat check`` and ``audit --dry-run``
their plan. No weights are loaded and nothing is sent.
"""

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

from saywhat.config import AuditSettings, LimitSettings
from saywhat.errors import NoReferenceError, SetupError, UnknownNameError
from saywhat.inputs import load_similarity, load_targets, unmeasurable
from saywhat.interfaces import Chatbot, ConcurrentChatbot
from saywhat.records import Target
from saywhat.registry import names, open_chatbot
from saywhat.runs.provenance import masked
from saywhat.text.amounts import count
from saywhat.text.normalise import word_count

GUIDED: Final = frozenset({"greedy", "beam", "sampling", "diverse-beam"})
"""Searches that need a generator."""
FROM_REFERENCE: Final = frozenset({"retrieval", "random", "rnn-agent"})
"""Searches that need a reference corpus."""
# searches that never ask as much as the budget allows -> what they ask for a target at most
_ASKS_LESS: Final[Mapping[str, int]] = {"greedy": 1, "retrieval": 0}
# models in this process, which are named by their spec: loading the weights would tell no more
_HELD: Final = frozenset({"builtin", "seq2seq", "transformers", "parlai"})


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What an audit would ask at most, if nothing interrupts it.

    Attributes:
        chatbot: its name.
        spec: how the settings name it, without credentials.
        concurrency: queries that wait for it at once; ``None`` if it answers batches.
        method: the search.
        budget: queries for each target at most.
        similarity: how replies are compared with targets.
        threshold: the similarity that counts as elicited.
        seed: of everything that draws.
        limits: hard limits.
        groups: list and length -> targets, all of them.
        longest: words of the longest target.
        unmeasurable: targets that are not asked for, since no reply could be compared with them.
        searching: queries that the search asks at most.
        real_inputs: human queries that are asked beside it, for comparison.
    """

    chatbot: str
    spec: str
    concurrency: int | None
    method: str
    budget: int
    similarity: str
    threshold: float
    seed: int
    limits: LimitSettings
    groups: Mapping[str, int]
    longest: int
    unmeasurable: int
    searching: int
    real_inputs: int

    @property
    def targets(self) -> int:
        """How many targets there are."""
        return sum(self.groups.values())

    @property
    def asked(self) -> int:
        """Queries asked at most, whether the ledger knows the reply or not."""
        return self.searching + self.real_inputs

    @property
    def sent(self) -> int:
        """Queries that leave at most, tries again included, within all limits.

        A query that is put off because the chatbot asks for patience (HTTP 429) is sent again
        without using up a try; those are not foreseen here.
        """
        limits = self.limits
        # a batch that fails as a whole has cost each of its queries a try that is not counted
        tries = limits.attempts + (self.concurrency is None)
        asked_for = self.targets - self.unmeasurable
        per_target = None if limits.per_target is None else asked_for * limits.per_target
        search = _least(self.searching * tries, per_target, limits.phases.search)
        verify = _least(self.real_inputs * tries, limits.phases.verify)
        return _least(search + verify, limits.queries)

    @property
    def at_most(self) -> str:
        """The bound in words.

        Example:
            >>> settings = AuditSettings(chatbot="known:echo", search={"budget": 3})
            >>> plan_of(settings, [Target("see you")]).at_most
            'at most 3 queries'
        """
        limited = f", {self.sent:,} sent" if self.sent < self.asked else ""
        return f"at most {count(self.asked, 'query')}{limited}"

    def seconds(self, latency: float) -> float:
        """Estimate how long asking takes if every query is sent once.

        Args:
            latency: seconds for a reply.
        """
        queries = min(self.asked, self.sent)
        waiting = queries * latency / min(self.concurrency or 1, max(queries, 1))
        paced = queries / self.limits.rate if self.limits.rate else 0.0
        longest = max(waiting, paced)
        return longest if self.limits.seconds is None else min(longest, self.limits.seconds)

    def to_json(self) -> dict[str, Any]:
        """Give the plan in plain JSON values."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        bounds = {"targets": self.targets, "asked": self.asked, "sent": self.sent}
        plain = {"groups": dict(self.groups), "limits": self.limits.model_dump(mode="json")}
        return {**fields, **bounds, **plain}


def plan_of(
    settings: AuditSettings,
    targets: Sequence[Target],
    *,
    chatbot: Chatbot | None = None,
    without: Collection[str] = (),
) -> Plan:
    """Work out what an audit would ask.

    Args:
        settings: of the audit.
        targets: all of them.
        chatbot: the chatbot, if it is made.
        without: texts of targets that are not asked for, since they cannot be measured.

    Example:
        >>> targets = [Target("see you", query="bye"), Target("hello there")]
        >>> plan = plan_of(AuditSettings(search={"method": "beam", "budget": 50}), targets)
        >>> plan.asked, plan.at_most
        (101, 'at most 101 queries')
    """
    method, budget = settings.search.method, settings.search.budget
    asked_for = [target for target in targets if target.text not in without]
    real = sum(bool(target.query) for target in asked_for)
    each = min(budget, _ASKS_LESS.get(method, budget))
    spec = masked(settings.chatbot)
    return Plan(
        chatbot=spec if chatbot is None else chatbot.name,
        spec=spec,
        concurrency=chatbot.concurrency if isinstance(chatbot, ConcurrentChatbot) else None,
        method=method,
        budget=budget,
        similarity=settings.similarity.name,
        threshold=settings.similarity.threshold,
        seed=settings.seed,
        limits=settings.limits,
        groups=Counter(f"{target.list} {target.length}".strip() for target in targets),
        longest=max((word_count(target.text) for target in targets), default=0),
        unmeasurable=len(targets) - len(asked_for),
        searching=real if method == "real-input" else len(asked_for) * each,
        real_inputs=real if settings.search.real_input and method != "real-input" else 0,
    )


def plan_audit(settings: AuditSettings, *, chatbot: Chatbot | None = None) -> Plan:
    """Read the targets that settings name, and plan.

    Args:
        settings: of the audit.
        chatbot: the chatbot, if it is made. Else it is made to learn its name and let go of again,
            unless it is a model, which is named by its spec.

    Raises:
        SetupError: the settings name something that cannot be used.
    """
    _require_parts(settings)
    targets = load_targets(settings.targets, limit=settings.limit)
    reasons = unmeasurable(targets, load_similarity(settings.similarity))
    if chatbot is not None or _is_held(settings.chatbot):
        return plan_of(settings, targets, chatbot=chatbot, without=reasons)
    with open_chatbot(
        settings.chatbot, connection=settings.connection, model=settings.model
    ) as made:
        return plan_of(settings, targets, chatbot=made, without=reasons)


def _require_parts(settings: AuditSettings) -> None:
    """See that what the search is made of is there, without loading it."""
    method, reference, generator = settings.search.method, settings.reference, settings.generator
    if method not in (known := names("searches")):
        raise UnknownNameError("search", method, known)
    if method in FROM_REFERENCE:
        if reference == "none":
            raise NoReferenceError(method)
        if reference != "builtin" and not Path(reference).is_file():
            raise SetupError(f"Expected a reference corpus at {reference}; there is no such file.")
    if method in GUIDED and generator != "builtin" and not Path(generator, "model.json").is_file():
        raise SetupError(
            f"Expected a generator in {generator}, but there is no model.json in it; "
            "make one with `saywhat train`."
        )


def _is_held(spec: str) -> bool:
    """Whether a spec names a model; one that is no more than a typing error is not taken for it."""
    head, _, place = spec.partition(":")
    forms = {form.partition(":")[0]: ":" in form for form in names("chatbots")}
    if head not in _HELD or forms.get(head) is not bool(place):
        return False
    return head in {"builtin", "transformers"} or Path(place).exists()


def _least(number: int, *limits: int | None) -> int:
    return min([number, *(limit for limit in limits if limit is not None)])
