"""How late a stream's packets come: until when one that is missing may still be on its way."""

from __future__ import annotations

from collections import deque

BLOCK = 1.0
"""Seconds of arrivals that are judged as one."""
BLOCKS = 10
"""Blocks that count: as long as the pulling end's buffer looks back before it plays with less delay."""
LONGEST = 0.160
"""Seconds at most, whatever came late: the pulling end keeps no more than 200 ms of delay."""
SLACK = 0.005
"""Seconds that a packet may come later than the latest one so far."""


class Lateness:
    """Arrivals of one stream against its timestamps; the fastest packets lately say when the others were due.

    Clocks that drift apart move both ends of the window: 100 ppm are 1 ms in its ten seconds.
    """

    def __init__(self, clock: int) -> None:
        self._clock = clock
        self._blocks: deque[tuple[float, float]] = deque(maxlen=BLOCKS - 1)
        self._since: float | None = None
        self._least = self._most = 0.0
        self._base = self._spread = 0.0

    def add(self, timestamp: int, now: float) -> None:
        """A packet arrived; `timestamp` is unwrapped."""
        transit = now - timestamp / self._clock
        if self._since is None:
            self._since = now
            self._least = self._most = transit
        elif now - self._since >= BLOCK:
            self._blocks.append((self._least, self._most))
            self._since = now
            self._least = self._most = transit
        elif self._least <= transit <= self._most:
            return
        else:
            self._least, self._most = min(self._least, transit), max(self._most, transit)
        self._base = min([self._least, *(least for least, _ in self._blocks)])
        self._spread = max([self._most, *(most for _, most in self._blocks)]) - self._base

    def latest(self, timestamp: int) -> float:
        """Until when a packet with this timestamp may come, if it is no later than the latest one lately."""
        return timestamp / self._clock + self._base + min(LONGEST, self._spread + SLACK)

    def forget(self) -> None:
        """Another time line follows."""
        self._blocks.clear()
        self._since = None
