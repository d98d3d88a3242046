"""``saywhat train-chatbot``: train the built-in kind of chatbot."""

from saywhat.cli.flags import Call
from saywhat.cli.progress import Progress
from saywhat.cli.train import TrainingTalk, out_folder


def train_chatbot(call: Call) -> None:
    """Train a chatbot of the built-in kind."""
    from saywhat.cli.settings import settings_of
    from saywhat.corpora.load import load_conversations
    from saywhat.pipeline import train_chatbot as run

    settings = settings_of(call, "chatbot_training", flag_section="train")
    folder = out_folder(call)
    with Progress(call.output) as progress:
        told = TrainingTalk(call.output, progress)
        told.stage("Reading the corpus")
        model = run(
            settings.chatbot_training,
            load_conversations(settings.train.corpus),
            seed=settings.train.seed,
            folder=folder,
            report=told.supervised,
        )
    spec = f"seq2seq:{model}"
    if call.output.as_json:
        call.output.document({"chatbot": spec, "folder": str(model)})
    else:
        call.output.line(spec)
