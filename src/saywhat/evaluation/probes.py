"""What a check asks a chatbot, and what came of it.

``PROBES`` is asked in order, one by one; ``BATCH`` then together, of a chatbot that answers
batches. ``verdicts.judge`` says what it shows.
"""

import dataclasses
import statistics
from collections.abc import Iterable
from typing import Final, final

POSTS: Final = (
    "hello , how are you ?",
    "what do you do on weekends ?",
    "tell me about your family .",
    "have you seen a good movie lately ?",
    "what did you eat today ?",
)
BATCH: Final = (
    "good morning .",
    "where do you live ?",
    "do you have any pets ?",
    "i am a bit tired today .",
    "which music do you like ?",
    "it is cold outside .",
    "what is your favourite food ?",
    "see you later .",
)
LONG: Final = " ".join(["and then we went home and talked about it ."] * 40)
ODD: Final = (
    "\U0001f600 \"quoted\" 'single' {braces} \\ back\\slash <b>&amp;\nsecond line , caf\u00e9"
)


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Probe:
    """One query of a check.

    Attributes:
        kind: what it is for: ``post``, ``again`` (a post, directly after itself), ``afterwards`` (a
            post, after other queries), ``secret``, ``recall``, ``long``, ``odd`` or ``batch``.
        query: what is asked; ``{word}`` stands for the secret word.
        repeat: how often it has been asked before.
    """

    kind: str
    query: str
    repeat: int = 0


PROBES: Final = (
    Probe("post", POSTS[0]),
    Probe("again", POSTS[0], 1),
    Probe("post", POSTS[1]),
    Probe("again", POSTS[1], 1),
    *(Probe("post", post) for post in POSTS[2:]),
    Probe("secret", "my secret word is {word} . remember it ."),
    Probe("recall", "what is my secret word ?"),
    Probe("long", LONG),
    Probe("odd", ODD),
    Probe("afterwards", POSTS[0], 2),
)
TIMED: Final = frozenset({"post", "again", "afterwards"})


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Probed:
    """What came of a probe.

    Attributes:
        kind: of the probe.
        query: what was asked.
        reply: what came back; ``None`` if nothing did.
        seconds: how long it took; in a batch its share of the time.
        error: why there is no reply, in full.
        failure: the kind of failure, such as ``"timeout"``.
        hidden: characters of the reply that nobody sees or that a terminal would obey.
    """

    kind: str
    query: str
    reply: str | None
    seconds: float
    error: str = ""
    failure: str = ""
    hidden: tuple[str, ...] = ()


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Latency:
    """Seconds for a reply to an ordinary query, asked alone."""

    median: float
    slowest: float
    calls: int


def latency(probed: Iterable[Probed]) -> Latency | None:
    """Give how long ordinary queries took; ``None`` if none was answered."""
    taken = [p.seconds for p in probed if p.kind in TIMED and p.reply is not None]
    return Latency(statistics.median(taken), max(taken), len(taken)) if taken else None


def pace(probed: Iterable[Probed]) -> float | None:
    """Give the seconds for a reply in a batch; ``None`` if no batch was answered."""
    taken = [p.seconds for p in probed if p.kind == "batch" and p.reply is not None]
    return statistics.fmean(taken) if taken else None
