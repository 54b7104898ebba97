"""The log's days: partitions made ahead, and dropped when they are old, no snapshot needs them and every reader is done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import asyncpg
import msgspec
import structlog

from storage.database import Database
from storage.entries import Position, day_of

log = structlog.get_logger()

AHEAD = 3
"""Days whose partitions are made ahead; without one the writer makes it with the day's first event."""
LOCK_MILLISECONDS = 100
"""A drop that does not get its lock in this time is tried again later: the writer would wait behind it."""


class LogSize(msgspec.Struct, frozen=True):
    """What the log takes on disk, and why it is not less."""

    bytes: int = 0
    days: int = 0
    oldest: date | None = None
    held_by: str = ""
    """The reader (or `snapshot`) for which days are kept that are older than the retention."""


class LogKeeper:
    """Looks after the partitions of one database; every method may raise DatabaseAway."""

    def __init__(self, database: Database, retention_days: int, now: Callable[[], float]) -> None:
        self._database = database
        self._retention = timedelta(days=retention_days)
        self._now = now
        self._held_by = ""

    async def keep(self) -> list[date]:
        """Make what is needed soon, drop what is not needed any more; the days that were dropped."""
        today = day_of(self._now())
        async with self._database.connection() as connection:
            for number in range(AHEAD + 1):
                await connection.execute("SELECT make_log_day($1)", today + timedelta(days=number))
            return await self._drop(connection, today - self._retention)

    async def size(self) -> LogSize:
        """As of now."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint AS bytes, (SELECT count(*) FROM log_days)"
                " AS days, (SELECT min(day) FROM log_days) AS oldest FROM pg_inherits WHERE inhparent = 'event_log'::regclass"
            )
        return LogSize(row["bytes"], row["days"], row["oldest"], self._held_by) if row is not None else LogSize()

    async def _drop(self, connection: asyncpg.pool.PoolConnectionProxy, before: date) -> list[date]:
        self._held_by = ""
        old = [day for day in await _partitions(connection) if day < before]
        if not old:
            return []
        begins = [(row[0], Position(*row[1:])) for row in await connection.fetch("SELECT * FROM log_days ORDER BY day")]
        done, holder = await _done(connection)
        dropped = []
        for day in old:
            behind = next((position for later, position in begins if later > day), None)
            if behind is None:
                break  # the log's newest day
            if behind > done:
                self._held_by = holder
                log.warning("an old day of the log is kept", day=str(day), until_it_is_read_by=holder)
                break
            if not await _drop_day(connection, day, behind):
                break
            dropped.append(day)
        return dropped


async def _partitions(connection: asyncpg.pool.PoolConnectionProxy) -> list[date]:
    rows = await connection.fetch("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'event_log'::regclass")
    return sorted(datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC).date() for (name,) in rows)


async def _done(connection: asyncpg.pool.PoolConnectionProxy) -> tuple[Position, str]:
    """The newest event that nobody has to read again, and who would have to read the next one."""
    rows = await connection.fetch(
        'SELECT epoch, "offset", name FROM log_readers UNION ALL (SELECT epoch, "offset", \'snapshot\' FROM snapshots'
        ' ORDER BY epoch, "offset" LIMIT 1) ORDER BY 1, 2 LIMIT 1'
    )
    snapshot = await connection.fetchval("SELECT count(*) FROM snapshots")
    if not rows or not snapshot:
        return Position(0, 0), "snapshot"
    return Position(rows[0][0], rows[0][1]), rows[0][2]


async def _drop_day(connection: asyncpg.pool.PoolConnectionProxy, day: date, behind: Position) -> bool:
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")
            await connection.execute(f"DROP TABLE event_log_{day:%Y%m%d}")
            await connection.execute("DELETE FROM log_days WHERE day = $1", day)
    except asyncpg.LockNotAvailableError:
        log.info("an old day of the log is in use, its drop is tried again later", day=str(day))
        return False
    await connection.execute('DELETE FROM decisions WHERE (epoch, "offset") < ($1, $2)', *behind)
    log.info("an old day of the log is dropped", day=str(day))
    return True
