"""The connections to every card and worker: commands out, events in, and who is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import structlog

from media.control import desk, edge, line, work
from media.control.client import ControlClient
from media.control.envelope import ControlError, Event, Welcome

log = structlog.get_logger()

DEAD_AFTER = 1.5
"""Seconds after which a card whose socket refuses us counts as dead; the supervisor needs less to start a new one."""

DESKS_FIRST = 1.0
"""Seconds that desk cards have to answer before the line cards are asked."""
SPEECH_PATIENCE = 20.0


class Listener:
    """What the cards' news are told to; the exchange overrides all."""

    def line_event(self, card: str, event: Event, body: line.LineEvent) -> None:
        raise NotImplementedError

    def line_ready(self, card: str, inventory: line.Inventory, resumed: bool) -> None:
        raise NotImplementedError

    def line_dead(self, card: str, generation: str) -> None:
        raise NotImplementedError

    def desk_event(self, card: str, body: desk.DeskEvent) -> None:
        raise NotImplementedError

    def desk_ready(self, card: str, inventory: desk.Inventory) -> None:
        raise NotImplementedError

    def desk_dead(self, card: str) -> None:
        raise NotImplementedError


class Cards:
    """All control connections of the exchange."""

    def __init__(
        self,
        run: Path,
        line_cards: Iterable[str],
        desk_cards: Iterable[str],
        web_cards: Iterable[str],
        listener: Listener,
        cursors: dict[str, tuple[str, int]],
        greeting: Callable[[], tuple[line.Configure, edge.Configure]],
        *,
        epoch: int = 0,
    ) -> None:
        self.run = run
        self.rates: dict[str, int] = {}
        self.edge_inventory: edge.Inventory | None = None
        self._listener = listener
        self._epoch = epoch
        self._greeting = greeting
        self._stack = AsyncExitStack()
        self._dying: dict[str, asyncio.TimerHandle] = {}
        self._lines = {name: self._line(name, *cursors.get(name, ("", 0))) for name in line_cards}
        self._web_cards = list(web_cards)
        self._desks_ready = {name: asyncio.Event() for name in (*desk_cards, *self._web_cards)}
        self._desks = {name: self._desk(name) for name in self._desks_ready}
        self.edge = ControlClient(run / "edge.ctl", events=edge.EdgeEvent, on_connected=self._edge_connected, epoch=epoch)
        self.speech = ControlClient(run / "speech.ctl", epoch=epoch)
        self.vault = ControlClient(run / "vault.ctl", epoch=epoch)

    async def __aenter__(self) -> Cards:
        for client in self._desks.values():
            await self._stack.enter_async_context(client)
        # After a restart the desk cards tell which agent is patched to what; the line cards' inventories need that.
        waiting = [asyncio.ensure_future(ready.wait()) for ready in self._desks_ready.values()]
        _done, late = await asyncio.wait(waiting, timeout=DESKS_FIRST)
        for future in late:
            future.cancel()
        for client in (*self._lines.values(), self.edge, self.speech, self.vault):
            await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()
        for handle in self._dying.values():  # closing our side does not kill a card
            handle.cancel()

    def line(self, card: str) -> ControlClient:
        """The connection to a line card; raises ControlError `card-gone` for one that no setting knows."""
        try:
            return self._lines[card]
        except KeyError:
            raise ControlError("card-gone", f"There is no {card}.") from None

    def desk(self, card: str) -> ControlClient:
        """The connection to a desk card."""
        try:
            return self._desks[card]
        except KeyError:
            raise ControlError("card-gone", f"There is no {card}.") from None

    @property
    def line_cards_up(self) -> list[str]:
        return [name for name, client in self._lines.items() if client.welcome is not None]

    @property
    def desk_cards_up(self) -> list[str]:
        """Those for agents; web callers have their own, so that a flood of them harms nobody's desk."""
        return [n for n, client in self._desks.items() if client.welcome is not None and n not in self._web_cards]

    @property
    def web_cards_up(self) -> list[str]:
        return [n for n in self._web_cards if self._desks[n].welcome is not None]

    @property
    def web_card_names(self) -> list[str]:
        return list(self._web_cards)

    @property
    def line_card_names(self) -> list[str]:
        return list(self._lines)

    async def poll_edge(self) -> edge.Inventory | None:
        """The edge's inventory now, or None when it does not answer."""
        try:
            self.edge_inventory = await self.edge.command(edge.TakeInventory(), edge.Inventory, timeout=1.0)
        except ControlError:
            self.edge_inventory = None
        return self.edge_inventory

    # --- line cards -----------------------------------------------------------------------------------------------

    def _line(self, name: str, generation: str, after: int) -> ControlClient:
        async def connected(welcome: Welcome) -> None:
            self._spare(name)
            client = self._lines[name]
            await client.command(self._greeting()[0])
            inventory = await client.command(line.TakeInventory(), line.Inventory)
            self.rates[name] = inventory.rate
            self._listener.line_ready(name, inventory, welcome.resumed)

        def lost() -> None:
            self._doom(name, self._line_dead, name, self._lines[name].generation)

        def happened(event: Event, body: Any) -> None:
            self._listener.line_event(name, event, body)

        return ControlClient(
            self.run / f"{name}.ctl",
            events=line.LineEvent,
            on_event=happened,
            on_connected=connected,
            on_lost=lost,
            generation=generation,
            after=after,
            epoch=self._epoch,
        )

    def _doom(self, name: str, dead: Callable[..., None], *arguments: str) -> None:
        """A card that does not come back soon is dead."""
        self._spare(name)
        self._dying[name] = asyncio.get_running_loop().call_later(DEAD_AFTER, dead, *arguments)

    def _spare(self, name: str) -> None:
        dying = self._dying.pop(name, None)
        if dying is not None:
            dying.cancel()

    def _line_dead(self, name: str, generation: str) -> None:
        log.warning("line card is gone", card=name)
        self._listener.line_dead(name, generation)

    # --- desk cards -----------------------------------------------------------------------------------------------

    def _desk(self, name: str) -> ControlClient:
        async def connected(welcome: Welcome) -> None:
            self._spare(name)
            inventory = await self._desks[name].command(desk.TakeInventory(), desk.Inventory)
            self._listener.desk_ready(name, inventory)
            self._desks_ready[name].set()

        def lost() -> None:
            if name in self._web_cards:  # nobody could bring a web caller back whom we gave up in haste
                self._doom(name, self._listener.desk_dead, name)
            else:
                self._listener.desk_dead(name)

        def happened(event: Event, body: Any) -> None:
            self._listener.desk_event(name, body)

        return ControlClient(
            self.run / f"{name}.ctl",
            events=desk.DeskEvent,
            on_event=happened,
            on_connected=connected,
            on_lost=lost,
            epoch=self._epoch,
        )

    # --- the edge and the workers ---------------------------------------------------------------------------------

    async def _edge_connected(self, welcome: Welcome) -> None:
        await self.edge.command(self._greeting()[1])
        await self.poll_edge()

    def patch_paths(self, card: str, party: str) -> tuple[str, str]:
        """Sockets of a patch of this line card: the line card's end, the desk card's."""
        stem = self.run / f"p{card.removeprefix('linecard')}-{party.rpartition('-')[2]}"
        return f"{stem}-l", f"{stem}-d"

    async def disconnect(self, card: str, connection: str, reason: str) -> None:
        """Close a browser's connection; one that is gone already is no error."""
        try:
            await self.desk(card).command(desk.Disconnect(connection, reason))
        except ControlError as error:
            log.info("connection not closed", card=card, code=error.code)

    async def configure_lines(self) -> None:
        """Tell every line card that is there its files again."""
        for name in self.line_cards_up:
            try:
                await self._lines[name].command(self._greeting()[0])
            except ControlError as error:
                log.info("card not configured", card=name, code=error.code)

    async def speak(self, text: str, rate: int) -> work.Spoken:
        """A file of the spoken text, however often the speech worker has to start anew meanwhile; raises ControlError."""
        try:
            async with asyncio.timeout(SPEECH_PATIENCE):
                while True:
                    await self.speech.connected()
                    try:
                        return await self.speech.command(work.Speak(text, rate), work.Spoken, timeout=SPEECH_PATIENCE)
                    except ControlError as error:
                        if error.code not in {"card-gone", "stopping"}:
                            raise
        except TimeoutError:
            raise ControlError("speech-away", "The speech worker does not answer.", retryable=True) from None
