"""Who comes first: agents by their queue's strategy, contacts by priority (aged) and then the longest wait.

Keys do not change while somebody waits, so that order is kept by insertion and nothing is ever ranked anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush, heapreplace, nsmallest
from typing import TYPE_CHECKING

from acd.cases import Visit, WaitingKey
from acd.heads import Heads
from acd.lanes import Lane, head_of
from acd.roster import Roster, Seat
from acd.strategies.base import Key, Strategy

if TYPE_CHECKING:
    from acd.state import Floor

CONTACT_RULE = "priority-then-longest-wait"

MOST_SORTED = 16
"""So many agents are sorted at once; of more, the order of all who are free may be shorter to walk."""

Ranked = tuple[Key, Seat]
"""An agent with the key that ranks them, the smaller the better."""

ContactRank = tuple[int, int, int, float, int]
"""Agent's priority of the queue, place in whole seconds, minus the agent's weight of the queue, place, order."""


def agents_in_order(floor: Floor, lane: Lane, most: int) -> list[Ranked]:
    """The first of those agents who can have a contact of the lane now."""
    mask = lane.free()
    if not mask:
        return []
    strategy = lane.queue.strategy
    if strategy.tiers is None:
        return _smallest(floor.roster, strategy, mask, most)
    found: list[Ranked] = []
    for value, tier in strategy.tiers(lane, mask):
        for key, seat in _smallest(floor.roster, strategy, tier, most - len(found)):
            found.append(((value, *key), seat))
        if len(found) >= most:
            break
    return found


def _smallest(roster: Roster, strategy: Strategy, mask: int, most: int) -> list[Ranked]:
    """The agents of the set with the smallest keys.

    A small set is sorted; in a large one the order of all free agents is walked until enough are found.
    """
    count = mask.bit_count()
    if count == 1:
        seat = roster.seats[mask.bit_length() - 1]
        return [(strategy.key(seat), seat)]
    order = roster.order(strategy.name) if count > MOST_SORTED else None
    if order is not None and count * count > 2 * len(order):
        found = []
        members = mask.to_bytes(len(roster.seats) // 8 + 1, "little")
        for key in order:
            slot = int(key[-1])
            if members[slot >> 3] & 1 << (slot & 7):
                found.append((key[:-1], roster.seats[slot]))
                if len(found) >= most:
                    break
        return found
    every = [(strategy.key(seat), seat.slot, seat) for seat in roster.seats_of(mask)]
    every = sorted(every)[:most] if count < 64 else nsmallest(most, every)
    return [(key, seat) for key, _, seat in every]


# --- contacts -----------------------------------------------------------------------------------------------------


def contacts_in_order(floor: Floor, seat: Seat, most: int) -> list[tuple[ContactRank, Visit]]:
    """The visits that the agent can have now, first one first.

    A merge that opens only what it needs. A queue stands in it by its first lane, whoever may have that; only when its turn
    comes is a lane looked for that the agent can have. What was taken is followed by the lane's next contact, and a lane's
    first also by the rest of the queue. A contact in several queues is named once.
    """
    merging: list[_Entry] = []
    for queue, member in seat.serves:
        first = queue.heads.first
        if first is not None:
            priority, weight, since = member.priority, -member.weight, first[0]
            rest = _Lanes(seat, queue.heads, priority, weight)
            merging.append(((priority, int(since), weight, since, first[1]), None, None, rest))
    if floor.aside:
        merging += _aside(floor, seat)
    heapify(merging)
    ranked: list[tuple[ContactRank, Visit]] = []
    named = set()
    while merging:
        place, visit, lane, source = merging[0]
        if visit is None or lane is None:
            found = source.next() if source is not None else None
            if found is None:
                heappop(merging)
            else:
                heapreplace(merging, found)
            continue
        if visit.contact not in named:
            named.add(visit.contact)
            ranked.append((place, visit))
            if len(ranked) == most:
                break
        following = source.rest() if source is not None else None
        if lane.waiting.length > 1 and not isinstance(source, _Contacts):
            second = _Contacts(lane, place).next()
            if following is None:
                following = second
            elif second is not None:
                heappush(merging, following)
                following = second
        if following is None:
            heappop(merging)
        else:
            heapreplace(merging, following)
    return ranked


def _aside(floor: Floor, seat: Seat) -> Iterator[_Entry]:
    """Lanes that are found through the agent, not through their queues."""
    for door in (f"agent/{seat.agent.id}", f"team/{seat.config.team}", "anybody"):
        for lane in floor.aside.get(door, {}).values():
            if lane.bit & seat.open and lane.takes(seat):
                key = head_of(lane)
                yield rank(seat, lane, key), key[2], lane, None


_Entry = tuple[ContactRank, Visit | None, Lane | None, "_Lanes | _Contacts | None"]
"""A rank, its visit and lane, and what comes after it. Without visit and lane: nothing of it ranks before this."""


class _Lanes:
    """A queue's lanes whose contacts the agent can have now, by their first contacts."""

    __slots__ = ("at", "block", "heads", "priority", "seat", "weight")

    def __init__(self, seat: Seat, heads: Heads, priority: int, weight: int) -> None:
        self.seat, self.heads = seat, heads
        self.priority, self.weight = priority, weight
        self.block = self.at = 0

    def rest(self) -> _Entry | None:
        """All that has not been looked at, by the first of it."""
        blocks = self.heads.blocks
        if self.at == len(blocks[self.block].keys):
            if self.block + 1 == len(blocks):
                return None
            self.block, self.at = self.block + 1, 0
        place, order, _ = blocks[self.block].keys[self.at]
        return (self.priority, int(place), self.weight, place, order), None, None, self

    def next(self) -> _Entry | None:
        """The next one, if any."""
        at, seat = self.at, self.seat
        known, open = seat.config.skills, seat.open
        for number in range(self.block, len(self.heads.blocks)):
            block = self.heads.blocks[number]
            doors = block.doors
            for index in range(at, len(doors)):
                door = doors[index]
                if known.get(door.skill, 0) >= door.least and door.bit & open:
                    lane = block.lanes[index]
                    if door.whole or lane.takes(seat):
                        self.block, self.at = number, index + 1
                        place, order, visit = block.keys[index]
                        return (self.priority, int(place), self.weight, place, order), visit, lane, self
            at = 0
        return None


class _Contacts:
    """The contacts of a lane behind the first."""

    __slots__ = ("at", "block", "lane", "priority", "weight")

    def __init__(self, lane: Lane, first: ContactRank) -> None:
        self.lane = lane
        self.priority, self.weight = first[0], first[2]
        self.block, self.at = 0, 1

    def next(self) -> _Entry | None:
        """The next one, if any."""
        blocks = self.lane.waiting.blocks
        if self.at >= len(blocks[self.block]):
            self.block, self.at = self.block + 1, 0
            if self.block >= len(blocks):
                return None
        place, order, visit = blocks[self.block][self.at]
        self.at += 1
        return (self.priority, int(place), self.weight, place, order), visit, self.lane, self

    rest = next


def rank(seat: Seat, lane: Lane, key: WaitingKey) -> ContactRank:
    """The key of a visit among all that an agent could have."""
    member = seat.by_queue.get(lane.queue.config.id)
    if member is None:
        return (1, int(key[0]), -1, key[0], key[1])
    return (member.priority, int(key[0]), -member.weight, key[0], key[1])
