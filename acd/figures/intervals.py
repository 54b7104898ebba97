"""Where a report's intervals begin and end: by the wall clock of a time zone, made of whole quarters of an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

from acd.figures.measures import QUARTER

Step = Literal["15", "30", "60", "day", "total"]


def bounds(since: datetime, until: datetime, step: Step, zone: tzinfo) -> list[datetime]:
    """The starts of all intervals that have a part between the two times, and the end of the last, in UTC.

    An hour begins when the zone's clocks show a full hour, a day when they show a new date: on the days on which clocks are
    changed there are 23 or 25 hours. `total` is one interval, of whole quarters.
    """
    first, last = _quarter(since), _quarter(until - timedelta(microseconds=1)) + QUARTER
    if step == "total":
        return [_utc(first), _utc(last)]
    while _name(first - QUARTER, step, zone) == _name(first, step, zone):
        first -= QUARTER
    found = [first]
    tick, name = first, _name(first, step, zone)
    while True:
        tick += QUARTER
        before, name = name, _name(tick, step, zone)
        if name != before:
            found.append(tick)
            if tick >= last:
                return [_utc(each) for each in found]


def _name(tick: int, step: Step, zone: tzinfo) -> tuple[object, ...]:
    """Says of a quarter in which interval it is."""
    local = datetime.fromtimestamp(tick, zone)
    if step == "day":
        return (local.date(),)
    return local.date(), (local.hour * 60 + local.minute) // int(step), local.utcoffset()


def _quarter(moment: datetime) -> int:
    return int(moment.timestamp() // QUARTER) * QUARTER


def _utc(tick: int) -> datetime:
    return datetime.fromtimestamp(tick, UTC)
