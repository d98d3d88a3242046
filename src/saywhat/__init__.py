"""Which sentences can a chatbot be made to say, by which ordinary inputs, in how many queries?

The public names, each imported when it is first used, so that ``import saywhat`` is quick::

    found = saywhat.elicit(my_function, "i love you", method="random", budget=50)
    result = saywhat.audit(saywhat.AuditSettings(chatbot="python:bot.py:reply"))
    generator = saywhat.Training(saywhat.TrainSettings(), Path("work")).run()
"""

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any, Final, final

from typing_extensions import override

if TYPE_CHECKING:
    from saywhat.audit import AuditReports as AuditReports
    from saywhat.audit import AuditResult as AuditResult
    from saywhat.audit import audit as audit
    from saywhat.config import AuditSettings as AuditSettings
    from saywhat.config import ChatbotSettings as ChatbotSettings
    from saywhat.config import ConnectionSettings as ConnectionSettings
    from saywhat.config import ModelSettings as ModelSettings
    from saywhat.config import TrainSettings as TrainSettings
    from saywhat.eliciting import elicit as elicit
    from saywhat.errors import BatchError as BatchError
    from saywhat.errors import BudgetError as BudgetError
    from saywhat.errors import ChatbotError as ChatbotError
    from saywhat.errors import CheckpointError as CheckpointError
    from saywhat.errors import CorpusError as CorpusError
    from saywhat.errors import InconclusiveError as InconclusiveError
    from saywhat.errors import SayWhatError as SayWhatError
    from saywhat.errors import SetupError as SetupError
    from saywhat.errors import UnknownNameError as UnknownNameError
    from saywhat.errors import UnreachableError as UnreachableError
    from saywhat.inputs import load_generator as load_generator
    from saywhat.inputs import load_reference as load_reference
    from saywhat.inputs import load_targets as load_targets
    from saywhat.interfaces import Chatbot as Chatbot
    from saywhat.interfaces import ConcurrentChatbot as ConcurrentChatbot
    from saywhat.interfaces import Search as Search
    from saywhat.interfaces import Similarity as Similarity
    from saywhat.pipeline import Training as Training
    from saywhat.pipeline import train_chatbot as train_chatbot
    from saywhat.records import Attempt as Attempt
    from saywhat.records import Finding as Finding
    from saywhat.records import Pair as Pair
    from saywhat.records import Target as Target
    from saywhat.registry import load_chatbot as load_chatbot
    from saywhat.similarity.make import make_similarity as make_similarity

_HOMES: Final = {
    "Attempt": "records",
    "AuditReports": "audit",
    "AuditResult": "audit",
    "AuditSettings": "config",
    "BatchError": "errors",
    "BudgetError": "errors",
    "Chatbot": "interfaces",
    "ChatbotError": "errors",
    "ChatbotSettings": "config",
    "CheckpointError": "errors",
    "ConcurrentChatbot": "interfaces",
    "ConnectionSettings": "config",
    "CorpusError": "errors",
    "Finding": "records",
    "InconclusiveError": "errors",
    "ModelSettings": "config",
    "Pair": "records",
    "SayWhatError": "errors",
    "Search": "interfaces",
    "SetupError": "errors",
    "Similarity": "interfaces",
    "Target": "records",
    "TrainSettings": "config",
    "Training": "pipeline",
    "UnknownNameError": "errors",
    "UnreachableError": "errors",
    "audit": "audit",
    "elicit": "eliciting",
    "load_chatbot": "registry",
    "load_generator": "inputs",
    "load_reference": "inputs",
    "load_targets": "inputs",
    "make_similarity": "similarity.make",
    "train_chatbot": "pipeline",
}
__all__ = [
    "Attempt",
    "AuditReports",
    "AuditResult",
    "AuditSettings",
    "BatchError",
    "BudgetError",
    "Chatbot",
    "ChatbotError",
    "ChatbotSettings",
    "CheckpointError",
    "ConcurrentChatbot",
    "ConnectionSettings",
    "CorpusError",
    "Finding",
    "InconclusiveError",
    "ModelSettings",
    "Pair",
    "SayWhatError",
    "Search",
    "SetupError",
    "Similarity",
    "Target",
    "TrainSettings",
    "Training",
    "UnknownNameError",
    "UnreachableError",
    "audit",
    "elicit",
    "load_chatbot",
    "load_generator",
    "load_reference",
    "load_targets",
    "make_similarity",
    "train_chatbot",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


@final
class _Package(types.ModuleType):
    """Keeps ``saywhat.audit`` the function: importing the module of that name would replace it."""

    @override
    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
