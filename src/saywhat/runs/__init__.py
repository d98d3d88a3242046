"""Run folders: what ran, with which settings, on which code and machine, and its attempts."""

from saywhat.runs.attempts import AttemptLog
from saywhat.runs.folder import RunFolder, Status
from saywhat.runs.provenance import command_line, provenance, utc_now
from saywhat.runs.settings import settings_hash

__all__ = [
    "AttemptLog",
    "RunFolder",
    "Status",
    "command_line",
    "provenance",
    "settings_hash",
    "utc_now",
]
