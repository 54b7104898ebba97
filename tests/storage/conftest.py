"""One PostgreSQL for the room's tests, a database for each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.tools.postgres import PostgresServer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresServer]:
    run = Path(tempfile.mkdtemp(prefix="swr-"))
    found = PostgresServer(tmp_path_factory.mktemp("pg"), run)
    await found.start()
    yield found
    found.stop()
    shutil.rmtree(run)


@pytest_asyncio.fixture(loop_scope="session")
async def dsn(server: PostgresServer) -> str:
    return await server.database()
