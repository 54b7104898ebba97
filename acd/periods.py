"""Periods: named stretches of time (opening hours, lunch, night) as people write them. When they are on, the shell computes.

A period is on at its weekly times in its zone. On public holidays of `holidays` the times of `on_holidays` count instead, and
on the days of an exception those of the exception; where several exceptions name a day, the last one counts. Times that end
after midnight (`22:00-06:00`) belong to the day they begin on.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator

import msgspec

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60


class Period(msgspec.Struct, frozen=True):
    """A named period."""

    id: str
    name: str
    zone: str = "UTC"
    """A time zone of the IANA data base, e.g. `Europe/Berlin`."""
    weekly: tuple[str, ...] = ()
    """Days and hours: `mon-fri 09:00-12:00, 13:00-18:00`, `sat 10:00-14:00`."""
    holidays: str = ""
    """Whose public holidays count: a country (`DE`), or a part of one (`DE-BE`, `US-CA`); empty: none."""
    on_holidays: tuple[str, ...] = ()
    """Hours on those holidays; none: off all day."""
    exceptions: tuple[str, ...] = ()
    """Dates with hours of their own, or `closed`: `2026-12-24 09:00-12:00`, `2026-08-03..2026-08-14 closed`; each year
    `12-31 closed`."""


class Hours(msgspec.Struct, frozen=True, order=True):
    """From a minute of the day to a later one; over `DAY_MINUTES` it is on the next day."""

    begin: int
    end: int


class Exceptional(msgspec.Struct, frozen=True):
    """An exception: from a date to a date, in one year (0: in each), with its hours."""

    first: tuple[int, int, int]
    last: tuple[int, int, int]
    hours: tuple[Hours, ...]

    def covers(self, day: datetime.date) -> bool:
        """Whether it is for this day."""
        if self.first[0]:
            return self.first <= (day.year, day.month, day.day) <= self.last
        today, first, last = (day.month, day.day), self.first[1:], self.last[1:]
        return first <= today <= last if first <= last else today >= first or today <= last


_TIMES = re.compile(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)")
_DATES = re.compile(r"((?:\d{4}-)?\d\d-\d\d)(?:\s*\.\.\s*((?:\d{4}-)?\d\d-\d\d))?\s+(.+)")


def hours(text: str) -> tuple[Hours, ...]:
    """`09:00-12:00, 13:00-18:00`, or `closed`, which is none; raises ValueError with a sentence."""
    if text.strip() == "closed":
        return ()
    return tuple(_span(part.strip()) for part in text.split(","))


def _span(text: str) -> Hours:
    match = _TIMES.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text[:40]}' are no hours; write them as 09:00-17:30, and closed for none")
    first, second = (int(match[1]), int(match[2])), (int(match[3]), int(match[4]))
    for hour, minute in (first, second):
        if hour > 24 or minute > 59 or (hour == 24 and minute):
            raise ValueError(f"{hour}:{minute:02} is no time of the day")
    begin, end = first[0] * 60 + first[1], second[0] * 60 + second[1]
    if begin >= DAY_MINUTES:
        raise ValueError("nothing begins at 24:00; write 00:00 on the next day")
    return Hours(begin, end if end > begin else end + DAY_MINUTES)


def weekly(text: str) -> tuple[tuple[int, ...], tuple[Hours, ...]]:
    """`mon-fri, sun 09:00-17:00` as days from 0, Monday, and hours; raises ValueError with a sentence."""
    match = re.fullmatch(r"([a-z ,\-]*[a-z])\s+(\d.*|closed)", text.strip().lower())
    if match is None:
        raise ValueError(f"'{text[:40]}' is no weekly time; write it as mon-fri 09:00-17:30")
    days: list[int] = []
    for part in match[1].split(","):
        first, _, last = (word.strip() for word in part.partition("-"))
        numbers = [_day(first), _day(last or first)]
        days += [day % 7 for day in range(numbers[0], numbers[1] + 1 + (7 if numbers[1] < numbers[0] else 0))]
    return tuple(sorted(set(days))), hours(match[2])


def _day(word: str) -> int:
    if word not in DAYS:
        raise ValueError(f"'{word[:40]}' is no day of the week; they are {', '.join(DAYS)}")
    return DAYS.index(word)


def exception(text: str) -> Exceptional:
    """One exception; raises ValueError with a sentence."""
    match = _DATES.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"'{text[:40]}' is no exception; write it as 2026-12-24 09:00-12:00, 12-31 closed or 2026-08-03..2026-08-14 closed"
        )
    first, last = _date(match[1]), _date(match[2] or match[1])
    if bool(first[0]) != bool(last[0]):
        raise ValueError("write both dates with a year, or both without")
    if first[0] and last < first:
        raise ValueError(f"{match[2]} is before {match[1]}")
    return Exceptional(first, last, hours(match[3]))


def _date(text: str) -> tuple[int, int, int]:
    year, month, day = (int(part) for part in (text if len(text) > 5 else f"0-{text}").split("-"))
    try:
        datetime.date(year or 2000, month, day)
    except ValueError:
        raise ValueError(f"{text} is no date") from None
    return year, month, day


def faults(period: Period) -> Iterator[tuple[str, int, str]]:
    """What cannot be read of a period: the field, the place in it, and a sentence without a full stop."""
    readers: dict[str, Callable[[str], object]] = {"weekly": weekly, "on_holidays": hours, "exceptions": exception}
    for field, read in readers.items():
        for place, text in enumerate(getattr(period, field)):
            try:
                read(text)
            except ValueError as error:
                yield field, place, str(error)
