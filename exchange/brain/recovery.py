"""From snapshot and log to the house as it was: nothing is decided anew, effects that were let out are not let out again."""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog

from acd.errors import Refused
from acd.model import ContactMark
from exchange.brain import records, replay
from exchange.brain.details import Details
from exchange.brain.garbage import put_off
from exchange.brain.house import House, freeze, thaw
from exchange.brain.recall import details_of
from exchange.brain.records import KIND, REJECTED
from storage.entries import Position
from storage.log import EventLog
from storage.queries import Queries

log = structlog.get_logger()


async def recover(house: House, events: EventLog, after: Position | None = None) -> int:
    """Replay what came after the newest snapshot, or after the event that the house knows already; the number of records."""
    started = time.monotonic()
    with put_off():
        empty, skipped = freeze(House(house.runner, recordings=False)), set[tuple[int, int]]()
        place = after or await replay.begin(house, events)
        while (count := await _replay(house, events, place, skipped)) is None:
            thaw(house, empty)
            place = await replay.begin(house, events)
    log.info("recovered", records=count, seconds=round(time.monotonic() - started, 3), contacts=len(house.talks))
    return count


async def _replay(house: House, events: EventLog, after: tuple[int, int], skipped: set[tuple[int, int]]) -> int | None:
    """The number of records; None when one raised: it is added to `skipped`, and the house may be half changed."""
    count = 0
    async for row in events.read(after, effects=False):
        place = (row.epoch, row.offset)
        if row.kind == REJECTED or place in skipped:
            continue
        if row.kind != KIND:
            log.warning("unknown kind in the log", kind=row.kind)
            continue
        try:
            house.apply(records.decode(row.body))
        except Refused as error:
            log.error("replay refused", epoch=row.epoch, offset=row.offset, code=error.code)
        except Exception:
            # What a later version of this program cannot take must not keep the exchange from starting for ever.
            log.exception("replay without a record that raises", epoch=row.epoch, offset=row.offset)
            skipped.add(place)
            return None
        count += 1
    return count


async def recall_details(house: House, open: Sequence[ContactMark], queries: Queries) -> dict[str, Details]:
    """Who calls, or is called: nothing can be done with them without. The others have time (exchange.brain.recall)."""
    calls = [mark.id for mark in open if mark.channel == "voice"]
    rows = await queries.open_contacts(list(dict.fromkeys([*house.talks, *calls])))
    return {str(row["id"]): details_of(row) for row in rows}
