"""When periods are on: their hours in their time zone, public holidays, exceptions; a pure function of period and instant.

Hours are wall clock time. Where the clock is put forward over a time, the moment of the change stands for it; a time that comes
twice begins the first time and ends the second.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from acd import periods
from acd.errors import Problem
from acd.periods import DAY_MINUTES, Exceptional, Hours, Period

HORIZON_DAYS = 400
"""A period that does not change within so many days is asked again by then."""

Stretch = tuple[float, float]
_UTC = datetime.UTC


def faults(period: Period) -> Iterator[Problem]:
    """What of a period is not known: its zone, its country."""
    place = ("periods", period.id)
    try:
        zone(period.zone)
    except ValueError:
        message = f"There is no time zone '{period.zone[:64]}'; write it as Europe/Berlin or America/New_York."
        yield Problem("unknown-zone", (*place, "zone"), message)
    if period.holidays:
        try:
            _public(period.holidays, 2026)
        except NotImplementedError:
            message = f"Holidays of '{period.holidays[:64]}' are not known; write a country, as DE, or a part of one, as DE-BE."
            yield Problem("unknown-holidays", (*place, "holidays"), message)
    if not any((period.weekly, period.on_holidays, period.exceptions)):
        yield Problem("period-never", place, "This period has no hours and is never on.", blocks=False)
    elif period.on_holidays and not period.holidays:
        message = "There are hours for holidays, but no country whose holidays count."
        yield Problem("never-matters", (*place, "on_holidays"), message, blocks=False)


@functools.lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """A time zone of the IANA data base; raises ValueError."""
    try:
        return ZoneInfo(name)
    except (OSError, LookupError, ValueError) as error:
        raise ValueError(name) from error


class Calendar:
    """One period, ready to be asked; raises ValueError for one that has faults."""

    def __init__(self, period: Period) -> None:
        self._zone = zone(period.zone)
        self._weekly: dict[int, list[Hours]] = {}
        for text in period.weekly:
            days, hours = periods.weekly(text)
            for day in days:
                self._weekly.setdefault(day, []).extend(hours)
        self._country = period.holidays
        self._on_holidays = [hours for text in period.on_holidays for hours in periods.hours(text)]
        self._exceptions: list[Exceptional] = [periods.exception(text) for text in period.exceptions]

    def on(self, at: float) -> bool:
        """Whether the period is on at an instant, its beginning included, its end not."""
        return any(begin <= at < end for begin, end in self._stretches(at, 1))

    def next_change(self, at: float) -> float | None:
        """The first instant after `at` at which it begins or ends; None: not within the next HORIZON_DAYS."""
        end_of_now: float | None = None
        for begin, end in self._stretches(at, HORIZON_DAYS):
            if end <= at:
                continue
            if end_of_now is None:
                if begin > at:
                    return begin
                end_of_now = end
            elif begin <= end_of_now:
                end_of_now = max(end, end_of_now)
            else:
                break
        return end_of_now

    def _stretches(self, at: float, days: int) -> Iterator[Stretch]:
        """Its stretches in the order of their beginnings, from the day before the one of `at`."""
        today = datetime.datetime.fromtimestamp(at, self._zone).date()
        ahead: list[Stretch] = []
        for number in range(-2, days + 1):
            try:
                day = today + datetime.timedelta(days=number)
                ahead += [self._stretch(day, hours) for hours in self._hours(day)]
            except OverflowError:  # the calendar's end
                break
            ahead = sorted(stretch for stretch in ahead if stretch[0] < stretch[1])
            # What begins on a later day may begin earlier only within the length of a change of the clock.
            sure = self._instant(day, DAY_MINUTES - 180, last=False)
            yield from (stretch for stretch in ahead if stretch[0] < sure)
            ahead = [stretch for stretch in ahead if stretch[0] >= sure]
        yield from ahead

    def _hours(self, day: datetime.date) -> list[Hours]:
        for exception in reversed(self._exceptions):
            if exception.covers(day):
                return list(exception.hours)
        if self._country and day in _public(self._country, day.year):
            return self._on_holidays
        return self._weekly.get(day.weekday(), [])

    def _stretch(self, day: datetime.date, hours: Hours) -> Stretch:
        return self._instant(day, hours.begin, last=False), self._instant(day, hours.end, last=True)

    def _instant(self, day: datetime.date, minute: int, *, last: bool) -> float:
        """The instant of a wall clock time; of two the first, or the last."""
        days, minute = divmod(minute, DAY_MINUTES)
        wall = datetime.datetime.combine(
            day + datetime.timedelta(days=days), datetime.time(minute // 60, minute % 60), self._zone
        )
        first, second = wall.timestamp(), wall.replace(fold=1).timestamp()
        if first > second:
            return self._change(second, first)
        return second if last else first

    def _change(self, before: float, after: float) -> float:
        """The instant at which the clock was put forward, between two instants, to the second."""
        low, high = int(before), int(after)
        offset = datetime.datetime.fromtimestamp(low, self._zone).utcoffset()
        while high - low > 1:
            middle = (low + high) // 2
            if datetime.datetime.fromtimestamp(middle, self._zone).utcoffset() == offset:
                low = middle
            else:
                high = middle
        return float(high)


@functools.lru_cache(maxsize=256)
def _public(country: str, year: int) -> frozenset[datetime.date]:
    """A year's public holidays; raises NotImplementedError for an unknown country or part of one."""
    import holidays  # half a second and 25 MB, for those who want it

    code, _, part = country.partition("-")
    return frozenset(holidays.country_holidays(code, part or None, years=year, expand=False))
