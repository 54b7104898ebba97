"""The embedded server: first start in a private directory with a long path (as root too), restart after kill, stop."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from storage import embedded
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


async def test_a_start_waits_until_the_dead_server_is_gone_for_good(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose parent has not looked yet has its number still."""
    server = EmbeddedPostgres(run, run)
    lock = server.cluster / "postmaster.pid"
    server.cluster.mkdir()
    for name, known in (("left for a while", True), ("left for ever", False)):
        monkeypatch.setattr(embedded, "BURIAL_SECONDS", 10.0 if known else 0.1)
        dead = subprocess.Popen(["true"])
        await asyncio.to_thread(os.waitid, os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
        lock.write_text(f"{dead.pid}\n{server.cluster}\n")
        burial = asyncio.create_task(server.bury())
        await asyncio.sleep(0.06)
        assert not burial.done(), name
        if known:
            dead.wait()
        await burial
        assert lock.exists() == known, name
        dead.wait()
    here = subprocess.Popen(["sleep", "60"], cwd=server.cluster)
    lock.write_text(f"{here.pid}\n")
    await server.bury()
    here.kill()
    here.wait()
    assert lock.exists(), "somebody is left who may write there"


async def test_a_run_directory_too_long_for_a_socket_is_refused_with_a_sentence(private: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="too long"):
        EmbeddedPostgres(private, private)
