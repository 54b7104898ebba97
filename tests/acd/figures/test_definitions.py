"""What the figures are: formulas that give the field's own example, terms that are measured, intervals by any clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd.effects import VisitReason
from acd.figures.definitions import FIGURES, STATES, figure, figures_of
from acd.figures.intervals import Step, bounds
from acd.figures.measures import VisitFigures, WorkFigures
from acd.figures.rows import BEHIND

pytestmark = pytest.mark.unit

LEVELS = (
    "service_level_answered",
    "service_level",
    "service_level_without_short",
    "service_level_without_within",
    "service_level_abandons_good",
)


def levels(measures: dict[str, int | None]) -> list[float | None]:
    found = [(figure("queues", id) or FIGURES[0]).value(measures) for id in LEVELS]
    return [round(value, 1) if value is not None else None for value in found]


def test_the_five_service_levels_of_the_glossarys_example() -> None:
    measures = {"handled": 1000, "handled_within": 860, "abandoned": 60, "abandoned_within": 20, "short_abandoned": None}
    assert levels(measures) == [86.0, 81.1, None, 82.7, 83.0]
    told = measures | {"abandoned": 50, "short_abandoned": 10}
    assert levels(told) == [86.0, 81.1, 81.9, 82.7, 83.0]


def test_nothing_divided_by_nothing_is_not_said() -> None:
    for each in FIGURES:
        assert each.value({}) == (None if each.denominator else 0), each.id
        assert each.count({}) == 0


def test_every_term_is_measured_and_every_measure_of_contacts_has_rows() -> None:
    measured = {*VisitFigures.__struct_fields__}
    measured |= {f"work_{name}" for name in WorkFigures.__struct_fields__}
    measured |= {f"state_{name.replace('-', '_')}" for name in STATES}
    for each in FIGURES:
        terms = {term.lstrip("-") for term in (*each.numerator, *each.denominator, *each.behind)}
        assert terms <= measured, each.id
        assert each.formula.endswith("."), each.id
        assert bool(each.behind) == (not any(term.startswith("state_") for term in each.numerator)), each.id
    assert set(BEHIND) == {name for name in measured if not name.endswith("_ms") and not name.startswith("state_")}
    assert len({(each.report, each.id) for each in FIGURES}) == len(FIGURES)
    assert figures_of("queues") + figures_of("agents") == list(FIGURES)


# --- intervals --------------------------------------------------------------------------------------------------------


def lengths(since: datetime, until: datetime, step: Step, zone: str) -> list[float]:
    found = bounds(since, until, step, ZoneInfo(zone))
    return [(b - a) / timedelta(hours=1) for a, b in pairwise(found)]


def test_days_are_as_long_as_clocks_make_them() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert lengths(datetime(2026, 3, 28, tzinfo=berlin), datetime(2026, 3, 31, tzinfo=berlin), "day", "Europe/Berlin") == [
        24,
        23,
        24,
    ]
    assert lengths(
        datetime(2026, 10, 25, 5, tzinfo=berlin), datetime(2026, 10, 25, 6, tzinfo=berlin), "day", "Europe/Berlin"
    ) == [25]


def test_the_hour_that_comes_twice_is_two_intervals() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    found = bounds(datetime(2026, 10, 25, 1, tzinfo=berlin), datetime(2026, 10, 25, 4, tzinfo=berlin), "60", berlin)
    assert [moment.astimezone(berlin).hour for moment in found] == [1, 2, 2, 3, 4]


def test_hours_begin_at_full_hours_where_the_zone_is_a_quarter_off() -> None:
    nepal = ZoneInfo("Asia/Kathmandu")
    found = bounds(datetime(2026, 11, 26, 10, 20, tzinfo=nepal), datetime(2026, 11, 26, 12, 1, tzinfo=nepal), "60", nepal)
    assert [f"{moment.astimezone(nepal):%H:%M}" for moment in found] == ["10:00", "11:00", "12:00", "13:00"]


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001  made UTC below
    st.timedeltas(timedelta(microseconds=1), timedelta(days=3)),
    st.sampled_from(("15", "30", "60", "day", "total")),
    st.sampled_from(("UTC", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu", "Europe/London", "Pacific/Apia")),
)
@settings(max_examples=60, deadline=None)
def test_intervals_cover_the_time_without_gaps_in_whole_quarters(
    since: datetime, length: timedelta, step: Step, zone: str
) -> None:
    since = since.replace(tzinfo=UTC)
    found = bounds(since, since + length, step, ZoneInfo(zone))
    assert found[0] <= since < found[1]
    assert found[-2] < since + length <= found[-1]
    assert found == sorted(set(found))
    assert all(moment.timestamp() % 900 == 0 for moment in found)
    longest = {"15": 0.25, "30": 0.5, "60": 1.0, "day": 25.0, "total": 80.0}[step]
    assert all((b - a) <= timedelta(hours=longest) for a, b in pairwise(found))


def test_the_page_for_supervisors_says_what_each_figure_is() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reports.md").read_text(encoding="utf-8")
    said = [
        tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in page.splitlines() if line.startswith("| `")
    ]
    assert [row for row in said if len(row) == 4] == [(f"`{f.id}`", f.name, f.unit, f.formula) for f in FIGURES]
    reasons = {
        word for line in page.splitlines() if line.count("|") == 4 for word in re.findall(r"`([a-z-]+)`", line.split("|")[1])
    }
    assert reasons == {*get_args(VisitReason)} - {""}
