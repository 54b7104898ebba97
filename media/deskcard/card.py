"""The desk card: its table of connections, the commands on them, and its way out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from media.control import desk
from media.control.envelope import ControlError
from media.control.line import Quality
from media.control.server import ControlServer
from media.deskcard.connection import Connection
from media.deskcard.contact_surface import IceServerUrl, IceSettings, make_certificate
from media.deskcard.peer import PeerStatistics

log = structlog.get_logger()

TICK = 0.25
"""Seconds between two looks at all connections."""
MOST_CONNECTIONS = 1000


@dataclass(frozen=True)
class CardSettings:
    """What the supervisor decides for a desk card."""

    run: Path
    """The run directory, where the control socket goes."""
    name: str = "deskcard0"
    """The card's name; its socket is `<name>.ctl`."""
    public: str = ""
    """Address that ICE announces, when the machine is behind NAT or only one address is to be used."""
    ports: range | None = None
    """UDP ports for media; none: any."""


class DeskCard:
    """Answers the exchange's commands; `async with` it, then wait for `leaving`."""

    def __init__(self, settings: CardSettings, *, generation: str | None = None) -> None:
        self.leaving = asyncio.Event()
        self._settings = settings
        self._certificate = make_certificate()
        self._connections: dict[str, Connection] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._draining = False
        self._accepted = self._ended = 0
        self._past: dict[str, float] = {}
        self._ticker: asyncio.Task[None] | None = None
        self._server = ControlServer(
            settings.run / f"{settings.name}.ctl",
            card=settings.name,
            kind="deskcard",
            commands=desk.DeskCommand,
            handler=self._handle,
            generation=generation,
        )

    async def __aenter__(self) -> DeskCard:
        await self._server.__aenter__()
        self._ticker = asyncio.create_task(self._tick(), name="desk card clock")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.wait([self._ticker])
        for connection in list(self._connections.values()):
            self._close(connection, "card-stopping")
        if self._closing:
            await asyncio.wait(list(self._closing), timeout=2.0)
        await self._server.__aexit__(*exc)

    def drain(self) -> None:
        """Take no new connections; leave when no connection is patched."""
        log.info("draining", card=self._settings.name, connections=len(self._connections))
        self._draining = True
        self._leave_if_idle()

    async def _handle(self, body: Any) -> Any:
        match body:
            case desk.Connect():
                return await self._connect(body)
            case desk.Disconnect():
                connection = self._connections.get(body.connection)
                if connection is not None:
                    await connection.close(body.reason)
            case desk.Patch():
                self._known(body.connection).patch(body)
            case desk.Unpatch():
                connection = self._connections.get(body.connection)
                quality = connection.unpatch(body.patch) if connection is not None else None
                self._leave_if_idle()
                return quality if quality is not None else Quality()
            case desk.TakeInventory():
                return self.inventory()
            case desk.Drain():
                self.drain()
            case desk.Shutdown():
                self.leaving.set()
        return None

    async def _connect(self, body: desk.Connect) -> desk.Connected:
        if self._draining:
            raise ControlError("draining", "This desk card takes no new connections.", retryable=True)
        if body.connection in self._connections:
            raise ControlError("known", f"There is a connection {body.connection} already.")
        if len(self._connections) >= MOST_CONNECTIONS:
            raise ControlError("full", "This desk card has no room for another connection.", retryable=True)
        servers = tuple(
            IceServerUrl(url, server.username, server.credential) for server in body.ice_servers for url in server.urls
        )
        try:
            connection = Connection(
                body.connection,
                body.owner,
                IceSettings(self._settings.ports, self._settings.public, servers),
                self._certificate,
                emit=self._server.emit,
                on_end=self._ended_by_itself,
            )
        except ValueError as error:
            raise ControlError("bad-ice-server", f"an ICE server's URL cannot be read: {error}") from error
        self._connections[body.connection] = connection
        self._accepted += 1
        try:
            return desk.Connected(await connection.open(body.sdp, body.codecs))
        except BaseException:
            self._close(connection, "refused")
            raise

    def _known(self, name: str) -> Connection:
        connection = self._connections.get(name)
        if connection is None:
            raise ControlError("unknown", f"There is no connection {name}.")
        return connection

    def _ended_by_itself(self, connection: Connection) -> None:
        self._close(connection, "closed")

    def _close(self, connection: Connection, reason: str) -> None:
        if self._connections.pop(connection.name, None) is None:
            return
        self._ended += 1
        self._past = _sum(self._past, connection.statistics())
        task = asyncio.create_task(connection.close(reason), name=f"close {connection.name}")
        self._closing.add(task)
        task.add_done_callback(self._has_closed)

    def _has_closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("closing a connection failed", task=task.get_name(), error=repr(error))
        self._leave_if_idle()

    def _leave_if_idle(self) -> None:
        if self._draining and not any(connection.patch_name for connection in self._connections.values()):
            self.leaving.set()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK)
            now = loop.time()
            for connection in list(self._connections.values()):
                connection.tick(now)

    def inventory(self) -> desk.Inventory:
        """Everything the card holds."""
        connections = list(self._connections.values())
        figures = self._past
        for connection in connections:
            figures = _sum(figures, connection.statistics())
        counters: dict[str, float] = {
            "connections": len(connections),
            "patched": sum(bool(connection.patch_name) for connection in connections),
            "accepted": self._accepted,
            "ended": self._ended,
        }
        return desk.Inventory(
            self._settings.name,
            self._server.generation,
            self._server.seq,
            [connection.record() for connection in connections],
            self._draining,
            counters | figures,
        )


def _sum(figures: dict[str, float], more: PeerStatistics) -> dict[str, float]:
    """Counters of the card, with those of one more connection."""
    added = {
        "packets_sent": more.sent,
        "packets_received": more.received,
        "packets_lost": more.lost,
        "packets_discarded": more.discarded,
        "frames_concealed": more.concealed,
    }
    return {name: figures.get(name, 0) + count for name, count in added.items()}
