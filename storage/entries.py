"""What the event log is made of: positions, numbered events, and the batches that one transaction holds."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import NamedTuple

import msgspec

from storage.rows import RowWrite

CHANNEL = "event_log"
"""PostgreSQL tells on it (LISTEN, NOTIFY) that there are new events; it says nothing else."""


class Position(NamedTuple):
    """A place in the log; positions compare in the order of the log."""

    epoch: int
    offset: int


BEGINNING = Position(0, 0)
"""Before every event."""


class LogRow(msgspec.Struct, frozen=True, array_like=True):
    """One numbered event."""

    epoch: int
    offset: int
    at: float
    kind: str
    body: bytes
    effects: bytes | None = None
    """What was decided, as its writer encoded it; None where nobody knows: a rejected event, or one older than this field."""
    day: date | None = None
    """Its partition; None in spools of older versions."""

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.offset)


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """What one transaction holds: events and the rows that follow from them."""

    events: list[LogRow]
    rows: list[RowWrite]


def day_of(at: float) -> date:
    """The day (UTC) of an engine time."""
    return datetime.fromtimestamp(at, UTC).date()
