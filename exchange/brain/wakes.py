"""When flows want to be woken: the earliest at once, however many calls there are."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

_STALE = 64
"""Entries that no longer count, beside as many as do, before the heap is made anew."""


class Wakes:
    """At most one time for each contact."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        """All times, and some that no longer count."""

    def put(self, contact: str, at: float | None) -> None:
        """The contact's time instead of the one before; None: it has none."""
        if self._times.get(contact) == at:
            return
        if at is None:
            del self._times[contact]
        else:
            self._times[contact] = at
            heappush(self._heap, (at, contact))
        if len(self._heap) > 2 * len(self._times) + _STALE:
            self._heap = [(at, contact) for contact, at in self._times.items()]
            heapify(self._heap)

    def next(self) -> float | None:
        """The earliest."""
        heap = self._heap
        while heap and self._times.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def due(self, now: float) -> set[str]:
        """Whose time has come; it stays until it is set anew."""
        found: set[str] = set()
        while (first := self.next()) is not None and first <= now:
            found.add(heappop(self._heap)[1])
        for contact in found:
            heappush(self._heap, (self._times[contact], contact))
        return found
