"""What is looked at before an experiment goes on, since a part that needs it may be days away."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from saywhat.config import TrainSettings
from saywhat.corpora.files import check_conversations
from saywhat.corpora.load import path_of
from saywhat.errors import SetupError
from saywhat.experiment.evaluations import Settings, similarity_of
from saywhat.experiment.stages import Place
from saywhat.nn.checkpoint import read_json
from saywhat.pipeline import ORIGIN
from saywhat.registry import open_chatbot
from saywhat.runs.files import file_hash
from saywhat.text.vectors import check_vectors
from saywhat.training.chatbot import check_embeddings

_ASKED_WITH: Final[Mapping[str, set[str] | None]] = {
    "model": None,
    "connection": {"authorised", "api_key"},
}
"""What decides who answers and how, ``None`` for all of a section; training and audits have one
each. Timeouts and the like may differ."""


def check_needed(settings: Settings) -> None:
    """See that the corpus, the vectors and the judge that parts need are there.

    Raises:
        SetupError: some are not, or training and audits would ask two chatbots; all that is wrong
            is in one message.
    """
    wrong = []
    for look in _looks(settings):
        try:
            look()
        except SetupError as error:
            if (text := str(error)) not in wrong:
                wrong.append(text)
    if len(wrong) == 1:
        raise SetupError(wrong[0])
    if wrong:
        listed = " ".join(f"({number}) {text}" for number, text in enumerate(wrong, start=1))
        raise SetupError(f"{len(wrong)} things are missing or wrong. {listed}")


def _looks(settings: Settings) -> Iterator[Callable[[], None]]:
    yield functools.partial(_check_one_chatbot, settings)
    if (path := path_of(settings.experiment.corpus)) is not None:
        yield functools.partial(check_conversations, path)
    yield functools.partial(_check_judge, settings)
    for similarity in (settings.audit.similarity, settings.train.similarity):
        yield functools.partial(check_vectors, similarity.vectors)
    if settings.experiment.chatbot == "train" or settings.experiment.others:
        yield functools.partial(check_embeddings, settings.chatbot_training)


def _check_judge(settings: Settings) -> None:
    if (judge := settings.experiment.judge) == "none":
        return
    try:
        similarity_of(settings.audit.similarity.model_copy(update={"name": judge}))
    except SetupError as error:
        raise SetupError(f"{error} Without it: --set experiment.judge=none.") from error


def _check_one_chatbot(settings: Settings) -> None:
    """See that training and audits ask in the same way; values may be credentials, and stay here.

    Raises:
        SetupError: they would not.
    """
    different = []
    for section, keys in _ASKED_WITH.items():
        trained, audited = (
            getattr(part, section).model_dump(include=keys)
            for part in (settings.train, settings.audit)
        )
        different += [f"{section}.{key}" for key in trained if trained[key] != audited[key]]
    if different:
        named = ", ".join(f"train.{key} and audit.{key}" for key in different)
        raise SetupError(
            f"An experiment trains and audits one chatbot, asked in one way: set {named} to the "
            "same value."
        )


def check_same_corpus(place: Place, settings: Settings) -> None:
    """See that the file of conversations is still the one that posts and lists were taken from.

    Raises:
        SetupError: it has other content.
    """
    path, file = place.corpus / ORIGIN, path_of(settings.experiment.corpus)
    if file is None or not path.exists():
        return
    before = read_json(path, what="a description of a reference corpus").get("corpus file")
    if before is not None and before != file_hash(file):
        raise SetupError(
            f"{file} has changed since {place.corpus} was collected: the parts would be of two "
            "corpora. Bring it back, or give another --out and --parts."
        )


def check_same_chatbot(place: Place, settings: TrainSettings) -> None:
    """See that a chatbot is still the one whose replies its reference corpus holds.

    Raises:
        SetupError: it is not, or cannot be opened.
    """
    path = place.corpus / ORIGIN
    if not path.exists():
        return
    before = read_json(path, what="a description of a reference corpus").get("chatbot")
    with open_chatbot(place.spec, connection=settings.connection, model=settings.model) as chatbot:
        now = chatbot.fingerprint
    if before != now:
        raise SetupError(
            f"{place.spec} has changed since {place.corpus} was collected (its fingerprint was "
            f"{str(before)[:12]}, now {now[:12]}): the parts would be of two chatbots. Bring it "
            "back, or give another --out and --parts."
        )
