"""The embedded server: first start in a private directory with a long path (as root too), restart after kill, stop."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from storage.embedded import EmbeddedPostgres
from storage.errors import EmbeddedPostgresError
from tests.tools.postgres import PostgresServer

pytestmark = pytest.mark.interop


@pytest.fixture
def private() -> Iterator[Path]:
    """A directory that only its owner may enter, with a very long path."""
    base = Path(tempfile.mkdtemp(prefix="swpg-"))
    path = base / ("long-" * 20) / ("and-long-" * 10)
    path.mkdir(parents=True)
    base.chmod(0o700)
    yield path
    shutil.rmtree(base)


@pytest.fixture
def run() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="swr-"))
    yield path
    shutil.rmtree(path)


async def test_a_private_directory_with_a_long_path(private: Path, run: Path) -> None:
    server = PostgresServer(private, run)
    try:
        await server.start()
        assert server.process is not None
        assert server.embedded.running() == server.process.pid
        connection = await asyncpg.connect(server.embedded.dsn)
        assert await connection.fetchval("SHOW listen_addresses") == ""
        assert await connection.fetchval("SHOW fsync") == "on"
        await connection.execute("CREATE TABLE kept (n int)")
        await connection.close()
        server.kill()
        assert server.embedded.running() is None
        await server.start()
        connection = await asyncpg.connect(server.embedded.dsn)
        assert await connection.fetchval("SELECT count(*) FROM kept") == 0
        await connection.close()
    finally:
        server.stop()
    assert server.embedded.running() is None


async def test_a_run_directory_too_long_for_a_socket_is_refused_with_a_sentence(private: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="too long"):
        EmbeddedPostgres(private, private)
