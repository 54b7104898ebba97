"""The agent with the smallest share of working time since they logged in, as it was when they last became free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acd.strategies.base import Key, Strategy

if TYPE_CHECKING:
    from acd.roster import Seat


def key(seat: Seat) -> Key:
    """Occupancy, then longest available."""
    agent = seat.agent
    return (agent.occupancy, agent.free_since, agent.free_order)


STRATEGY = Strategy("least-occupied", ("occupancy", "available since", "order"), key)
