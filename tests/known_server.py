"""A cipher chatbot behind HTTP, and the files of an audit whose findings are known to differ.

Every reply follows from the query alone, so whatever a server or a death does in between, the
findings must be those of a clean run.
"""

import dataclasses
from collections import Counter
from pathlib import Path

from saywhat.chatbots.known import CIPHER_WORDS, CipherChatbot
from saywhat.rng import derive, fraction
from tests.http_chatbots import write
from tests.servers import Answer, Received, Server, query_of, say

CHATBOT = CipherChatbot(CIPHER_WORDS, seed=3)
BUDGET = 24


def _posts(number: int) -> list[str]:
    """Give distinct posts of four everyday words."""
    rng = derive(1, "posts")
    made = dict.fromkeys(" ".join(rng.sample(CIPHER_WORDS, 4)) for _ in range(2 * number))
    return list(made)[:number]


def answer(received: Received) -> Answer:
    """Say what the cipher chatbot says."""
    return say(CHATBOT.reply([query_of(received)])[0])


def write_files(folder: Path, *, posts: int = 160, targets: int = 12) -> None:
    """Write posts, and targets: every second one is the reply to a post, the others to none."""
    asked = _posts(posts)
    replies = CHATBOT.reply(asked[:targets])
    rng = derive(2, "targets")
    unsaid = [" ".join(rng.sample(CIPHER_WORDS, 5)) for _ in range(targets)]
    lines = [replies[n] if n % 2 else unsaid[n] for n in range(targets)]
    (folder / "targets.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    pairs = "".join(f"{post}\tnever heard\n" for post in asked)
    (folder / "posts.tsv").write_text(pairs, encoding="utf-8")


def describe(server: Server, folder: Path, **keys: object) -> str:
    """Write how a server is asked, and give the chatbot spec."""
    folder.mkdir(exist_ok=True)
    return f"http:{write(folder, url=server.url, name='known', **keys)}"


def arguments(chatbot: str, out: str | Path, *more: str) -> list[str]:
    """Give the arguments of the audit."""
    return (
        f"audit --chatbot {chatbot} --out {out} --method random --budget {BUDGET} "
        "--targets targets.txt --reference posts.tsv --similarity embedding-average "
        "--threshold 0.97 --concurrency 8 --set connection.timeout=20"
    ).split() + list(more)


@dataclasses.dataclass
class Lottery:
    """Whether a request is struck: a share of them, the same ones whatever the order of arrival.

    Attributes:
        share: of the requests.
        struck: how many requests were.
    """

    share: float = 0.05
    struck: int = 0
    _times: Counter[str] = dataclasses.field(default_factory=Counter)

    def draw(self, query: str) -> int | None:
        """Give the number of a struck request, from 0; ``None`` for one that is let alone."""
        self._times[query] += 1
        if fraction("struck", query, self._times[query]) >= self.share:
            return None
        self.struck += 1
        return self.struck - 1
