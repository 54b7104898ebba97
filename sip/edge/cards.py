"""The edge's connections to the line cards: their inventories and events keep the book of lines and the soft map."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

from media.control import edge as messages
from media.control import line
from media.control.client import ControlClient
from media.control.envelope import ControlError, Event, Welcome
from sip.edge.lines import Lines
from sip.edge.orphans import Orphans
from sip.edge.settings import Settings
from sip.edge.softmap import Entry, SoftMap
from sip.edge.tasks import Tasks
from sip.edge.trunks import TrunkCalls
from sip.uri import SipUri, split_host_port

log = structlog.get_logger()

KEPT_EVENTS = 1_000
"""Events kept while an inventory is under way, so that none falls between the two."""


class CardLink:
    """One card's control connection."""

    def __init__(self, cards: Cards, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.generation = ""
        self.settled = asyncio.Event()
        self._cards = cards
        self._events: deque[tuple[int, line.LineEvent]] = deque(maxlen=KEPT_EVENTS)
        self._grace: asyncio.TimerHandle | None = None
        self._refreshing = self._again = False
        self._closing = False
        self.client = ControlClient(
            path,
            role="observer",
            events=line.LineEvent,
            on_event=self._event,
            on_connected=self._connected,
            on_lost=self._disconnected,
        )

    async def close(self) -> None:
        self._closing = True
        self._stop_grace()
        await self.client.__aexit__(None, None, None)

    async def refresh(self) -> None:
        """Take an inventory; a card that cannot give one stays as it was known."""
        if self._refreshing:
            self._again = True
            return
        self._refreshing, self._again = True, False
        try:
            inventory = await self.client.command(line.TakeInventory(), line.Inventory)
        except ControlError as error:
            log.warning("no inventory", card=self.name, code=error.code, error=error.message)
            return
        finally:
            self._refreshing = False
        if self._closing:
            return
        self.generation = inventory.generation
        self._cards.found(self, inventory)
        for seq, body in self._events:
            if seq > inventory.seq:
                self._cards.replay(self.name, body)
        self._events.clear()
        self.settled.set()
        if self._again:
            await self.refresh()

    async def _connected(self, welcome: Welcome) -> None:
        self._stop_grace()
        if self.generation and self.generation != welcome.generation:
            self._lost()
        await self.refresh()

    def _event(self, event: Event, body: line.LineEvent) -> None:
        self._events.append((event.seq, body))
        self._cards.event(self.name, body)

    def _disconnected(self) -> None:
        if self._closing:
            return
        self._events.clear()
        card = self._cards.lines.cards.get(self.name)
        if card is not None:
            card.reachable = False
        self._stop_grace()
        self._grace = asyncio.get_running_loop().call_later(self._cards.settings.card_grace, self._lost)

    def _stop_grace(self) -> None:
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None

    def _lost(self) -> None:
        generation, self.generation = self.generation, ""
        if generation:
            self._cards.lost(self, generation)


class Cards:
    """All line cards: found in the run directory until Configure names them."""

    def __init__(
        self,
        settings: Settings,
        lines: Lines,
        softmap: SoftMap,
        orphans: Orphans,
        calls: TrunkCalls,
        tasks: Tasks,
        emit: Callable[[messages.EdgeEvent], None],
    ) -> None:
        self.settings = settings
        self.lines = lines
        self.changed = asyncio.Event()
        self._map = softmap
        self._orphans = orphans
        self._calls = calls
        self._tasks = tasks
        self._emit = emit
        self._links: dict[str, CardLink] = {}
        self._configured = False
        self._closed = False

    async def start(self) -> None:
        """Find the living cards and hear what they hold, before anybody's SIP message is read."""
        await self._scan()
        links = list(self._links.values())
        if links:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.settings.inventory_timeout):
                    await asyncio.gather(*(link.settled.wait() for link in links))
        log.info("cards found", cards=len(self.lines.cards), calls=sum(self.lines.used(c) for c in self.lines.cards.values()))
        self._tasks.start(self._rescan(), name="look for cards")

    async def close(self) -> None:
        self._closed = True
        for link in list(self._links.values()):
            await link.close()
        self._links.clear()

    async def configure(self, cards: list[messages.CardAddress]) -> None:
        """Use exactly these cards."""
        self._configured = True
        wanted = {card.card: Path(card.control) for card in cards}
        for name, link in list(self._links.items()):
            if wanted.get(name) != link.path:
                await self._remove(name)
        for name, path in wanted.items():
            await self._add(name, path)

    def recount(self, name: str) -> None:
        """Take a card's inventory again."""
        link = self._links.get(name)
        if link is not None:
            self._tasks.start(link.refresh(), name=f"inventory {name}")

    # --- called by links ------------------------------------------------------------------------------------------

    def found(self, link: CardLink, inventory: line.Inventory) -> None:
        try:
            address = _address(inventory.sip)
        except ValueError as error:
            log.error("a card does not say where it listens", card=link.name, error=str(error))
            return
        known = self.lines.cards.get(link.name)
        self.lines.found(inventory, address)
        self._calls.found(inventory)
        self._restore(inventory)
        self.changed.set()
        if known is None or known.generation != inventory.generation:
            log.info("card found", card=link.name, lines=inventory.lines, calls=len(inventory.calls))
            self._emit(messages.CardFound(link.name, inventory.generation, inventory.lines))

    def event(self, name: str, body: line.LineEvent) -> None:
        self.replay(name, body)
        self.changed.set()

    def replay(self, name: str, body: line.LineEvent) -> None:
        """An event that came while an inventory was under way, and is not in it."""
        self.lines.event(name, body)
        self._calls.event(name, body)

    def lost(self, link: CardLink, generation: str) -> None:
        log.warning("card lost", card=link.name)
        self.lines.lost(link.name)
        self._calls.lost(link.name)
        self._orphans.fail_pending(link.name, generation)
        self.changed.set()
        self._emit(messages.CardLost(link.name))

    # --------------------------------------------------------------------------------------------------------------

    def _restore(self, inventory: line.Inventory) -> None:
        for call in inventory.calls:
            for party in call.parties:
                if party.kind != "sip" or party.state == "ended" or not party.sip_call_id:
                    continue
                inbound = call.arrived is not None and call.arrived.party == party.party
                if self._map.dialog(inbound, party.sip_call_id, party.from_tag) is not None:
                    continue
                key = f"restored {inbound} {party.sip_call_id} {party.from_tag}"
                entry = Entry(key, party.sip_call_id, party.from_tag, inbound, inventory.card, inventory.generation)
                entry.state = "answered" if party.state == "connected" else "pending"
                entry.restored, entry.sender = True, party.branch
                self._map.add(entry)

    async def _add(self, name: str, path: Path) -> None:
        if name not in self._links and not self._closed:
            link = CardLink(self, name, path)
            self._links[name] = link
            await link.client.__aenter__()

    async def _remove(self, name: str) -> None:
        link = self._links.pop(name)
        await link.close()
        if link.generation:
            self.lost(link, link.generation)

    async def _scan(self) -> None:
        for path in sorted(self.settings.run.glob("linecard*.ctl")):
            if path.stem not in self._links and await _listens(path):
                await self._add(path.stem, path)

    async def _rescan(self) -> None:
        while not self._configured:
            await self._scan()
            await asyncio.sleep(self.settings.rescan)


async def _listens(path: Path) -> bool:
    """Whether somebody is behind the socket; a dead card's file stays."""
    try:
        _, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        return False
    writer.close()
    return True


def _address(text: str) -> tuple[str, int]:
    """A card's SIP address, as HOST:PORT or as a URI; raises ValueError."""
    return SipUri.parse(text).address if text.startswith("sip:") else split_host_port(text)
