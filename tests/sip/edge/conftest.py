"""Peers for every test here; all of them are closed at its end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.sip.edge.peers import FakeCard, Front, Phone, edge_here


@pytest.fixture
def run() -> Iterator[Path]:
    """A run directory with a short name: socket paths end at 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="sr"))
    yield path
    shutil.rmtree(path)


@pytest_asyncio.fixture
async def phone() -> AsyncIterator[Phone]:
    peer = Phone()
    await peer.open()
    yield peer
    peer.close()


@pytest_asyncio.fixture
async def card(run: Path) -> AsyncIterator[FakeCard]:
    fake = await FakeCard(run).open()
    yield fake
    await fake.die()


@pytest_asyncio.fixture
async def edge(run: Path, card: FakeCard) -> AsyncIterator[Front]:
    """An edge that knows one card with four lines."""
    async with edge_here(run) as front:
        await front.cards(1)
        yield front
