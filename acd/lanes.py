"""Waiting contacts with the same needs stand in one lane: who may have one of them may have all.

A queue knows the first of each lane that is not empty, in their order (`heads`); an agent looks at those of which they have the
skill that is needed most. Lanes for named agents and for agents from outside the queue are found through those agents.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from acd.capacity import BITS
from acd.cases import Visit, WaitingKey
from acd.eligibility import able, unable
from acd.heads import Heads
from acd.model import Channel, Need
from acd.ordered import Ordered
from acd.roster import Roster, Seat

if TYPE_CHECKING:
    from acd.state import Floor, Queue

LaneKey = tuple[Channel, Need, int, bool]
"""Channel, need, delays that are over, open to outsiders."""

MOST_EMPTY = 64
"""Empty lanes that are kept for the next contact with the same needs."""


MASKS = 64
"""Sets of agents that are remembered: while one event is dealt with, the same few lanes are asked again and again."""


class Lane:
    """Contacts of one queue that the same agents may have."""

    __slots__ = (
        "aside",
        "bit",
        "channel",
        "delay",
        "door",
        "head",
        "key",
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
        self.head: WaitingKey | None = None
        """The first of those who wait in it, while anybody does."""
        self.aside: tuple[str, ...] = ()
        """Agents and teams through which it is found, when not through its queue: `agent/ID`, `team/ID`."""
        if self.need.agents:
            self.aside = tuple(f"agent/{id}" for id in dict.fromkeys(self.need.agents))
        elif self.outside:
            self.aside = tuple(f"team/{id}" for id in dict.fromkeys(self.need.teams)) or ("anybody",)
        self.door = roster.door(self.bit, self.need, whole=self.delay == len(queue.delays) and not self.aside)

    @property
    def mask(self) -> int:
        """Who may have its contacts, free or not."""
        masks = self.roster.masks
        mask = masks.get(self)
        if mask is None:
            if len(masks) >= MASKS:
                masks.clear()
            mask = masks[self] = able(self.roster, self.queue, self.need, self.delay, self.outside)
        return mask

    def free(self) -> int:
        """Who can be offered one of its contacts now."""
        free = self.roster.free.get(self.bit, 0)
        return free & self.mask if free else 0

    def takes(self, seat: Seat) -> bool:
        """Whether the agent may have its contacts, free or not: what `mask` says, of one."""
        need = self.need
        if need.agents:
            return seat.agent.id in need.agents
        if not self.outside:
            delay = seat.by_queue[self.queue.config.id].delay
            if delay > (self.queue.delays[self.delay - 1] if self.delay else 0.0):
                return False
        known = seat.config.skills
        for skill in need.skills:
            if not max(1, skill.least) <= known.get(skill.skill, 0) <= skill.most:
                return False
        if need.where and not self.roster.where(need.where) & seat.bit:
            return False
        return not need.teams or seat.config.team in need.teams

    def lacking(self) -> dict[str, int]:
        """The queue's other agents by what they lack."""
        return unable(self.roster, self.queue, self.need, self.delay, self.outside)


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
        queue.empty[lane] = None
        if len(queue.empty) > MOST_EMPTY:
            oldest = next(iter(queue.empty))
            del queue.empty[oldest], queue.lanes[oldest.key]
    return lane


def stand(floor: Floor, visit: Visit) -> None:
    """The visit begins to wait for a match, at its place."""
    queue, key = floor.queues[visit.queue], visit.key
    queue.waiting.add(key)
    if queue.waiting.length == 1:
        for pool in queue.pools:
            pool.wanted += 1
    _enter(floor, visit, key)


def step_out(floor: Floor, visit: Visit) -> None:
    """The visit waits for no match now; it keeps its place."""
    key = visit.key
    queue = _leave(floor, visit, key).queue
    queue.waiting.remove(key)
    if not queue.waiting.length:
        for pool in queue.pools:
            pool.wanted -= 1


def line_up(floor: Floor, visits: Iterable[Visit]) -> None:
    """All who wait, when nobody stands anywhere yet: as `stand` for each, at once."""
    keys: dict[str, list[WaitingKey]] = {id: [] for id in floor.queues}
    lanes: dict[Lane, list[WaitingKey]] = {}
    for visit in visits:
        lane = floor.standing[visit.id] = _find(floor, visit)
        lane.queue.empty.pop(lane, None)
        key = visit.key
        keys[visit.queue].append(key)
        lanes.setdefault(lane, []).append(key)
    heads: dict[str, list[tuple[WaitingKey, Lane]]] = {}
    for lane, standing in lanes.items():
        standing.sort()
        lane.waiting = Ordered.of(standing)
        if lane.aside:
            _show(floor, lane, standing[0])
        else:
            lane.head = standing[0]
            heads.setdefault(lane.queue.config.id, []).append((standing[0], lane))
    for id, queue in floor.queues.items():
        queue.waiting = Ordered.of(sorted(keys[id]))
        queue.heads = Heads.of(sorted(heads.get(id, [])))
        if keys[id]:
            for pool in queue.pools:
                pool.wanted += 1


def head_of(lane: Lane) -> WaitingKey:
    """The first of those who wait in it; somebody does."""
    if lane.head is None:
        raise LookupError("nobody waits in this lane")
    return lane.head


def move(floor: Floor, visit: Visit) -> None:
    """Its need is another than before: from its lane into another one, at the same place."""
    key = visit.key
    _leave(floor, visit, key)
    _enter(floor, visit, key)


def _enter(floor: Floor, visit: Visit, key: WaitingKey) -> None:
    """Into the lane of its need; it waits in the queue already."""
    lane = floor.standing[visit.id] = _find(floor, visit)
    waiting = lane.waiting
    waiting.add(key)
    if lane.head is None:
        lane.queue.empty.pop(lane, None)
        _show(floor, lane, key)
    elif key < lane.head:
        _hide(floor, lane)
        _show(floor, lane, key)


def _leave(floor: Floor, visit: Visit, key: WaitingKey) -> Lane:
    """Out of its lane; it goes on waiting in the queue."""
    lane = floor.standing.pop(visit.id)
    lane.waiting.remove(key)
    if key == lane.head:
        _hide(floor, lane)
        following = lane.waiting.first()
        if following is not None:
            _show(floor, lane, following)
        else:
            lane.queue.empty[lane] = None
    return lane


def _show(floor: Floor, lane: Lane, head: WaitingKey) -> None:
    lane.head = head
    if lane.aside:
        for door in lane.aside:
            floor.aside.setdefault(door, {})[head[2].id] = lane
    else:
        lane.queue.heads.add(head, lane)


def _hide(floor: Floor, lane: Lane) -> None:
    if lane.aside:
        for door in lane.aside:
            doors = floor.aside[door]
            del doors[head_of(lane)[2].id]
            if not doors:
                del floor.aside[door]
    else:
        lane.queue.heads.remove(head_of(lane), lane)
    lane.head = None
