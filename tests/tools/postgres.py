"""A real embedded PostgreSQL as a child of the test, and a new database in it for whoever asks."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
from pathlib import Path
from typing import Any

import asyncpg

from storage.embedded import DATABASE, EmbeddedPostgres


class PostgresServer:
    """The server of one data directory."""

    def __init__(self, data: Path, run: Path) -> None:
        self.embedded = EmbeddedPostgres(data, run)
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Prepare, start, wait until it is ready; also after a stop or kill."""
        await self.embedded.prepare()
        spawn = self.embedded.spawn()
        options: dict[str, Any] = spawn.options()
        nowhere = subprocess.DEVNULL
        process = subprocess.Popen(spawn.argv, stdout=nowhere, stderr=nowhere, start_new_session=True, **options)
        self.process = process
        await self.embedded.ready(timeout=60, alive=lambda: process.poll() is None)

    def signal(self, number: signal.Signals) -> None:
        """To the backends and the postmaster: each is a process group of its own."""
        assert self.process is not None
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in [*map(int, children), pid]:
            with contextlib.suppress(ProcessLookupError):  # a backend that has just ended by itself
                os.kill(each, number)

    def kill(self) -> None:
        """`kill -9` of everything."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def stop(self) -> None:
        """Fast shutdown."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)

    async def database(self) -> str:
        """The DSN of a new empty database."""
        name = f"t{secrets.token_hex(6)}"
        connection = await asyncpg.connect(self.embedded.dsn)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()
        return self.embedded.dsn.replace(f"/{DATABASE}?", f"/{name}?")
