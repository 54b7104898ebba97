"""When periods are on: over changes of the clock, the year's end, holidays and exceptions that overlap."""

from __future__ import annotations

import datetime
import re
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd import periods
from acd.periods import Period
from exchange.configuration.calendars import Calendar, faults

pytestmark = pytest.mark.unit

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def period(**fields: object) -> Period:
    return Period("p", "p", **{"zone": "Europe/Berlin", **fields})  # type: ignore[arg-type]


def changes(of: Period, first: str, last: str) -> list[str]:
    """The period's changes between two wall clock times, with what it is from then on."""
    calendar, now, found = Calendar(of), at(first), []
    while (change := calendar.next_change(now)) is not None and change <= at(last):
        local = datetime.datetime.fromtimestamp(change, ZoneInfo(of.zone))
        found.append(f"{local:%m-%d %H:%M%z} {'on' if calendar.on(change) else 'off'}")
        now = change
    return found


OFFICE = period(weekly=("mon-fri 09:00-12:00, 13:00-18:00", "sat 10:00-14:00"))


def test_a_week() -> None:
    assert changes(OFFICE, "2026-11-26T12:30", "2026-11-30T09:00") == [
        "11-26 13:00+0100 on",
        "11-26 18:00+0100 off",
        "11-27 09:00+0100 on",
        "11-27 12:00+0100 off",
        "11-27 13:00+0100 on",
        "11-27 18:00+0100 off",
        "11-28 10:00+0100 on",
        "11-28 14:00+0100 off",
        "11-30 09:00+0100 on",
    ]
    calendar = Calendar(OFFICE)
    assert [calendar.on(at(f"2026-11-26T{time}")) for time in ("08:59:59", "09:00", "11:59:59", "12:00")] == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("hours", "first", "last", "wanted"),
    [
        # 2026-03-29 02:00 is put forward to 03:00: a time in between is the moment of the change.
        ("sun 02:30-03:30", "2026-03-29T00:00", "2026-03-30T00:00", ["03-29 03:00+0200 on", "03-29 03:30+0200 off"]),
        ("sun 01:00-02:30", "2026-03-29T00:00", "2026-03-30T00:00", ["03-29 01:00+0100 on", "03-29 03:00+0200 off"]),
        ("sun 02:00-03:00", "2026-03-29T00:00", "2026-03-30T00:00", []),
        ("mon-sun 00:00-24:00", "2026-03-28T00:00", "2026-03-31T00:00", []),
        # 2026-10-25 03:00 is put back to 02:00: what is there twice is on both times.
        ("sun 02:15-02:45", "2026-10-25T00:00", "2026-10-26T00:00", ["10-25 02:15+0200 on", "10-25 02:45+0100 off"]),
        ("sun 01:00-03:00", "2026-10-25T00:00", "2026-10-26T00:00", ["10-25 01:00+0200 on", "10-25 03:00+0100 off"]),
        ("sat 22:00-06:00", "2026-10-24T12:00", "2026-10-25T12:00", ["10-24 22:00+0200 on", "10-25 06:00+0100 off"]),
    ],
)
def test_the_clock_is_put_forward_and_back(hours: str, first: str, last: str, wanted: list[str]) -> None:
    assert changes(period(weekly=(hours,)), first, last) == wanted


def test_a_night_belongs_to_the_day_it_begins_on() -> None:
    night = period(weekly=("fri-sun 22:00-06:00",), exceptions=("2026-11-28 closed",))
    assert changes(night, "2026-11-27T12:00", "2026-11-30T12:00") == [
        "11-27 22:00+0100 on",
        "11-28 06:00+0100 off",
        "11-29 22:00+0100 on",
        "11-30 06:00+0100 off",
    ]


def test_the_years_end() -> None:
    busy = period(
        weekly=("mon-sun 08:00-20:00",),
        holidays="DE-BE",
        exceptions=("12-31 08:00-12:00", "12-24..01-06 10:00-11:00", "12-31 closed"),
    )
    assert changes(busy, "2026-12-30T07:00", "2027-01-01T23:00") == [
        "12-30 10:00+0100 on",
        "12-30 11:00+0100 off",
        "01-01 10:00+0100 on",
        "01-01 11:00+0100 off",
    ], "an exception goes before the holiday, the last exception before the others"
    assert changes(busy, "2027-01-06T12:00", "2027-01-07T09:00") == ["01-07 08:00+0100 on"]


def test_holidays_of_a_country_and_of_its_parts() -> None:
    whole, part = (period(weekly=("mon-sun 09:00-10:00",), holidays=country) for country in ("DE", "DE-BE"))
    womens_day = at("2027-03-08T09:30")  # Berlin's alone
    assert (Calendar(whole).on(womens_day), Calendar(part).on(womens_day)) == (True, False)
    shorter = period(weekly=("mon-sun 09:00-18:00",), holidays="DE", on_holidays=("10:00-12:00",))
    assert changes(shorter, "2027-05-01T00:00", "2027-05-02T00:00") == ["05-01 10:00+0200 on", "05-01 12:00+0200 off"]


def test_overlapping_and_touching_hours_are_one() -> None:
    found = period(
        weekly=("mon 09:00-12:00, 11:00-13:00", "mon 13:00-14:00", "mon-tue 00:00-24:00"),
        exceptions=("2026-11-30 09:00-10:00, 10:00-11:00",),
    )
    assert changes(found, "2026-11-29T00:00", "2026-12-01T12:00") == [
        "11-30 09:00+0100 on",
        "11-30 11:00+0100 off",
        "12-01 00:00+0100 on",
    ]


def test_always_and_never() -> None:
    always, never = Calendar(period(weekly=("mon-sun 00:00-24:00",))), Calendar(period())
    assert (always.on(0.0), never.on(0.0), never.next_change(0.0)) == (True, False, None)
    change = always.next_change(at("2026-11-26T00:00"))
    assert change is None or change > at("2027-11-26T00:00")


@settings(max_examples=40, deadline=None)
@given(
    st.floats(at("1980-01-01T00:00"), at("2035-01-01T00:00")),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "UTC"]),
    st.lists(
        st.sampled_from(["mon-fri 09:00-17:00", "sat-sun 01:45-02:15", "sun 23:00-03:30", "mon-sun 02:00-03:00"]), min_size=1
    ),
    st.lists(st.sampled_from(["12-24..01-02 closed", "03-29 00:00-24:00", "2011-12-29..2012-01-01 02:30-01:30"]), max_size=2),
)
def test_between_two_changes_it_stays_as_it_is(now: float, zone: str, weekly: list[str], exceptions: list[str]) -> None:
    calendar = Calendar(period(zone=zone, weekly=tuple(weekly), exceptions=tuple(exceptions)))
    change = calendar.next_change(now)
    assert change is not None
    assert change > now
    state = calendar.on(now)
    assert calendar.on(change) is not state
    steps = [now + (change - now) * step / 7 for step in range(7)]
    assert [calendar.on(moment) for moment in steps] == [state] * 7


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("mon-fri", "'mon-fri' is no weekly time; write it as mon-fri 09:00-17:30"),
        ("mo 09:00-10:00", "'mo' is no day of the week; they are mon, tue, wed, thu, fri, sat, sun"),
        ("mon 9-10", "'9-10' are no hours; write them as 09:00-17:30, and closed for none"),
        ("mon 25:00-26:00", "25:00 is no time of the day"),
        ("mon 24:00-25:00", "25:00 is no time of the day"),
        ("mon 24:00-01:00", "nothing begins at 24:00; write 00:00 on the next day"),
    ],
)
def test_weekly_times_that_are_none(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        periods.weekly(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("christmas closed", "'christmas closed' is no exception; write it as 2026-12-24 09:00-12:00,"),
        ("2026-02-30 closed", "2026-02-30 is no date"),
        ("2026-12-24..12-26 closed", "write both dates with a year, or both without"),
        ("2026-12-26..2026-12-24 closed", "2026-12-24 is before 2026-12-26"),
    ],
)
def test_exceptions_that_are_none(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        periods.exception(text)


def test_unknown_zones_and_countries_are_told() -> None:
    found = [(p.code, p.blocks) for p in faults(period(zone="Mars/Olympus", holidays="XX", weekly=("mon 09:00-10:00",)))]
    assert found == [("unknown-zone", True), ("unknown-holidays", True)]
    assert [p.code for p in faults(period(zone="../../etc/passwd", holidays="DE-XX", weekly=("mon 09:00-10:00",)))] == [
        "unknown-zone",
        "unknown-holidays",
    ]
    assert [(p.code, p.blocks) for p in faults(period())] == [("period-never", False)]
