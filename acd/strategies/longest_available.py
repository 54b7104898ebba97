"""The agent who has been available longest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acd.strategies.base import Key, Strategy

if TYPE_CHECKING:
    from acd.roster import Seat


def key(seat: Seat) -> Key:
    """Since when, and who came first of the same instant."""
    agent = seat.agent
    return (agent.free_since, agent.free_order)


STRATEGY = Strategy("longest-available", ("available since", "order"), key)
