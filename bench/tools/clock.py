"""One clock for all callers and agents of a bench, spread over the 20 ms so that they do not all speak in the same instant."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

FRAME = 0.020
SLOTS = 5
"""Moments within a frame; real callers are spread as well."""


class Clock:
    """Calls each listener 50 times a second, in the slot with the fewest listeners at the time it joined."""

    def __init__(self) -> None:
        self.late = 0
        """Ticks that came more than a slot after their time: this process is too busy to measure others."""
        self.ticks = 0
        self._slots: list[dict[int, Callable[[], None]]] = [{} for _ in range(SLOTS)]
        self._number = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Clock:
        self._task = asyncio.create_task(self._run(), name="bench clock")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def listen(self, tick: Callable[[], None], slot: int | None = None) -> int:
        """Call `tick` every 20 ms from now on; returns the key to `leave` with."""
        self._number += 1
        chosen = min(range(SLOTS), key=lambda n: len(self._slots[n])) if slot is None else slot % SLOTS
        self._slots[chosen][self._number] = tick
        return self._number

    def leave(self, key: int) -> None:
        """No more calls."""
        for slot in self._slots:
            slot.pop(key, None)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due, number = loop.time(), 0
        while True:
            due += FRAME / SLOTS
            wait = due - loop.time()
            self.ticks += 1
            if wait < -FRAME / SLOTS:
                self.late += 1
                due = max(due, loop.time() - 1.0)
            await asyncio.sleep(max(0.0, wait))
            number = (number + 1) % SLOTS
            for tick in list(self._slots[number].values()):
                tick()
