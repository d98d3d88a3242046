"""Settings: one frozen section per stage, and the only home of defaults.

Unknown keys are refused and all errors are reported at once, each with its dotted key. The defaults
are those of the built-in chatbot and generator; ``presets/`` holds others, among them the paper's.
"""

from saywhat.config.asking import (
    AgentSettings,
    AuditSettings,
    ConnectionSettings,
    LimitSettings,
    ModelSettings,
    OracleSettings,
    PhaseLimitSettings,
    SearchSettings,
    SimilaritySettings,
)
from saywhat.config.experiment import ExperimentSettings
from saywhat.config.networks import (
    ChatbotSettings,
    DecodingSettings,
    LanguageModelSettings,
    NetworkSettings,
    SupervisedSettings,
    VariationalSettings,
)
from saywhat.config.section import Section
from saywhat.config.training import (
    CollectSettings,
    ListSettings,
    PretrainSettings,
    ReinforceSettings,
    TrainSettings,
)

__all__ = [
    "AgentSettings",
    "AuditSettings",
    "ChatbotSettings",
    "CollectSettings",
    "ConnectionSettings",
    "DecodingSettings",
    "ExperimentSettings",
    "LanguageModelSettings",
    "LimitSettings",
    "ListSettings",
    "ModelSettings",
    "NetworkSettings",
    "OracleSettings",
    "PhaseLimitSettings",
    "PretrainSettings",
    "ReinforceSettings",
    "SearchSettings",
    "Section",
    "SimilaritySettings",
    "SupervisedSettings",
    "TrainSettings",
    "VariationalSettings",
]
