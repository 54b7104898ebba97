"""One running Switchroom for the tests that do not hurt it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.tools.switchroom import Switchroom, switchroom


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Switchroom]:
    """A running system, shared: a test leaves no agent logged in and no call up."""
    data: Path = tmp_path_factory.mktemp("house")
    async with switchroom(data) as system:
        yield system
