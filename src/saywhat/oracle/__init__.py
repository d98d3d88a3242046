"""Oracles: what can be said at all, found with the chatbot's weights in hand.

An oracle is no method of attack and competes with none: it sees what a search may not. It bounds
from below what any search could reach.
"""

from saywhat.oracle.gibbs_enum import NAME, OracleFinding, gibbs_enum
from saywhat.oracle.white_box import WhiteBox, typical_log_prob

__all__ = ["NAME", "OracleFinding", "WhiteBox", "gibbs_enum", "typical_log_prob"]
