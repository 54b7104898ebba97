"""Deadlines in the order in which they fall; each owner has at most one of a kind, so that none is ever stale.

They lie by the second in which they fall, and only the second that comes next is sorted: setting and clearing cost little, at
any number of them.
"""

from __future__ import annotations

from bisect import insort
from heapq import heapify, heappop, heappush
from typing import Literal

TimerKind = Literal["offer", "agent", "wrap-up", "visit", "callback"]
"""An offer's deadline, the end of an agent's pause, of an after-contact work, a step of a visit, a callback's next moment."""

Entry = tuple[float, int, TimerKind, str]
"""When, in which order of those of one instant, and whose."""

Owner = tuple[TimerKind, str]

_STEPS_FIRST = 1 << 60
"""At one instant contacts take their steps before agents become free: whoever may have them then is asked with all others."""

_NEVER = 1e12
"""Seconds; what falls later is kept in one heap with it."""


class Timers:
    """The deadlines that are open, and the time the shell was last asked to wake us at."""

    def __init__(self) -> None:
        self._by_owner: dict[Owner, Entry] = {}
        self._seconds: dict[int, dict[Owner, Entry]] = {}
        """Later than the second at hand, by the second in which they fall."""
        self._order_of_seconds: list[int] = []
        """A heap; a second that has become empty stays until its turn."""
        self._second: int | None = None
        """The one at hand; all deadlines up to its end are in `_next`."""
        self._next: list[tuple[float, int, Entry]] = []
        """Latest first. One that was cleared stays until its turn."""
        self._head: Entry | None = None
        """The earliest, as long as it is known."""
        self._order = 0
        self.asked: float | None = None

    def __len__(self) -> int:
        return len(self._by_owner)

    def set(self, kind: TimerKind, id: str, at: float) -> None:
        """The owner's deadline, instead of the one before."""
        owner: Owner = (kind, id)
        before = self._by_owner.get(owner)
        if before is not None:
            if before[0] == at:
                return
            self._take_out(owner, before)
        self._order += 1
        entry: Entry = (at, self._order - _STEPS_FIRST if kind == "visit" else self._order, kind, id)
        self._by_owner[owner] = entry
        self._put_in(owner, entry)

    def clear(self, kind: TimerKind, id: str) -> None:
        """The owner waits for nothing any more."""
        owner: Owner = (kind, id)
        before = self._by_owner.pop(owner, None)
        if before is not None:
            self._take_out(owner, before)

    def _put_in(self, owner: Owner, entry: Entry) -> None:
        if self._head is not None and entry < self._head:
            self._head = entry
        second = _second_of(entry)
        if self._second is not None and second <= self._second:
            insort(self._next, (-entry[0], -entry[1], entry))
            return
        entries = self._seconds.get(second)
        if entries is None:
            entries = self._seconds[second] = {}
            heappush(self._order_of_seconds, second)
        entries[owner] = entry

    def _take_out(self, owner: Owner, entry: Entry) -> None:
        if entry is self._head:
            self._head = None
        entries = self._seconds.get(_second_of(entry))
        if entries is not None:
            entries.pop(owner, None)

    def _first(self) -> Entry | None:
        """The earliest deadline; the seconds before it are done with."""
        if self._head is None:
            self._head = self._look()
        return self._head

    def _look(self) -> Entry | None:
        while True:
            while self._next:
                entry = self._next[-1][2]
                if self._by_owner.get((entry[2], entry[3])) is entry:
                    return entry
                self._next.pop()
            if not self._order_of_seconds:
                self._second = None
                return None
            self._second = heappop(self._order_of_seconds)
            entries = self._seconds.pop(self._second).values()
            self._next = sorted((-entry[0], -entry[1], entry) for entry in entries)

    def due(self, at: float) -> tuple[TimerKind, str] | None:
        """Take the earliest deadline that has come."""
        first = self._first()
        if first is None or first[0] > at:
            return None
        self._head = None
        self._next.pop()
        del self._by_owner[first[2], first[3]]
        return first[2], first[3]

    def next(self) -> float | None:
        """The earliest deadline."""
        first = self._first()
        return first[0] if first is not None else None

    def move(self, kinds: frozenset[TimerKind], by: float) -> None:
        """Let all deadlines of these kinds fall later."""
        entries = [(at + by if kind in kinds else at, order, kind, id) for at, order, kind, id in self._by_owner.values()]
        self.restore(entries, self._order, self.asked)

    def save(self) -> tuple[list[Entry], int, float | None]:
        """All that there is, in order, for `restore`."""
        return sorted(self._by_owner.values()), self._order, self.asked

    def restore(self, entries: list[Entry], order: int, asked: float | None) -> None:
        """Replace all deadlines; those of one instant keep their order."""
        self._by_owner = {(entry[2], entry[3]): entry for entry in entries}
        self._seconds, self._next, self._second, self._head = {}, [], None, None
        for owner, entry in self._by_owner.items():
            self._seconds.setdefault(_second_of(entry), {})[owner] = entry
        self._order_of_seconds = list(self._seconds)
        heapify(self._order_of_seconds)
        self._order, self.asked = order, asked


def _second_of(entry: Entry) -> int:
    return int(min(entry[0], _NEVER))
