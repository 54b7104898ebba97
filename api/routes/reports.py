"""The figures: by queue, by agent, as they are now, what each is, and the contacts behind one. JSON, or CSV where asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from acd.figures.definitions import FIGURES, figures_of
from acd.model import Channel, VisitKind
from api import csv
from api.auth import needs
from api.csv import Cell
from api.errors import ApiError, failures
from api.models import User
from api.ports import ReportSearch
from api.report_models import (
    AgentReport,
    Behind,
    BehindPage,
    FigureDefinition,
    FigureDefinitions,
    Interval,
    QueueReport,
    Realtime,
    Report,
    Values,
)
from api.routes.records import Anybody, Overseer, Parts

router = APIRouter(prefix="/api/v1/reports", tags=["reports"], responses=failures(401, 403, 422, 503))
Text = Annotated[str | None, Query(max_length=200)]
Split = Literal["queue", "channel", "kind"]
Format = Annotated[Literal["json", "csv"] | None, Query(description="Also by `Accept: text/csv`.")]
_csv: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


def period(
    since: Annotated[datetime | None, Query(description="ISO 8601; the start of today if left out.")] = None,
    until: Annotated[datetime | None, Query(description="ISO 8601; now if left out.")] = None,
    interval: Interval = "total",
    time_zone: Annotated[str | None, Query(max_length=100, description="An IANA name; the server's if left out.")] = None,
) -> ReportSearch:
    """Times without a zone are in `time_zone`. Both are moved outwards to the borders of intervals."""
    return ReportSearch(since, until, interval, time_zone or None)


def search(
    during: Annotated[ReportSearch, Depends(period)],
    queue: Text = None,
    channel: Channel | None = None,
    kind: VisitKind | None = None,
    agent: Text = None,
) -> ReportSearch:
    """Nothing named means any."""
    return msgspec.structs.replace(during, queue=queue or None, channel=channel, kind=kind, agent=agent or None)


Searched = Annotated[ReportSearch, Depends(search)]
By = Annotated[list[Split] | None, Query(description="What the rows are split by; may be given more than once.")]


@router.get("/figures")
async def figures(user: Anybody) -> FigureDefinitions:
    """What the figures are: name, formula, unit."""
    items = [
        FigureDefinition(id=f.id, report=f.report, name=f.name, formula=f.formula, unit=f.unit, listed=bool(f.behind))
        for f in FIGURES
    ]
    return FigureDefinitions(items=items)


@router.get("/queues", response_model=QueueReport, responses=_csv)
async def queues(
    request: Request, user: Overseer, parts: Parts, of: Searched, by: By = None, format: Format = None
) -> Response:
    """Figures by interval and queue, or by what `by` names."""
    if of.agent is not None:
        raise ApiError(422, "invalid", "query.agent: a stay in a queue has no agent. Ask for /reports/agents instead.")
    found = await parts.reports.queues(_split(of, by or ["queue"]))
    return await _answer(request, format, found, lambda: _queue_table(found))


@router.get("/agents", response_model=AgentReport, responses=_csv)
async def agents(request: Request, user: Anybody, parts: Parts, of: Searched, by: By = None, format: Format = None) -> Response:
    """Figures by interval and agent. An agent gets their own."""
    found = await parts.reports.agents(_split(_own(user, of), by or []))
    return await _answer(request, format, found, lambda: _agent_table(found))


@router.get("/realtime", response_model=Realtime)
async def realtime(
    user: Anybody,
    parts: Parts,
    queue: Text = None,
    channel: Channel | None = None,
    kind: VisitKind | None = None,
    agent: Text = None,
    by: By = None,
) -> Response:
    """What is going on now, with the figures of this quarter of an hour and of today. Agents see themselves."""
    of = _own(user, ReportSearch(queue=queue or None, channel=channel, kind=kind, agent=agent or None))
    found = await parts.reports.realtime(_split(of, by or ["queue"]))
    if user.role == "agent":
        found = found.model_copy(update={"queues": []})
    return await asyncio.to_thread(_json, found)


@router.get("/contacts", response_model=BehindPage, responses={**_csv, **failures(404)})
async def contacts(
    request: Request,
    user: Annotated[User, Depends(needs("supervisor", "admin"))],
    parts: Parts,
    of: Searched,
    figure: Annotated[str, Query(max_length=100)],
    report: Report = "queues",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Text = None,
    format: Format = None,
) -> Response:
    """The contacts behind a figure, newest first: what was counted, or, of a mean, what it is the mean of."""
    found = await parts.reports.behind(report, figure, of, limit, before or None)
    return await _answer(request, format, found, lambda: _behind_table(found))


def _own(user: User, of: ReportSearch) -> ReportSearch:
    if user.role != "agent":
        return of
    if of.agent not in (None, user.id):
        raise ApiError(403, "not-allowed", "Agents see their own figures only.")
    return msgspec.structs.replace(of, agent=user.id)


def _split(of: ReportSearch, by: Sequence[Split]) -> ReportSearch:
    return msgspec.structs.replace(of, by=tuple(dict.fromkeys(by)))


# --- answers ----------------------------------------------------------------------------------------------------------


async def _answer(request: Request, format: str | None, found: BaseModel, table: Any) -> Response:
    """A long report is written in a thread: the exchange has calls to see to meanwhile."""
    if format is None:
        format = "csv" if _prefers_csv(request.headers.get("accept", "")) else "json"
    if format == "json":
        return await asyncio.to_thread(_json, found)
    text = await asyncio.to_thread(table)
    headers = {"content-disposition": f'attachment; filename="{request.url.path.rsplit("/", 1)[-1]}.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8; header=present", headers=headers)


def _json(found: BaseModel) -> Response:
    return Response(found.model_dump_json(), media_type="application/json", headers={"cache-control": "no-store"})


def _prefers_csv(accept: str) -> bool:
    """Whether CSV is named before JSON (RFC 9110 §12.5.1; weights are not looked at)."""
    named = [part.split(";")[0].strip().lower() for part in accept.split(",")]
    return next((name == "text/csv" for name in named if name in ("text/csv", "application/json")), False)


def _queue_table(found: QueueReport) -> str:
    columns = [figure.id for figure in figures_of("queues")]
    header = ["start", "end", "queue", "queue_name", "channel", "kind", *columns, "ends"]
    rows: Iterable[Sequence[Cell]] = (
        [r.start, r.end, r.queue, r.queue_name, r.channel, r.kind, *_cells(r.figures, columns), _pairs(r.ends)]
        for r in found.items
    )
    return csv.table(header, rows)


def _agent_table(found: AgentReport) -> str:
    columns = [figure.id for figure in figures_of("agents")]
    header = ["start", "end", "agent", "agent_name", "queue", "queue_name", "channel", "kind", *columns, "idle_codes"]
    rows: Iterable[Sequence[Cell]] = (
        [
            *(r.start, r.end, r.agent, r.agent_name, r.queue, r.queue_name, r.channel, r.kind),
            *_cells(r.figures, columns),
            "; ".join(f"{s.code or 'none'} {s.seconds:.0f}" for s in r.states if s.state == "idle"),
        ]
        for r in found.items
    )
    return csv.table(header, rows)


def _behind_table(found: BehindPage) -> str:
    header = list(Behind.model_fields)
    return csv.table(header, ([getattr(item, name) for name in header] for item in found.items))


def _cells(figures: Values, columns: list[str]) -> list[Cell]:
    return [figures.get(name) for name in columns]


def _pairs(ends: Any) -> str:
    return "; ".join(f"{e.how}{'/' + e.reason if e.reason else ''} {e.count}" for e in ends)
