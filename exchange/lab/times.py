"""Days and times as people type them, in the machine's zone unless they name one."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from exchange.lab.errors import LabError


def zone_of(name: str | None) -> tzinfo:
    """A zone by name; None is the machine's."""
    if name is None:
        return datetime.now(UTC).astimezone().tzinfo or UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise LabError(f"There is no time zone {name}: say one like Europe/Berlin.") from error


def moment(text: str, zone: tzinfo, day: date | None = None) -> float:
    """`2026-11-25T09:30`, `2026-11-25`, or with a day `09:30`; seconds since the epoch."""
    try:
        if day is not None and len(text) <= 8 and ":" in text:
            return _at(datetime.combine(day, time.fromisoformat(text)), zone)
        return _at(datetime.fromisoformat(text), zone)
    except ValueError as error:
        raise LabError(f"{text} is no time: say one like 2026-11-25T09:30, or 2026-11-25.") from error


def whole_day(text: str | None, zone: tzinfo) -> tuple[float, float]:
    """Beginning and end of a day (None: yesterday), both midnights of the zone."""
    try:
        day = date.fromisoformat(text) if text is not None else (datetime.now(zone) - timedelta(days=1)).date()
    except ValueError as error:
        raise LabError(f"{text} is no day: say one like 2026-11-25.") from error
    return _at(datetime.combine(day, time()), zone), _at(datetime.combine(day + timedelta(days=1), time()), zone)


def _at(moment: datetime, zone: tzinfo) -> float:
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).timestamp()


def show(at: float, zone: tzinfo) -> str:
    """With its date."""
    return f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M:%S}"
