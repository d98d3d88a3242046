"""The training flow, in order, on one page: chatbot, reference corpus, target lists, pre-training, REINFORCE.

Each stage reads what the one before it wrote in the work folder, goes on from its own checkpoint, and can be run alone::

    ledger.sqlite            every query and reply of the training
    reference.jsonl.xz       (reply, query) pairs, held-out targets removed
    targets/test.jsonl       targets/validation.jsonl
    pretrain/  pretrained/   checkpoints and the pre-trained generator
    reinforce/ generator/    checkpoints, metrics.jsonl and the trained generator
"""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, final

import torch

from saywhat.config import ChatbotSettings, TrainSettings
from saywhat.corpora import conversations as sources
from saywhat.corpora import targets as lists
from saywhat.corpora.conversations import Conversation
from saywhat.corpora.files import read_conversations, read_pairs, write_pairs
from saywhat.corpora.pairs import held_out_pairs, posts, training_pairs
from saywhat.corpora.splits import split
from saywhat.errors import SetupError
from saywhat.generators import Seq2SeqGenerator
from saywhat.interfaces import Similarity
from saywhat.ledger import Ledger, LedgeredChatbot, Limits
from saywhat.nn.checkpoint import save_model
from saywhat.nn.seq2seq import Seq2Seq, Seq2SeqSize
from saywhat.records import Pair, Target, read_jsonl, write_jsonl
from saywhat.registry import ASSETS, load_chatbot
from saywhat.rng import derive_seed, fraction
from saywhat.runs import provenance
from saywhat.similarity.make import make_similarity
from saywhat.text.normalise import normalise, word_count
from saywhat.text.vocabulary import Vocabulary
from saywhat.training import collect as collecting
from saywhat.training import pretrain as pretraining
from saywhat.training.reinforce import Reinforce, StepMetrics, TargetPool
from saywhat.training.supervised import Progress, SupervisedTrainer, encode_examples


@dataclasses.dataclass(frozen=True)
class Reports:
    """Who is told of progress."""

    stage: Callable[[str], None] = lambda text: None
    asked: Callable[[int, int], None] = lambda done, total: None
    sent: Callable[[int], None] = lambda number: None
    supervised: Callable[[Progress], None] = lambda progress: None
    reinforce: Callable[[StepMetrics], None] = lambda metrics: None


def load_conversations(corpus: str) -> Iterable[Conversation]:
    """Read the corpus that a setting names: ``chitchat`` or a path."""
    return sources.chitchat() if corpus == "chitchat" else read_conversations(Path(corpus))


def train_chatbot(
    settings: ChatbotSettings,
    conversations: Iterable[Conversation],
    *,
    seed: int,
    folder: Path,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Path:
    """Train the built-in kind of chatbot (Section 4.1) and save it; goes on from the folder's checkpoint.

    Returns:
        The folder ``model`` in ``folder``: the chatbot's spec is ``seq2seq:`` and this path.
    """
    parts = split(conversations)
    pairs = training_pairs(
        parts["chatbot"], max_words=settings.max_words, max_per_reply=settings.max_per_reply
    )
    valid = held_out_pairs(parts["validation"], max_words=settings.max_words)
    if not pairs or not valid:
        raise SetupError("The corpus has too few conversations to train and validate a chatbot on.")
    vocabulary = Vocabulary.build(
        (text for pair in pairs for text in (pair.query, pair.reply)), size=settings.network.vocabulary
    )
    network, training = settings.network, settings.training
    size = Seq2SeqSize(
        len(vocabulary), network.embedding, network.hidden, network.layers, network.attention
    )
    rng = torch.Generator().manual_seed(derive_seed(seed, "chatbot-weights"))
    model = Seq2Seq(size, dropout=training.dropout, rng=rng)
    trainer = SupervisedTrainer(model, training, seed=seed, folder=folder / "state", report=report)
    history = trainer.fit(
        encode_examples([(p.query, p.reply) for p in pairs], vocabulary, max_tokens=training.max_tokens),
        encode_examples([(p.query, p.reply) for p in valid], vocabulary, max_tokens=training.max_tokens),
    )
    extra = {
        "decoding": settings.decoding.model_dump(),
        "settings": settings.model_dump(),
        "seed": seed,
        "validation_perplexity": history,
        "training_pairs": len(pairs),
        "training_turns": sum(len(c.turns) for c in parts["chatbot"]),
        "provenance": provenance(),
    }
    save_model(model, vocabulary, folder / "model", kind="chatbot", extra=extra, dtype=torch.float16)
    return folder / "model"


@final
class Training:
    """The stages of ``saywhat train`` for one chatbot, in one work folder.

    Args:
        settings: of all stages.
        folder: the work folder; made if absent.
        reports: who is told of progress.
    """

    def __init__(self, settings: TrainSettings, folder: Path, reports: Reports | None = None) -> None:
        self.settings, self.folder = settings, folder
        self._reports = reports or Reports()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "targets").mkdir(exist_ok=True)

    def run(self) -> Seq2SeqGenerator:
        """Run every stage that is not done yet."""
        self.collect()
        self.pretrain()
        return self.reinforce()

    def collect(self) -> list[Pair]:
        """Ask the chatbot for the reference corpus and the target lists (phase ``reference``)."""
        path = self.folder / "reference.jsonl.xz"
        if path.exists():
            return read_pairs(path)
        self._reports.stage("Reading the corpus")
        parts = split(load_conversations(self.settings.corpus))
        with self._ledger() as ledger:
            chatbot = self._chatbot(ledger, "reference")
            utterances = self._posts(parts["posts"], self.settings.collect.posts)
            self._reports.stage(f"Asking {chatbot.name} {len(utterances):,} posts")
            pairs = self._ask(chatbot, utterances)
            test, validation, pairs = self._lists(chatbot, parts, pairs)
        write_jsonl(test, self.folder / "targets" / "test.jsonl")
        write_jsonl(validation, self.folder / "targets" / "validation.jsonl")
        partial = self.folder / "partial.jsonl.xz"
        write_pairs(pairs, partial)
        partial.replace(path)
        return pairs

    def _lists(
        self, chatbot: LedgeredChatbot, parts: dict[str, list[Conversation]], pairs: list[Pair]
    ) -> tuple[list[Target], list[Target], list[Pair]]:
        settings, seed = self.settings.lists, self.settings.seed
        self._reports.stage("Asking for the generated target lists")
        test_pairs = self._ask(chatbot, self._posts(parts["generated"], settings.utterances))
        valid_pairs = self._ask(chatbot, self._posts(parts["validation"], settings.utterances))
        words = self.settings.collect.max_words
        real = lists.real_candidates(held_out_pairs(parts["real"], max_words=words))
        real_valid = lists.real_candidates(held_out_pairs(parts["validation"], max_words=words))
        generated = lists.generated_candidates(p.reply for p in test_pairs)
        generated_valid = lists.generated_candidates(p.reply for p in valid_pairs)
        count, valid_count = settings.per_length, settings.validation_per_length
        test = [
            *lists.pick(generated, per_length=count, seed=seed),
            *lists.pick(real, per_length=count, seed=seed),
        ]
        # no validation target may be a test target
        taken = {normalise(t.text) for t in test}
        free = [t for t in (*generated_valid, *real_valid) if normalise(t.text) not in taken]
        validation = [
            target
            for name in ("generated", "real")
            for target in lists.pick(
                (t for t in free if t.list == name), per_length=valid_count, seed=seed
            )
        ]
        kept = lists.hold_out(pairs, [*test, *validation])
        known = lists.mark_seen(generated, kept, name="generated-seen")
        seen = lists.pick(known, per_length=count, seed=seed)
        return [*test, *seen], validation, kept

    def pretrain(self) -> Seq2SeqGenerator:
        """Pre-train the generator on the reference corpus."""
        saved = self.folder / "pretrained"
        if saved.exists():
            return Seq2SeqGenerator.load(saved)
        pairs = read_pairs(self._need("reference.jsonl.xz", "collect"))
        self._check_leaks(text for pair in pairs for text in (pair.query, pair.reply))
        self._reports.stage(f"Pre-training the generator on {len(pairs):,} pairs")
        generator, history = pretraining.pretrain(
            pairs,
            self.settings.pretrain,
            seed=self.settings.seed,
            folder=self.folder / "pretrain",
            report=self._reports.supervised,
        )
        extra = {"stage": "pretrained", "validation_perplexity": history, **self._origin()}
        generator.save(saved, extra=extra)
        return generator

    def reinforce(self) -> Seq2SeqGenerator:
        """Train the pre-trained generator by REINFORCE (phase ``reinforce``)."""
        saved = self.folder / "generator"
        if saved.exists():
            return Seq2SeqGenerator.load(saved)
        generator = Seq2SeqGenerator.load(self._need("pretrained", "pretrain"))
        pairs = read_pairs(self._need("reference.jsonl.xz", "collect"))
        validation = list(read_jsonl(Target, self._need("targets/validation.jsonl", "collect")))
        validation.sort(key=lambda target: fraction("validation-order", target.text))
        similarity = self.similarity()
        pool = self._pool(pairs, similarity)
        self._check_leaks((*pool.replies, *pool.human))
        self._reports.stage(
            f"REINFORCE on {len(pool.replies):,} replies and {len(pool.human):,} human sentences"
        )
        with self._ledger() as ledger:
            trainer = Reinforce(
                generator,
                self._chatbot(ledger, "reinforce"),
                similarity,
                self.settings.reinforce,
                seed=self.settings.seed,
                folder=self.folder / "reinforce",
                report=self._reports.reinforce,
            )
            best = trainer.train(pool, validation)
            counts = {phase: dataclasses.asdict(c) for phase, c in ledger.counts().items()}
        extra = {"stage": "reinforce", "validation_similarity": best, "queries": counts, **self._origin()}
        generator.save(saved, extra=extra)
        return generator

    def similarity(self) -> Similarity:
        """Make the similarity that gives the rewards."""
        settings = self.settings.similarity
        return make_similarity(
            settings.name, vectors=settings.vectors, centre=ASSETS / "centre.json"
        )

    def _pool(self, pairs: list[Pair], similarity: Similarity) -> TargetPool:
        limit = self.settings.reinforce.max_target_words

        def usable(texts: Iterable[str]) -> list[str]:
            distinct = {normalise(text): text for text in texts if 1 <= word_count(text) <= limit}
            return [text for text in distinct.values() if similarity.measurable(text)]

        pool = TargetPool(usable(p.reply for p in pairs), usable(p.query for p in pairs))
        if not pool.replies:
            raise SetupError("The reference corpus has no reply that could be a target.")
        return pool

    def _check_leaks(self, texts: Iterable[str]) -> None:
        for name in ("test", "validation"):
            path = self.folder / "targets" / f"{name}.jsonl"
            if path.exists() and (found := lists.leaks(read_jsonl(Target, path), texts := list(texts))):
                raise SetupError(
                    f"{len(found)} targets of {path} are among the generator's training texts, for example "
                    f"{found[0].text!r}; run the stage collect again."
                )

    def _ask(self, chatbot: LedgeredChatbot, utterances: list[str]) -> list[Pair]:
        return collecting.collect(
            chatbot,
            utterances,
            batch_size=self.settings.collect.batch_size,
            report=lambda done: self._reports.asked(done, len(utterances)),
        )

    def _posts(self, conversations: list[Conversation], count: int) -> list[str]:
        found = posts(conversations, max_words=self.settings.collect.max_words)
        return sorted(found, key=lambda text: fraction("posts", self.settings.seed, text))[:count]

    def _ledger(self) -> Ledger:
        limits = self.settings.limits
        return Ledger(
            self.folder / "ledger.sqlite", Limits(total=limits.queries, seconds=limits.seconds)
        )

    def _chatbot(self, ledger: Ledger, phase: str) -> LedgeredChatbot:
        inner = load_chatbot(self.settings.chatbot)
        attempts, sent = self.settings.limits.attempts, self._reports.sent
        return ledger.chatbot(inner, phase=phase, attempts=attempts, on_sent=sent)

    def _need(self, name: str, stage: str) -> Path:
        path = self.folder / name
        if not path.exists():
            raise SetupError(f"There is no {path}; run the stage {stage} first, with the same --out.")
        return path

    def _origin(self) -> dict[str, Any]:
        return {"settings": self.settings.model_dump(), "provenance": provenance()}
