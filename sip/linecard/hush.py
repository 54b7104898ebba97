"""Ends a message when the caller has fallen silent: looks at the level of what is recorded, five times a second."""

from __future__ import annotations

import time
from collections.abc import Callable

from sip.linecard.engine import Engine, Timer

EVERY = 0.2
SOUND = 16
"""pjmedia's level (inverted µ-law, 0 to 255) from which on something is said: about −45 dBFS."""


class Hush:
    """Calls `ended` once, when the level has stayed below SOUND for `seconds`; `quiet` says how long it has been by then."""

    def __init__(self, engine: Engine, level: Callable[[], int], seconds: float, ended: Callable[[], None]) -> None:
        self.quiet = 0.0
        self._engine = engine
        self._level = level
        self._seconds = seconds
        self._ended = ended
        self._heard = time.monotonic()
        self._timer: Timer | None = engine.later(EVERY, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        if self._level() >= SOUND:
            self._heard = now
        if now - self._heard >= self._seconds:
            self.quiet = now - self._heard
            self._ended()
        else:
            self._timer = self._engine.later(EVERY, self._look)
