"""The desk card as the supervisor starts it: a process that says it is ready, drains, and stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from media.control import desk
from media.control.client import ControlClient
from tests.media.deskcard.far_ends import Bridge, Browser, Events, level_of

pytestmark = pytest.mark.layer


class Running:
    """The process and a commander of it."""

    def __init__(self, process: asyncio.subprocess.Process, control: ControlClient, events: Events) -> None:
        self.process, self.control, self.events = process, control, events

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 5)


@pytest_asyncio.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "media.deskcard", "--run", str(tmp_path), "--name", "deskcard3", "--public", "127.0.0.1"),
    )
    events = Events()
    try:
        async with ControlClient(tmp_path / "deskcard3.ctl", events=desk.DeskEvent, on_event=events.take) as control:
            welcome = await asyncio.wait_for(control.connected(), 15)
            assert (welcome.card, welcome.kind) == ("deskcard3", "deskcard")
            yield Running(process, control, events)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_it_talks_drains_and_leaves(running: Running, tmp_path: Path) -> None:
    """Under uvloop, in a process of its own: a tone both ways; SIGTERM waits for the talk."""
    browser = Browser()
    await browser.connect(running.control, "c1", ("opus",))
    bridge = Bridge(tmp_path / "p1-l", tmp_path / "p1-d", 16000, 440)
    await running.control.command(desk.Patch("c1", "p1", str(tmp_path / "p1-d"), str(tmp_path / "p1-l"), 16000))
    await bridge.run(0.3)
    running.process.send_signal(signal.SIGTERM)
    await bridge.run(1.2)
    assert running.process.returncode is None
    assert level_of(bytes(bridge.heard)[-16000:], 16000, 880) > 6000
    assert level_of(bytes(browser.heard)[-16000:], 16000, 440) > 6000
    await running.control.command(desk.Unpatch("c1", "p1"), desk.Quality)
    assert await running.ended() == 0
    assert os.listdir(tmp_path) == ["p1-l"]
    await browser.close()
    bridge.close()


async def test_a_second_sigterm_does_not_wait(running: Running, tmp_path: Path) -> None:
    browser = Browser()
    await browser.connect(running.control, "c1", ("PCMU",))
    await running.control.command(desk.Patch("c1", "p1", str(tmp_path / "p1-d"), str(tmp_path / "p1-l"), 16000))
    running.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        while not (await running.control.command(desk.TakeInventory(), desk.Inventory)).draining:
            await asyncio.sleep(0.01)
    running.process.send_signal(signal.SIGTERM)
    assert await running.ended() == 0
    async with asyncio.timeout(2):
        while not browser.lost:
            await asyncio.sleep(0.01)
    await browser.close()


async def test_sigint_and_shutdown_stop_at_once(running: Running) -> None:
    running.process.send_signal(signal.SIGINT)
    assert await running.ended() == 0


async def test_a_killed_card_gives_its_name_to_the_next(running: Running, tmp_path: Path) -> None:
    running.process.kill()
    await running.ended()
    assert (tmp_path / "deskcard3.ctl").exists()
    again = await asyncio.create_subprocess_exec(
        sys.executable, *("-m", "media.deskcard", "--run", str(tmp_path), "--name", "deskcard3")
    )
    async with asyncio.timeout(15):
        while running.control.welcome is None or running.control.generation == "":
            await asyncio.sleep(0.02)
    await running.control.command(desk.Shutdown())
    assert await asyncio.wait_for(again.wait(), 5) == 0
