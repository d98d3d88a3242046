"""What is looked at before an experiment goes on, since a part that needs it may be days away."""

from saywhat.config import TrainSettings
from saywhat.errors import SetupError
from saywhat.experiment.evaluations import Settings, similarity_of
from saywhat.experiment.stages import Place
from saywhat.nn.checkpoint import read_json
from saywhat.pipeline import ORIGIN
from saywhat.registry import open_chatbot
from saywhat.text.vectors import check_vectors
from saywhat.training.chatbot import check_embeddings


def check_needed(settings: Settings) -> None:
    """See that the vectors and the judge that parts need are there.

    Raises:
        SetupError: some are not.
    """
    try:
        if (judge := settings.experiment.judge) != "none":
            similarity_of(settings.audit.similarity.model_copy(update={"name": judge}))
    except SetupError as error:
        raise SetupError(f"{error} Without it: --set experiment.judge=none.") from error
    for similarity in (settings.audit.similarity, settings.train.similarity):
        check_vectors(similarity.vectors)
    if settings.experiment.chatbot == "train" or settings.experiment.others:
        check_embeddings(settings.chatbot_training)


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
