"""Rebuild everything that ships in ``src/saywhat/assets``: ``make builtin``.

Stages: train the chatbot on the chitchat conversations; fit the similarity's centre on the same text; ask the chatbot for the
reference corpus and the target lists; pre-train the generator; train it by REINFORCE; write half-precision weights and cards.
Each stage goes on from its own checkpoint in the work folder. A little over an hour on two cores.

Usage: python benchmarks/build_builtin.py [WORK_FOLDER]      (default: work/builtin)
"""

import json
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from saywhat.chatbots.seq2seq import Seq2SeqChatbot
from saywhat.config import ChatbotSettings, TrainSettings
from saywhat.corpora.conversations import chitchat
from saywhat.corpora.pairs import posts, training_pairs
from saywhat.corpora.splits import split
from saywhat.corpora.targets import limit_per_group, read_targets
from saywhat.generators import Seq2SeqGenerator
from saywhat.nn.checkpoint import load_model, load_tensors, save_model
from saywhat.pipeline import Reports, Training, train_chatbot
from saywhat.records import Pair, write_jsonl
from saywhat.registry import ASSETS, load_chatbot
from saywhat.rng import derive
from saywhat.runs import provenance
from saywhat.similarity import fit_centre, save_centre
from saywhat.text.normalise import normalise
from saywhat.text.vectors import GLOVE_6B_50D, load_vectors
from saywhat.training.reinforce import StepMetrics
from saywhat.training.supervised import Progress

COMMAND = "make builtin"
MAX_BYTES = 16_000_000
SAMPLE_PER_GROUP = 20  # the default audit: done in a minute


def main(work: Path) -> None:
    """Run all stages."""
    settings, seed = ChatbotSettings(), 1
    model = train_chatbot(
        settings, chitchat(), seed=seed, folder=work / "chatbot", report=Say().supervised
    )
    parts = split(chitchat())
    pairs = training_pairs(
        parts["chatbot"], max_words=settings.max_words, max_per_reply=settings.max_per_reply
    )
    texts = (text for pair in pairs for text in (pair.query, pair.reply))
    ASSETS.mkdir(exist_ok=True)
    save_centre(fit_centre(load_vectors(GLOVE_6B_50D), texts), ASSETS / "centre.npy")
    ship(model, ASSETS / "chatbot", kind="chatbot", card=chatbot_card(model, parts, pairs))

    train = TrainSettings(chatbot="builtin", seed=seed)
    say = Say()
    training = Training(
        train,
        work / "generator",
        Reports(stage=print, asked=say.asked, supervised=say.supervised, reinforce=say.reinforce),
    )
    training.collect()
    training.pretrain()
    training.reinforce()
    made = work / "generator"
    shutil.copy(made / "reference.jsonl.xz", ASSETS / "reference.jsonl.xz")
    shutil.copytree(made / "targets", ASSETS / "targets", dirs_exist_ok=True)
    test = read_targets(ASSETS / "targets" / "test.jsonl")
    write_jsonl(limit_per_group(test, SAMPLE_PER_GROUP), ASSETS / "targets" / "sample.jsonl")
    ship(made / "generator", ASSETS / "generator", kind="generator", card=generator_card(made))


class Say:
    """Plain progress lines, one about every twenty seconds."""

    def __init__(self) -> None:
        self._last = 0.0

    def _due(self) -> bool:
        due = time.monotonic() - self._last > 20
        if due:
            self._last = time.monotonic()
        return due

    def asked(self, done: int, total: int) -> None:
        """Tell how many posts are asked."""
        if self._due() or done == total:
            print(f"{time.strftime('%H:%M:%S')} asked {done:,} of {total:,}", flush=True)

    def supervised(self, progress: Progress) -> None:
        """Tell of an epoch."""
        if self._due() or progress.valid_perplexity is not None:
            print(time.strftime("%H:%M:%S"), progress, flush=True)

    def reinforce(self, metrics: StepMetrics) -> None:
        """Tell of a step."""
        if self._due() or metrics.validation is not None:
            print(time.strftime("%H:%M:%S"), metrics, flush=True)


def ship(source: Path, destination: Path, *, kind: str, card: str) -> None:
    """Copy a checkpoint in half precision, with its card; refuse one that is too large."""
    network, vocabulary, description = load_model(source, kind=kind)
    own = {"schema", "kind", "size", "sha256", "vocabulary"}
    extra = {key: value for key, value in description.items() if key not in own}
    save_model(network, vocabulary, destination, kind=kind, extra=extra, dtype=torch.float16)
    size = (destination / "weights.safetensors").stat().st_size
    if size > MAX_BYTES:
        raise SystemExit(
            f"{destination} has {size:,} bytes of weights; at most {MAX_BYTES:,} ship."
        )
    sha = json.loads((destination / "model.json").read_text())["sha256"]
    (destination / "CARD.md").write_text(
        card.replace("{sha256}", sha).replace("{bytes}", f"{size:,}"), encoding="utf-8"
    )


def chatbot_card(model: Path, parts: dict[str, Any], pairs: list[Pair]) -> str:
    """Measure the chatbot on held-out posts and write its card."""
    description = json.loads((model / "model.json").read_text())
    held_out = posts(parts["generated"], max_words=25)
    derive(1, "card").shuffle(held_out)
    held_out = held_out[:3000]
    replies = load_chatbot(f"seq2seq:{model}").reply(held_out)
    counts = Counter(map(normalise, replies))
    top, times = counts.most_common(1)[0]
    half, full = halved_agreement(model, held_out[:1000])
    lines = "\n".join(
        f"| {query} | {reply} |" for query, reply in list(zip(held_out, replies, strict=True))[:20]
    )
    return f"""# The built-in chatbot

Encoder-decoder LSTM ({description["size"]["layers"]} layers of {description["size"]["hidden"]} units, embeddings of
{description["size"]["embedding"]}, vocabulary {description["size"]["vocabulary"]:,}, {"with" if description["size"]["attention"] else "without"}
attention), answering greedily with MMI-antiLM scores (weight {description["decoding"]["anti_lm_weight"]} on the first
{description["decoding"]["anti_lm_steps"]} tokens).

- **Data**: {description["training_turns"]:,} human turns of the `chitchat-dataset` package 0.9.0 (MIT, BYU PCC lab), {len(pairs):,} pairs; split by
  conversation.
- **Licence**: Apache-2.0, as saywhat; the data's licence asks for attribution to the BYU Perception, Control and Cognition lab.
- **Command**: `{COMMAND}`, seed {description["seed"]}, commit {commit(description)}, {hardware(description)}.
- **Weights**: half precision, {{bytes}} bytes, SHA-256 `{{sha256}}`. Against single precision, {half} of {full} held-out posts get the same reply.
- **Perplexity** on {len(parts["validation"])} held-out conversations, by epoch: {", ".join(f"{p:.1f}" for p in description["validation_perplexity"])}; the best is kept.
- **On {len(held_out):,} held-out posts**: {len(counts):,} distinct replies; the most frequent, "{top}", {100 * times / len(replies):.1f} % of the time.

It says what people said to each other in small talk, often beside the point, and it has no memory. It is a test subject, not a companion.

| post | reply |
|---|---|
{lines}
"""


def halved_agreement(model: Path, held_out: list[str]) -> tuple[int, int]:
    """Count how many replies half precision on disk leaves as they were."""
    best = model.parent / "state" / "best.safetensors"
    network, vocabulary, description = load_model(model, kind="chatbot")
    network.load_state_dict(load_tensors(best))
    full = Seq2SeqChatbot(
        network, vocabulary, name="full", decoding=description["decoding"], weights_hash=""
    )
    halved = load_chatbot(f"seq2seq:{model}").reply(held_out)
    same = sum(a == b for a, b in zip(full.reply(held_out), halved, strict=True))
    return same, len(held_out)


def generator_card(made: Path) -> str:
    """Write the generator's card from what the stages recorded."""
    description = json.loads((made / "generator" / "model.json").read_text())
    pretrained = json.loads((made / "pretrained" / "model.json").read_text())
    generator = Seq2SeqGenerator.load(made / "generator")
    size = generator.network.size
    counts = description["queries"]
    return f"""# The built-in generator

Encoder-decoder LSTM ({size.layers} layers of {size.hidden} units, embeddings of {size.embedding}, vocabulary {size.vocabulary:,},
{"with" if size.attention else "without"} attention): a target sentence in, queries for the built-in chatbot out.

- **Data**: the built-in chatbot's replies to posts of the `chitchat-dataset` package 0.9.0 (MIT, BYU PCC lab). Every pair with a test or
  validation target on either side (normalised) is left out.
- **Training**: pre-trained on the reference corpus (validation perplexity by epoch {", ".join(f"{p:.1f}" for p in pretrained["validation_perplexity"])}), then
  REINFORCE (`estimator: {description["settings"]["reinforce"]["estimator"]}`); best mean similarity of greedy queries on the validation list
  {description["validation_similarity"]:.3f}.
- **Queries**: reference {counts["reference"]["asked"]:,} asked ({counts["reference"]["sent"]:,} sent), reinforce {counts["reinforce"]["asked"]:,} asked
  ({counts["reinforce"]["sent"]:,} sent).
- **Licence**: Apache-2.0, as saywhat.
- **Command**: `{COMMAND}`, seed {description["settings"]["seed"]}, commit {commit(description)}, {hardware(description)}.
- **Weights**: half precision, {{bytes}} bytes, SHA-256 `{{sha256}}`.
- **Figures** on the test lists: `benchmarks/results/road.json`, tables in `docs/results.md`.
"""


def commit(description: dict[str, Any]) -> str:
    """Name the commit that a checkpoint was made on, and whether the code differed from it."""
    facts = description["provenance"]
    return f"{facts.get('commit')}{' with uncommitted changes' if facts.get('dirty') else ''}"


def hardware(description: dict[str, Any]) -> str:
    """Name the machine that a checkpoint was made on."""
    return str(description["provenance"].get("hardware") or provenance()["hardware"])


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "work/builtin"))
