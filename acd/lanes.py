"""Waiting contacts with the same needs stand in one lane: who may have them is one set of agents, made once.

A queue knows the first of each lane that is not empty, in their order; lanes for named agents and for agents from outside the
queue are found through those agents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from acd.capacity import BITS
from acd.cases import Visit, WaitingKey
from acd.eligibility import able, unable
from acd.model import Channel, Need
from acd.ordered import Ordered
from acd.roster import Roster

if TYPE_CHECKING:
    from acd.state import Floor, Queue

LaneKey = tuple[Channel, Need, int, bool]
"""Channel, need, delays that are over, open to outsiders."""

MOST_EMPTY = 4096
"""Empty lanes that are kept for the next contact with the same needs."""

NOBODY_WAITS: WaitingKey = (0.0, 0, "")


class Lane:
    """Contacts of one queue that the same agents may have."""

    __slots__ = (
        "_tiers",
        "_unable",
        "aside",
        "bit",
        "channel",
        "delay",
        "head",
        "key",
        "mask",
        "need",
        "outside",
        "queue",
        "roster",
        "waiting",
    )

    def __init__(self, queue: Queue, roster: Roster, key: LaneKey) -> None:
        self.queue = queue
        self.roster = roster
        self.key = key
        self.channel, self.need, self.delay, self.outside = key
        self.bit = BITS[self.channel]
        self.waiting: Ordered[WaitingKey] = Ordered()
        self.head = NOBODY_WAITS
        self.aside: tuple[str, ...] = ()
        """Agents and teams through which it is found, when not through its queue: `agent/ID`, `team/ID`."""
        if self.need.agents:
            self.aside = tuple(f"agent/{id}" for id in dict.fromkeys(self.need.agents))
        elif self.outside:
            self.aside = tuple(f"team/{id}" for id in dict.fromkeys(self.need.teams)) or ("anybody",)
        self.refresh()

    def refresh(self) -> None:
        """Agents or queues are new: find anew who may have its contacts."""
        self.mask = able(self.roster, self.queue, self.need, self.delay, self.outside)
        self._unable: dict[str, int] | None = None
        self._tiers: list[tuple[float, int]] | None = None

    def lacking(self) -> dict[str, int]:
        """The queue's other agents by what they lack."""
        if self._unable is None:
            self._unable = unable(self.roster, self.queue, self.need, self.delay, self.outside)
        return self._unable

    def tiers(self) -> list[tuple[float, int]] | None:
        """The strategy's tiers, if it has any."""
        strategy = self.queue.strategy
        if strategy.tiers is not None and self._tiers is None:
            self._tiers = strategy.tiers(self)
        return self._tiers


def lane_of(floor: Floor, visit: Visit) -> Lane:
    """The lane in which the visit stands, or would stand."""
    queue = floor.queues[visit.queue]
    key: LaneKey = (visit.channel, visit.need, visit.delay, visit.outside)
    lane = queue.lanes.get(key)
    if lane is None:
        lane = queue.lanes[key] = Lane(queue, floor.roster, key)
        queue.empty[key] = None
        if len(queue.empty) > MOST_EMPTY:
            oldest = next(iter(queue.empty))
            del queue.empty[oldest], queue.lanes[oldest]
    return lane


def stand(floor: Floor, visit: Visit) -> Lane:
    """The visit begins to wait for a match, at its place."""
    lane = lane_of(floor, visit)
    key = visit.key
    lane.queue.waiting.add(key)
    waiting = lane.waiting
    first = not len(waiting)
    waiting.add(key)
    if first:
        lane.queue.empty.pop(lane.key, None)
        _show(floor, lane, key)
    elif key < lane.head:
        _hide(floor, lane)
        _show(floor, lane, key)
    return lane


def step_out(floor: Floor, visit: Visit) -> None:
    """The visit waits for no match now; it keeps its place."""
    lane = lane_of(floor, visit)
    key = visit.key
    lane.queue.waiting.remove(key)
    lane.waiting.remove(key)
    if key == lane.head:
        _hide(floor, lane)
        following = lane.waiting.first()
        if following is not None:
            _show(floor, lane, following)
        else:
            lane.queue.empty[lane.key] = None


def _show(floor: Floor, lane: Lane, head: WaitingKey) -> None:
    lane.head = head
    if lane.aside:
        for door in lane.aside:
            floor.aside.setdefault(door, {})[head[2]] = lane
    else:
        lane.queue.heads.add((head[0], head[1], lane))


def _hide(floor: Floor, lane: Lane) -> None:
    head = lane.head
    if lane.aside:
        for door in lane.aside:
            doors = floor.aside[door]
            del doors[head[2]]
            if not doors:
                del floor.aside[door]
    else:
        lane.queue.heads.remove((head[0], head[1], lane))
    lane.head = NOBODY_WAITS
