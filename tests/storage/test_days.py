"""The log's days are made by whoever needs one first: the exchange's writer, the bookkeeper, several at once."""

from __future__ import annotations

import asyncio
from datetime import date

import asyncpg
import pytest

from storage.database import Database

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="session")]

DAY = date(2027, 1, 1)


async def test_a_day_that_another_connection_is_making_is_waited_for(dsn: str) -> None:
    async with Database(dsn):
        first, second = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
        try:
            async with first.transaction():
                await first.execute("SELECT make_log_day($1)", DAY)
                waiting = asyncio.create_task(second.execute("SELECT make_log_day($1)", DAY))
                await _until_it_waits(first, second.get_server_pid())
            await waiting
            assert await _partitions(first) == ["event_log_20270101"]
        finally:
            await first.close()
            await second.close()


async def test_many_make_the_same_days_at_once(dsn: str) -> None:
    async with Database(dsn):
        connections = [await asyncpg.connect(dsn) for _ in range(6)]
        try:
            for number in range(1, 16):
                day = DAY.replace(day=number)
                await asyncio.gather(*(each.execute("SELECT make_log_day($1)", day) for each in connections))
            assert await _partitions(connections[0]) == [f"event_log_202701{number:02}" for number in range(1, 16)]
        finally:
            for each in connections:
                await each.close()


async def _until_it_waits(connection: asyncpg.Connection, pid: int) -> None:
    async with asyncio.timeout(10):
        while not await connection.fetchval("SELECT count(*) FROM pg_locks WHERE pid = $1 AND NOT granted", pid):
            await asyncio.sleep(0.01)


async def _partitions(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'event_log'::regclass")
    return sorted(row[0] for row in rows)
