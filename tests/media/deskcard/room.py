"""A desk card in the test's own process, with its commander, browsers and bridges."""

from __future__ import annotations

import asyncio
from pathlib import Path

from media.control import desk
from media.control.client import ControlClient
from media.deskcard.card import DeskCard
from tests.media.deskcard.far_ends import Bridge, Browser, Events
from tests.tools.relay import Relay


class Room:
    """A desk card, its commander, and what it reported."""

    def __init__(self, run: Path, card: DeskCard, control: ControlClient, events: Events) -> None:
        self.run, self.card, self.control, self.events = run, card, control, events
        self.browsers: list[Browser] = []
        self.bridges: list[Bridge] = []

    async def browser(
        self, name: str = "c1", *codecs: str, rate: int = 16000, drop: int = 0, via: Relay | None = None
    ) -> Browser:
        """A connected browser; every `drop`-th packet of it is lost."""
        browser = Browser(rate=rate)
        self.browsers.append(browser)
        lost = (lambda number: number % drop == drop - 1) if drop else None
        await browser.connect(self.control, name, codecs or ("opus", "PCMU", "PCMA"), drop=lost, via=via)
        await self.changed(name, "connected")
        return browser

    async def patch(self, name: str = "c1", patch: str = "p1", rate: int = 16000) -> Bridge:
        """A bridge's end, and the connection joined to it."""
        own, far = self.run / f"{patch}-l", self.run / f"{patch}-d"
        bridge = Bridge(own, far, rate, 440)
        self.bridges.append(bridge)
        await self.control.command(desk.Patch(name, patch, str(far), str(own), rate))
        return bridge

    async def changed(self, name: str, state: str) -> desk.ConnectionChanged:
        found: desk.ConnectionChanged = await self.events.wait(
            lambda body: isinstance(body, desk.ConnectionChanged) and (body.connection, body.state) == (name, state)
        )
        return found

    async def inventory(self) -> desk.Inventory:
        return await self.control.command(desk.TakeInventory(), desk.Inventory)

    async def until_empty(self) -> None:
        """Wait for the last connection to be gone from the card."""
        async with asyncio.timeout(5):
            while self.card._connections or self.card._closing:
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        for browser in self.browsers:
            await browser.close()
        for bridge in self.bridges:
            bridge.close()
