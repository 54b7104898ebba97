"""The gentle part of a stop: no new calls, wait for the running ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from exchange.supervisor import ask
from media.control import edge, line
from media.control.envelope import ControlError

log = structlog.get_logger()

POLL = 0.5
"""Seconds between counts; cards tell an observer each event, but a count needs no state of ours to be right."""


async def close_the_door(run: Path) -> None:
    """New INVITEs get 503 from here on."""
    try:
        await ask.tell(run / "edge.ctl", edge.Drain())
    except ControlError as error:
        log.warning("edge does not drain", code=error.code, error=str(error))


async def calls_up(run: Path, cards: Iterable[str]) -> int:
    """Calls on the line cards that have not ended; a card that does not answer has none that we could wait for."""
    replies = await asyncio.gather(*(_calls(run / f"{card}.ctl") for card in cards))
    return sum(replies)


async def wait_for_calls(run: Path, cards: list[str], limit: float, tell: Callable[[int], None]) -> int:
    """Wait until no call is up or the limit has passed; returns how many are left, tells each change."""
    deadline = asyncio.get_running_loop().time() + limit
    told = -1
    while calls := await calls_up(run, cards):
        if calls != told:
            tell(calls)
            told = calls
        if asyncio.get_running_loop().time() >= deadline:
            break
        await asyncio.sleep(min(POLL, limit))
    return calls


async def _calls(path: Path) -> int:
    try:
        inventory = await ask.ask(path, line.TakeInventory(), line.Inventory)
    except ControlError as error:
        log.warning("card does not tell its calls", card=path.stem, code=error.code)
        return 0
    return sum(1 for call in inventory.calls if call.ended is None)
