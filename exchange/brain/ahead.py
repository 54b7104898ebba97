"""A spare exchange that knows the state before its turn: it follows the log while another one decides, and says nothing.

What is committed is there for ever, so its house is one that only has less to replay. Whatever goes wrong here, the spare
begins from snapshot and log, as an exchange without it.
"""

from __future__ import annotations

import asyncio
import time

import asyncpg
import msgspec
import structlog

from acd.errors import Refused
from exchange.brain import flows, records, replay
from exchange.brain.garbage import put_off
from exchange.brain.house import House
from exchange.brain.records import KIND
from ivr.runner import Runner
from storage.database import AWAY, Database
from storage.entries import LogRow, Position
from storage.errors import DatabaseAway
from storage.history import History
from storage.queries import Queries
from storage.reader import Bell

log = structlog.get_logger()

LOOK_SECONDS = 1.0
"""Between two looks at the log, if there is news."""
RETRY_SECONDS = 1.0
SLICE_SECONDS = 0.005
REST_SECONDS = 0.01
"""After a slice of computing: the exchange that decides has the processor first."""


class Known(msgspec.Struct):
    """A house, and the event up to which it knows the log."""

    house: House
    position: Position


class Ahead:
    """Follows until it is cancelled."""

    def __init__(self, dsn: str, *, recordings: bool) -> None:
        self.known: Known | None = None
        self._dsn = dsn
        self._recordings = recordings
        self._began = time.monotonic()

    async def run(self) -> None:
        """For ever; without a database it tries again, what it cannot take ends it."""
        while True:
            database = Database(self._dsn, limit=1, migrating=False)  # the one that decides may be of an older version
            try:
                await database.open()
                async with Bell(self._dsn) as bell:
                    await self._follow(database, bell)
            except (*AWAY, DatabaseAway) as error:
                log.info("a spare exchange waits for the database", error=str(error) or type(error).__name__)
            except (ValueError, msgspec.MsgspecError, asyncpg.PostgresError) as error:
                log.warning("a spare exchange does not know the state", error=str(error))
                self.known = None
                return
            except Exception:
                log.exception("a spare exchange does not know the state")
                self.known = None
                return
            finally:
                await database.close()
            await asyncio.sleep(RETRY_SECONDS)

    async def _follow(self, database: Database, bell: Bell) -> None:
        history, queries = History(database), Queries(database)
        if self.known is None:
            with put_off():
                house = House(Runner(await flows.load(queries)), recordings=self._recordings)
                self.known = Known(house, await replay.begin(house, history))
        known, told = self.known, False
        rung, let_go = bell.hear()
        try:
            while True:
                rung.clear()
                day, count = await history.day(known.position), 0
                while rows := await history.some(known.position, day, effects=False):
                    await self._take(known, rows, queries)
                    day, count = rows[-1].day, count + len(rows)
                if not told:
                    told = True
                    seconds = round(time.monotonic() - self._began, 1)
                    log.info("spare exchange knows the state", records=count, seconds=seconds)
                await rung.wait()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            let_go()

    async def _take(self, known: Known, rows: list[LogRow], queries: Queries) -> None:
        began = time.monotonic()
        for row in rows:
            if row.kind == KIND:
                record = records.decode(row.body)
                await flows.know(known.house.runner, record, lambda: flows.load(queries))
                try:
                    known.house.apply(record)
                except Refused as error:
                    log.error("replay refused", epoch=row.epoch, offset=row.offset, code=error.code)
            known.position = row.position
            if time.monotonic() - began > SLICE_SECONDS:
                await asyncio.sleep(REST_SECONDS)
                began = time.monotonic()
