"""The training flow, in order, on one page: from posts to a trained generator.

Chatbot, reference corpus, target lists, pre-training, REINFORCE. Each stage reads what the one
before it wrote in the work folder, goes on from its own checkpoint, and can be run alone::

    ledger.sqlite            every query and reply of the training
    reference.json           whose corpus this is: chatbot, corpus, seed and settings
    reference.jsonl.xz       (reply, query) pairs, held-out targets removed
    targets/test.jsonl       targets/validation.jsonl
    pretrain/  pretrained/   checkpoints and the pre-trained generator
    reinforce/ generator/    checkpoints, metrics.jsonl and the trained generator
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any, Final, final

from saywhat.config import Section, TrainSettings
from saywhat.corpora import targets as lists
from saywhat.corpora.conversations import Conversation
from saywhat.corpora.files import read_pairs, write_pairs
from saywhat.corpora.load import described, load_conversations, path_of
from saywhat.corpora.pairs import held_out_pairs, posts
from saywhat.corpora.splits import split
from saywhat.errors import CheckpointError, CorpusError, InconclusiveError, SetupError
from saywhat.generators import Seq2SeqGenerator
from saywhat.inputs import load_similarity
from saywhat.interfaces import Chatbot, Similarity
from saywhat.ledger import Ledger, LedgeredChatbot, Limits
from saywhat.nn.checkpoint import DESCRIPTION, read_json, write_json
from saywhat.records import Pair, Target, read_jsonl, write_jsonl
from saywhat.registry import JUDGES, open_chatbot
from saywhat.rng import fraction
from saywhat.runs import provenance
from saywhat.runs.files import file_hash
from saywhat.text.normalise import normalise, word_count
from saywhat.text.vectors import check_vectors
from saywhat.training import collect as collecting
from saywhat.training import pretrain as pretraining
from saywhat.training.chatbot import train_chatbot as train_chatbot  # noqa: PLC0414  (public here)
from saywhat.training.metrics import StepMetrics
from saywhat.training.pool import TargetPool
from saywhat.training.reinforce import Reinforce
from saywhat.training.supervised import Progress

_REFERENCE: Final = "reference.jsonl.xz"
_MOST_HELD_OUT: Final = 0.05  # of the corpus; the built-in chatbot's most frequent reply has 4 %
ORIGIN: Final = "reference.json"


@dataclasses.dataclass(frozen=True)
class Reports:
    """Who is told of progress.

    Attributes:
        stage: what begins.
        asked: posts asked, and of how many.
        sent: queries that left for the chatbot, batch by batch.
        supervised: each batch and epoch of pre-training.
        reinforce: each step of REINFORCE.
    """

    stage: Callable[[str], None] = lambda _: None
    asked: Callable[[int, int], None] = lambda _, __: None
    sent: Callable[[int], None] = lambda _: None
    supervised: Callable[[Progress], None] = lambda _: None
    reinforce: Callable[[StepMetrics], None] = lambda _: None


@final
class Training:
    """The stages of ``saywhat train`` for one chatbot, in one work folder.

    Args:
        settings: of all stages.
        folder: the work folder; made if absent.
        reports: who is told of progress.

    Raises:
        SetupError: the folder cannot be made, or the network cannot be a generator.
    """

    def __init__(
        self, settings: TrainSettings, folder: Path, reports: Reports | None = None
    ) -> None:
        pretraining.check_network(settings.pretrain.network)
        self.settings, self.folder = settings, folder
        self._reports = reports or Reports()
        self._open = contextlib.ExitStack()
        self._chatbot_made: Chatbot | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / "targets").mkdir(exist_ok=True)
        except OSError as error:
            raise SetupError(
                f"Cannot make the work folder {folder}: {error.strerror}. Choose another --out."
            ) from error

    def __enter__(self) -> "Training":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the chatbot's connections, threads or processes."""
        self._chatbot_made = None
        self._open.close()

    def run(self) -> Seq2SeqGenerator:
        """Run every stage that is not done yet."""
        check_vectors(self.settings.similarity.vectors)  # the last stage needs them
        self.collect()
        self.check_targets()
        self.pretrain()
        return self.reinforce()

    def collect(self) -> list[Pair]:
        """Ask the chatbot for the reference corpus and the target lists (phase ``reference``).

        Raises:
            CorpusError: the corpus cannot be used, or is too small for the lists.
            InconclusiveError: the chatbot answered nothing.
            SetupError: the folder holds a corpus of another chatbot, or made with other settings.
        """
        path = self.folder / _REFERENCE
        origin = self._origin_of_corpus()
        if path.exists():
            return read_pairs(path)
        self._reports.stage("Reading the corpus")
        parts = split(load_conversations(self.settings.corpus))
        with self._ledger() as ledger:
            chatbot = self._chatbot(ledger, "reference")
            utterances = self._posts(parts["posts"], self.settings.collect.posts)
            if not utterances:
                read = described(self.settings.corpus, list(chain.from_iterable(parts.values())))
                raise CorpusError(
                    f"The corpus {self.settings.corpus} gives no post to ask ({read}); give more "
                    "conversations, or correct the form."
                )
            if len(utterances) < (wanted := self.settings.collect.posts):
                self._reports.stage(
                    f"The corpus has {len(utterances):,} distinct posts of the {wanted:,} wanted; "
                    "all are asked"
                )
            write_json(origin, self.folder / ORIGIN)
            self._reports.stage(f"Asking {chatbot.name} {len(utterances):,} posts")
            pairs = self._ask(chatbot, utterances)
            if not pairs:
                raise InconclusiveError(
                    f"{chatbot.name} answered none of the {len(utterances):,} posts; "
                    "see that it works (saywhat chat), then run the same command again."
                )
            test, validation, pairs = self._lists(chatbot, parts, pairs)
        write_jsonl(test, self.folder / "targets" / "test.jsonl")
        write_jsonl(validation, self.folder / "targets" / "validation.jsonl")
        partial = self.folder / "partial.jsonl.xz"
        write_pairs(pairs, partial)
        partial.replace(path)
        return pairs

    def _origin_of_corpus(self) -> dict[str, Any]:
        """Say what the reference corpus is made of, or refuse a folder that holds another's."""
        names = {"corpus", "seed", "lists", "collect"}
        chatbot = self._made().fingerprint
        wanted = {"chatbot": chatbot, **self.settings.model_dump(mode="json", include=names)}
        if (file := path_of(self.settings.corpus)) is not None and file.is_file():
            wanted["corpus file"] = file_hash(file)
        path = self.folder / ORIGIN
        if not path.exists():
            return wanted
        found = read_json(path, what="a description of a reference corpus")
        noted = wanted.keys() - ({"corpus file"} - found.keys())  # older folders do not have it
        different = sorted(key for key in noted if found.get(key) != wanted[key])
        if different:
            raise SetupError(
                f"{self.folder} holds a reference corpus made with another {', '.join(different)}; "
                "give another --out, or the same settings."
            )
        return wanted

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
        valid_count = settings.validation_per_length
        tell = self._reports.stage
        # holding one of these out would take what the generator learns from
        usual = [Target(text) for text in lists.frequent_replies(pairs, share=_MOST_HELD_OUT)]
        test = lists.pick_lists(
            [*generated, *real],
            per_length=settings.per_length,
            seed=seed,
            without=usual,
            short=lambda text: tell(f"Test: {text}"),
        )
        validation = lists.pick_lists(
            [*generated_valid, *real_valid],
            per_length=valid_count,
            seed=seed,
            without=[*test, *usual],
            short=lambda text: tell(f"Validation: {text}"),
        )
        kept = lists.hold_out(pairs, [*test, *validation])
        known = lists.mark_seen(generated, kept, name="generated-seen")
        seen = lists.pick_lists(known, per_length=valid_count, seed=seed, short=tell)
        return [*test, *seen], validation, kept

    def check_targets(self) -> None:
        """See that REINFORCE will have a target, before pre-training takes its time.

        Raises:
            SetupError: every reply is longer than a target may be.
            NothingToLearnError: the chatbot gives nearly every post one reply.
        """
        pairs = read_pairs(self._need(_REFERENCE, "collect"))
        collecting.check_replies(pairs, max_words=self.settings.reinforce.max_target_words)

    def pretrain(self) -> Seq2SeqGenerator:
        """Pre-train the generator on the reference corpus."""
        saved = self.folder / "pretrained"
        if self._is_finished(saved, "chatbot", "seed", "pretrain"):
            return Seq2SeqGenerator.load(saved)
        pairs = read_pairs(self._need(_REFERENCE, "collect"))
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
        if self._is_finished(saved, "chatbot", "seed", "similarity", "reinforce"):
            return Seq2SeqGenerator.load(saved)
        generator = Seq2SeqGenerator.load(
            self._need(f"pretrained/{DESCRIPTION}", "pretrain").parent
        )
        pairs = read_pairs(self._need(_REFERENCE, "collect"))
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
        extra = {
            "stage": "reinforce",
            "validation_similarity": best,
            "queries": counts,
            **self._origin(),
        }
        generator.save(saved, extra=extra)
        return generator

    def similarity(self) -> Similarity:
        """Make the similarity that gives the rewards.

        Raises:
            SetupError: it is a judge and the settings do not say that this is meant.
        """
        settings = self.settings.similarity
        if settings.name in JUDGES and not self.settings.reinforce.judge_as_reward:
            raise SetupError(
                f"similarity.name: {settings.name} is a judge, which is no reward: it could not "
                "judge what it trained. Choose another, or set reinforce.judge_as_reward: true."
            )
        return load_similarity(settings)

    def _pool(self, pairs: list[Pair], similarity: Similarity) -> TargetPool:
        limit = self.settings.reinforce.max_target_words

        def usable(texts: Iterable[str]) -> list[str]:
            distinct = {normalise(text): text for text in texts if 1 <= word_count(text) <= limit}
            return [text for text in distinct.values() if similarity.measurable(text)]

        return TargetPool(usable(p.reply for p in pairs), usable(p.query for p in pairs))

    def _check_leaks(self, training_texts: Iterable[str]) -> None:
        texts = list(training_texts)
        for name in ("test", "validation"):
            path = self.folder / "targets" / f"{name}.jsonl"
            if path.exists() and (found := lists.leaks(read_jsonl(Target, path), texts)):
                raise SetupError(
                    f"{len(found)} targets of {path} are among the generator's training texts, "
                    f"for example {found[0].text!r}; remove {self.folder / _REFERENCE} and run the "
                    "stage collect again."
                )

    def _is_finished(self, saved: Path, *sections: str) -> bool:
        """Whether a generator is there, whole, and what these settings ask for.

        Raises:
            CheckpointError: it was trained with others.
        """
        path = saved / DESCRIPTION
        if not path.exists():
            return False
        made = read_json(path, what=f"a generator in {saved}").get("settings", {})
        other = []
        for name in sections:
            wanted = getattr(self.settings, name)
            if isinstance(wanted, Section) and name in made:  # newer keys had their defaults
                made[name] = type(wanted).model_validate(made[name])
            if name in made and made[name] != wanted:
                other.append(name)
        if other:
            raise CheckpointError(
                f"{saved} holds a generator that was trained with other settings of "
                f"{', '.join(other)}; give another --out, or remove it to train it anew."
            )
        return True

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
        return Ledger(self.folder / "ledger.sqlite", Limits.of(self.settings.limits))

    def _made(self) -> Chatbot:
        if self._chatbot_made is None:
            self._chatbot_made = self._open.enter_context(
                open_chatbot(
                    self.settings.chatbot,
                    connection=self.settings.connection,
                    model=self.settings.model,
                )
            )
        return self._chatbot_made

    def _chatbot(self, ledger: Ledger, phase: str) -> LedgeredChatbot:
        attempts, sent = self.settings.limits.attempts, self._reports.sent
        return ledger.chatbot(self._made(), phase=phase, attempts=attempts, on_sent=sent)

    def _need(self, name: str, stage: str) -> Path:
        path = self.folder / name
        if not path.exists():
            raise SetupError(
                f"There is no {path}; run the stage {stage} first, with the same --out."
            )
        return path

    def _origin(self) -> dict[str, Any]:
        return {"settings": self.settings.model_dump(), "provenance": provenance()}
