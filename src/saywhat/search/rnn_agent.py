r"""The other agent of the paper's Section 3.2: a language model, trained anew for each target.

    "An RNN language model can be adopted as the agent. However, we have to retrain it for each
    targeted output to obtain the desired input, which requires a great number of interactions with
    the D for every single targeted output."

A language model of ordinary queries is pre-trained once. For each target a copy of it draws
queries, asks them, and is changed by REINFORCE so that queries whose replies came near become
likelier, until the budget is used up. The best query asked is the result.

What the paper leaves open, decided here:

1. The pre-training (on the queries of the reference corpus), a leave-one-out baseline within each
   draw, Adam from its start for each target.
2. A query is asked once. When it is drawn again its reward is known, and costs nothing.
3. When it has nothing new to say, it begins again from the pre-trained model, with what is left of
   the budget. It stops early when a reply is the target word for word, and when it has nothing new
   to say although it has just begun again: then what is left of the budget is not used.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor

from saywhat.config import AgentSettings
from saywhat.generators.language_model import QueryModel
from saywhat.interfaces import Ask
from saywhat.records import Attempt, Target
from saywhat.text.normalise import same_words
from saywhat.training import losses
from saywhat.training.language_model import cached_language_model


@final
class RnnAgent:
    """A search that learns from the replies to one target, and forgets them at the next.

    Args:
        posts: ordinary queries.
        settings: of the agent; the pre-trained model is made, or found in their folder, when the
            first target is searched.
    """

    def __init__(self, posts: Sequence[str], settings: AgentSettings) -> None:
        self._posts, self._settings = posts, settings
        self._pretrained: QueryModel | None = None

    @property
    def name(self) -> str:
        """The registered name."""
        return "rnn-agent"

    def run(
        self,
        target: Target,  # noqa: ARG002  (the attempts tell how near they came)
        ask: Ask,
        *,
        budget: int,
        rng: random.Random,
    ) -> Iterator[Attempt]:
        """See ``interfaces.Search``."""
        source = torch.Generator().manual_seed(rng.getrandbits(63))
        known: dict[str, float | None] = {}
        learner = _Learner(self._model(), self._settings)
        idle, gained = 0, False
        while len(known) < budget:
            queries, labels = learner.policy.sample(self._settings.samples, source)
            fresh = list(dict.fromkeys(query for query in queries if query not in known))
            attempts = ask(fresh[: budget - len(known)]) if fresh else []
            yield from attempts
            if (fresh and not attempts) or any(_is_hit(attempt) for attempt in attempts):
                return
            known |= {attempt.query: attempt.similarity for attempt in attempts}
            learner.learn(labels, [known.get(query) for query in queries])
            idle, gained = (0, True) if fresh else (idle + 1, gained)
            if idle == self._settings.patience:
                if not gained:
                    return
                learner, idle, gained = _Learner(self._model(), self._settings), 0, False

    def _model(self) -> QueryModel:
        if self._pretrained is None:
            self._pretrained = cached_language_model(
                self._posts,
                self._settings.model,
                seed=self._settings.seed,
                folder=Path(self._settings.folder),
            )
        return self._pretrained


@final
class _Learner:
    """A copy of the pre-trained model, and how it learns from the replies to its draws."""

    def __init__(self, pretrained: QueryModel, settings: AgentSettings) -> None:
        self.policy, self._settings = pretrained.copy(), settings
        self._weights = list(self.policy.network.parameters())
        self._optimizer = torch.optim.Adam(self._weights, lr=settings.learning_rate)

    def learn(
        self, labels: Int[Tensor, "samples time"], similarities: Sequence[float | None]
    ) -> None:
        """Take one step of REINFORCE; queries without a reply count nowhere."""
        answered = torch.tensor([[known is not None for known in similarities]])
        rewards = losses.threshold_rewards(
            torch.tensor([[known or 0.0 for known in similarities]]), self._settings.reward_cut
        )
        advantage = losses.leave_one_out(rewards, answered)[answered]
        if not bool(advantage.any()):
            return
        loss = losses.reinforce(self.policy.log_prob(labels[answered[0]]), advantage)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._weights, self._settings.clip)
        self._optimizer.step()


def _is_hit(attempt: Attempt) -> bool:
    return attempt.reply is not None and same_words(attempt.reply, attempt.target)
