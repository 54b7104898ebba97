"""A lone exchange whose way to the database is a wire of the test's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.exchange.brain.lone import LoneExchange, furnish, lone_exchange
from tests.tools.postgres import PostgresServer
from tests.tools.wire import Wire


@pytest_asyncio.fixture(loop_scope="session")
async def wire(server: PostgresServer) -> AsyncIterator[Wire]:
    """To the server's socket."""
    async with Wire(server.embedded.socket_dir / ".s.PGSQL.5432") as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def node(dsn: str, wire: Wire, tmp_path: Path) -> AsyncIterator[LoneExchange]:
    """Not begun yet; its database (`dsn`, past the wire) has the demo's configuration."""
    await furnish(dsn)
    async with lone_exchange(tmp_path / "data", wire.through(dsn)) as found:
        yield found
