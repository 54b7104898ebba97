"""Events of the log as the lab reads them, and where from: a database, or a file that `switchroom log export` wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from acd.events import Configured
from acd.simulation.seen import Seen
from ivr.document import Flow
from storage.entries import LogRow, Position

_seen = msgspec.msgpack.Decoder(list[Seen])


class Log(Protocol):
    """Where events come from."""

    name: str

    async def span(self) -> tuple[float, float] | None:
        """Times of the oldest and the newest event; None when there is none."""
        ...

    async def before(self, at: float) -> Position:
        """A position behind which all events of this time and later are."""
        ...

    def rows(self, after: Position) -> AsyncIterator[LogRow]:
        """All events behind a position, in order."""
        ...

    async def configured(self, before: float) -> Configured | None:
        """The newest configuration that was logged before this time."""
        ...

    async def snapshot(self, before: float) -> tuple[Position, bytes] | None:
        """The newest snapshot as of this time or earlier."""
        ...

    async def flows(self) -> list[Flow]:
        """All published flows, all versions."""
        ...

    async def about(self, contact: str) -> list[LogRow]:
        """Events whose effects name a contact, in order; raises LabError for what is no id."""
        ...

    async def users(self) -> dict[str, str]:
        """Names of people by id, where they are known."""
        ...


def seen(row: LogRow) -> list[Seen]:
    """An event's effects without decision records; none where the log does not know them. Raises ValueError."""
    try:
        return _seen.decode(row.effects) if row.effects is not None else []
    except msgspec.DecodeError as error:
        raise ValueError(f"not effects of this version: {error}") from error
