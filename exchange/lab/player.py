"""Plays the log to a new house: from a snapshot before some time, or from the log's beginning."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from acd.effects import Effect
from exchange.brain import flows, records
from exchange.brain.house import House, thaw
from exchange.brain.records import KIND
from exchange.lab.entries import Log
from exchange.lab.errors import LabError
from exchange.lab.times import show, zone_of
from ivr.runner import Runner
from storage.entries import BEGINNING, LogRow, Position

FIRST = Position(1, 1)
"""The very first event of an exchange."""


class Player:
    """A house, and the position up to which it knows the log."""

    def __init__(self, log: Log, house: House, after: Position, *, from_snapshot: bool) -> None:
        self.house = house
        self.after = after
        self.from_snapshot = from_snapshot
        self._log = log

    @classmethod
    async def begin(cls, log: Log, before: float | None, recordings: bool) -> Player:
        """As of a snapshot of this time (None: of the log's beginning) or earlier; raises LabError when there is none."""
        span = await log.span()
        if span is None:
            raise LabError(f"The log of {log.name} is empty.")
        first = await _first(log)
        published = await log.flows()
        found = await log.snapshot(before if before is not None else span[0])
        problem = "there is no snapshot before the time that is to be replayed"
        if found is not None:
            house = House(Runner(published), recordings=recordings)
            try:
                thaw(house, found[1])
                return cls(log, house, found[0], from_snapshot=True)
            except (ValueError, msgspec.MsgspecError) as error:
                problem = f"the snapshot before the time that is to be replayed is of another version ({error})"
        if first != FIRST:
            later = await log.snapshot(span[1])
            hint = f" There is a snapshot of {show(await _time(log, later[0]), zone_of(None))}." if later is not None else ""
            raise LabError(
                f"The log of {log.name} begins at event {first.epoch}/{first.offset}, because older days were dropped or it is "
                f"a part, and {problem}.{hint}"
            )
        return cls(log, House(Runner(published), recordings=recordings), BEGINNING, from_snapshot=False)

    async def take(self, row: LogRow) -> Sequence[Effect]:
        """One event; what the house decides. Raises what the house raises, ValueError for a record of another version."""
        if row.kind != KIND:
            return []
        record = records.decode(row.body)
        await flows.know(self.house.runner, record, self._log.flows)
        return self.house.apply(record).decided


async def _first(log: Log) -> Position:
    async for row in log.rows(BEGINNING):
        return row.position
    raise LabError(f"The log of {log.name} is empty.")


async def _time(log: Log, position: Position) -> float:
    async for row in log.rows(Position(position.epoch, position.offset - 1)):
        return row.at
    return 0.0
