"""Followers of a real log: cut at random while events go on, also over a new writer, they miss and repeat nothing."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import acd.events as routing
from api.channel import BEGINNING, Happened, Place
from api.errors import ApiError
from api.models import User
from exchange.brain import records
from exchange.brain.clock import EngineClock
from exchange.brain.ledger import Ledger
from exchange.brain.stream import Stream
from storage.database import Database
from storage.log import EventLog
from storage.reader import Bell
from tests.exchange.brain.story import CONFIGURED, contact_id, new_house

pytestmark = [pytest.mark.interop, pytest.mark.asyncio(loop_scope="session")]

SUPERVISOR = User(id="supervisor", name="supervisor", display="Supervisor", role="supervisor")
AGENT = User(id="agent1", name="agent1", display="Agent One", role="agent")
CONTACTS = 30
LAST = contact_id(9999)


async def work(database: Database, spool: Path) -> None:
    """A busy hour in a few seconds, by two writers one after the other."""
    house, random_ = new_house(), random.Random(4)
    clock = EngineClock()
    for half in range(2):
        async with EventLog(database, spool) as events:
            ledger = Ledger(house, events, clock, lambda r, o: [], lambda r, o: None, lambda: None)
            running = asyncio.create_task(ledger.run())
            if not half:
                await ledger.put(records.Routing(CONFIGURED))
                for event in (
                    routing.AgentLoggedIn(0.0, "agent1"),
                    routing.AgentReachable(0.0, "agent1", True),
                    routing.AgentStateChosen(0.0, "agent1", "available"),
                ):
                    await ledger.put(records.Routing(event))
            for number in range(half * CONTACTS // 2, (half + 1) * CONTACTS // 2):
                contact = contact_id(number + 1)
                ledger.put(records.Routing(routing.ContactArrived(0.0, contact, "chat")))
                ledger.put(records.Routing(routing.ContactQueued(0.0, contact, "sales")))
                done = ledger.put(records.Message(contact, 1, "customer"))
                if random_.random() < 0.5:
                    await done
                offer = house.engine.agent("agent1")
                if offer is not None and offer.offer:
                    ledger.put(records.Routing(routing.OfferAccepted(0.0, "agent1", offer.offer)))
                await ledger.put(records.Routing(routing.CustomerLeft(0.0, contact)))
                view = house.engine.agent("agent1")
                for wrapped in view.works if view is not None else ():
                    await ledger.put(records.Routing(routing.WrapUpDone(0.0, wrapped.contact, "agent1")))
            if half:
                await ledger.put(records.Message(LAST, 1, "agent", "agent1"))
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


class Follower:
    """Reads, is cut, comes again."""

    def __init__(self, stream: Stream, seed: int) -> None:
        self.had: list[Happened] = []
        self.place: Place = BEGINNING
        self.cuts = 0
        self._stream = stream
        self._random = random.Random(seed)

    async def run(self) -> None:
        """Until it is cancelled; each time for a random number of items, or a random while."""
        while True:
            left = self._random.choice((0, 1, 2, 5, 30, 200))
            with contextlib.suppress(TimeoutError):
                async with (
                    asyncio.timeout(self._random.uniform(0.005, 0.15)),
                    contextlib.aclosing(self._stream.follow(SUPERVISOR, self.place)) as items,
                ):
                    async for item in items:
                        if item.type == "following":
                            assert item.place == self.place
                            continue
                        self.had.append(item)
                        self.place = item.place
                        left -= 1
                        if left <= 0:
                            break
            self.cuts += 1


@contextlib.asynccontextmanager
async def following(followers: list[Follower]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(follower.run()) for follower in followers]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def whole(stream: Stream, by: User) -> list[Happened]:
    """Everything up to the last message in one go."""
    found: list[Happened] = []
    async with asyncio.timeout(20), contextlib.aclosing(stream.follow(by, BEGINNING)) as items:
        async for item in items:
            found.append(item)
            if item.fields.get("contact") == LAST:
                break
    return found


async def test_nothing_is_missed_and_nothing_comes_twice(dsn: str, tmp_path: Path) -> None:
    async with Database(dsn) as database, Bell(dsn) as bell:
        stream = Stream(database, bell, time.time)
        followers = [Follower(stream, seed) for seed in range(4)]
        async with following(followers):
            await work(database, tmp_path / "spool")
            async with contextlib.aclosing(stream.follow(SUPERVISOR, None)) as items:
                last = (await anext(items)).place
            everything = await whole(stream, SUPERVISOR)
            assert everything[-1].place[:2] == last[:2]
            async with asyncio.timeout(30):
                while any(follower.place < everything[-1].place for follower in followers):
                    await asyncio.sleep(0.02)
        assert everything[0].type == "following"
        told = everything[1:]
        assert [item.place for item in told] == sorted({item.place for item in told})
        assert len({item.place.epoch for item in told}) == 2
        finals = [item.fields["contact"] for item in told if item.type == "contact-final"]
        assert finals == [contact_id(number + 1) for number in range(CONTACTS)]
        assert sum(item.type == "message-sent" for item in told) == CONTACTS + 1
        for follower in followers:
            assert follower.had[: len(told)] == told
            assert follower.cuts > 5
        # An agent is told of the messages that they wrote.
        mine = await whole(stream, AGENT)
        assert {item.type for item in mine} >= {"offer-made", "assigned", "segment-ended", "agent-changed"}
        assert all(item.fields.get("agent") == "agent1" for item in mine[1:])
        assert all("decision" not in item.fields for item in mine)
        async with database.connection() as connection:
            await connection.execute('UPDATE log_days SET epoch = 2, "offset" = 10')
        async with contextlib.aclosing(stream.follow(SUPERVISOR, Place(1, 5, 0))) as items:
            with pytest.raises(ApiError) as error:
                await anext(items)
        assert (error.value.status, error.value.code) == (410, "gone")
