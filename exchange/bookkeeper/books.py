"""Reads the log to its end, again and again: the mirror takes each event, then the folds; snapshots and folds are saved."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

import structlog

from acd.effects import Effect
from exchange.bookkeeper.folds import Fold
from exchange.bookkeeper.keeping import Kept
from exchange.bookkeeper.messages import BookStanding
from exchange.bookkeeper.mirror import Mirror, Raised
from exchange.brain import flows, logged, records, replay
from exchange.brain.house import House, freeze
from exchange.brain.records import KIND, Record
from ivr.document import Flow
from ivr.runner import Runner
from storage.database import Database
from storage.entries import BEGINNING, LogRow, Position
from storage.errors import DatabaseAway
from storage.folds import FoldStates
from storage.history import History
from storage.keeper import LogKeeper, LogSize
from storage.queries import Queries
from storage.reader import Bell, LogReader

log = structlog.get_logger()

SNAPSHOT_EVERY = 20_000
REPLAY_SECONDS = 0.5
"""A snapshot comes sooner on a big floor: as soon as so much computing would be needed to replay what came since."""
SAVE_SECONDS = 5.0
SAVED_SECONDS = 5.0
"""What a save that is under way gets, when the bookkeeper leaves."""
SIZE_SECONDS = 60.0
DROP_SECONDS = 600.0
AT_ONCE = 200
"""Events between two looks at what else is to be done."""


class Books:
    """The bookkeeper's work on an open database."""

    def __init__(self, database: Database, bell: Bell, folds: Sequence[Fold], keeper: LogKeeper, *, recordings: bool) -> None:
        self._database = database
        self._bell = bell
        self._keeper = keeper
        self._recordings = recordings
        self._history = History(database)
        self._queries = Queries(database)
        states = FoldStates(database)
        self._folds = [Kept(fold, states) for fold in folds]
        self._mirror: Mirror
        self._reader: LogReader
        self._size = LogSize()
        self._at = 0.0
        self._since_snapshot = 0
        self._replay_seconds = 0.0
        self._snapshot = BEGINNING
        self._snapshot_at = self._snapshot_seconds = 0.0
        self._snapshot_bytes = 0
        self._saving = asyncio.Lock()

    async def begin(self) -> None:
        """Find snapshot and folds; raises DatabaseAway."""
        house, position = await self._new_house()
        self._mirror = Mirror(house, position)
        self._snapshot = position
        for kept in self._folds:
            await kept.begin(self._history)
            await kept.instruct(self._queries)
        start = min([position, *(kept.position for kept in self._folds)])
        await self._go_to(start)
        log.info("the books are open", house=list(position), start=list(start), folds=[k.fold.name for k in self._folds])

    async def _new_house(self) -> tuple[House, Position]:
        house = House(Runner(await flows.load(self._queries)), recordings=self._recordings)
        return house, await replay.begin(house, self._history)

    async def _go_to(self, position: Position) -> None:
        self._reader = LogReader(self._database, self._bell, after=position)
        await self._reader.__aenter__()

    # --- reading --------------------------------------------------------------------------------------------------

    async def follow(self, stop: asyncio.Event) -> None:
        """Until told to stop, together with what is done from time to time; while the database is away it waits."""
        async with asyncio.TaskGroup() as group:
            rounds = group.create_task(self._from_time_to_time(), name="bookkeeper's rounds")
            stopping = group.create_task(stop.wait(), name="stopping")
            while not stop.is_set():
                # Only the waiting may be interrupted: events that the reader has given are taken, all of them.
                news = group.create_task(self._reader.next(AT_ONCE), name="news")
                await asyncio.wait({news, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not news.done():
                    news.cancel()
                    break
                await self._take_all(news.result())
            stopping.cancel()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SAVED_SECONDS), self._saving:
                    rounds.cancel()  # not while it saves: whether half of it came through nobody would know
            rounds.cancel()

    async def finish(self) -> None:
        """To the log's end, then save everything; raises DatabaseAway. `follow` has ended."""
        while rows := await self._reader.look(AT_ONCE):
            await self._take_all(rows)
        await self._save_folds()
        if self._since_snapshot:
            await self._make_snapshot()

    async def _take_all(self, rows: list[LogRow]) -> None:
        for row in rows:
            try:
                await self._take(row)
            except Raised:
                await self._begin_house_anew()
                return
        if self._since_snapshot >= SNAPSHOT_EVERY or self._replay_seconds >= REPLAY_SECONDS:
            try:
                await self._make_snapshot()
            except DatabaseAway as error:
                log.warning("snapshot not saved", error=str(error))
        await asyncio.sleep(0)

    async def _take(self, row: LogRow) -> None:
        """One event: the mirror, if it has not had it, and every fold."""
        record: Record | None = None
        effects: Sequence[Effect] = []
        if row.kind == KIND:
            try:
                record = records.decode(row.body)
            except ValueError:
                log.error("a record of another version is passed over", epoch=row.epoch, offset=row.offset)
        if record is not None:
            if row.position > self._mirror.position:
                await flows.know(self._mirror.house.runner, record, self._patiently_load_flows)
                self._since_snapshot += 1
                began = time.thread_time()
                effects = self._mirror.take(row, record)
                self._replay_seconds += time.thread_time() - began
            if self._folds and row.effects is not None:
                effects = logged.decode(row.effects)
        else:
            self._mirror.pass_over(row)
        for kept in self._folds:
            kept.take(row.position, record, effects)
        self._at = row.at

    async def _patiently_load_flows(self) -> list[Flow]:
        while True:
            try:
                return await flows.load(self._queries)
            except DatabaseAway:
                await asyncio.sleep(1)

    async def _begin_house_anew(self) -> None:
        """From the newest snapshot, without the record that raises, as the exchange would; folds do not go back."""
        while True:
            try:
                house, position = await self._new_house()
                break
            except DatabaseAway:
                await asyncio.sleep(1)
        self._mirror.begin_anew(house, position)
        self._since_snapshot, self._replay_seconds = 0, 0.0
        self._reader.close()
        await self._go_to(min([position, *(kept.position for kept in self._folds)]))

    # --- saving ---------------------------------------------------------------------------------------------------

    async def _make_snapshot(self) -> None:
        """Unless the mirror has parted from the log; raises DatabaseAway."""
        if self._mirror.difference is not None:
            return
        position, started = self._mirror.position, time.monotonic()
        body = freeze(self._mirror.house)
        await self._history.save_snapshot(*position, body)
        self._since_snapshot, self._replay_seconds = 0, 0.0
        self._snapshot, self._snapshot_at, self._snapshot_bytes = position, time.time(), len(body)
        self._snapshot_seconds = time.monotonic() - started
        log.info("snapshot", epoch=position.epoch, offset=position.offset, bytes=len(body), seconds=self._snapshot_seconds)

    async def _save_folds(self) -> None:
        async with self._saving:
            for kept in self._folds:
                await kept.instruct(self._queries)
                await kept.save()

    async def _from_time_to_time(self) -> None:
        size_due = drop_due = 0.0
        while True:
            now = time.monotonic()
            try:
                await self._save_folds()
                if now >= drop_due:
                    await self._keeper.keep()
                    drop_due = now + DROP_SECONDS
                if now >= size_due:
                    self._size = await self._keeper.size()
                    size_due = now + SIZE_SECONDS
            except DatabaseAway as error:
                log.info("the bookkeeper waits for the database", error=str(error))
            await asyncio.sleep(SAVE_SECONDS)

    # --- figures --------------------------------------------------------------------------------------------------

    def standing(self) -> BookStanding:
        """As of now."""
        mirror, size = self._mirror, self._size
        problems = [kept.problem for kept in self._folds if kept.problem]
        if mirror.difference is not None:
            epoch, offset = mirror.difference.position
            problems.append(
                f"Event {epoch}/{offset} of the log does not give what it gave the exchange: {mirror.difference.what}."
                " No snapshot is made until the exchange starts anew."
            )
        return BookStanding(
            epoch=mirror.position.epoch,
            offset=mirror.position.offset,
            at=self._at,
            compared=mirror.compared,
            differences=mirror.differences,
            snapshot_epoch=self._snapshot.epoch,
            snapshot_offset=self._snapshot.offset,
            snapshot_at=self._snapshot_at,
            snapshot_seconds=self._snapshot_seconds,
            snapshot_bytes=self._snapshot_bytes,
            log_bytes=size.bytes,
            log_days=size.days,
            log_oldest=str(size.oldest or ""),
            held_by=size.held_by,
            folds={kept.fold.name: list(kept.saved) for kept in self._folds},
            problems=problems,
        )
