"""For all tests: an asynchronous test that leaves tasks behind fails; one PostgreSQL, a database for each that asks."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.tools.postgres import PostgresServer

GRACE = 1.0
"""Seconds in which what a test has cancelled or closed may come to its end."""


@pytest.fixture(autouse=True)
def _tasks_are_watched(request: pytest.FixtureRequest) -> None:
    """Watch the tasks of tests that run in a loop of their own."""
    marker = request.node.get_closest_marker("asyncio")
    if marker is not None and marker.kwargs.get("loop_scope", "function") == "function":
        request.getfixturevalue("_no_task_is_left")


@pytest_asyncio.fixture
async def _no_task_is_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=GRACE)
    assert not left, f"the test leaves tasks behind: {sorted(task.get_name() for task in left)}"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresServer]:
    """Started for the first test that wants it."""
    run = Path(tempfile.mkdtemp(prefix="swr-"))
    found = PostgresServer(tmp_path_factory.mktemp("pg"), run)
    await found.start()
    yield found
    found.kill()  # nobody wants its data, and an orderly end takes long on a busy machine
    shutil.rmtree(run)


@pytest_asyncio.fixture(loop_scope="session")
async def dsn(server: PostgresServer) -> str:
    """A new empty database."""
    return await server.database()
