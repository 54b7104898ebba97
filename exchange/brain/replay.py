"""Where a house begins: with the newest snapshot that this version can read, else with the log's beginning."""

from __future__ import annotations

import msgspec
import structlog

from exchange.brain.house import House, thaw
from storage.entries import BEGINNING, Position
from storage.history import History

log = structlog.get_logger()


async def begin(house: House, history: History) -> Position:
    """Give a new house the state of a snapshot; the position from which on the log is to be replayed. Raises DatabaseAway."""
    before: Position | None = None
    while (found := await history.latest_snapshot(before)) is not None:
        epoch, offset, body = found
        before = Position(epoch, offset)
        try:
            thaw(house, body)
        except (ValueError, msgspec.MsgspecError) as error:
            log.error("snapshot cannot be read", epoch=epoch, offset=offset, error=str(error))
            continue
        return before
    return BEGINNING
