"""The engine is told when periods begin and end: now, later, and when the calendars are others."""

from __future__ import annotations

import asyncio
import datetime
from zoneinfo import ZoneInfo

import pytest

from acd import document
from acd.events import PeriodChanged
from exchange.brain.periods import LOOK_AGAIN, Periods
from exchange.brain.records import Input, Routing

pytestmark = pytest.mark.unit

START = datetime.datetime(2026, 11, 26, 8, 0, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
DAY = {"zone": "Europe/Berlin", "weekly": "mon-sun 09:00-17:00"}


class Told:
    """What the engine was told, with the hours since START."""

    def __init__(self) -> None:
        self.news: list[tuple[float, str, bool]] = []
        self.set_forward = 0.0
        self.periods = Periods(self.put, self.wall)

    def wall(self) -> float:
        return START + asyncio.get_running_loop().time() + self.set_forward

    def put(self, input: Input) -> None:
        assert isinstance(input, Routing)
        assert isinstance(input.event, PeriodChanged)
        self.news.append((round((self.wall() - START) / 3600, 2), input.event.period, input.event.on))


@pytest.mark.looptime
async def test_a_day() -> None:
    told = Told()
    told.periods.take(document.parse({"periods": {"day": DAY, "noon": {**DAY, "weekly": "mon-sun 12:00-13:00"}}}))
    assert told.news == [(0.0, "day", False), (0.0, "noon", False)], "after a start everything is told"
    await asyncio.sleep(26 * 3600)
    told.periods.close()
    assert told.news[2:] == [
        (1.0, "day", True),
        (4.0, "noon", True),
        (5.0, "noon", False),
        (9.0, "day", False),
        (25.0, "day", True),
    ]


@pytest.mark.looptime
async def test_another_document() -> None:
    told = Told()
    told.periods.take(document.parse({"periods": {"day": {**DAY, "weekly": "mon-sun 07:00-17:00"}}}))
    told.periods.take(document.parse({"periods": {"day": DAY, "other": {**DAY, "weekly": "mon-sun 08:00-09:00"}}}))
    told.periods.take(document.parse({}))
    told.periods.take(document.parse({}))
    told.periods.close()
    assert [(id, on) for _, id, on in told.news] == [("day", True), ("day", False), ("other", True), ("other", False)]


@pytest.mark.looptime
async def test_a_clock_that_is_set_is_noticed_within_a_minute() -> None:
    told = Told()
    told.periods.take(document.parse({"periods": {"day": DAY}}))
    told.set_forward = 2 * 3600.0
    await asyncio.sleep(LOOK_AGAIN + 1)
    told.periods.close()
    assert [(id, on) for _, id, on in told.news] == [("day", False), ("day", True)]
