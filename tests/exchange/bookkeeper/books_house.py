"""An exchange without cards that logs to a real database, and the books that follow it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import acd.events as routing
from acd.effects import Effect
from exchange.bookkeeper.books import Books
from exchange.bookkeeper.folds import Fold
from exchange.brain import records
from exchange.brain.clock import EngineClock
from exchange.brain.flows import KIND_FLOW
from exchange.brain.house import House
from exchange.brain.ledger import Ledger
from exchange.brain.records import Input, Record
from exchange.brain.recovery import recover
from ivr.document import packaged
from storage.database import Database
from storage.entries import Position
from storage.keeper import LogKeeper
from storage.log import EventLog
from storage.queries import Queries
from storage.reader import Bell
from storage.rows import RowWrite
from tests.exchange.brain.story import CONFIGURED, contact_id, new_house


class Office:
    """One database: the exchange of the moment writes, the books of the moment read."""

    def __init__(self, database: Database, spool: Path) -> None:
        self.database = database
        self.spool = spool
        self.house: House
        self.log: EventLog
        self.ledger: Ledger
        self.contacts = 0

    async def publish(self, version: int = 1) -> None:
        """A version of the demo's flow."""
        text = packaged("demo").replace("version: 1", f"version: {version}")
        await Queries(self.database).put_document(KIND_FLOW, "demo", text)

    @contextlib.asynccontextmanager
    async def exchange(self) -> AsyncIterator[EventLog]:
        """From what the log says, to the end of the block."""
        async with EventLog(self.database, self.spool) as log:
            self.log, self.house = log, new_house()
            await recover(self.house, log)
            clock = EngineClock(self.house.last_at)
            self.ledger = Ledger(self.house, log, clock, lambda r, o: [], lambda r, o: None, lambda: None)
            running = asyncio.create_task(self.ledger.run())
            try:
                await self.put(records.Booted(0.0))
                if self.house.configured is None:
                    await self.put(records.Routing(CONFIGURED))
                yield log
            finally:
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running

    async def put(self, input: Input) -> None:
        await self.ledger.put(input)

    async def route(self, *events: routing.Event) -> None:
        for event in events:
            await self.put(records.Routing(event))

    async def call(self, version: int = 1) -> str:
        """A caller arrives, waits for sales, and gives up."""
        self.contacts += 1
        contact = contact_id(self.contacts)
        call = f"call-{self.contacts}"
        await self.put(records.Arrived(contact, "linecard0", "g1", call, "party", "5000", "demo", version=version))
        await self.put(records.CustomerGone(contact, "remote-hangup"))
        return contact

    @contextlib.asynccontextmanager
    async def books(self, *folds: Fold, finish: bool = True) -> AsyncIterator[Books]:
        """Following; without `finish` they are as after a kill."""
        stop = asyncio.Event()
        async with Bell(self.database.dsn) as bell:
            keeper = LogKeeper(self.database, 400, time.time)
            books = Books(self.database, bell, folds, keeper, recordings=True)
            await books.begin()
            following = asyncio.create_task(books.follow(stop))
            try:
                yield books
            finally:
                if finish:
                    stop.set()
                    await following
                    await books.finish()
                else:
                    following.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await following

    async def until_read(self, books: Books) -> None:
        async with asyncio.timeout(10):
            while (books.standing().epoch, books.standing().offset) < self.log.position:
                await asyncio.sleep(0.01)


class Counting:
    """A fold that counts the events it takes, and writes a row for each."""

    name = "counting"
    begins = "beginning"

    def __init__(self, version: int = 1) -> None:
        self.version = version
        self.taken: list[Position] = []
        self.effects = 0
        self.before = 0
        self.fails_at = 0
        self._rows: list[RowWrite] = []

    def take(self, position: Position, record: Record, effects: Sequence[Effect]) -> None:
        self.taken.append(position)
        self.effects += len(effects)
        if len(self.taken) == self.fails_at:
            raise ZeroDivisionError
        # A row that must be written exactly once: it adds, where the others that we have set.
        self._rows.append(RowWrite("test_count", []))

    def save(self) -> tuple[bytes, Sequence[RowWrite]]:
        rows, self._rows = self._rows, []
        return str(self.before + len(self.taken)).encode(), rows

    def restore(self, state: bytes) -> None:
        self.before = int(state)
