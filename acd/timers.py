"""Deadlines in the order in which they fall; each owner has at most one of a kind, so that none is ever stale."""

from __future__ import annotations

from typing import Literal

from acd.ordered import Ordered

TimerKind = Literal["offer", "agent", "wrap-up", "visit", "callback"]
"""An offer's deadline, the end of an agent's pause, of an after-contact work, a step of a visit, a callback's next moment."""

Entry = tuple[float, int, TimerKind, str]


class Timers:
    """The deadlines that are open, and the time the shell was last asked to wake us at."""

    def __init__(self) -> None:
        self._entries: Ordered[Entry] = Ordered()
        self._by_owner: dict[tuple[TimerKind, str], Entry] = {}
        self._order = 0
        self.asked: float | None = None

    def __len__(self) -> int:
        return len(self._by_owner)

    def set(self, kind: TimerKind, id: str, at: float) -> None:
        """The owner's deadline, instead of the one before."""
        owner = (kind, id)
        before = self._by_owner.get(owner)
        if before is not None:
            if before[0] == at:
                return
            self._entries.remove(before)
        self._order += 1
        entry = (at, self._order, kind, id)
        self._by_owner[owner] = entry
        self._entries.add(entry)

    def clear(self, kind: TimerKind, id: str) -> None:
        """The owner waits for nothing any more."""
        before = self._by_owner.pop((kind, id), None)
        if before is not None:
            self._entries.remove(before)

    def due(self, at: float) -> tuple[TimerKind, str] | None:
        """Take the earliest deadline that has come."""
        first = self._entries.first()
        if first is None or first[0] > at:
            return None
        self._entries.remove(first)
        del self._by_owner[first[2], first[3]]
        return first[2], first[3]

    def next(self) -> float | None:
        """The earliest deadline."""
        first = self._entries.first()
        return first[0] if first is not None else None

    def move(self, kinds: frozenset[TimerKind], by: float) -> None:
        """Let all deadlines of these kinds fall later."""
        entries = [(at + by if kind in kinds else at, order, kind, id) for at, order, kind, id in self._entries]
        self.restore(sorted(entries), self._order, self.asked)

    def save(self) -> tuple[list[Entry], int, float | None]:
        """All that there is, for `restore`."""
        return list(self._entries), self._order, self.asked

    def restore(self, entries: list[Entry], order: int, asked: float | None) -> None:
        """Replace all deadlines; those of one instant keep their order."""
        self._entries = Ordered(entries)
        self._by_owner = {(entry[2], entry[3]): entry for entry in entries}
        self._order, self.asked = order, asked
