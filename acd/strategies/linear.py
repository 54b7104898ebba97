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


def tiers(lane: Lane, mask: int) -> list[tuple[float, int]]:
    """The agents by level; who is let in by a rule from outside comes last."""
    found = []
    for level, members in lane.queue.levels:
        if mask & members:
            found.append((float(level), mask & members))
            mask &= ~members
    return [*found, (float("inf"), mask)] if mask else found


STRATEGY = Strategy("linear", ("level", "place in the configuration"), key, tiers, "place in the configuration")
