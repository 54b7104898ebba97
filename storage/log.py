"""The event log: one writer, numbered by (epoch, offset), durable before anything is told to anybody.

Group commit to PostgreSQL; when a commit takes over 250 ms, or the server is away, the batch goes to a local spool (fsync) and
is shipped later, in order, by inserts that may be repeated. A newer epoch in the database stops this writer.

Readers see events in their order, because there is one batch at a time: the next one begins only when the one before is
known to be committed; a second try waits in its inserts for the first one's end. An epoch begins when no batch of an older
one is under way: a batch holds the epoch's row locked until its end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import asyncpg
import msgspec
import structlog

from storage.database import AWAY, Database
from storage.entries import CHANNEL, Batch, LogRow, Position, day_of
from storage.errors import Superseded
from storage.history import History
from storage.rows import STATEMENTS, RowWrite
from storage.spool import Spool

__all__ = ["Batch", "EventLog", "LogRow", "LogStatistics", "RowWrite"]

log = structlog.get_logger()

COMMIT_SECONDS = 0.25
"""A commit that takes longer sends its batch to the spool."""
SHIP_SECONDS = 5.0
SPOOL_RETRY = 0.5
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 10.0
IDLE_SECONDS = 5
"""PostgreSQL ends a transaction of ours of which it hears nothing more: it holds the epoch and its events, and whoever comes
after (our next try over a new connection, the next exchange) would wait for it until the old connection is known to be dead."""
MOST_IN_A_BATCH = 500
MOST_TOGETHER = 128
"""Batches of the spool that one transaction ships: a minute's spool would take minutes one by one."""

_HOLDER = "SELECT epoch FROM log_epoch FOR SHARE"
_HOLDER_AND_NEWS = f"SELECT epoch, pg_notify('{CHANNEL}', '') FROM log_epoch FOR SHARE"  # noqa: S608
_BAD_ROW = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.SyntaxOrAccessError)


class LogStatistics(msgspec.Struct, frozen=True):
    epoch: int
    offset: int
    commits: int
    spooled: int
    shipped: int
    rows_rejected: int
    waiting: int
    spool_bytes: int
    slowest_commit: float
    database_up: bool


class EventLog(History):
    """The one writer of this node; an async context manager."""

    def __init__(self, database: Database, spool: Path) -> None:
        super().__init__(database)
        self.epoch = 0
        self._spool_path = spool
        self._spool: Spool
        self._offset = 0
        self._day = date.min
        self._known_days: set[date] = set()
        self._pending: list[tuple[LogRow | None, Sequence[RowWrite], asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._spooling = False
        self._shipping = asyncio.Event()
        self._spool_turn = asyncio.Lock()
        self._together = 1
        self._connection: asyncpg.Connection | None = None
        self._late: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._commits = self._spooled = self._shipped = self._rejected = 0
        self._slowest = 0.0
        self.superseded: asyncio.Future[None]

    async def __aenter__(self) -> EventLog:
        """Ships what a crash left in the spool, then takes a new epoch."""
        loop = asyncio.get_running_loop()
        self.superseded = loop.create_future()
        self._spool = await asyncio.to_thread(Spool, self._spool_path)
        connection = await self._connect()
        self.epoch = int(await connection.fetchval("SELECT epoch FROM log_epoch"))
        await self._ship_leftovers()
        self.epoch = int(await connection.fetchval("UPDATE log_epoch SET epoch = epoch + 1 RETURNING epoch"))
        self._day = await connection.fetchval("SELECT max(day) FROM log_days") or date.min
        self._tasks = [loop.create_task(self._write(), name="log writer"), loop.create_task(self._ship(), name="log shipper")]
        return self

    async def __aexit__(self, *exc: object) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                while self._pending:
                    await asyncio.shield(self._pending[-1][2])
        for task in [*self._tasks, *([self._late] if self._late else [])]:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._drop_connection()
        await asyncio.to_thread(self._spool.close)

    @property
    def position(self) -> Position:
        """The newest event."""
        return Position(self.epoch, self._offset)

    @property
    def in_database(self) -> bool:
        """Whether all that is durable can be read in the database; else some of it waits in the spool."""
        return not self._spooling

    @property
    def next_position(self) -> Position:
        """Where the next event will be: rows that go with it may point at it."""
        return Position(self.epoch, self._offset + 1)

    def append(
        self, kind: str, body: bytes, at: float, rows: Sequence[RowWrite] = (), effects: bytes | None = None
    ) -> asyncio.Future[None]:
        """Number an event and take it; the future is done when it is durable. Fails with Superseded only."""
        self._offset += 1
        self._day = max(self._day, day_of(at))  # never back along the log, whatever the clock does: it is part of its order
        return self._take(LogRow(self.epoch, self._offset, at, kind, body, effects, self._day), rows)

    def write(self, rows: Sequence[RowWrite]) -> asyncio.Future[None]:
        """Rows without an event, in order with the others."""
        return self._take(None, rows)

    def _take(self, row: LogRow | None, rows: Sequence[RowWrite]) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.superseded.done():
            future.set_exception(Superseded("Another exchange writes this log now."))
            return future
        self._pending.append((row, rows, future))
        self._wake.set()
        return future

    def statistics(self) -> LogStatistics:
        return LogStatistics(
            self.epoch,
            self._offset,
            self._commits,
            self._spooled,
            self._shipped,
            self._rejected,
            len(self._pending),
            self._spool.waiting,
            self._slowest,
            not self._spooling,
        )

    # --- writing --------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                taken, self._pending = self._pending[:MOST_IN_A_BATCH], self._pending[MOST_IN_A_BATCH:]
                batch = Batch([r for r, _, _ in taken if r is not None], [w for _, rows, _ in taken for w in rows])
                try:
                    await self._make_durable(batch)
                except Superseded as error:
                    self._end(error, [f for _, _, f in taken])
                    return
                for _, _, future in taken:
                    if not future.done():
                        future.set_result(None)

    async def _make_durable(self, batch: Batch) -> None:
        if not self._spooling:
            loop = asyncio.get_running_loop()
            started = loop.time()
            attempt = loop.create_task(self._commit(batch))
            done, _ = await asyncio.wait({attempt}, timeout=COMMIT_SECONDS)
            self._slowest = max(self._slowest, loop.time() - started)
            if done and attempt.exception() is None:
                return
            if done and isinstance(attempt.exception(), Superseded):
                raise attempt.exception() or Superseded("")
            reason = attempt.exception() if done else f"commit over {COMMIT_SECONDS} s"
            log.warning("database too slow or away, using the spool", reason=str(reason))
            if not done:
                self._late = attempt
                attempt.cancel()
            self._spooling = True
        await self._to_spool(batch)

    async def _to_spool(self, batch: Batch) -> None:
        """Durable on disk when this returns, and behind everything that waits there."""
        data = msgspec.msgpack.encode(batch)
        async with self._spool_turn:
            self._spooling = True  # the shipper may have ended meanwhile: what comes next must wait behind this batch
            while True:
                try:
                    await asyncio.to_thread(self._spool.append, data)
                    break
                except OSError as error:
                    log.critical("the spool cannot be written, effects wait", error=str(error))
                    await asyncio.sleep(SPOOL_RETRY)
            self._spooled += len(batch.events)
            self._shipping.set()

    def _end(self, error: Superseded, futures: list[asyncio.Future[None]]) -> None:
        log.critical("another exchange writes this log now")
        if not self.superseded.done():
            self.superseded.set_result(None)
        for future in [*futures, *(f for _, _, f in self._pending)]:
            if not future.done():
                future.set_exception(error)
        self._pending.clear()

    # --- shipping -------------------------------------------------------------------------------------------------

    async def _ship(self) -> None:
        while True:
            await self._shipping.wait()
            if self._late is not None:
                await asyncio.wait({self._late}, timeout=1)
                self._late = None
                await self._drop_connection()
            delay = 0.1
            while not await self._all_shipped():
                try:
                    await self._ship_one()
                    delay = 0.1
                except Superseded as error:
                    self._end(error, [])
                    return
                except (*AWAY, asyncpg.PostgresError) as error:  # it must be shipped some day, whatever is wrong now
                    log.info("database still away", error=str(error) or type(error).__name__)
                    await self._drop_connection()
                    await asyncio.sleep(delay)
                    delay = min(2.0, delay * 2)
            log.info("spool shipped", events=self._shipped)

    async def _all_shipped(self) -> bool:
        """Whether nothing waits; then, in the same turn, the writer may go to the database again."""
        async with self._spool_turn:
            if not self._spool.empty:
                return False
            self._shipping.clear()
            self._spooling = False
            return True

    async def _ship_one(self) -> None:
        found = await asyncio.to_thread(self._spool.peek, self._together)
        if not found:  # the disk has not kept it: what cannot be read must not stop all that follows
            aside = await asyncio.to_thread(self._spool.put_aside)
            log.critical("the spool cannot be read, it is put aside", file=str(aside))
            return
        batches = [msgspec.msgpack.decode(data, type=Batch) for data in found]
        batch = Batch([e for each in batches for e in each.events], [w for each in batches for w in each.rows])
        try:
            await asyncio.wait_for(self._commit(batch), SHIP_SECONDS)
        except TimeoutError:
            self._together = max(1, self._together // 2)
            raise
        self._together = min(MOST_TOGETHER, self._together * 2)
        self._shipped += len(batch.events)
        await asyncio.to_thread(self._spool.advance, len(found))

    async def _ship_leftovers(self) -> None:
        """What an earlier process left; refused when another one has had the log since, it is put aside for a person to see."""
        try:
            while not self._spool.empty:
                await self._ship_one()
        except Superseded:
            aside = await asyncio.to_thread(self._spool.put_aside)
            log.critical(
                "another exchange had the log before this spool was shipped: its events are put aside", file=str(aside)
            )

    # --- the database ---------------------------------------------------------------------------------------------

    async def _connect(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._database.dsn,
                timeout=CONNECT_SECONDS,
                command_timeout=ANSWER_SECONDS,
                server_settings={"idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s"},
            )
        return self._connection

    async def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _commit(self, batch: Batch) -> None:
        connection = await self._connect()
        try:
            async with connection.transaction():
                await self._insert(connection, batch.events)
                for write in batch.rows:
                    await connection.execute(STATEMENTS[write.statement], *write.args)
        except _BAD_ROW as error:
            # One bad row must not hold the log up for ever: the events go in, the row is dropped with a loud word.
            log.error("a row does not fit", error=str(error))
            await self._commit_singly(connection, batch)
        self._commits += 1
        self._known_days |= {event.day for event in batch.events if event.day is not None}

    async def _commit_singly(self, connection: asyncpg.Connection, batch: Batch) -> None:
        async with connection.transaction():
            await self._insert(connection, batch.events)
        for write in batch.rows:
            try:
                await connection.execute(STATEMENTS[write.statement], *write.args)
            except _BAD_ROW as error:
                self._rejected += 1
                log.error("row dropped", statement=write.statement, error=str(error))

    async def _insert(self, connection: asyncpg.Connection, events: list[LogRow]) -> None:
        holder = await connection.fetchval(_HOLDER_AND_NEWS if events else _HOLDER)
        if any(event.epoch < holder for event in events) or self.epoch < holder:
            raise Superseded(f"The log is at epoch {holder}.")
        if not events:
            return
        days = [event.day or day_of(event.at) for event in events]
        await self._begin_days(connection, events, days)
        await connection.execute(
            'INSERT INTO event_log (epoch, "offset", at, kind, body, effects, day) SELECT * FROM unnest($1::bigint[],'
            " $2::bigint[], $3::double precision[], $4::text[], $5::bytea[], $6::bytea[], $7::date[]) ON CONFLICT DO NOTHING",
            [e.epoch for e in events],
            [e.offset for e in events],
            [e.at for e in events],
            [e.kind for e in events],
            [e.body for e in events],
            [e.effects for e in events],
            days,
        )

    async def _begin_days(self, connection: asyncpg.Connection, events: list[LogRow], days: list[date]) -> None:
        """A day's first event: its partition is there, whether it was made ahead or not, and where it begins is noted."""
        new = {day: event for day, event in reversed(list(zip(days, events, strict=True))) if day not in self._known_days}
        for day, event in sorted(new.items()):
            await connection.execute("SELECT make_log_day($1)", day)
            await connection.execute("INSERT INTO log_days VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", day, *event.position)
