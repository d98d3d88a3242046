"""A language model that is trained for one target finds more than the same model asked at random.

On a cipher of ten words a query of four words is one of 10,000; at a budget of 400 chance knows
little. On a deaf chatbot nothing can be learned. All sources of chance are seeded.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from saywhat.chatbots.known import CipherChatbot, CountingChatbot, DeafChatbot
from saywhat.config import AgentSettings, LanguageModelSettings, SupervisedSettings
from saywhat.interfaces import Chatbot
from saywhat.ledger import Ledger
from saywhat.records import Attempt, Target
from saywhat.rng import derive
from saywhat.search.asking import TargetAsk
from saywhat.search.rnn_agent import RnnAgent

pytestmark = pytest.mark.timeout(600)  # each trains, on what may be a busy machine

WORDS: Final = (
    "apple", "bird", "cloud", "door", "earth", "fire", "glass", "house", "island", "jacket",
)  # fmt: skip
CIPHER: Final = CipherChatbot(WORDS, seed=3)
BUDGET: Final = 400
TARGETS: Final = [
    Target(CIPHER.reply([" ".join(derive(n, "target").choices(WORDS, k=4))])[0]) for n in range(5)
]
POSTS: Final = [" ".join(derive(n, "post").choices(WORDS, k=2 + n % 3)) for n in range(400)]
SETTINGS: Final = AgentSettings(
    model=LanguageModelSettings(
        embedding=16,
        hidden=32,
        training=SupervisedSettings(
            epochs=4, batch_size=32, learning_rate=0.01, dropout=0.0, max_tokens=4, precision="fp32"
        ),
    ),
    samples=20,
    learning_rate=0.02,
)


class Places:
    """The share of places at which reply and target have the same word."""

    name = "places"

    def score(self, replies: Sequence[str], targets: Sequence[str]) -> list[float]:
        return [self._share(r.split(), t.split()) for r, t in zip(replies, targets, strict=True)]

    def measurable(self, text: str) -> bool:
        return bool(text.split())

    def _share(self, reply: list[str], target: list[str]) -> float:
        pairs = list(itertools.zip_longest(reply, target))
        return sum(a == b for a, b in pairs) / len(pairs) if pairs else 0.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give where the pre-trained model is kept, for all tests."""
    return str(tmp_path_factory.mktemp("agent"))


def attempts(
    chatbot: Chatbot,
    tmp_path: Path,
    settings: AgentSettings,
    *,
    targets: Sequence[Target] = TARGETS,
) -> list[list[Attempt]]:
    search, found = RnnAgent(POSTS, settings), []
    tmp_path.mkdir(exist_ok=True)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        asked = ledger.chatbot(chatbot, phase="search")
        for number, target in enumerate(targets):
            ask = TargetAsk(target, asked, Places(), budget=BUDGET, scope=f"target {number}")
            rng = derive(1, "search", target.text)
            found.append(list(search.run(target, ask, budget=BUDGET, rng=rng)))
        assert ledger.total().asked == sum(map(len, found)) <= BUDGET * len(targets)
    return found


def best(found: Sequence[Sequence[Attempt]]) -> float:
    """Give the mean over targets of the best similarity."""
    scores = [max(a.similarity for a in each if a.similarity is not None) for each in found]
    return sum(scores) / len(scores)


def test_it_beats_the_model_that_it_begins_from(tmp_path: Path, folder: str) -> None:
    settings = SETTINGS.model_copy(update={"folder": folder})
    trained = attempts(CIPHER, tmp_path / "a", settings)
    # the same draws, never learned from
    still = settings.model_copy(update={"learning_rate": 1e-12})
    untrained = attempts(CIPHER, tmp_path / "b", still)
    assert [a.query for a in trained[0][:15]] == [a.query for a in untrained[0][:15]]
    assert best(untrained) < 0.75, "chance finds it: the test shows nothing"
    assert best(trained) > best(untrained) + 0.15
    assert all(len(each) <= BUDGET for each in (*trained, *untrained))


def test_what_it_learned_for_one_target_is_forgotten_at_the_next(
    tmp_path: Path, folder: str
) -> None:
    settings = SETTINGS.model_copy(update={"folder": folder})
    together = attempts(CIPHER, tmp_path / "a", settings, targets=TARGETS[:2])
    (alone,) = attempts(CIPHER, tmp_path / "b", settings, targets=TARGETS[1:2])
    assert together[1] == alone


def test_a_deaf_chatbot_teaches_it_nothing(tmp_path: Path, folder: str) -> None:
    settings = SETTINGS.model_copy(update={"folder": folder})
    chatbot = CountingChatbot(DeafChatbot("apple bird"))
    (trained,) = attempts(chatbot, tmp_path / "a", settings, targets=TARGETS[:1])
    still = settings.model_copy(update={"learning_rate": 1e-12})
    (untrained,) = attempts(CIPHER, tmp_path / "b", still, targets=TARGETS[:1])
    # every reward is the same, so every draw is the pre-trained model's
    assert [a.query for a in trained] == [a.query for a in untrained][: len(trained)]
    assert len(chatbot.received) == BUDGET
