"""One running Switchroom for all tests that leave it as it was; an exchange that they kill is soon there again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.tools.switchroom import Switchroom, switchroom

MOST_WEB_CALLS, WEB_CALLS_A_MINUTE = 2, 30
"""Few, so that a test reaches them: all its web callers come from one address."""
LIMITS = {"SWITCHROOM_WEB_CALLS": str(MOST_WEB_CALLS), "SWITCHROOM_WEB_CALLS_A_MINUTE": str(WEB_CALLS_A_MINUTE)}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Switchroom]:
    """A running system, shared: a test leaves no agent logged in and no call up."""
    data: Path = tmp_path_factory.mktemp("house")
    async with switchroom(data, environment=LIMITS) as system:
        yield system
