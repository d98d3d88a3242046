"""Searches: find queries for one target within a hard budget; and the driver that runs them."""

from saywhat.search.driver import run_search
from saywhat.search.make import SearchParts, make_search

__all__ = ["SearchParts", "make_search", "run_search"]
