"""Everybody in turn: the agent to whom something was offered longest ago."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acd.strategies.base import Key, Strategy

if TYPE_CHECKING:
    from acd.roster import Seat


def key(seat: Seat) -> Key:
    """The number of their last offer (0: none yet), then who became available first."""
    agent = seat.agent
    return (agent.offered_order, agent.free_order)


STRATEGY = Strategy("round-robin", ("last offer", "order"), key)
