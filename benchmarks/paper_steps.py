"""The first steps at the paper's full size: ``make bench NAME=paper_steps`` -> ``benchmarks/results/paper-steps.json``.

The networks of the preset ``paper-2019``: parameters, an epoch on a slice, one step of REINFORCE, asking, a beam of 200, and peak
memory, each stage in a process of its own. Hours for all of the paper's data are projected from processor seconds. What is not the
paper's says so in the results: conversations are those of chitchat, vocabularies are filled up to the paper's sizes with made-up
words, and word vectors of 300 numbers are random, in files of the paper's two formats.
"""

import argparse
import functools
import json
import multiprocessing
import os
import resource
import statistics
import struct
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saywhat.cli.settings import SettingsFile, resolve
from saywhat.config import NetworkSettings, SupervisedSettings
from saywhat.corpora.conversations import chitchat
from saywhat.corpora.files import read_conversations
from saywhat.corpora.pairs import training_pairs
from saywhat.corpora.splits import split
from saywhat.generators import Seq2SeqGenerator
from saywhat.ledger import Ledger
from saywhat.nn.checkpoint import save_model
from saywhat.nn.make import make_network
from saywhat.records import Pair, Target
from saywhat.registry import load_chatbot
from saywhat.rng import derive, derive_seed
from saywhat.runs import provenance
from saywhat.similarity import EmbeddingAverage
from saywhat.text.vectors import load_vectors
from saywhat.text.vocabulary import Vocabulary
from saywhat.training.chatbot import set_embeddings
from saywhat.training.examples import encode_examples
from saywhat.training.metrics import StepMetrics
from saywhat.training.pool import TargetPool
from saywhat.training.reinforce import Reinforce
from saywhat.training.supervised import Progress, SupervisedTrainer

RESULTS = Path(__file__).with_name("results") / "paper-steps.json"
SEED, WIDTH = 1, 300
PAPER_PAIRS, PAPER_POSTS, PAPER_TARGETS = 2_500_000, 160_000, 1_200
HELD_OUT, TEXTS, DATA = 64, 256, 20_000
NOTES = [
    "Conversations: chitchat. Vocabularies hold its words and, up to the paper's size, made-up words that never occur.",
    "Word vectors: random, 300 numbers a word, for the words of chitchat, in GloVe text and word2vec .bin form.",
    "Memory is without the vectors of Google's three million words, which are 3.6 GB.",
    "Seconds are processor time on one thread, so that other work on the machine (see load) hardly counts.",
    "Hours are seconds a batch (median), query or target, times as many as the paper has.",
    "REINFORCE: the second of three steps; validation, on 16 targets here, is not in it.",
]


def settings() -> SettingsFile:
    """Give the preset."""
    return resolve("experiment", preset="paper-2019", environment={}, flags={})


@functools.cache
def pairs() -> list[Pair]:
    """Give the pairs of people that a chatbot is trained on, in a fixed shuffle."""
    made = training_pairs(split(chitchat())["chatbot"], max_words=20, max_per_reply=20)
    derive(SEED, "slice").shuffle(made)
    return made


def vocabulary_of(texts: Sequence[Pair], size: int) -> tuple[Vocabulary, int]:
    """Give a vocabulary of exactly this size, and how many of its words are made up."""
    real = Vocabulary.build((t for pair in texts for t in (pair.query, pair.reply)), size=size)
    made_up = [f"made-up-{number:05}" for number in range(size - len(real))]
    return Vocabulary([*real.words, *made_up]), len(made_up)


def write_vectors(words: Sequence[str], folder: Path) -> tuple[str, str]:
    """Write random vectors in GloVe text and word2vec binary form."""
    rows = np.random.default_rng(SEED).normal(0.0, 0.3, (len(words), WIDTH)).astype("<f4")
    text, binary = folder / "random.300d.txt", folder / "random.300d.bin"
    with text.open("w", encoding="utf-8") as file:
        file.writelines(
            f"{w} {' '.join(f'{x:.5f}' for x in r)}\n" for w, r in zip(words, rows, strict=True)
        )
    with binary.open("wb") as file:
        file.write(f"{len(words)} {WIDTH}\n".encode())
        file.writelines(
            w.encode() + b" " + struct.pack(f"<{WIDTH}f", *r)
            for w, r in zip(words, rows, strict=True)
        )
    return str(text), str(binary)  # fmt: skip


def sizes(model: torch.nn.Module) -> dict[str, int]:
    """Count parameters by part."""
    parts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        part = name.partition(".")[0]
        parts[part] = parts.get(part, 0) + parameter.numel()
    return {"all": sum(parts.values()), **parts}


def peak() -> int:
    """Give the peak memory of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def epoch(
    network: NetworkSettings, training: SupervisedSettings, count: int, folder: Path, *, all_pairs: int,
    source: Callable[[Pair], tuple[str, str]], embeddings: str = "",
) -> tuple[dict[str, Any], torch.nn.Module, Vocabulary]:  # fmt: skip
    """Train one epoch on a slice, as the experiment does."""
    every = pairs()
    vocabulary, made_up = vocabulary_of(every, network.vocabulary)
    rng = torch.Generator().manual_seed(derive_seed(SEED, "paper-steps"))
    model = make_network(network, len(vocabulary), dropout=training.dropout, rng=rng)
    known = 0
    if embeddings:
        known = set_embeddings(
            model, vocabulary, load_vectors(embeddings, only=set(vocabulary.words))
        )
    training = training.model_copy(update={"epochs": 1})
    times, losses = [time.process_time()], list[float]()

    def report(at: Progress) -> None:
        if at.valid_perplexity is None:
            times.append(time.process_time())
            losses.append(at.loss)

    slices = every[:count], every[count : count + HELD_OUT]
    train, valid = (
        encode_examples([source(p) for p in each], vocabulary, max_tokens=training.max_tokens)
        for each in slices
    )
    trainer = SupervisedTrainer(model, training, seed=SEED, folder=folder / "state", report=report)
    perplexity = trainer.fit(train, valid)[0]
    seconds = statistics.median(np.diff(times))
    batches = -(-all_pairs // training.batch_size)
    row = {
        "parameters": sizes(model), "vocabulary": len(vocabulary), "made_up_words": made_up, "words_with_vectors": known,
        "pairs": len(train), "batch_size": training.batch_size, "batches": len(losses), "seconds": round(times[-1] - times[0], 1),
        "seconds_a_batch": round(seconds, 3), "first_loss": round(losses[0], 3), "last_running_loss": round(losses[-1], 3),
        "validation_perplexity": float(f"{perplexity:.4g}"), "paper_pairs": all_pairs, "hours_an_epoch_of_the_papers_pairs": round(batches * seconds / 3600, 1),
        "peak_memory_bytes": peak(),
    }  # fmt: skip
    return row, model, vocabulary


def chatbot(folder: Path, count: int) -> dict[str, Any]:
    """Measure the chatbot's training, its asking, and keep it."""
    torch.set_num_threads(1)
    made = settings().chatbot_training
    words = vocabulary_of(pairs(), made.network.vocabulary)[0].words
    text, _ = write_vectors([word for word in words if not word.startswith("made-up-")], folder)
    row, model, vocabulary = epoch(
        made.network, made.training, count, folder / "chatbot", all_pairs=PAPER_PAIRS,
        source=lambda pair: (pair.query, pair.reply), embeddings=text,
    )  # fmt: skip
    decoding = {"decoding": made.decoding.model_dump()}
    save_model(
        model,
        vocabulary,
        folder / "chatbot" / "model",
        kind="chatbot",
        extra=decoding,
        dtype=torch.float16,
    )
    asked = load_chatbot(f"seq2seq:{folder / 'chatbot' / 'model'}")
    posts = [pair.query for pair in pairs()[-TEXTS:]]
    started = time.process_time()
    asked.reply(posts)
    seconds = (time.process_time() - started) / TEXTS
    row["seconds_a_query"] = round(seconds, 4)
    row["hours_for_160000_posts"] = round(seconds * PAPER_POSTS / 3600, 1)
    return {"what": "chatbot: one epoch on a slice", **row}


def generator(folder: Path, count: int) -> dict[str, Any]:
    """Measure pre-training, and keep the generator."""
    torch.set_num_threads(1)
    made = settings().train.pretrain
    row, model, vocabulary = epoch(
        made.network, made.training, count, folder / "generator", all_pairs=PAPER_POSTS, source=lambda pair: (pair.reply, pair.query)
    )  # fmt: skip
    Seq2SeqGenerator(model, vocabulary, max_tokens=made.training.max_tokens).save(
        folder / "generator" / "model", extra={}
    )
    return {"what": "generator: one epoch of pre-training on a slice", **row}


def reinforce(folder: Path, _: int) -> dict[str, Any]:
    """Measure a step of REINFORCE that asks the chatbot, and a beam of 200 whose queries are asked."""
    torch.set_num_threads(1)
    made = settings().train.reinforce.model_copy(
        update={"steps": 3, "validation_targets": 16, "checkpoint_seconds": 1e9}
    )
    policy = Seq2SeqGenerator.load(folder / "generator" / "model")
    _, binary = write_vectors(
        [w for w in policy.vocabulary.words if not w.startswith("made-up-")], folder
    )
    similarity, told = EmbeddingAverage(load_vectors(binary)), list[tuple[float, StepMetrics]]()
    replies = [pair.reply for pair in pairs()[-TEXTS:]]
    with Ledger(folder / "ledger.sqlite") as ledger:
        asked = ledger.chatbot(
            load_chatbot(f"seq2seq:{folder / 'chatbot' / 'model'}"), phase="reinforce"
        )
        trainer = Reinforce(
            policy,
            asked,
            similarity,
            made,
            seed=SEED,
            folder=folder / "reinforce",
            report=lambda at: told.append((time.process_time(), at)),
        )
        trainer.train(TargetPool(replies), [Target(text) for text in replies[:16]])
        started = time.process_time()
        queries = policy.propose(replies[:1], 200)[0]
        proposed = time.process_time() - started
        asked.ask(queries, scope="beam")
        beam = time.process_time() - started
        counts = ledger.total()
    (began, _), (ended, step), _ = told
    seconds = ended - began
    steps = settings().train.reinforce.steps
    return {
        "what": "REINFORCE: one step, and one target by a beam of 200", "targets": made.targets, "samples": made.samples,
        "seconds_a_step": round(seconds, 2), "steps": steps, "hours_for_all_steps": round(steps * seconds / 3600, 1),
        "reward": round(step.reward, 3), "gradient_norm": float(f"{step.gradient_norm:.3g}"), "asked": counts.asked, "sent": counts.sent,
        "seconds_a_beam_of_200": round(proposed, 1), "seconds_a_target_with_asking": round(beam, 1),
        "hours_for_1200_targets": round(beam * PAPER_TARGETS / 3600, 1), "peak_memory_bytes": peak(),
    }  # fmt: skip


def data(folder: Path, _: int) -> dict[str, Any]:
    """Measure what the chatbot's training holds of its pairs in memory, from a file of two columns."""
    some = pairs()[:DATA]
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{pair.query}\t{pair.reply}\n" for pair in some), encoding="utf-8")
    vocabulary, _made_up = vocabulary_of(some, 30_000)
    tracemalloc.start()
    talk = list(read_conversations(path))
    texts = [(c.turns[0][0], c.turns[1][0]) for c in talk]
    examples = encode_examples(texts, vocabulary, max_tokens=24)
    used = tracemalloc.get_traced_memory()[0] / len(talk)
    return {"what": "pairs in memory: conversations and ids", "pairs": len(examples), "bytes_a_pair": round(used),
            "gigabytes_for_the_papers_pairs": round(used * PAPER_PAIRS / 1e9, 1)}  # fmt: skip


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=128, help="of each slice")
    count = parser.parse_args().pairs
    before, rows = os.getloadavg(), []
    with tempfile.TemporaryDirectory() as folder:
        for stage in (data, chatbot, generator, reinforce):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
                rows.append(alone.submit(stage, Path(folder), count).result())
            print(json.dumps(rows[-1], indent=1), flush=True)
    facts = provenance()
    document = {
        "schema": 1, "name": "paper-steps", "command": "make bench NAME=paper_steps", "seeds": [SEED],
        **{key: facts[key] for key in ("commit", "dirty", "hardware", "packages", "date")},
        "threads": 1, "load": {"before": [round(x, 2) for x in before], "after": [round(x, 2) for x in os.getloadavg()]},
        "notes": NOTES, "rows": rows,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
