"""The rows of the figures: present values by the quarter of an hour, and what is behind them: visits and offers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from acd.effects import VisitEnded, VisitStarted
from acd.figures.measures import Quarter, instant
from storage.rows import RowWrite


class VisitRow(msgspec.Struct, frozen=True):
    """A stay in a queue, from its beginning; what it ended with is None until then. Times are epoch milliseconds."""

    id: str
    contact: str
    queue: str
    channel: str
    kind: str
    queued: int
    ended: int | None = None
    how: str | None = None
    waited: float | None = None
    talked: float | None = None
    within: bool | None = None
    reason: str = ""
    answered: int | None = None


class OfferRow(msgspec.Struct, frozen=True):
    """An offer, from its beginning."""

    id: str
    contact: str
    visit: str
    agent: str
    queue: str
    channel: str
    kind: str
    made: int


class OfferEnd(msgspec.Struct, frozen=True):
    """What became of an offer."""

    id: str
    ended: int
    how: str
    why: str = ""
    reason: str = ""


def quarter_rows(quarters: Iterable[Quarter]) -> list[RowWrite]:
    """Present values; later values of the same quarter and key replace them."""
    found = []
    for quarter in quarters:
        start = quarter.start
        visits = [(start, *key, *msgspec.structs.astuple(f)) for key, f in quarter.visits.items()]
        work = [(start, *key, *msgspec.structs.astuple(f)) for key, f in quarter.work.items()]
        ends = [(start, *key, count) for key, count in quarter.ends.items()]
        states = [(start, *key, ms) for key, ms in quarter.states.items()]
        found += _write("figure_visits", visits) + _write("figure_ends", ends)
        found += _write("figure_work", work) + _write("figure_states", states)
    return found


def visit_rows(visits: Iterable[VisitRow]) -> list[RowWrite]:
    """Visits that began, or ended; an id may be among them once."""
    return _write("visit_rows", [msgspec.structs.astuple(row) for row in visits])


def begun_visit(e: VisitStarted, at: float) -> VisitRow:
    """What is stored of a visit from its beginning."""
    return VisitRow(e.visit, e.contact, e.queue, e.channel, e.kind, instant(at))


def ended_visit(e: VisitEnded, at: float) -> VisitRow:
    """What is stored of a visit that is over, at the time of its event."""
    queued, answered = instant(e.queued_at), instant(e.answered_at) if e.answered_at is not None else None
    end = (instant(at), e.how, e.waited, e.talked, e.within, e.reason, answered)
    return VisitRow(e.visit, e.contact, e.queue, e.channel, e.kind, queued, *end)


def offer_rows(offers: Iterable[OfferRow], ends: Iterable[OfferEnd]) -> list[RowWrite]:
    """Offers that were made, and what became of offers; an id may be among each once."""
    made = _write("offer_rows", [msgspec.structs.astuple(row) for row in offers])
    return made + _write("offer_ends", [msgspec.structs.astuple(row) for row in ends])


def watermark(now: int) -> RowWrite:
    """Everything until then is stored with this."""
    return RowWrite("figure_watermark", [now])


def _write(statement: str, rows: Sequence[tuple[Any, ...]]) -> list[RowWrite]:
    return [RowWrite(statement, [list(column) for column in zip(*rows, strict=True)])] if rows else []
