"""Turning answers into attempts: scored, numbered, never more than the budget."""

from collections.abc import Sequence
from typing import final

from saywhat.interfaces import Similarity
from saywhat.ledger import Answer, LedgeredChatbot
from saywhat.records import Attempt, Target


def scored(
    answers: Sequence[Answer],
    targets: Sequence[str],
    numbers: Sequence[int],
    similarity: Similarity,
) -> list[Attempt]:
    """Score answers, row by row, against targets. An answer without a reply has no similarity.

    Args:
        answers: what came back.
        targets: what each was asked for.
        numbers: ``nth`` of each.
        similarity: scores the replies.
    """
    scores = similarity.score([answer.reply or "" for answer in answers], targets)
    return [
        Attempt(
            target=target,
            query=answer.query,
            nth=nth,
            reply=answer.reply,
            similarity=None if answer.reply is None else score,
            error=answer.error,
        )
        for answer, target, nth, score in zip(answers, targets, numbers, scores, strict=True)
    ]


@final
class TargetAsk:
    """Asks for one target: counts on from the last attempt and stops at the budget.

    Args:
        target: what is wanted.
        chatbot: behind the ledger.
        similarity: scores each reply.
        budget: queries at most.
        scope: names this target in the ledger.
    """

    def __init__(
        self,
        target: Target,
        chatbot: LedgeredChatbot,
        similarity: Similarity,
        *,
        budget: int,
        scope: str,
    ) -> None:
        self._target, self._chatbot, self._similarity = target, chatbot, similarity
        self._left, self._asked, self._scope = budget, 0, scope

    def __call__(self, queries: Sequence[str]) -> list[Attempt]:
        """See ``interfaces.Ask``."""
        allowed = list(queries)[: self._left]
        if not allowed:
            return []
        texts = [self._target.text] * len(allowed)
        answers = self._chatbot.ask(allowed, scope=self._scope, targets=texts)
        first = self._asked + 1
        self._asked += len(allowed)
        self._left -= len(allowed)
        return scored(answers, texts, range(first, first + len(allowed)), self._similarity)
