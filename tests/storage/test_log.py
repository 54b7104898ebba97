"""The event log against a real PostgreSQL: numbered, durable, spooled when it must be, never twice, fenced."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import uuid
from pathlib import Path

import asyncpg
import pytest

from storage import rows
from storage.database import Database
from storage.errors import BadSearch, Superseded
from storage.log import EventLog, LogRow
from storage.queries import Filter, Queries
from tests.tools.postgres import PostgresServer

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="session")]


async def everything(log: EventLog) -> list[LogRow]:
    return [row async for row in log.read()]


async def test_events_are_numbered_and_read_in_order(dsn: str, tmp_path: Path) -> None:
    async with Database(dsn) as database:
        async with EventLog(database, tmp_path / "spool") as log:
            await asyncio.gather(*(log.append("k", bytes([n]), float(n)) for n in range(200)))
            found = await everything(log)
            assert [r.body[0] for r in found] == list(range(200))
            assert [r.offset for r in found] == list(range(1, 201))
            assert log.statistics().commits < 200
        async with EventLog(database, tmp_path / "spool") as log:
            await log.append("k", b"next", 1.0)
            assert [(r.epoch, r.offset) for r in await everything(log)][-1] == (2, 1)


async def test_a_row_goes_with_its_event_and_a_bad_row_does_not_hold_the_log_up(dsn: str, tmp_path: Path) -> None:
    id = str(uuid.uuid4())
    good = rows.contact_arrived(id, "voice", "123", "5000", "", "main", 1000.0, {})
    bad = rows.contact_arrived("no uuid", "voice", "123", "5000", "", "main", 1000.0, {})
    async with Database(dsn) as database, EventLog(database, tmp_path / "spool") as log:
        await log.append("k", b"a", 1.0, [bad, good])
        assert len(await everything(log)) == 1
        found = await Queries(database).contacts(Filter(number="123"))
        assert [str(r["id"]) for r in found.rows] == [id]
        assert log.statistics().rows_rejected == 1


async def test_an_older_writer_is_refused(dsn: str, tmp_path: Path) -> None:
    async with Database(dsn) as database, EventLog(database, tmp_path / "one") as old:
        await old.append("k", b"1", 1.0)
        async with EventLog(database, tmp_path / "two") as new:
            with pytest.raises(Superseded):
                await old.append("k", b"2", 2.0)
            assert old.superseded.done()
            await new.append("k", b"3", 3.0)
            assert [r.body for r in await everything(new)] == [b"1", b"3"]


async def test_snapshots_are_kept_and_the_newest_is_found(dsn: str, tmp_path: Path) -> None:
    async with Database(dsn) as database, EventLog(database, tmp_path / "spool") as log:
        assert await log.latest_snapshot() is None
        for n in range(1, 5):
            await log.save_snapshot(1, n, bytes([n]))
        assert await log.latest_snapshot() == (1, 4, b"\x04")


@pytest.mark.adversity
@pytest.mark.realtime
async def test_a_hung_and_a_killed_server_cost_nothing(tmp_path: Path) -> None:
    """SIGSTOP, then SIGKILL, then back: every event is there once, in order, and none waited long."""
    run = Path(tempfile.mkdtemp(prefix="swr-"))
    server = PostgresServer(tmp_path, run)
    await server.start()
    try:
        dsn = await server.database()
        loop = asyncio.get_running_loop()
        async with Database(dsn) as database, EventLog(database, tmp_path / "spool") as log:

            async def append(n: int) -> float:
                started = loop.time()
                await log.append("k", n.to_bytes(2, "big"), float(n))
                return loop.time() - started

            for n in range(20):
                await append(n)
            server.signal(signal.SIGSTOP)
            waits = [await append(n) for n in range(20, 40)]
            assert max(waits) < 1.5
            assert log.statistics().spooled >= 20
            server.signal(signal.SIGCONT)
            for n in range(40, 60):
                await append(n)
            server.kill()
            for n in range(60, 80):
                await append(n)
            await server.start()
            async with asyncio.timeout(20):
                while not log.statistics().database_up:
                    await asyncio.sleep(0.05)
            await append(80)
            found = await everything(log)
            assert [int.from_bytes(r.body, "big") for r in found] == list(range(81))
    finally:
        server.stop()
        shutil.rmtree(run)


async def test_what_a_crash_left_in_the_spool_is_shipped_first_and_a_torn_tail_dropped(dsn: str, tmp_path: Path) -> None:
    import msgspec

    from storage.log import Batch
    from storage.spool import Spool

    async with Database(dsn) as database:
        async with EventLog(database, tmp_path / "spool") as log:
            await log.append("k", b"1", 1.0)
            epoch = log.epoch
        spool = Spool(tmp_path / "spool")
        spool.append(msgspec.msgpack.encode(Batch([LogRow(epoch, 1, 1.0, "k", b"1"), LogRow(epoch, 2, 2.0, "k", b"2")], [])))
        spool.append(msgspec.msgpack.encode(Batch([LogRow(epoch, 3, 3.0, "k", b"3")], [])))
        spool.close()
        with (tmp_path / "spool").open("ab") as file:
            file.write(b"\x00\x00\x10\x00torn")
        async with EventLog(database, tmp_path / "spool") as log:
            await log.append("k", b"4", 4.0)
            assert [r.body for r in await everything(log)] == [b"1", b"2", b"3", b"4"]


async def test_migrations_run_once_even_from_two_at_a_time(dsn: str) -> None:
    async def run() -> None:
        async with Database(dsn):
            pass

    await asyncio.gather(run(), run())
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT count(*) FROM migrations") >= 1
    await connection.close()


async def test_pages_follow_each_other_without_gap_or_double(dsn: str, tmp_path: Path) -> None:
    ids = [str(uuid.uuid4()) for _ in range(7)]
    async with Database(dsn) as database, EventLog(database, tmp_path / "spool") as log:
        await log.write(
            [rows.contact_arrived(id, "voice", "1", "5000", "", "main", 1000.0 + n // 2, {}) for n, id in enumerate(ids)]
        )
        queries, seen, before = Queries(database), list[str](), None
        while True:
            page = await queries.contacts(Filter(limit=2, before=before))
            seen += [str(r["id"]) for r in page.rows]
            if page.next is None:
                break
            before = page.next
        assert sorted(seen) == sorted(ids)
        with pytest.raises(BadSearch, match="cursor"):
            await queries.contacts(Filter(before="nonsense"))
