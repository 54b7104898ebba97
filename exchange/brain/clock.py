"""Engine time: the wall clock at start plus monotonic time, never below the last logged instant."""

from __future__ import annotations

import time


class EngineClock:
    """Seconds since the epoch that never go back, whatever happens to the wall clock while we run."""

    def __init__(self, last_logged: float = 0.0) -> None:
        self._start = max(time.time(), last_logged)
        self._monotonic = time.monotonic()

    def now(self) -> float:
        """The engine's time."""
        return self._start + time.monotonic() - self._monotonic
