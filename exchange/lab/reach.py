"""The database of a data directory, beside a running exchange or of a stopped one; never written to."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from exchange import rundir
from exchange.lab.errors import LabError
from exchange.supervisor.errors import AlreadyRunning
from exchange.supervisor.lock import DataLock
from storage.database import AWAY, Database
from storage.embedded import STOP_FAST, EmbeddedPostgres, Spawn
from storage.errors import StorageError
from storage.migrate import migrations

START_SECONDS = 120.0


class Reader(Database):
    """A pool whose sessions cannot write; it migrates nothing."""

    def __init__(self, dsn: str, write: bool) -> None:
        super().__init__(dsn, limit=4)
        self._write = write

    async def open(self) -> None:
        """Raises LabError when there is no server, or a database of another version."""
        try:
            self._pool = await asyncpg.create_pool(
                self.dsn,
                min_size=1,
                max_size=self._limit,
                command_timeout=None,
                timeout=10,
                server_settings={"default_transaction_read_only": "off" if self._write else "on"},
            )
        except AWAY as error:
            raise LabError(f"The database does not answer: {error or type(error).__name__}.") from error
        async with self.connection() as connection:
            exists = await connection.fetchval("SELECT to_regclass('migrations')")
            done = await connection.fetch("SELECT number FROM migrations") if exists else []
        if {row["number"] for row in done} != {migration.number for migration in migrations()}:
            await self.close()
            raise LabError(
                "The database is of another version of Switchroom: start the exchange of this version on it once, "
                "or use the version that it is of."
            )


@asynccontextmanager
async def reach(data: Path, database_url: str = "", *, write: bool = False) -> AsyncIterator[Database]:
    """The open database of a data directory; a stopped one's embedded server is started for as long as this lasts.

    Sessions cannot write, unless that is asked for.
    """
    async with _server(data, database_url) as dsn, Reader(dsn, write) as reader:
        yield reader


@asynccontextmanager
async def _server(data: Path, database_url: str) -> AsyncIterator[str]:
    if database_url:
        yield database_url
        return
    try:
        data, run = rundir.locate(data)
    except rundir.RunDirectoryError as error:
        raise LabError(str(error)) from error
    if not (data / "postgres" / "PG_VERSION").exists():
        raise LabError(f"There is no exchange on {data}: it has no database.")
    server = EmbeddedPostgres(data, run)
    if server.running() is not None:
        await server.ready(timeout=START_SECONDS)
        yield server.dsn
        return
    try:
        with DataLock(data):  # nobody may start the exchange meanwhile
            async with _started(server, data):
                yield server.dsn
    except AlreadyRunning as error:
        raise LabError(
            f"The exchange on {data} is running, but its database is not there at the moment: try again in a few seconds."
        ) from error


@asynccontextmanager
async def _started(server: EmbeddedPostgres, data: Path) -> AsyncIterator[None]:
    try:
        rundir.prepare(data)
        await server.prepare()
        process = await asyncio.to_thread(_run, server.spawn())
    except (StorageError, rundir.RunDirectoryError, OSError) as error:
        raise LabError(f"The database of {data} cannot be started: {error}.") from error
    try:
        await server.ready(timeout=START_SECONDS, alive=lambda: process.poll() is None)
        yield
    except StorageError as error:
        raise LabError(f"The database of {data} cannot be started: {error}.") from error
    finally:
        process.send_signal(STOP_FAST)
        try:
            await asyncio.to_thread(process.wait, 30)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            await asyncio.to_thread(process.wait)


def _run(spawn: Spawn) -> subprocess.Popen[bytes]:
    options: dict[str, Any] = spawn.options()
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(spawn.argv, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True, **options)
