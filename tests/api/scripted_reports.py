"""Reports by order: every call is kept, one row is answered."""

from __future__ import annotations

from datetime import UTC, datetime

from acd.figures.definitions import figures_of
from api.errors import ApiError
from api.ports import ReportSearch
from api.report_models import (
    AgentLive,
    AgentReport,
    AgentRow,
    Behind,
    BehindPage,
    Ends,
    QueueLive,
    QueueReport,
    QueueRow,
    Realtime,
    Report,
    StateTime,
    Values,
)

START, END = datetime(2026, 11, 22, 8, 0, tzinfo=UTC), datetime(2026, 11, 22, 8, 15, tzinfo=UTC)
EVIL = '=HYPERLINK("http://evil"),\r\n"x"'
"""A name that wants to be computed, and to be several cells and lines."""


def numbers(report: Report) -> Values:
    """A number for each figure; the first percentage is not known."""
    found: Values = {figure.id: float(n) for n, figure in enumerate(figures_of(report))}
    return found | {next(f.id for f in figures_of(report) if f.unit == "percent"): None}


class ScriptedReports:
    """One queue, one agent, one contact."""

    def __init__(self) -> None:
        self.searches: list[ReportSearch] = []

    async def queues(self, search: ReportSearch) -> QueueReport:
        self.searches.append(search)
        row = QueueRow(
            start=START,
            end=END,
            queue="sales",
            queue_name=EVIL,
            channel=None,
            kind=None,
            figures=numbers("queues"),
            ends=[Ends(how="handled", reason="", count=3), Ends(how="flowed-out", reason="callback", count=1)],
        )
        return QueueReport(since=START, until=END, interval="15", time_zone="UTC", complete_to=END, items=[row])

    async def agents(self, search: ReportSearch) -> AgentReport:
        self.searches.append(search)
        row = AgentRow(
            start=START,
            end=END,
            agent="a1",
            agent_name="Agent One",
            queue=None,
            queue_name=None,
            channel=None,
            kind=None,
            figures=numbers("agents"),
            states=[StateTime(state="idle", code="break", seconds=60.0), StateTime(state="available", code="", seconds=5.0)],
        )
        return AgentReport(since=START, until=END, interval="15", time_zone="UTC", complete_to=None, items=[row])

    async def realtime(self, search: ReportSearch) -> Realtime:
        self.searches.append(search)
        values = numbers("queues")
        queue = QueueLive(
            queue="sales",
            queue_name="Sales",
            channel=None,
            kind=None,
            closed=False,
            waiting=2,
            longest_wait=7.5,
            with_agent=1,
            scheduled=0,
            interval=values,
            today=values,
        )
        agent = AgentLive(
            agent="a1",
            agent_name="Agent One",
            state="available",
            code="",
            since=START,
            contacts=0,
            interval=numbers("agents"),
            today=numbers("agents"),
        )
        by_state = {"available": 1}
        return Realtime(
            at=END,
            interval_start=START,
            day_start=START,
            time_zone="UTC",
            agents_by_state=by_state,
            queues=[queue],
            agents=[agent],
        )

    async def behind(self, report: Report, figure: str, search: ReportSearch, limit: int, before: str | None) -> BehindPage:
        self.searches.append(search)
        if figure == "none":
            raise ApiError(404, "no-such-figure", "There is no such figure.")
        item = Behind(
            id="v1",
            contact="c1",
            queue="sales",
            queue_name="Sales",
            agent=None,
            agent_name=None,
            channel="voice",
            kind="direct",
            began=START,
            ended=None,
            how=None,
            reason="",
            waited=None,
            talked=None,
        )
        return BehindPage(figure=figure, since=START, until=END, total=1, items=[item], next=before)
