"""Who comes first: agents by their queue's strategy, contacts by priority (aged) and then the longest wait.

Keys do not change while somebody waits, so that order is kept by insertion and nothing is ever ranked anew.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace, nsmallest
from typing import TYPE_CHECKING

from acd.cases import WaitingKey
from acd.lanes import Head, Lane
from acd.roster import Roster, Seat
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


# --- contacts -----------------------------------------------------------------------------------------------------


def contacts_in_order(floor: Floor, seat: Seat, most: int) -> list[tuple[ContactRank, str]]:
    """The visits that the agent can have now, first one first.

    A merge that opens only what it needs: of each queue the first fitting lane, of a lane the first contact. What was taken is
    followed by the lane's next contact, and a lane's first also by the queue's next fitting lane. A contact in several queues
    is named once.
    """
    merging: list[_Entry] = []
    for queue, member in seat.serves:
        if queue.heads.length:
            lanes = _Lanes(seat, queue.heads.blocks, member.priority, -member.weight)
            entry = lanes.next()
            if entry is not None:
                merging.append(entry)
    if floor.aside:
        for door in (f"agent/{seat.agent.id}", f"team/{seat.config.team}", "anybody"):
            for lane in floor.aside.get(door, {}).values():
                if lane.bit & seat.open and lane.mask & seat.bit:
                    merging.append((rank(seat, lane, lane.head), lane.head[2], lane, None))
    heapify(merging)
    ranked: list[tuple[ContactRank, str]] = []
    visits, named = floor.visits, set()
    while merging:
        place, visit, lane, source = merging[0]
        contact = visits[visit].contact
        if contact not in named:
            named.add(contact)
            ranked.append((place, visit))
            if len(ranked) == most:
                break
        following: _Entry | None = source.next() if source is not None else None
        second: _Entry | None = None
        if lane.waiting.length > 1 and not isinstance(source, _Contacts):
            second = _Contacts(lane, place).next()
            if following is None:
                following, second = second, None
        if following is None:
            heappop(merging)
        else:
            heapreplace(merging, following)
            if second is not None:
                heappush(merging, second)
    return ranked


_Entry = tuple[ContactRank, str, Lane, "_Lanes | _Contacts | None"]
"""A rank, its visit and lane, and what comes after it."""


class _Lanes:
    """A queue's lanes whose contacts the agent can have now, by their first contacts."""

    __slots__ = ("at", "bit", "block", "blocks", "byte", "doors", "open", "priority", "weight")

    def __init__(self, seat: Seat, blocks: list[list[Head]], priority: int, weight: int) -> None:
        self.blocks, self.priority, self.weight = blocks, priority, weight
        self.open, self.doors = seat.open, seat.doors
        self.byte, self.bit = seat.slot >> 3, 1 << (seat.slot & 7)
        self.block = self.at = 0

    def next(self) -> tuple[ContactRank, str, Lane, _Lanes] | None:
        """The next one, if any."""
        doors, byte, bit, open = self.doors, self.byte, self.bit, self.open
        while self.block < len(self.blocks):
            block = self.blocks[self.block]
            for at in range(self.at, len(block)):
                place, order, door, lane = block[at]
                if door in doors and lane.bits[byte] & bit and lane.bit & open:
                    self.at = at + 1
                    return (self.priority, int(place), self.weight, place, order), lane.head[2], lane, self
            self.block += 1
            self.at = 0
        return None


class _Contacts:
    """The contacts of a lane behind the first."""

    __slots__ = ("at", "block", "lane", "priority", "weight")

    def __init__(self, lane: Lane, first: ContactRank) -> None:
        self.lane = lane
        self.priority, self.weight = first[0], first[2]
        self.block, self.at = 0, 1

    def next(self) -> tuple[ContactRank, str, Lane, _Contacts] | None:
        """The next one, if any."""
        blocks = self.lane.waiting.blocks
        if self.at >= len(blocks[self.block]):
            self.block, self.at = self.block + 1, 0
            if self.block >= len(blocks):
                return None
        place, order, visit = blocks[self.block][self.at]
        self.at += 1
        return (self.priority, int(place), self.weight, place, order), visit, self.lane, self


def rank(seat: Seat, lane: Lane, key: WaitingKey) -> ContactRank:
    """The key of a visit among all that an agent could have."""
    member = seat.by_queue.get(lane.queue.config.id)
    if member is None:
        return (1, int(key[0]), -1, key[0], key[1])
    return (member.priority, int(key[0]), -member.weight, key[0], key[1])
