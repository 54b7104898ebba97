"""Followers of the log, with a real PostgreSQL: nothing missed, nothing twice, in order, over spool, epochs and absences."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from storage import reader as reader_module
from storage.database import Database
from storage.entries import BEGINNING, LogRow, Position
from storage.log import EventLog
from storage.reader import Bell, LogReader
from tests.tools.postgres import PostgresServer
from tests.tools.wire import Wire

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="session")]


class Writer:
    """Appends numbered events, in as many epochs as wished."""

    def __init__(self, database: Database, spool: Path) -> None:
        self.database = database
        self.spool = spool
        self.written = 0

    async def write(self, log: EventLog, count: int) -> None:
        await asyncio.gather(*(self._one(log) for _ in range(count)))

    def _one(self, log: EventLog) -> asyncio.Future[None]:
        self.written += 1
        return log.append("k", b"", float(self.written))


@contextlib.asynccontextmanager
async def blocked(dsn: str) -> AsyncIterator[None]:
    """Nobody can write the log: a commit takes too long and goes to the spool."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE event_log IN EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def terminate(dsn: str, query: str) -> int:
    """Have the server throw out the connections that run this."""
    connection = await asyncpg.connect(dsn)
    found = await connection.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE $1",
        query,
    )
    await connection.close()
    return len(found)


async def until_shipped(log: EventLog) -> None:
    async with asyncio.timeout(10):
        while not log.statistics().database_up:
            await asyncio.sleep(0.01)


async def numbers(reader: LogReader, upto: int) -> list[int]:
    """The numbers of what the reader gives, to this one."""
    rows: list[LogRow] = []
    async with asyncio.timeout(10):
        while not rows or rows[-1].at < upto:
            rows += await reader.next(7)
    return [int(row.at) for row in rows]


async def test_a_follower_gets_everything_once_and_in_order(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a change of epoch with events in the spool; woken by the writer, never by the safety net."""
    monkeypatch.setattr(reader_module, "SAFETY_NET", 60.0)
    async with Database(dsn) as database, Bell(dsn) as bell, LogReader(database, bell) as reader:
        writer = Writer(database, tmp_path / "spool")
        following = asyncio.create_task(numbers(reader, 160))
        async with EventLog(database, writer.spool) as log:
            await writer.write(log, 40)
            async with blocked(dsn):
                await writer.write(log, 20)
                await writer.write(log, 20)
                assert log.statistics().spooled == 40
            await until_shipped(log)
            await writer.write(log, 20)
            async with blocked(dsn):
                await writer.write(log, 20)
                log._shipping.clear()  # as a crash would leave it: events in the spool, and nobody to ship them
                log._tasks[1].cancel()
        async with EventLog(database, writer.spool) as log:
            assert log.epoch == 2
            await writer.write(log, 40)
        assert await following == list(range(1, 161))
        assert reader.position == (2, 40)


async def test_a_reader_that_was_away_goes_on_where_it_was(dsn: str, tmp_path: Path) -> None:
    async with Database(dsn) as database, EventLog(database, tmp_path / "spool") as log, Bell(dsn) as bell:
        writer = Writer(database, tmp_path / "spool")
        await writer.write(log, 10)
        async with LogReader(database, bell, name="figures") as reader:
            assert reader.position == BEGINNING
            assert await numbers(reader, 10) == list(range(1, 11))
            await reader.save(Position(1, 4))
            await reader.save(Position(1, 2))
        async with LogReader(database, bell, name="figures") as reader:
            assert reader.position == (1, 4), "not what it had seen, but what it was done with; never back"
            await writer.write(log, 10)
            assert await numbers(reader, 20) == list(range(5, 21))
            await reader.save()
        async with LogReader(database, bell, name="figures") as reader, LogReader(database, bell, name="other") as other:
            assert await reader.look() == []
            assert (await other.look(3))[-1].position == (1, 3)
            async with LogReader(database, bell, after=Position(1, 15)) as nameless:
                assert await numbers(nameless, 20) == list(range(16, 21))


async def test_a_lost_bell_rings_again(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "SAFETY_NET", 60.0)
    monkeypatch.setattr(reader_module, "RETRY_SECONDS", 0.05)
    async with Database(dsn) as database, EventLog(database, tmp_path / "spool") as log, Bell(dsn) as bell:
        writer = Writer(database, tmp_path / "spool")
        async with LogReader(database, bell) as reader:
            await writer.write(log, 1)
            assert await numbers(reader, 1) == [1]
            async with asyncio.timeout(10):
                while not await terminate(dsn, "LISTEN%"):
                    await asyncio.sleep(0.01)
            await writer.write(log, 1)
            assert await numbers(reader, 2) == [2]


async def test_a_bell_whose_connection_died_without_a_word_is_noticed(
    server: PostgresServer, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "ALIVE_SECONDS", 0.05)
    monkeypatch.setattr(reader_module, "ANSWER_SECONDS", 0.3)
    async with Wire(server.embedded.socket_dir / ".s.PGSQL.5432") as wire, Bell(wire.through(dsn)) as bell:
        rung, let_go = bell.hear()
        async with asyncio.timeout(10):
            await rung.wait()
            wire.hang()
            wire.mend("never")
            rung.clear()
            await rung.wait()  # it listens again, and says so
        let_go()


async def test_a_server_that_throws_the_shipper_out_gets_everything_in_the_end(dsn: str, tmp_path: Path) -> None:
    async with Database(dsn) as database, EventLog(database, tmp_path / "spool") as log, Bell(dsn) as bell:
        writer = Writer(database, tmp_path / "spool")
        await writer.write(log, 1)
        async with blocked(dsn):
            await writer.write(log, 5)
            for _ in range(2):
                async with asyncio.timeout(10):
                    while not await terminate(dsn, "INSERT INTO event_log%"):
                        await asyncio.sleep(0.01)
            await writer.write(log, 5)
        await until_shipped(log)
        async with LogReader(database, bell) as reader:
            assert await numbers(reader, 11) == list(range(1, 12))
