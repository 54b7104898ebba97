"""A spare that follows the log has the state that snapshot and log give, and less to replay."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from exchange.brain import ahead as module
from exchange.brain import flows
from exchange.brain.ahead import Ahead, Known
from exchange.brain.house import House, Outcome, freeze
from exchange.brain.records import KIND, REJECTED, Arrived, Record
from exchange.brain.recovery import recover
from ivr.runner import Runner
from storage.database import Database
from storage.log import EventLog
from storage.queries import Queries
from tests.exchange.bookkeeper.books_house import Office
from tests.exchange.brain.story import new_house

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def office(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    async with Database(dsn) as database:
        found = Office(database, tmp_path / "spool")
        await found.publish()
        yield found


async def until(true: Any) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def following(office: Office) -> AsyncIterator[Ahead]:
    ahead = Ahead(office.database.dsn, recordings=True)
    task = asyncio.create_task(ahead.run())
    try:
        yield ahead
    finally:
        task.cancel()
        await asyncio.wait([task])


def position(ahead: Ahead) -> object:
    return ahead.known.position if ahead.known is not None else None


async def taken_over(office: Office, known: Known) -> tuple[int, bytes, bytes]:
    """What the spare has left to replay in its turn, its state, and that of an exchange without a spare."""
    async with EventLog(office.database, office.spool) as log:
        count = await recover(known.house, log, known.position)
        house = House(Runner(await flows.load(Queries(office.database))), recordings=True)
        await recover(house, log)
        return count, freeze(known.house), freeze(house)


async def test_a_spare_knows_what_is_committed_and_replays_the_rest(office: Office) -> None:
    async with following(office) as ahead, office.exchange() as log:
        await office.call()
        await until(lambda: position(ahead) == log.position)
        await office.publish(2)
        await office.call(version=2)  # of a flow that was published since
        await until(lambda: position(ahead) == log.position)
        await log.append(REJECTED, b"what raised", 0.0)
        await until(lambda: position(ahead) == log.position)
    assert ahead.known is not None
    known = ahead.known
    async with office.exchange():
        await office.call()
    count, warm, replayed = await taken_over(office, known)
    assert count == 3, "the start, the caller, and their end"
    assert warm == replayed


async def test_it_goes_on_over_the_restarts_of_others(office: Office) -> None:
    async with following(office) as ahead:
        for _ in range(2):
            async with office.exchange() as log:
                await office.call()
                await until(lambda: position(ahead) == log.position)
        assert ahead.known is not None
    count, warm, replayed = await taken_over(office, ahead.known)
    assert (count, warm) == (0, replayed)


async def test_what_it_cannot_take_leaves_the_start_as_it_is_without_it(office: Office) -> None:
    async with following(office) as ahead, office.exchange() as log:
        await until(lambda: position(ahead) == log.position)
        await log.append(KIND, b"\xc1", 0.0)
        await until(lambda: ahead.known is None)


class Trap(House):
    """Cannot take this caller's arrival."""

    caller = ""

    def apply(self, record: Record) -> Outcome:
        if isinstance(record.input, Arrived) and record.input.contact == self.caller:
            raise ZeroDivisionError
        return super().apply(record)


async def test_a_house_that_breaks_in_the_rest_begins_anew_without_that_record(office: Office) -> None:
    known, alone = (Trap(new_house().runner, recordings=True) for _ in range(2))
    async with office.exchange() as log:
        await office.call()
        await recover(known, log)
        place = log.position
        known.caller = alone.caller = await office.call()
        await office.call()
        assert await recover(known, log, place) == await recover(alone, log) > 4
        assert freeze(known) == freeze(alone)
