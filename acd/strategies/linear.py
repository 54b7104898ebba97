"""A fixed order: agents of the lowest level first, within a level as the configuration names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acd.strategies.base import Key, Strategy

if TYPE_CHECKING:
    from acd.lanes import Lane
    from acd.roster import Seat


def key(seat: Seat) -> Key:
    """The place in the configuration."""
    return (seat.slot,)


def tiers(lane: Lane) -> list[tuple[float, int]]:
    """The queue's agents by level; who is let in by a rule from outside comes last."""
    levels = [(float(level), mask) for level, mask in lane.queue.levels]
    members = 0
    for _, mask in levels:
        members |= mask
    return [*levels, (float("inf"), lane.mask & ~members)]


STRATEGY = Strategy("linear", ("level", "place in the configuration"), key, tiers, "place in the configuration")
