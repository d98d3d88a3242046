"""Random sources derived by name, so that no draw depends on another's order.

Nothing in saywhat seeds a global source. ``derive(seed, "search", target_id)`` gives the same
numbers whatever was drawn before it, in any order and on any number of workers.
"""

import hashlib
import random
from collections.abc import Iterable


def derive_seed(seed: int, *names: object) -> int:
    """Derive a 63-bit seed from a run's seed and a path of names.

    Example:
        >>> derive_seed(1, "search", "t1") == derive_seed(1, "search", "t1")
        True
        >>> derive_seed(1, "search", "t1") == derive_seed(1, "search", "t2")
        False
    """
    return _hashed([str(seed), *map(str, names)]) >> 1


def derive(seed: int, *names: object) -> random.Random:
    """Give a private ``random.Random`` for a path of names.

    Example:
        >>> derive(1, "a").random() == derive(1, "a").random()
        True
    """
    return random.Random(derive_seed(seed, *names))  # noqa: S311  (experiments, not secrets)


def fraction(*names: object) -> float:
    """Map names to a fixed number in [0, 1): the hash that splits corpora by conversation.

    Example:
        >>> 0.0 <= fraction("conversation-1") < 1.0
        True
    """
    return _hashed(map(str, names)) / 2.0**64


def _hashed(names: Iterable[str]) -> int:
    # a text that comes from a chatbot or a terminal may hold lone surrogates
    path = "\x1f".join(names).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(path).digest()[:8], "big")
