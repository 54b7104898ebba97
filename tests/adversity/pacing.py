"""How fast a raid goes: so many a second, also where the machine is slow, and without stopping the loop it runs in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

BURST = 0.01
"""Seconds between two bursts."""


async def paced(count: int, rate: float) -> AsyncIterator[int]:
    """0 to count - 1, `rate` of them a second; what was missed while others had the machine is not made up for."""
    burst = max(1, round(rate * BURST))
    for first in range(0, count, burst):
        for number in range(first, min(first + burst, count)):
            yield number
        await asyncio.sleep(burst / rate)
