"""How fast legs may follow each other: pjmedia has places for so many sockets, gives them back late, and dies without one."""

from __future__ import annotations

from collections import deque

HANDLES = 64
"""PJ_IOQUEUE_MAX_HANDLES of the wheel; one socket too many is a failed assertion, and the end of the process."""
SPARE = 8
PER_LEG = 2
"""RTP and RTCP."""
GIVEN_BACK = 0.6
"""Seconds until the place of a closed socket is free again (PJ_IOQUEUE_KEY_FREE_DELAY is 0.5 s)."""


class Pace:
    """Counts the legs that began lately. Those that began earlier and hold places still are no more than there are lines."""

    def __init__(self, lines: int) -> None:
        self._most = max(1, (HANDLES - SPARE) // PER_LEG - lines)
        self._begun: deque[float] = deque()

    def begun(self, now: float) -> None:
        """A leg's media is made now."""
        self._begun.append(now)

    def too_fast(self, now: float) -> bool:
        """Whether one more leg might find no place."""
        while self._begun and self._begun[0] <= now - GIVEN_BACK:
            self._begun.popleft()
        return len(self._begun) >= self._most
