"""The supervisor with its real children, all but the exchange: PostgreSQL, workers, zygote, cards, edge."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from exchange import rundir, status
from exchange.settings import load
from exchange.supervisor import postgres, records, serve
from exchange.supervisor.child import Child
from exchange.supervisor.screen import Screen
from exchange.supervisor.supervisor import Supervisor
from exchange.supervisor.table import Site, table

pytestmark = [pytest.mark.interop, pytest.mark.adversity]


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def house(data: Path) -> AsyncIterator[tuple[Supervisor, str]]:
    settings = load(
        data=data,
        sip=f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}",
        http=f"127.0.0.1:{free_port(socket.SOCK_STREAM)}",
        rtp="21000-21999",
        lines=6,
        desk_cards=1,
    )
    site = Site(settings.data, rundir.prepare(settings.data))
    site.logs.mkdir(parents=True)
    spec, url = await postgres.prepare(site.data, site.run, Screen(io.StringIO()))
    groups = table(settings, site, lines_each=4, proxy=serve.inside_address(site.run), database=[spec], secrets={})[:-1]
    supervisor = Supervisor(groups, run=site.run, logs=site.logs, screen=Screen(io.StringIO()), drain_seconds=5)
    task = asyncio.create_task(supervisor.run())
    try:
        await until(lambda: supervisor.phase == "running" or task.done())
        yield supervisor, url
        supervisor.request_stop()
        await task
    finally:
        supervisor.request_stop(now=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 60)


async def test_real_children_start_survive_kills_and_leave(tmp_path: Path) -> None:
    async with house(tmp_path / "data") as (supervisor, url):
        children: dict[str, Child] = {child.spec.name: child for child in supervisor.children}
        assert set(children) == {
            *("postgres", "speech", "vault", "bookkeeper"),
            *("linecards", "linecard0", "linecard1", "deskcard0", "webcard0", "edge"),
        }
        report = await status.take(tmp_path / "data")
        assert [(c.card, c.lines, c.reachable) for c in report.cards] == [("linecard0", 4, True), ("linecard1", 2, True)]
        assert report.lines.total == 6
        assert report.problems == []

        # The cards outlive their zygote, and a new card comes from the new one.
        zygote, card, other = (children[name].pid for name in ("linecards", "linecard0", "linecard1"))
        os.kill(zygote, signal.SIGKILL)
        os.kill(card, signal.SIGKILL)
        await until(lambda: children["linecard0"].state == "ready" and children["linecard0"].pid != card)
        assert children["linecard1"].pid == other

        server = children["postgres"].pid
        os.kill(server, signal.SIGKILL)
        await until(lambda: children["postgres"].state == "ready" and children["postgres"].pid != server)
        connection = await asyncpg.connect(url)
        try:
            assert await connection.fetchval("SELECT 1") == 1
        finally:
            await connection.close()
        pids = [child.pid for child in children.values()]
    assert [pid for pid in pids if records.start_ticks(pid) is not None] == []
    assert records.read_all(rundir.run_directory(tmp_path / "data")) == []
    assert "database system is shut down" in (tmp_path / "data" / "logs" / "postgres.log").read_text()
