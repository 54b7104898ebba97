"""Followers of the event log: everything that is committed, in order, once; who was away for a while goes on where they were.

    async with Bell(dsn) as bell, LogReader(database, bell, name="figures") as reader:
        while True:
            rows = await reader.next()      # waits; the events after reader.position, in order
            ...                             # take them
            await reader.save()             # done with them: the next LogReader of this name begins behind them

Without a name a reader keeps no watermark and begins where it is told to (`after`), or at the log's beginning.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import date
from types import TracebackType
from typing import Self

import asyncpg
import structlog

from storage.database import AWAY, Database
from storage.entries import BEGINNING, CHANNEL, LogRow, Position
from storage.errors import DatabaseAway
from storage.history import History

log = structlog.get_logger()

SAFETY_NET = 5.0
"""Seconds after which a reader looks by itself, should a word of the writer be lost."""
RETRY_SECONDS = 0.5
ALIVE_SECONDS = 30.0
"""A connection that only listens is asked so often whether it still lives: nobody tells it that it does not."""
ANSWER_SECONDS = 5.0
MOST_AT_ONCE = 1_000


class Bell:
    """One connection that hears of new events, for all readers of a process; it comes back by itself when it breaks."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._listeners: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._listen(), name="log bell")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def ring(self, *_: object) -> None:
        """There may be something new."""
        for event in self._listeners:
            event.set()

    def hear(self) -> tuple[asyncio.Event, Callable[[], None]]:
        """An event that is set whenever the bell rings, and how to let go of it."""
        event = asyncio.Event()
        self._listeners.add(event)
        return event, lambda: self._listeners.discard(event)

    async def _listen(self) -> None:
        while True:
            try:
                await self._connected()
            except AWAY as error:
                log.debug("the log's bell is silent", error=str(error) or type(error).__name__)
            except asyncpg.PostgresError as error:
                log.warning("the log's bell is silent", error=str(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _connected(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=ANSWER_SECONDS, command_timeout=ANSWER_SECONDS)
        broken = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: broken.set())
            await connection.add_listener(CHANNEL, self.ring)
            self.ring()  # what was committed before we listened
            while not await _within(broken.wait(), ALIVE_SECONDS):
                await connection.fetchval("SELECT 1")
        finally:
            connection.terminate()


async def _within(happens: Awaitable[object], seconds: float) -> bool:
    try:
        await asyncio.wait_for(happens, seconds)
    except TimeoutError:
        return False
    return True


class LogReader:
    """One follower of the log; an async context manager."""

    def __init__(self, database: Database, bell: Bell, *, name: str = "", after: Position = BEGINNING) -> None:
        self.position = after
        """The newest event that `next` gave; what comes is behind it."""
        self.name = name
        self._history = History(database)
        self._bell = bell
        self._day: date | None = None
        self._placed = False
        self._rung: asyncio.Event
        self._let_go: Callable[[], None]

    async def __aenter__(self) -> Self:
        """Find the watermark, or make one at `after` (then no day behind it is dropped); raises DatabaseAway."""
        if self.name:
            self.position = await self._history.begin_reader(self.name, self.position)
        self._rung, self._let_go = self._bell.hear()
        self._rung.set()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """It hears nothing any more."""
        self._let_go()

    async def next(self, most: int = MOST_AT_ONCE) -> list[LogRow]:
        """The events behind `position`, as soon as there are some; while the database is away, it waits for it."""
        while True:
            try:
                if rows := await self.look(most):
                    return rows
            except DatabaseAway as error:
                log.info("a reader of the log waits for the database", reader=self.name, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._rung.wait(), SAFETY_NET)

    async def look(self, most: int = MOST_AT_ONCE) -> list[LogRow]:
        """The same without waiting: none when there are none now; raises DatabaseAway."""
        self._rung.clear()
        if not self._placed:
            self._day = await self._history.day(self.position)
            self._placed = self._day is not None
        rows = await self._history.some(self.position, self._day, most)
        if rows:
            self.position, self._day, self._placed = rows[-1].position, rows[-1].day, True
        return rows

    async def save(self, position: Position | None = None) -> None:
        """Everything up to here (default: `position`) is done with; raises DatabaseAway."""
        if self.name:
            await self._history.move_reader(self.name, position or self.position)
