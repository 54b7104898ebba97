"""For all tests: an asynchronous test that leaves tasks behind fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

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
