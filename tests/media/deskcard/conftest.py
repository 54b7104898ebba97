"""What the desk card's tests share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from media.control import desk
from media.control.client import ControlClient
from media.deskcard.card import CardSettings, DeskCard
from tests.media.deskcard.far_ends import Events
from tests.media.deskcard.room import Room


@pytest_asyncio.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    events = Events()
    async with (
        DeskCard(CardSettings(tmp_path, public="127.0.0.1")) as card,
        ControlClient(tmp_path / "deskcard0.ctl", events=desk.DeskEvent, on_event=events.take) as control,
    ):
        await control.connected()
        made = Room(tmp_path, card, control, events)
        yield made
        await made.close()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
