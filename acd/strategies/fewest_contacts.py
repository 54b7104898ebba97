"""The agent with the fewest contacts: now, then since they logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acd.strategies.base import Key, Strategy

if TYPE_CHECKING:
    from acd.roster import Seat


def key(seat: Seat) -> Key:
    """Contacts at hand, contacts since logging in, then longest available."""
    agent = seat.agent
    return (len(agent.works), agent.handled, agent.free_since, agent.free_order)


STRATEGY = Strategy("fewest-contacts", ("contacts now", "contacts since logging in", "available since", "order"), key)
