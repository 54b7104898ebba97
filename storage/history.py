"""The event log as it is read: from a position on, in order; and the snapshots that spare reading it from its beginning."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from datetime import date

from storage.database import Database
from storage.entries import BEGINNING, LogRow, Position

READ_AT_ONCE = 5_000
KEPT_SNAPSHOTS = 2
PACKED = b"\x00zlib\x00"
"""Begins a snapshot that is compressed: the states of thousands of waiting contacts look much alike."""


class History:
    """Reads over one database; every method may raise DatabaseAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, after: tuple[int, int] = BEGINNING, *, effects: bool = True) -> AsyncIterator[LogRow]:
        """All events after this position, in order; without their effects when they are not wanted."""
        place = Position(*after)
        day = await self.day(place)
        while True:
            rows = await self.some(place, day, effects=effects)
            for row in rows:
                yield row
            if len(rows) < READ_AT_ONCE:
                return
            place, day = rows[-1].position, rows[-1].day

    async def some(self, after: Position, day: date | None, most: int = READ_AT_ONCE, *, effects: bool = True) -> list[LogRow]:
        """The next events; `day` is of that position (see `day`), so that older partitions are not looked at."""
        column = "effects" if effects else "NULL::bytea"
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                f'SELECT epoch, "offset", at, kind, body, {column}, day FROM event_log'  # noqa: S608
                ' WHERE day >= $1 AND (day, epoch, "offset") > ($1, $2, $3) ORDER BY day, epoch, "offset" LIMIT $4',
                day or date.min,
                *after,
                most,
            )
        return [LogRow(*row) for row in rows]

    async def day(self, position: Position) -> date | None:
        """The day in which this position lies; None before the first event."""
        async with self._database.connection() as connection:
            found: date | None = await connection.fetchval(
                'SELECT day FROM log_days WHERE (epoch, "offset") <= ($1, $2) ORDER BY epoch DESC, "offset" DESC LIMIT 1',
                *position,
            )
        return found

    async def end(self) -> Position:
        """The newest event."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                'SELECT epoch, "offset" FROM event_log WHERE day >= (SELECT max(day) FROM log_days)'
                ' ORDER BY day DESC, epoch DESC, "offset" DESC LIMIT 1'
            )
        return Position(*row) if row is not None else BEGINNING

    async def oldest(self) -> Position | None:
        """The first event that is still there."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow('SELECT epoch, "offset" FROM log_days ORDER BY day LIMIT 1')
        return Position(*row) if row is not None else None

    # --- readers --------------------------------------------------------------------------------------------------

    async def begin_reader(self, name: str, after: Position) -> Position:
        """Where the reader of this name is; a new one is put down at `after`."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                'INSERT INTO log_readers (name, epoch, "offset") VALUES ($1, $2, $3)'
                ' ON CONFLICT (name) DO UPDATE SET seen = now() RETURNING epoch, "offset"',
                name,
                *after,
            )
        return Position(*row) if row is not None else after

    async def move_reader(self, name: str, position: Position) -> None:
        """The reader is done with everything up to this event; it never goes back."""
        async with self._database.connection() as connection:
            await connection.execute(
                'UPDATE log_readers SET epoch = $2, "offset" = $3, seen = now()'
                ' WHERE name = $1 AND (epoch, "offset") <= ($2, $3)',
                name,
                *position,
            )

    async def forget_reader(self, name: str) -> None:
        """It will not come back: nothing is kept for it any more."""
        async with self._database.connection() as connection:
            await connection.execute("DELETE FROM log_readers WHERE name = $1", name)

    # --- snapshots ------------------------------------------------------------------------------------------------

    async def save_snapshot(self, epoch: int, offset: int, body: bytes) -> None:
        """Keep the state as of this event; older snapshots go."""
        packed = await asyncio.to_thread(lambda: PACKED + zlib.compress(body, 1))
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(
                'INSERT INTO snapshots (epoch, "offset", body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
                epoch,
                offset,
                packed,
            )
            await connection.execute(
                'DELETE FROM snapshots WHERE (epoch, "offset") NOT IN'
                ' (SELECT epoch, "offset" FROM snapshots ORDER BY epoch DESC, "offset" DESC LIMIT $1)',
                KEPT_SNAPSHOTS,
            )

    async def latest_snapshot(self, before: Position | None = None) -> tuple[int, int, bytes] | None:
        """Epoch, offset and body of the newest snapshot, or of the newest one before another."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                'SELECT epoch, "offset", body FROM snapshots WHERE $1::bigint IS NULL OR (epoch, "offset") < ($1, $2)'
                ' ORDER BY epoch DESC, "offset" DESC LIMIT 1',
                *(before or (None, None)),
            )
        return (row["epoch"], row["offset"], _unpacked(row["body"])) if row is not None else None


def _unpacked(body: bytes) -> bytes:
    """A snapshot's state; one that is damaged is given as it is, for the reader to find out."""
    try:
        return zlib.decompress(body[len(PACKED) :]) if body.startswith(PACKED) else body
    except zlib.error:
        return body
