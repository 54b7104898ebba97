"""A house that follows the log, and tells when it decides otherwise than the exchange did."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog

from acd.effects import Effect
from acd.errors import Refused
from exchange.brain import logged
from exchange.brain.house import House
from exchange.brain.records import Record
from storage.entries import LogRow, Position

log = structlog.get_logger()


class Difference(msgspec.Struct, frozen=True):
    """The first event of an epoch at which log and mirror part."""

    position: Position
    what: str


class Raised(Exception):
    """The record cannot be taken: the house may be half changed, and a new one must go on without it."""


class Mirror:
    """The house as of `position`. While there is a difference, its state may be another one than the exchange's.

    A new epoch ends that: the exchange has begun anew from snapshot and log, as this house is made from snapshot and log.
    """

    def __init__(self, house: House, position: Position) -> None:
        self.house = house
        self.position = position
        self.difference: Difference | None = None
        self.differences = 0
        self.compared = 0
        self.skipped: set[Position] = set()

    def begin_anew(self, house: House, position: Position) -> None:
        """Another house, from an older place."""
        self.house, self.position = house, position

    def pass_over(self, row: LogRow) -> None:
        """An event that changes no house: rejected, or of another version."""
        self.position = max(self.position, row.position)

    def take(self, row: LogRow, record: Record) -> Sequence[Effect]:
        """The next event; what follows from it. Raises Raised."""
        if self.difference is not None and row.epoch > self.difference.position.epoch:
            self.difference = None
        self.position = row.position
        if row.position in self.skipped:
            return []
        try:
            effects = self.house.apply(record).decided
        except Refused as error:
            self._differs(row, f"it is refused now ({error.code})")
            return []
        except Exception as error:
            log.exception("a record raises that did not raise in the exchange", epoch=row.epoch, offset=row.offset)
            self._differs(row, f"it raises now ({type(error).__name__})")
            self.skipped.add(row.position)
            raise Raised from error
        if row.effects is None:
            return effects
        if logged.encode(effects) == row.effects:
            self.compared += 1
        else:
            self._differs(row, _first(row.effects, effects))
        return effects

    def _differs(self, row: LogRow, what: str) -> None:
        self.differences += 1
        if self.difference is None:
            self.difference = Difference(row.position, what)
            log.critical("the log and its replay differ", epoch=row.epoch, offset=row.offset, what=what)


def _first(data: bytes, now: Sequence[Effect]) -> str:
    """Where two lists of effects part, without what they say of contacts and agents."""
    try:
        then = logged.decode(data)
    except ValueError:
        return "its effects are of another version"
    for index, (one, other) in enumerate(zip(then, now, strict=False)):
        if one != other:
            return f"effect {index} was {type(one).__name__} and is {type(other).__name__} now, or says something else"
    return f"it had {len(then)} effects and has {len(now)} now"
