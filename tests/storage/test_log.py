"""The event log against a real PostgreSQL: numbered, durable, spooled when it must be, never twice, fenced."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import uuid
from datetime import date
from pathlib import Path

import asyncpg
import msgspec
import pytest

from storage import log as log_module
from storage import rows
from storage.database import Database
from storage.entries import Position, day_of
from storage.errors import BadSearch, Superseded
from storage.history import History
from storage.keeper import LogKeeper
from storage.log import Batch, EventLog, LogRow
from storage.migrate import migrate, migrations
from storage.queries import Filter, Queries
from storage.spool import Spool
from tests.tools.postgres import PostgresServer

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture(autouse=True)
def _commits_have_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, too, what is durable is in the database, unless a test is about the spool."""
    monkeypatch.setattr(log_module, "COMMIT_SECONDS", 30.0)


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
async def test_a_hung_and_a_killed_server_cost_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGSTOP, then SIGKILL, then back: every event is there once, in order, and none waited long."""
    monkeypatch.setattr(log_module, "COMMIT_SECONDS", 0.25)
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


async def test_what_another_exchange_overtook_is_put_aside_and_the_next_one_starts(dsn: str, tmp_path: Path) -> None:
    async with Database(dsn) as database:
        async with EventLog(database, tmp_path / "spool") as log:
            await log.append("k", b"1", 1.0)
        spool = Spool(tmp_path / "spool")
        spool.append(msgspec.msgpack.encode(Batch([LogRow(1, 2, 2.0, "k", b"2")], [])))
        spool.close()
        async with EventLog(database, tmp_path / "of another node"):
            pass
        async with EventLog(database, tmp_path / "spool") as log:
            await log.append("k", b"3", 3.0)
            assert [(r.epoch, r.body) for r in await everything(log)] == [(1, b"1"), (3, b"3")]
        (aside,) = tmp_path.glob("spool.refused-*")
        kept = Spool(aside)
        assert b"k" in kept.peek()[0]
        kept.close()


async def test_effects_go_with_their_event_and_through_the_spool(dsn: str, tmp_path: Path) -> None:
    contact = str(uuid.uuid4())
    pointer = rows.decision((1, 2, 3), contact, "offer", "o", "a", "q", 2.0)
    async with Database(dsn) as database, EventLog(database, tmp_path / "spool") as log:
        await log.append("k", b"1", 1.0, effects=b"one")
        await log.append("k", b"2", 2.0, [pointer], b"two")
        await log._to_spool(Batch([LogRow(1, 3, 3.0, "k", b"3", b"three")], []))
        await log.append("k", b"4", 4.0)
        async with asyncio.timeout(10):
            while not log.statistics().database_up:
                await asyncio.sleep(0.01)
        assert [r.effects for r in await everything(log)][:3] == [b"one", b"two", b"three"]
        (found,) = await Queries(database).decisions(contact)
        assert (found["epoch"], found["offset"], found["index"], found["effects"]) == (1, 2, 3, b"two")


async def test_nothing_is_lost_or_overtaken_while_the_spool_empties(dsn: str, tmp_path: Path) -> None:
    """The writer puts batches into the spool while the shipper takes the last ones out of it, in all their turns."""
    async with Database(dsn) as database, EventLog(database, tmp_path / "spool") as log:
        appended = 0
        for turn in range(150):
            log._spooling = log._spooling or turn % 3 == 0  # as after a slow commit: the next batch goes to the spool
            await asyncio.gather(*(log.append("k", b"", 1.0) for _ in range(turn % 2 + 1)))
            appended += turn % 2 + 1
            while (turn % 5 == 0 and not log._spool.empty) or (turn % 8 == 0 and log._spooling):
                await asyncio.sleep(0)
        async with asyncio.timeout(10):
            while not log.statistics().database_up:
                await asyncio.sleep(0.01)
        statistics = log.statistics()
        assert 0 < statistics.spooled == statistics.shipped < appended
        connection = await asyncpg.connect(dsn)
        found = await connection.fetch('SELECT "offset" FROM event_log ORDER BY ctid')
        await connection.close()
        assert [row["offset"] for row in found] == list(range(1, appended + 1)), "in the order in which they became visible"


async def test_a_spool_that_the_disk_has_not_kept_is_put_aside(dsn: str, tmp_path: Path) -> None:
    async with Database(dsn) as database, EventLog(database, tmp_path / "spool") as log:
        log._spooling = True  # as after a slow commit
        log._shipping = asyncio.Event()  # and nobody ships yet
        await log.append("k", b"lost", 1.0)
        with (tmp_path / "spool").open("r+b") as file:
            file.write(b"\x00")
            file.seek(9)
            file.write(b"\xff\xff")
        log._tasks[1].cancel()
        log._tasks[1] = asyncio.create_task(log._ship())
        log._shipping.set()
        async with asyncio.timeout(10):
            while not log.statistics().database_up:
                await asyncio.sleep(0.01)
        await log.append("k", b"kept", 2.0)
        assert [r.body for r in await everything(log)] == [b"kept"]
        assert [path.name[:14] for path in tmp_path.glob("spool.*")] == ["spool.refused-"]


async def test_two_that_have_one_spool_do_not_spoil_it(dsn: str, tmp_path: Path) -> None:
    """The first is overtaken while it lives: the next one has what it had, and what it writes later is read by nobody."""
    early, late = (msgspec.msgpack.encode(Batch([LogRow(1, n, 1.0, "k", b"old")], [])) for n in (1, 2))
    async with Database(dsn) as database, EventLog(database, tmp_path / "spool") as old:
        await asyncio.to_thread(old._spool.append, early)
        async with EventLog(database, tmp_path / "spool") as new:
            new._spooling = True  # as after a slow commit
            await new.append("k", b"new", 1.0)
            await asyncio.to_thread(old._spool.append, late)
            assert await asyncio.to_thread(old._spool.peek) == [early]
            async with asyncio.timeout(10):
                while not new.statistics().database_up:
                    await asyncio.sleep(0.01)
        async with EventLog(database, tmp_path / "spool") as third:
            assert [r.body for r in await everything(third)] == [b"old", b"new"]
            assert [path.name for path in tmp_path.iterdir()] == ["spool"]


async def test_days_have_partitions_and_never_go_back(dsn: str, tmp_path: Path) -> None:
    """The clock steps back over midnight: the log's order and its days stay the same, also for the next writer."""
    noon = 43_200.0
    async with Database(dsn) as database:
        async with EventLog(database, tmp_path / "spool") as log:
            for number, at in enumerate((noon, noon + 86_400, noon, noon + 3 * 86_400)):
                await log.append("k", bytes([number]), at)
        async with EventLog(database, tmp_path / "spool") as log:
            await log.append("k", b"\x04", noon)
            found = await everything(log)
            assert [(r.body[0], r.day.day if r.day else 0) for r in found] == [(0, 1), (1, 2), (2, 2), (3, 4), (4, 4)]
            assert [r.body[0] async for r in log.read((1, 2))] == [2, 3, 4]
            assert [r.body[0] async for r in log.read((2, 0))] == [4]
            assert await log.end() == (2, 1)
        connection = await asyncpg.connect(dsn)
        days = await connection.fetch('SELECT day::text, epoch, "offset" FROM log_days ORDER BY day')
        assert [tuple(r) for r in days] == [("1970-01-01", 1, 1), ("1970-01-02", 1, 2), ("1970-01-04", 1, 4)]
        await connection.close()


async def test_an_older_log_is_carried_over(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await migrate(connection, migrations()[:1])
    old = [(1, 1, 86_000.0), (1, 2, 90_000.0), (2, 1, 80_000.0), (2, 2, 200_000.0)]
    for epoch, offset, at in old:
        await connection.execute("INSERT INTO event_log VALUES ($1, $2, $3, 'k', $4)", epoch, offset, at, bytes([offset]))
    await connection.close()
    async with Database(dsn) as database:
        found = [row async for row in History(database).read()]
        assert [(r.epoch, r.offset, r.at) for r in found] == old
        assert [r.day.day if r.day else 0 for r in found] == [1, 2, 2, 3]
        assert [(r.body, r.effects) for r in found] == [(bytes([offset]), None) for _, offset, _ in old]


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


async def test_old_days_go_when_nobody_has_to_read_them_again(dsn: str, tmp_path: Path) -> None:
    """Ten days kept of twenty: held by the missing snapshot, then by a reader; a query under way delays a drop, not the log."""

    def day(number: int) -> date:
        return day_of(number * 86_400.0)

    async with Database(dsn) as database, EventLog(database, tmp_path / "spool") as log:
        keeper = LogKeeper(database, 10, lambda: 20 * 86_400.0)
        contact = str(uuid.uuid4())
        for number in range(21):
            pointer = rows.decision((*log.next_position, 0), contact, "nobody", None, None, "q", 0.0)
            await log.append("k", b"", number * 86_400.0, [pointer], b"")
        assert await keeper.keep() == []
        size = await keeper.size()
        assert (size.days, size.oldest, size.held_by) == (21, day(0), "snapshot")
        assert size.bytes > 24 * 8_192, "those made ahead, too"
        await log.save_snapshot(1, 21, b"state")
        assert await log.begin_reader("slow", Position(1, 4)) == (1, 4)
        assert await keeper.keep() == [day(0), day(1), day(2)], "the reader is done with the first of the fourth day"
        assert (await keeper.size()).held_by == "slow"
        await log.move_reader("slow", Position(1, 21))
        reading = await asyncpg.connect(dsn)
        async with reading.transaction():
            await reading.fetch("SELECT count(*) FROM event_log")
            started = asyncio.get_running_loop().time()
            dropping = asyncio.create_task(keeper.keep())
            await log.append("k", b"", 20 * 86_400.0)
            assert await dropping == []
            assert asyncio.get_running_loop().time() - started < 5
        await reading.close()
        assert await keeper.keep() == [day(number) for number in range(3, 10)]
        found = await everything(log)
        assert [r.offset for r in found] == list(range(11, 23))
        assert len(await Queries(database).decisions(contact)) == 11
        await log.append("k", b"", 24 * 86_400.0)
        assert await keeper.keep() == []
