"""Waiting contacts with the same needs stand in one lane: who may have them is one set of agents, made once.

A queue knows the first of each lane that is not empty, in their order; an agent looks at those of which they have the skill
that is needed most. Lanes for named agents and for agents from outside the queue are found through those agents.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from acd.capacity import BITS
from acd.cases import Visit, WaitingKey
from acd.eligibility import able, unable
from acd.model import Channel, Need, SkillNeed
from acd.ordered import Ordered
from acd.roster import Roster

if TYPE_CHECKING:
    from acd.state import Floor, Queue

LaneKey = tuple[Channel, Need, int, bool]
"""Channel, need, delays that are over, open to outsiders."""

Head = tuple[float, int, str, "Lane"]
"""A lane by its first contact: place, order, the lane's door, the lane."""

MOST_EMPTY = 1024
"""Empty lanes that are kept for the next contact with the same needs."""

NOBODY_WAITS: WaitingKey = (0.0, 0, "")


class Lane:
    """Contacts of one queue that the same agents may have: `mask` for all at once, `bits` to ask for one of them."""

    __slots__ = (
        "_tiers",
        "_unable",
        "aside",
        "bit",
        "bits",
        "channel",
        "delay",
        "door",
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
        self.door = max(self.need.skills, key=_how_rare).skill if self.need.skills else ""
        """The skill that is needed most: who has not got it need not look. Empty when none is needed."""
        self.refresh()

    def refresh(self) -> None:
        """Agents or queues are new: find anew who may have its contacts."""
        self.mask = able(self.roster, self.queue, self.need, self.delay, self.outside)
        self.bits = self.mask.to_bytes(len(self.roster.seats) // 8 + 1, "little")
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


def _how_rare(need: SkillNeed) -> tuple[int, str]:
    return need.least, need.skill


def lane_of(floor: Floor, visit: Visit) -> Lane:
    """The lane in which the visit stands, or would stand."""
    lane = floor.standing.get(visit.id)
    return lane if lane is not None else _find(floor, visit)


def _find(floor: Floor, visit: Visit) -> Lane:
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


def stand(floor: Floor, visit: Visit) -> None:
    """The visit begins to wait for a match, at its place."""
    floor.queues[visit.queue].waiting.add(visit.key)
    enter(floor, visit)


def step_out(floor: Floor, visit: Visit) -> None:
    """The visit waits for no match now; it keeps its place."""
    leave(floor, visit)
    floor.queues[visit.queue].waiting.remove(visit.key)


def line_up(floor: Floor, visits: Iterable[Visit]) -> None:
    """All who wait, when nobody stands anywhere yet: as `stand` for each, at once."""
    keys: dict[str, list[WaitingKey]] = {id: [] for id in floor.queues}
    lanes: dict[Lane, list[WaitingKey]] = {}
    for visit in visits:
        lane = floor.standing[visit.id] = _find(floor, visit)
        lane.queue.empty.pop(lane.key, None)
        key = visit.key
        keys[visit.queue].append(key)
        lanes.setdefault(lane, []).append(key)
    heads: dict[str, list[Head]] = {}
    for lane, standing in lanes.items():
        standing.sort()
        lane.waiting = Ordered.of(standing)
        if lane.aside:
            _show(floor, lane, standing[0])
        else:
            place, order, _ = lane.head = standing[0]
            heads.setdefault(lane.queue.config.id, []).append((place, order, lane.door, lane))
    for id, queue in floor.queues.items():
        queue.waiting = Ordered.of(sorted(keys[id]))
        queue.heads = Ordered.of(sorted(heads.get(id, [])))


def enter(floor: Floor, visit: Visit) -> None:
    """Into the lane of its need; it waits in the queue already."""
    lane = floor.standing[visit.id] = _find(floor, visit)
    key = visit.key
    waiting = lane.waiting
    if not len(waiting):
        lane.queue.empty.pop(lane.key, None)
        waiting.add(key)
        _show(floor, lane, key)
        return
    waiting.add(key)
    if key < lane.head:
        _hide(floor, lane)
        _show(floor, lane, key)


def leave(floor: Floor, visit: Visit) -> None:
    """Out of its lane, which it must leave before its need or its place changes; it goes on waiting in the queue."""
    lane = floor.standing.pop(visit.id)
    key = visit.key
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
        lane.queue.heads.add((head[0], head[1], lane.door, lane))


def _hide(floor: Floor, lane: Lane) -> None:
    head = lane.head
    if lane.aside:
        for door in lane.aside:
            doors = floor.aside[door]
            del doors[head[2]]
            if not doors:
                del floor.aside[door]
    else:
        lane.queue.heads.remove((head[0], head[1], lane.door, lane))
    lane.head = NOBODY_WAITS
