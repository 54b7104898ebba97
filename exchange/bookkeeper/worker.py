"""The bookkeeper as a process: it answers at once, opens the database when it can, and leaves the log's end saved."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import structlog

from exchange.bookkeeper.books import Books
from exchange.bookkeeper.messages import BookStanding, Shutdown, Status
from exchange.bookkeeper.table import folds
from media.control.envelope import ControlError
from media.control.server import ControlServer
from storage.database import AWAY, Database
from storage.errors import DatabaseAway
from storage.keeper import LogKeeper
from storage.reader import Bell

log = structlog.get_logger()

RETRY_SECONDS = 1.0
FINISH_SECONDS = 15.0


class Bookkeeper:
    """Handles the control socket's commands (media.worker.Handler), and runs the books."""

    def __init__(self, dsn: str, *, retention_days: int, recordings: bool) -> None:
        self.stopped = asyncio.Event()
        self.failed = False
        self._dsn = dsn
        self._retention_days = retention_days
        self._recordings = recordings
        self._books: Books | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, control: ControlServer) -> None:
        """Called once, when the socket is there."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="books")

    async def handle(self, command: Any) -> Any:
        match command:
            case Status():
                return self._books.standing() if self._books is not None else BookStanding()
            case Shutdown():
                self.stopped.set()
                return None
        raise ControlError("bad-command", f"{type(command).__name__} is not for the bookkeeper.")

    async def drain(self) -> None:
        """The books are closed when this returns."""
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        """A failure ends the process: the next one goes on from what is saved."""
        try:
            database = await self._open()
            if database is None:
                return
            try:
                async with Bell(self._dsn) as bell:
                    await self._keep(database, bell)
            finally:
                await database.close()
        except Exception:
            log.exception("the bookkeeper fails")
            self.failed = True
            self.stopped.set()

    async def _open(self) -> Database | None:
        """The database, as soon as there is one; None when told to stop before."""
        while not self.stopped.is_set():
            database = Database(self._dsn, limit=3, command_timeout=60.0)
            try:
                await database.open()
                return database
            except AWAY as error:
                log.info("the bookkeeper waits for the database", error=str(error) or type(error).__name__)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.stopped.wait(), RETRY_SECONDS)
        return None

    async def _keep(self, database: Database, bell: Bell) -> None:
        keeper = LogKeeper(database, self._retention_days, time.time)
        books = Books(database, bell, folds(), keeper, recordings=self._recordings)
        while not await _begun(books):
            if self.stopped.is_set():
                return
            await asyncio.sleep(RETRY_SECONDS)
        self._books = books
        await books.follow(self.stopped)
        try:
            await asyncio.wait_for(books.finish(), FINISH_SECONDS)
        except (DatabaseAway, TimeoutError) as error:
            log.warning("the bookkeeper leaves without a last snapshot", error=str(error) or "it takes too long")


async def _begun(books: Books) -> bool:
    try:
        await books.begin()
    except DatabaseAway as error:
        log.info("the bookkeeper waits for the database", error=str(error))
        return False
    return True
