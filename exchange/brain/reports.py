"""The figures as the API reads them (api.ports.Reports): history from the tables, the present from the exchange's own fold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from acd.figures.definitions import Report, figure, figures_of
from acd.figures.intervals import bounds
from acd.figures.sums import agent_measures, queue_measures
from api.errors import ApiError
from api.ports import ReportSearch
from api.report_models import (
    AgentReport,
    AgentRow,
    Behind,
    BehindPage,
    Ends,
    QueueReport,
    QueueRow,
    Realtime,
    StateTime,
)
from exchange.brain.live import Live
from exchange.brain.names import Names, values
from exchange.brain.store import at_the_border
from exchange.brain.zones import server_zone
from storage.queries import Row
from storage.reports import By, Reports

MOST_DAYS = 400
MOST_INTERVALS = 3_000
MOST_ROWS = 20_000
YEARS = (2000, 2200)
"""Beyond them there is nothing to report, and calendars end before numbers do."""


class FigureReports:
    """Reports over one database and one live fold."""

    def __init__(self, found: Reports, live: Live, configured: Callable[[], Names], now: Callable[[], float]) -> None:
        self._reports = found
        self._live = live
        self._configured = configured
        self._now = now

    # --- history --------------------------------------------------------------------------------------------------

    @at_the_border
    async def queues(self, search: ReportSearch) -> QueueReport:
        when, zone, name = await self._when(search)
        by = By(search.queue, search.channel, search.kind)
        complete = await self._reports.complete_to()
        newest = complete or when[0]
        visits, ends, work = await asyncio.gather(
            self._reports.visit_sums(when, search.by, by, newest),
            self._reports.end_sums(when, search.by, by),
            self._reports.work_sums(when, search.by, by),
        )
        _check_size(len(visits) + len(work))
        items = await asyncio.to_thread(queue_rows, when, zone, search.by, visits, ends, work, self._configured())
        return QueueReport(**_head(search, when, zone, name, complete), items=items)

    @at_the_border
    async def agents(self, search: ReportSearch) -> AgentReport:
        when, zone, name = await self._when(search)
        keys = ["agent", *search.by]
        by = By(search.queue, search.channel, search.kind, search.agent)
        whole = keys == ["agent"] and (search.queue, search.channel, search.kind) == (None, None, None)
        complete = await self._reports.complete_to()
        work = await self._reports.work_sums(when, keys, by)
        states = await self._reports.state_sums(when, by) if whole else []
        _check_size(len(work) + len(states))
        items = await asyncio.to_thread(agent_rows, when, zone, keys, work, states, self._configured(), whole)
        return AgentReport(**_head(search, when, zone, name, complete), items=items)

    @at_the_border
    async def behind(self, report: Report, id: str, search: ReportSearch, limit: int, before: str | None) -> BehindPage:
        wanted = figure(report, id)
        if wanted is None:
            raise ApiError(404, "no-such-figure", f"The report {report} has no figure {id}; /reports/figures has them all.")
        if not wanted.behind:
            raise ApiError(422, "not-listed", f"{wanted.name} is a time in states: there are no contacts behind it.")
        if report == "queues" and search.agent is not None:
            raise ApiError(422, "invalid", "query.agent: a stay in a queue has no agent. Ask for the report agents instead.")
        when, zone, _ = await self._when(msgspec.structs.replace(search, interval="total"))
        by = By(search.queue, search.channel, search.kind, search.agent)
        total = await self._reports.count_behind(wanted.rows(), when[0], when[-1], by)
        found = await self._reports.behind(wanted.rows(), when[0], when[-1], by, limit, before)
        names = self._configured()
        items = [_behind(row, names) for row in found.rows]
        since, until = when[0].astimezone(zone), when[-1].astimezone(zone)
        return BehindPage(figure=id, since=since, until=until, total=total, items=items, next=found.next)

    # --- the present ----------------------------------------------------------------------------------------------

    async def realtime(self, search: ReportSearch) -> Realtime:
        if not self._live.ready:
            raise ApiError(
                503, "figures-not-ready", "The exchange has just started and is counting. Please try again in a moment."
            )
        return await asyncio.to_thread(self._live.look(self._now()).report, search, self._configured())

    # --- when -----------------------------------------------------------------------------------------------------

    async def _when(self, search: ReportSearch) -> tuple[list[datetime], tzinfo, str]:
        """Borders of the intervals, and the time zone with its name; raises ApiError 422."""
        zone, name = _zone(search.time_zone)
        now = datetime.fromtimestamp(self._now(), zone)
        until = _in(zone, search.until) or now
        day = until - timedelta(microseconds=1)  # of a midnight the day that it ends
        since = _in(zone, search.since) or day.replace(hour=0, minute=0, second=0, microsecond=0)
        if since >= until:
            raise ApiError(422, "invalid", "query.since: it must be before `until`.")
        if until - since > timedelta(days=MOST_DAYS):
            raise ApiError(422, "too-long", f"A report covers at most {MOST_DAYS} days.")
        if search.interval in ("15", "30", "60") and (until - since) / timedelta(minutes=int(search.interval)) > MOST_INTERVALS:
            raise ApiError(422, "too-long", f"A report has at most {MOST_INTERVALS} intervals: take longer ones, or less time.")
        # A year has 35,040 quarters.
        return await asyncio.to_thread(bounds, since, until, search.interval, zone), zone, name


def _zone(name: str | None) -> tuple[tzinfo, str]:
    if name is None:
        return server_zone()
    try:
        return ZoneInfo(name), name
    except (KeyError, OSError, ValueError) as error:
        raise ApiError(422, "invalid", "query.time_zone: there is no such time zone; write it like Europe/Berlin.") from error


def _in(zone: tzinfo, moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    if not YEARS[0] <= moment.year < YEARS[1]:
        raise ApiError(422, "invalid", f"A report is of a time between {YEARS[0]} and {YEARS[1]}.")
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)


def _check_size(rows: int) -> None:
    if rows > MOST_ROWS:
        raise ApiError(
            422, "too-long", f"That is over {MOST_ROWS} rows: take longer intervals, less time, or one queue or agent."
        )


def _head(search: ReportSearch, when: Sequence[datetime], zone: tzinfo, name: str, complete: datetime | None) -> dict[str, Any]:
    done = complete.astimezone(zone) if complete is not None else None
    since, until = when[0].astimezone(zone), when[-1].astimezone(zone)
    return {"since": since, "until": until, "interval": search.interval, "time_zone": name, "complete_to": done}


# --- rows -------------------------------------------------------------------------------------------------------------


def queue_rows(
    when: Sequence[datetime],
    zone: tzinfo,
    keys: Sequence[str],
    visits: Sequence[Row],
    ends: Sequence[Row],
    work: Sequence[Row],
    names: Names,
) -> list[QueueRow]:
    """Rows of the tables, joined by interval and keys."""
    of_visits = {_key(row, keys): row for row in visits}
    of_work = {_key(row, keys): row for row in work}
    of_ends: dict[tuple[Any, ...], list[Ends]] = {}
    for row in ends:
        of_ends.setdefault(_key(row, keys), []).append(Ends(how=row["how"], reason=row["reason"], count=row["count"]))
    columns = figures_of("queues")
    found = []
    for key in sorted(dict.fromkeys([*of_visits, *of_work])):
        named = dict(zip(keys, key[1:], strict=True))
        queue = named.get("queue")
        measures = queue_measures(_plain(of_visits.get(key)), _plain(of_work.get(key)), tells_short=names.tells_short(queue))
        found.append(
            QueueRow(
                **_interval(when, zone, key[0]),
                queue=queue,
                queue_name=names.queue(queue),
                channel=named.get("channel"),
                kind=named.get("kind"),
                figures=values(columns, measures),
                ends=of_ends.get(key, []),
            )
        )
    return found


def agent_rows(
    when: Sequence[datetime],
    zone: tzinfo,
    keys: Sequence[str],
    work: Sequence[Row],
    states: Sequence[Row],
    names: Names,
    whole: bool,
) -> list[AgentRow]:
    """Rows of the tables, joined by interval and keys; without the figures of states when they are not the whole agent's."""
    of_work = {_key(row, keys): row for row in work}
    of_states: dict[tuple[Any, ...], list[Row]] = {}
    for row in states:
        of_states.setdefault(_key(row, ["agent"]), []).append(row)
    columns = [f for f in figures_of("agents") if whole or not any(t.startswith("state_") for t in f.numerator)]
    found = []
    for key in sorted(dict.fromkeys([*of_work, *of_states])):
        named = dict(zip(keys, key[1:], strict=True))
        spent = of_states.get(key, [])
        measures = agent_measures(_plain(of_work.get(key)), {(r["state"], r["code"]): r["ms"] for r in spent})
        found.append(
            AgentRow(
                **_interval(when, zone, key[0]),
                agent=named["agent"],
                agent_name=names.agent(named["agent"]),
                queue=named.get("queue"),
                queue_name=names.queue(named.get("queue")),
                channel=named.get("channel"),
                kind=named.get("kind"),
                figures=values(columns, measures),
                states=[StateTime(state=r["state"], code=r["code"], seconds=r["ms"] / 1000) for r in spent],
            )
        )
    return found


def _key(row: Row, keys: Sequence[str]) -> tuple[Any, ...]:
    return row["bucket"], *(row[key] for key in keys)


def _plain(row: Row | None) -> dict[str, int]:
    return {name: value for name, value in row.items() if isinstance(value, int)} if row is not None else {}


def _interval(when: Sequence[datetime], zone: tzinfo, bucket: int) -> dict[str, datetime]:
    return {"start": when[bucket].astimezone(zone), "end": when[bucket + 1].astimezone(zone)}


def _behind(row: Row, names: Names) -> Behind:
    plain = {name: row[name] for name in ("channel", "kind", "began", "ended", "how", "reason", "waited", "talked")}
    agent = row["agent"] or None
    return Behind(
        **plain,
        id=row["id"],
        contact=str(row["contact"]),
        queue=row["queue"],
        queue_name=names.queue(row["queue"]),
        agent=agent,
        agent_name=names.agent(agent) if agent is not None else None,
    )
