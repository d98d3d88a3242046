"""The ledger: every query counted, budgeted and durable, by a wrapper that is a chatbot itself."""

from saywhat.ledger.budget import Limits
from saywhat.ledger.chatbot import Answer, LedgeredChatbot
from saywhat.ledger.ledger import Ledger
from saywhat.ledger.store import Counts

__all__ = ["Answer", "Counts", "Ledger", "LedgeredChatbot", "Limits"]
