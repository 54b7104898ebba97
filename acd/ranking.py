"""Who comes first: agents by their queue's strategy, contacts by priority (aged) and then the longest wait.

Keys do not change while somebody waits, so that order is kept by insertion and nothing is ever ranked anew.
"""

from __future__ import annotations

from heapq import merge, nsmallest
from itertools import islice
from typing import TYPE_CHECKING

from acd.cases import WaitingKey
from acd.lanes import Lane
from acd.roster import Roster, Seat
from acd.strategies import DEFAULT
from acd.strategies.base import Key, Strategy

if TYPE_CHECKING:
    from acd.state import Floor

CONTACT_RULE = "priority-then-longest-wait"

Ranked = tuple[Key, Seat]
"""An agent with the key that ranks them, the smaller the better."""

ContactRank = tuple[int, int, int, float, int]
"""Agent's priority of the queue, place in whole seconds, minus the agent's weight of the queue, place, order."""


def agents_in_order(floor: Floor, lane: Lane, most: int) -> list[Ranked]:
    """The first of those agents who can have a contact of the lane now."""
    mask = floor.roster.free.get(lane.bit, 0) & lane.mask
    if not mask:
        return []
    strategy = lane.queue.strategy
    tiers = lane.tiers()
    if tiers is None:
        return _smallest(floor.roster, strategy, mask, most)
    found: list[Ranked] = []
    for value, tier in tiers:
        if mask & tier:
            for key, seat in _smallest(floor.roster, strategy, mask & tier, most - len(found)):
                found.append(((value, *key), seat))
            if len(found) >= most:
                break
    return found


def _smallest(roster: Roster, strategy: Strategy, mask: int, most: int) -> list[Ranked]:
    """The agents of the set with the smallest keys.

    A small set is sorted; in a large one the order of all free agents is walked until enough are found.
    """
    count = mask.bit_count()
    order = roster.orders.get(strategy.name)
    if order is not None and count * count > 4 * len(order):
        seats, found = roster.seats, []
        for key, slot in order:
            seat = seats[slot]
            if mask & seat.bit:
                found.append((key, seat))
                if len(found) >= most:
                    break
        return found
    every = [(strategy.key(seat), seat.slot, seat) for seat in roster.seats_of(mask)]
    if count > 1:
        every = sorted(every)[:most] if count < 64 else nsmallest(most, every)
    return [(key, seat) for key, _, seat in every[:most]]


def strategy_of(lane: Lane) -> Strategy:
    """How the lane's queue chooses."""
    return lane.queue.strategy or DEFAULT


# --- contacts -----------------------------------------------------------------------------------------------------


def lanes_in_order(floor: Floor, seat: Seat, most: int) -> list[tuple[ContactRank, Lane]]:
    """Lanes in which somebody waits whom the agent can have now, by their first contacts: of each queue as many as asked."""
    open, bit = seat.open, seat.bit
    found: list[tuple[ContactRank, Lane]] = []
    for queue, member in seat.serves:
        if not len(queue.heads):
            continue
        left = most
        for place, order, lane in queue.heads:
            if lane.bit & open and lane.mask & bit:
                found.append(((member.priority, int(place), -member.weight, place, order), lane))
                left -= 1
                if not left:
                    break
    if floor.aside:
        for door in (f"agent/{seat.agent.id}", f"team/{seat.config.team}", "anybody"):
            for lane in floor.aside.get(door, {}).values():
                if lane.bit & open and lane.mask & bit:
                    found.append((rank(seat, lane, lane.head), lane))
    if most == 1:
        return [min(found)] if found else []
    return sorted(found)


def contacts_in_order(floor: Floor, seat: Seat, most: int) -> list[tuple[ContactRank, str]]:
    """The visits that the agent can have now, first one first."""
    lanes = lanes_in_order(floor, seat, most)[:most]
    if len(lanes) == 1:
        lane = lanes[0][1]
        return [(rank(seat, lane, key), key[2]) for key in islice(lane.waiting, most)]
    ranked = ([(rank(seat, lane, key), key[2]) for key in islice(lane.waiting, most)] for _, lane in lanes)
    return list(islice(merge(*ranked), most))


def rank(seat: Seat, lane: Lane, key: WaitingKey) -> ContactRank:
    """The key of a visit among all that an agent could have."""
    member = seat.by_queue.get(lane.queue.config.id)
    if member is None:
        return (1, int(key[0]), -1, key[0], key[1])
    return (member.priority, int(key[0]), -member.weight, key[0], key[1])
