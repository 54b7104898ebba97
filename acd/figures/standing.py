"""How many open visits wait, are scheduled, or are with an agent, and who waits longest; kept along: a look costs little."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Literal

import msgspec

from acd.figures.measures import VisitKey

Stand = Literal["waiting", "scheduled", "agent"]
SLACK = 64
"""Entries of those who wait no longer, beyond as many as there are of others, before a heap is made anew."""


class OpenVisit(msgspec.Struct):
    """A stay that goes on."""

    contact: str
    key: VisitKey
    stand: Stand = "waiting"
    waited_ms: int = 0
    """Before `since`."""
    since: int = 0
    """While it waits: since when."""

    @property
    def base(self) -> int:
        """Since when it would have to wait for having waited so long."""
        return self.since - self.waited_ms


class QueueNow(msgspec.Struct):
    """Open visits of one queue, channel and kind at a moment."""

    waiting: int = 0
    """Offered ones included."""
    longest_ms: int = 0
    """The longest wait of those who wait now."""
    scheduled: int = 0
    """Callbacks whose time has not come."""
    with_agent: int = 0


class Standing:
    """Made of the open visits; told of every change of one after that."""

    def __init__(self, visits: Mapping[str, OpenVisit]) -> None:
        self._visits = visits
        self._counts: dict[VisitKey, dict[Stand, int]] = {}
        self._heaps: dict[VisitKey, list[tuple[int, str]]] = {}
        for id, visit in visits.items():
            self.add(id, visit)

    def add(self, id: str, visit: OpenVisit) -> None:
        """It stands there from now on."""
        counts = self._counts.setdefault(visit.key, {"waiting": 0, "scheduled": 0, "agent": 0})
        counts[visit.stand] += 1
        if visit.stand == "waiting":
            heap = self._heaps.setdefault(visit.key, [])
            heapq.heappush(heap, (visit.base, id))
            if len(heap) > 2 * counts["waiting"] + SLACK:
                heap[:] = sorted({entry for entry in heap if self._waits(visit.key, entry)})

    def remove(self, visit: OpenVisit) -> None:
        """It stands there no longer."""
        self._counts[visit.key][visit.stand] -= 1
        if not any(self._counts[visit.key].values()):
            del self._counts[visit.key]
            self._heaps.pop(visit.key, None)

    def now(self, moment: int) -> dict[VisitKey, QueueNow]:
        """Everything at this time (milliseconds)."""
        found = {}
        for key, counts in self._counts.items():
            heap = self._heaps.get(key, [])
            while heap and not self._waits(key, heap[0]):
                heapq.heappop(heap)
            longest = moment - heap[0][0] if heap else 0
            found[key] = QueueNow(counts["waiting"], longest, counts["scheduled"], counts["agent"])
        return found

    def _waits(self, key: VisitKey, entry: tuple[int, str]) -> bool:
        visit = self._visits.get(entry[1])
        return visit is not None and visit.key == key and visit.stand == "waiting" and visit.base == entry[0]
