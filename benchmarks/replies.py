"""How fast the built-in chatbot replies: ``make bench NAME=replies`` -> ``benchmarks/results/replies.json``.

One thread, queries drawn from its reference corpus, in calls of 1 to 1,024. Beside what ships, the same chatbot with one thing as it was before: rows filled
up to multiples of 128, tiles of at most 128 rows, a language model that is asked for each row instead of once for each beginning; and with all three. Rounds
are interleaved, so that a busy machine meets all alike; only ratios count. Each way must give the same replies, or it stops.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from saywhat.chatbots import seq2seq
from saywhat.corpora.files import read_pairs
from saywhat.nn import steppers
from saywhat.registry import ASSETS
from saywhat.rng import derive
from saywhat.runs import provenance

RESULTS = Path(__file__).with_name("results") / "replies.json"
CALLS = {1: 12, 16: 4, 256: 2, 1024: 1}
"""Queries in a call, and calls in a round."""
BEFORE = 128


def each_row(model: Any, rows: int) -> steppers.Conditional:
    """Give the language model as it is without looking for rows that began alike."""
    return steppers.Conditional(model, model.null_memory(rows))


def timed(answer: Callable[[], list[str]]) -> tuple[float, list[str]]:
    """Give seconds and replies."""
    started = time.perf_counter()
    replies = answer()
    return time.perf_counter() - started, replies


def measure(chatbot: seq2seq.Seq2SeqChatbot, queries: Sequence[str]) -> dict[str, float]:
    """Give the seconds of each way on one call."""
    changes = {
        "filled": (seq2seq, "BLOCK", BEFORE),
        "small tiles": (seq2seq, "_TILE", BEFORE),
        "each row": (steppers, "_Unconditional", each_row),
    }
    found = {"shipped": timed(lambda: chatbot.reply(queries))}
    for way, change in changes.items():
        with patch.object(*change):
            found[way] = timed(lambda: chatbot.reply(queries))
    with ExitStack() as stack:
        for change in changes.values():
            stack.enter_context(patch.object(*change))
        found["as before"] = timed(lambda: chatbot.reply(queries))
    for way, (_, replies) in found.items():
        if replies != found["shipped"][1]:
            raise SystemExit(f"{way}: other replies than the shipped chatbot's")
    return {way: seconds for way, (seconds, _) in found.items()}


def main() -> int:
    """Measure, print and keep the medians of the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    chatbot = seq2seq.Seq2SeqChatbot.load(ASSETS / "chatbot")
    asked = sorted({pair.query for pair in read_pairs(ASSETS / "reference.jsonl.xz")})
    rng = derive(1, "replies")
    chatbot.reply(rng.sample(asked, 64))
    rows = []
    for size, calls in CALLS.items():
        seconds: dict[str, list[float]] = {}
        for _ in range(rounds * calls):
            for way, value in measure(chatbot, rng.sample(asked, size)).items():
                seconds.setdefault(way, []).append(value)
        ratios = {
            way: statistics.median(x / y for x, y in zip(each, seconds["shipped"], strict=True))
            for way, each in seconds.items()
        }
        row = {
            "queries": size,
            "calls": rounds * calls,
            "a_second": round(size / statistics.median(seconds["shipped"]), 1),
            "times_as_long": {way: round(ratio, 2) for way, ratio in ratios.items()},
        }
        print(json.dumps(row), flush=True)
        rows.append(row)
    made = {**provenance(), "threads": 1, "rounds": rounds, "rows": rows}
    RESULTS.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
