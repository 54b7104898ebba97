"""What a strategy is: the key by which the agents who could have a contact are ranked, smaller first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from acd.lanes import Lane
    from acd.roster import Seat

Key = tuple[float, ...]


class Strategy(msgspec.Struct, frozen=True):
    """One way of choosing an agent.

    `key` depends on the agent alone and changes only when the agent does, so that an order can be kept. `tiers` splits a set
    of agents who may have a lane's contacts first, best tier first, none empty, each with the number that stands for it in the
    key.
    """

    name: str
    labels: tuple[str, ...]
    """What the numbers of a key mean, the tier's first."""
    key: Callable[[Seat], Key]
    tiers: Callable[[Lane, int], list[tuple[float, int]]] | None = None
    tie_break: str = "order of becoming available"
    """What decides when all numbers but the last are equal."""
