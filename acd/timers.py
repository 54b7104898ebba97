"""Deadlines in a heap: entries are not taken out when they no longer count, but checked against their owner when they fall."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Literal

TimerKind = Literal["offer", "agent", "rematch"]
"""An offer's deadline, the end of an agent's timed state, or matching that goes on."""

Entry = tuple[float, int, TimerKind, str]


class Timers:
    """The deadlines that are open, and the time the shell was last asked to wake us at."""

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._order = 0
        self.asked: float | None = None

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, at: float, kind: TimerKind, id: str) -> None:
        """A new deadline; whether it still counts is judged when it falls."""
        self._order += 1
        heappush(self._heap, (at, self._order, kind, id))

    def due(self, at: float) -> tuple[float, TimerKind, str] | None:
        """Take the earliest deadline that has come, valid or not."""
        if not self._heap or self._heap[0][0] > at:
            return None
        deadline, _, kind, id = heappop(self._heap)
        return deadline, kind, id

    def next(self, valid: Callable[[float, TimerKind, str], bool]) -> float | None:
        """The earliest deadline that counts; those before it that do not are dropped."""
        while self._heap:
            at, _, kind, id = self._heap[0]
            if valid(at, kind, id):
                return at
            heappop(self._heap)
        return None

    def open(self, valid: Callable[[float, TimerKind, str], bool]) -> list[tuple[float, TimerKind, str]]:
        """Those that count, in the order in which they will fall: of one instant, who was added first."""
        return [(at, kind, id) for at, _, kind, id in sorted(self._heap) if valid(at, kind, id)]

    def rebuild(self, entries: list[tuple[float, TimerKind, str]]) -> None:
        """Replace all deadlines."""
        self._order = 0
        self._heap = []
        for at, kind, id in entries:
            self._order += 1
            self._heap.append((at, self._order, kind, id))
        heapify(self._heap)
