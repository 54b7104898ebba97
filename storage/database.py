"""The pool of connections for queries; the event log has a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import asyncpg
import msgspec
import structlog

from storage.errors import DatabaseAway
from storage.migrate import migrate

log = structlog.get_logger()

AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
"""What asyncpg raises when the server is not there (any more), is being shut down, or has run out of something."""

ACQUIRE_SECONDS = 3.0
CONNECT_SECONDS = 5.0
RETRY_SECONDS = 0.5


class DatabaseStatistics(msgspec.Struct, frozen=True):
    """The pool's connections."""

    size: int
    idle: int
    limit: int


class Database:
    """An open pool on a migrated database; `async with Database(dsn) as database`.

    `patience`: seconds that opening waits for a server that is not there, or says nothing.
    """

    def __init__(
        self, dsn: str, *, limit: int = 8, command_timeout: float = 10.0, patience: float = 0.0, migrating: bool = True
    ) -> None:
        self.dsn = dsn
        self._migrating = migrating
        self._limit = limit
        self._command_timeout = command_timeout
        self._patience = patience
        self._pool: asyncpg.Pool | None = None

    @property
    def pool(self) -> asyncpg.Pool:
        """The pool; open only."""
        if self._pool is None:
            raise RuntimeError("the database is not open")
        return self._pool

    async def open(self) -> None:
        """Migrate, then open the pool; raises OSError or asyncpg.PostgresError when there is no server."""
        if self._migrating:
            connection = await self._connected()
            try:
                await migrate(connection)
            finally:
                await connection.close()
        self._pool = await asyncpg.create_pool(
            self.dsn, min_size=1, max_size=self._limit, command_timeout=self._command_timeout, timeout=5
        )

    async def _connected(self) -> asyncpg.Connection:
        deadline = asyncio.get_running_loop().time() + self._patience
        while True:
            try:
                return await asyncpg.connect(self.dsn, timeout=CONNECT_SECONDS)
            except AWAY as error:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
                log.warning("the database does not answer yet", error=str(error) or type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def close(self, *, timeout: float = 5.0) -> None:
        """Wait for running queries for a moment, then cut them off."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(timeout):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """A connection from the pool; raises DatabaseAway when there is none in a few seconds, or it breaks."""
        try:
            async with self.pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                try:
                    yield connection
                except AWAY:
                    await self.pool.expire_connections()  # the others of its age are no better, and would cost a timeout each
                    raise
        except AWAY as error:
            raise DatabaseAway(f"The database does not answer: {error or type(error).__name__}.") from error

    def statistics(self) -> DatabaseStatistics:
        """The pool's connections."""
        pool = self.pool
        return DatabaseStatistics(pool.get_size(), pool.get_idle_size(), self._limit)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
