"""Common random numbers: what is drawn depends on the seed, contact and purpose, and on nothing that happened before."""

from __future__ import annotations

import math
from hashlib import blake2b


def uniform(seed: int, contact: str, what: str) -> float:
    """A number in the open interval (0, 1), the same each time it is asked for."""
    digest = blake2b(f"{seed}/{what}/{contact}".encode(), digest_size=8).digest()
    return ((int.from_bytes(digest, "little") >> 11) + 0.5) * 2.0**-53


def exponential(seed: int, contact: str, what: str, mean: float) -> float:
    """Exponentially distributed with this mean."""
    return -mean * math.log(uniform(seed, contact, what))
