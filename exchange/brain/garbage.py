"""The garbage collector's manners: it looks at little at a time, and at everything only while nobody waits for a decision.

Nearly everything that ends here ends by its last reference; the collector is for cycles alone. What is young is looked at
often, a millisecond's worth in a moment without inputs, and what survives is frozen: never looked at again, so that no look
grows with the floor. Cycles among the frozen are found by a whole look, when it is quiet; a floor that is never quiet has one
a day.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog

log = structlog.get_logger()

YOUNG = 100_000
"""New objects until the collector looks by itself: only when our rounds cannot keep up."""
NEVER = 1_000_000_000

ROUND_SECONDS = 0.25
IDLE_ROUNDS = 20
"""Rounds without an input of which only the last one looks."""
LULL_SECONDS = 0.005
LULL_TRIES = 20
"""So often it waits for a moment without an input before it looks all the same."""
QUIET_SECONDS = 3.0
"""So long without an input, and there is time for a whole look."""
WHOLE_SECONDS = 600.0
"""Between whole looks while it is quiet often."""
DAY_SECONDS = 86_400.0


class GarbageStatistics(msgspec.Struct, frozen=True):
    """Pauses of the collector, in seconds; whole looks, for which a quiet time is chosen, are counted apart."""

    looks: int
    longest: float
    seconds: float
    whole: int
    longest_whole: float
    frozen: int


@contextmanager
def put_off() -> Iterator[None]:
    """No collections in this block: it makes much that stays (recovery). Afterwards all of it is frozen."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()


class Garbage:
    """Owns the collector of this process while it is open; `inputs` counts what has come in."""

    def __init__(self, inputs: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._inputs = inputs
        self._clock = clock
        self._seen = -1
        self._quiet_since = clock()
        self._whole_at = clock()
        self._began = 0.0
        self._looks = self._whole = 0
        self._longest = self._longest_whole = self._seconds = 0.0
        self._looking_at_all = False
        self._thresholds = gc.get_threshold()

    def __enter__(self) -> Garbage:
        gc.collect(0)
        gc.freeze()
        gc.set_threshold(YOUNG, NEVER, NEVER)
        gc.callbacks.append(self._note)
        return self

    def __exit__(self, *exc: object) -> None:
        gc.callbacks.remove(self._note)
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()

    async def run(self) -> None:
        """For ever."""
        idle = 0
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            idle = idle + 1 if self._inputs() == self._seen else 0
            if idle % IDLE_ROUNDS == 0:
                await self._lull()
                self.round()

    async def _lull(self) -> None:
        """Wait for a moment without inputs, but not for ever."""
        for _ in range(LULL_TRIES):
            seen = self._inputs()
            await asyncio.sleep(LULL_SECONDS)
            if self._inputs() == seen:
                return

    def round(self) -> None:
        """A look at what is young, which is then frozen; a whole one when it is quiet, or when it must be."""
        now, seen = self._clock(), self._inputs()
        if seen != self._seen:
            self._seen, self._quiet_since = seen, now
        quiet = now - self._quiet_since >= QUIET_SECONDS
        if now - self._whole_at >= (WHOLE_SECONDS if quiet else DAY_SECONDS):
            self._whole_at = now
            self._look_at_all()
        else:
            gc.collect(0)
        gc.freeze()

    def _look_at_all(self) -> None:
        gc.unfreeze()
        self._looking_at_all = True
        try:
            found = gc.collect()
        finally:
            self._looking_at_all = False
        log.info("whole look at the garbage", found=found, seconds=round(self._longest_whole, 3))

    def _note(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
            return
        seconds = time.perf_counter() - self._began
        self._seconds += seconds
        if self._looking_at_all:
            self._whole += 1
            self._longest_whole = max(self._longest_whole, seconds)
        else:
            self._looks += 1
            self._longest = max(self._longest, seconds)

    def statistics(self) -> GarbageStatistics:
        return GarbageStatistics(
            self._looks, self._longest, self._seconds, self._whole, self._longest_whole, gc.get_freeze_count()
        )
