"""The bookkeeper's work on a real log: snapshots that are right, differences that are told, folds that count once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import acd.events as routing
from exchange.bookkeeper import books as books_module
from exchange.brain import logged, records
from exchange.brain.house import House, Outcome, freeze
from exchange.brain.records import KIND, REJECTED, Record
from exchange.brain.recovery import recover
from storage import rows
from storage.database import Database
from storage.folds import FoldStates
from storage.history import History
from tests.exchange.bookkeeper.books_house import Counting, Office
from tests.exchange.brain.story import contact_id, new_house

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def office(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setattr(books_module, "SAVE_SECONDS", 0.05)
    monkeypatch.setitem(rows.STATEMENTS, "test_count", "UPDATE counted SET number = number + 1")
    async with Database(dsn) as database:
        async with database.connection() as connection:
            await connection.execute("CREATE TABLE counted (number bigint); INSERT INTO counted VALUES (0)")
        found = Office(database, tmp_path / "spool")
        await found.publish()
        yield found


async def counted(office: Office) -> int:
    async with office.database.connection() as connection:
        return int(await connection.fetchval("SELECT number FROM counted"))


async def replayed(office: Office) -> tuple[int, bytes]:
    """Records that a restart replays, and the state that it begins with."""
    house = new_house()
    return await recover(house, office.log), freeze(house)


async def test_snapshots_are_of_their_place_and_the_last_one_of_the_end(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(books_module, "SNAPSHOT_EVERY", 10)
    async with office.exchange() as log:
        async with office.books() as books:
            for _ in range(8):
                await office.call()
            await office.until_read(books)
            standing = books.standing()
            assert (standing.compared, standing.differences, standing.problems) == (18, 0, [])
            assert standing.snapshot_offset >= 10
            count, state = await replayed(office)
            assert count < 18
            assert state == freeze(office.house)
            log.append(REJECTED, records.encode(Record(0.0, records.CardDied("linecard0", "g1"))), office.house.last_at)
            await log.append(KIND, b"of a version to come", office.house.last_at)
            await office.call()
        assert await replayed(office) == (0, freeze(office.house)), "they leave with a snapshot of the log's end"
        async with office.books() as books:
            assert books.standing().compared == 0
            await office.call()
            await office.until_read(books)
            assert books.standing().compared == 2


async def test_who_is_told_to_leave_in_the_middle_of_a_save_ends_it_first(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed, save = asyncio.Event(), FoldStates.save

    async def slow(*what: Any) -> None:
        await save(*what)
        committed.set()
        await asyncio.sleep(0.2)

    monkeypatch.setattr(FoldStates, "save", slow)
    fold = Counting()
    async with office.exchange():
        async with office.books(fold) as books:
            await office.call()
            await office.until_read(books)
            await asyncio.wait_for(committed.wait(), 10)
        assert await counted(office) == books.standing().compared, "each once"


async def test_a_flow_that_is_published_meanwhile_is_known_in_time(office: Office) -> None:
    async with office.exchange(), office.books() as books:
        await office.call()
        await office.until_read(books)
        await office.publish(2)
        office.house.runner.add((await books_module.flows.load(books._queries))[-1])
        await office.call(version=2)
        await office.until_read(books)
        assert (books.standing().problems, books.standing().compared) == ([], 6)
        assert books._mirror.house.runner.newest("demo") == 2


async def test_the_first_difference_is_told_and_no_snapshot_is_made_until_the_next_start(office: Office) -> None:
    async with office.exchange() as log:
        async with office.books() as books:
            await office.call()
            record = Record(office.house.last_at, records.Routing(routing.AgentLoggedIn(0.0, "agent1")))
            wrong = office.house.apply(record).decided[:-1]
            await log.append(KIND, records.encode(record), record.at, effects=logged.encode(wrong))
            await office.call()
            await office.until_read(books)
            standing = books.standing()
            assert standing.differences == 1
            assert standing.problems == [
                f"Event 1/5 of the log does not give what it gave the exchange: it had {len(wrong)} effects and has"
                f" {len(wrong) + 1} now. No snapshot is made until the exchange starts anew."
            ]
        assert await log.latest_snapshot() is None
    async with office.exchange() as log, office.books() as books:
        await office.call()
        await office.until_read(books)
        assert books.standing().problems == []
    assert (await History(office.database).latest_snapshot() or ())[:2] == (2, 3)


async def test_a_record_that_raises_only_here_is_passed_over_as_the_next_exchange_will(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Trap(House):
        def apply(self, record: Record) -> Outcome:
            if isinstance(record.input, records.CardDied):
                self.talks.clear()
                raise ZeroDivisionError
            return super().apply(record)

    monkeypatch.setattr(books_module, "House", Trap)
    fold = Counting()
    async with office.exchange(), office.books(fold) as books:
        await office.call()
        await office.put(records.Arrived(contact_id(50), "linecard1", "g1", "c", "p", "5000", "demo", version=1))
        await office.put(records.CardDied("linecard0", "g1"))
        await office.call()
        await office.until_read(books)
        assert "raises now (ZeroDivisionError)" in books.standing().problems[0]
        assert freeze(books._mirror.house) == freeze(office.house), "this one changed nothing in the exchange"
    assert [position.offset for position in fold.taken] == list(range(1, 9)), "folds have it, once"
    assert await History(office.database).latest_snapshot() is None


async def test_folds_count_everything_once_whatever_is_killed(office: Office) -> None:
    async with office.exchange():
        fold = Counting()
        async with office.books(fold, finish=False) as books:
            await office.call()
            async with asyncio.timeout(10):
                while books.standing().folds["counting"] != [1, 4]:
                    await asyncio.sleep(0.01)
        assert (fold.effects > 0, await counted(office)) == (True, 4)
        await office.call()
        again = Counting()
        async with office.books(again) as books:
            await office.until_read(books)
        assert (again.before, [p.offset for p in again.taken], await counted(office)) == (4, [5, 6], 6)
        anew = Counting(version=2)
        async with office.books(anew):
            pass
        assert (anew.before, len(anew.taken), await counted(office)) == (0, 6, 12)
        broken = Counting(version=2)
        broken.fails_at = 1
        async with office.books(broken) as books:
            await office.call()
            await office.until_read(books)
            assert books.standing().problems == ["The fold counting failed at 1/7: see the bookkeeper's log."]
        assert await counted(office) == 12
        healed = Counting(version=2)
        async with office.books(healed):
            pass
        assert [p.offset for p in healed.taken] == [7, 8]
