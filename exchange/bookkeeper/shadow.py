"""The shadow as a fold: a second rule set on the live events, which acts on nobody (`switchroom shadow`)."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Literal

import msgspec
import structlog

from acd.effects import AgentChanged, Effect
from acd.events import Configured, Event
from acd.simulation.presence import Presence
from acd.simulation.shadow import Saved, Shadow
from exchange.brain.records import Record, engine_events
from storage import rows
from storage.entries import Position
from storage.rows import RowWrite

log = structlog.get_logger()

KIND, ID = "shadow", "rules"
"""The document that says what is tried."""


class Order(msgspec.Struct, frozen=True):
    """What `switchroom shadow start` and `stop` write."""

    on: bool
    rules: Configured | None = None
    name: str = ""
    lag: float = 900.0


class Standing(msgspec.Struct):
    """The fold's state."""

    presence: Presence
    last_at: float = 0.0
    version: int = 0
    """Of the order that is being followed, or was refused."""
    saved: Saved | None = None


class ShadowFold:
    """Follows who is there at all times, and runs a shadow when it is told to."""

    name = "shadow"
    version = 1
    begins: Literal["beginning", "end"] = "beginning"
    document = (KIND, ID)

    def __init__(self) -> None:
        self._presence = Presence()
        self._last_at = 0.0
        self._order = 0
        self._shadow: Shadow | None = None
        self._rows: list[RowWrite] = []

    def told(self, version: int, body: str) -> None:
        """The order is new: begin with it (rows of earlier runs go), or end."""
        if version == self._order:
            return
        self._order = version
        order = msgspec.json.decode(body, type=Order)
        self._shadow = None
        if order.on and order.rules is not None:
            self._rows.append(rows.shadow_begun(version))
            self._shadow = Shadow(order.rules, order.lag, self._presence, self._last_at)
            log.info("shadow begins", run=version, lag=order.lag)
        else:
            log.info("shadow ends", run=version)

    def take(self, position: Position, record: Record, effects: Sequence[Effect]) -> None:
        """Follow it."""
        self._last_at = max(self._last_at, record.at)
        events = engine_events(record.input)
        if self._shadow is not None:
            for event in events[:-1]:
                self._compared(record.at, event, [])
            self._compared(record.at, events[-1] if events else None, effects)
            return
        for event in events:
            self._presence.event(record.at, event)
        for effect in effects:
            if isinstance(effect, AgentChanged):
                self._presence.state(record.at, effect.agent, effect.state, effect.code)
        self._presence.settle(record.at)
        self._presence.take()

    def _compared(self, at: float, event: Event | None, effects: Sequence[Effect]) -> None:
        if self._shadow is not None:
            for pair in self._shadow.see(at, event, effects):
                self._rows.append(rows.shadow_wait(self._order, *msgspec.structs.astuple(pair)))

    def save(self) -> tuple[bytes, Sequence[RowWrite]]:
        """The state, compressed: a large centre's configuration is in it."""
        saved = self._shadow.save() if self._shadow is not None else None
        state = Standing(self._presence, self._last_at, self._order, saved)
        rows, self._rows = self._rows, []
        return zlib.compress(msgspec.msgpack.encode(state), 1), rows

    def restore(self, state: bytes) -> None:
        """Go on. Raises ValueError for a state of another version."""
        found = msgspec.msgpack.decode(zlib.decompress(state), type=Standing)
        self._presence, self._last_at, self._order = found.presence, found.last_at, found.version
        if found.saved is not None:
            try:
                self._shadow = Shadow.restore(found.saved, self._presence)
            except (ValueError, msgspec.MsgspecError) as error:
                # A program of another version: its engine begins anew, with the same rules.
                log.warning("shadow begins anew", error=str(error))
                self._shadow = Shadow(found.saved.rules, found.saved.lag, self._presence, self._last_at)
