"""How ordinary queries are, and what they copy from their targets."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, final

from saywhat.corpora.load import load_conversations
from saywhat.corpora.pairs import held_out_pairs, posts
from saywhat.corpora.splits import split
from saywhat.evaluation.copying import copy_rates
from saywhat.evaluation.fluency import Fluency, TrigramModel, shuffle_auc
from saywhat.records import Pair


@final
class QueryMeasures:
    """What queries are measured by: a language model of held-out posts, and human posts.

    The model learns from the parts *validation* and *generated* of the conversations, the human
    posts are those of the part *real*: neither trained the chatbot or the generator.

    Args:
        model_posts: what the language model learns from.
        human: (post, what a person said next), of other conversations.
    """

    def __init__(self, model_posts: Sequence[str], human: Sequence[Pair]) -> None:
        self._human = human
        distinct = list(dict.fromkeys(pair.query for pair in human))
        self._fluency = Fluency(TrigramModel(model_posts), distinct)

    @classmethod
    def of_corpus(cls, corpus: str, *, max_words: int) -> "QueryMeasures":
        """Make them of the held-out conversations of a corpus."""
        parts = split(load_conversations(corpus))
        texts = posts([*parts["validation"], *parts["generated"]], max_words=max_words)
        return cls(texts, held_out_pairs(parts["real"], max_words=max_words))

    def of(self, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Measure (query, target) pairs; ``None`` where there is nothing to measure.

        Returns:
            ``queries`` (how many), ``perplexity``, ``ordinariness`` (mean percentile among human
            posts of similar length), ``words`` and ``content`` (mean share of the target's words
            and content words that the query holds), ``contained`` (share of queries that hold the
            whole target).
        """
        queries = [query for query, _ in pairs]
        percentiles = [self._fluency.ordinariness(query) for query in queries]
        known = [percentile for percentile in percentiles if percentile is not None]
        return {
            "perplexity": self._fluency.model.perplexity(queries),
            "ordinariness": math.fsum(known) / len(known) if known else None,
            **dataclasses.asdict(copy_rates(pairs)),
        }

    def human(self, *, seed: int) -> dict[str, Any]:
        """Measure people: their posts, with what was said next as if it were the target."""
        return {
            "human": self.of([(pair.query, pair.reply) for pair in self._human]),
            "shuffle_auc": shuffle_auc(self._fluency.model, self._fluency.human, seed=seed),
        }
