"""`switchroom shadow`: what is tried, and who would have waited more or less for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from statistics import fmean

import msgspec

from acd.sentences import Names
from exchange.bookkeeper.shadow import ID, KIND, Order
from exchange.lab import rules
from exchange.lab.errors import LabError
from exchange.lab.times import show
from storage.database import Database
from storage.queries import Queries

SAME = 1.0
"""Seconds by which waits may differ and count as equal."""
MOST = 10


class Contact(msgspec.Struct, frozen=True):
    """Who gains or loses most."""

    contact: str
    queued: float
    waited: float
    how: str
    shadow_waited: float
    shadow_how: str


class QueueReport(msgspec.Struct, frozen=True):
    """One queue; "" is all."""

    contacts: int
    less: int
    same: int
    more: int
    answered_instead: int
    """Left in truth, and would have been answered."""
    lost_instead: int
    """Answered in truth, and would have left."""
    abandoned: int
    shadow_abandoned: int
    mean: float | None
    """Wait of those answered, live."""
    shadow_mean: float | None
    p50: float | None
    shadow_p50: float | None
    p90: float | None
    shadow_p90: float | None
    within: float | None
    """Share answered within 20 s, of those answered or abandoned."""
    shadow_within: float | None


class Report(msgspec.Struct, frozen=True):
    """`switchroom shadow report --json`."""

    on: bool
    rules: str
    since: float
    """When it was started."""
    until: float | None
    """The newest contact that is through in both worlds."""
    queues: dict[str, QueueReport]
    gain: list[Contact]
    loss: list[Contact]
    names: dict[str, str] = {}
    """Of the queues."""


async def start(database: Database, path: Path, lag: float) -> list[str]:
    """Order it; the warnings that the rules deserve. Raises LabError, DatabaseAway."""
    found, warnings = rules.load(path)
    await _order(database, Order(True, found, path.name, lag))
    return warnings


async def stop(database: Database) -> None:
    """Order its end; raises LabError when none runs."""
    _, order, _ = await _standing(database)
    if not order.on:
        raise LabError("No shadow is running.")
    await _order(database, Order(False, None, order.name))


async def _order(database: Database, order: Order) -> None:
    # A version that says the same as the newest would not be a new one: to start anew is meant.
    body = msgspec.json.encode(order).decode()
    stamp = datetime.now(UTC).isoformat()
    await Queries(database).put_document(KIND, ID, body[:-1] + f',"ordered":"{stamp}"}}')


async def _standing(database: Database) -> tuple[int, Order, float]:
    async with database.connection() as connection:
        row = await connection.fetchrow(
            "SELECT version, body, extract(epoch FROM created)::float8 AS created FROM documents"
            " WHERE kind = $1 AND id = $2 ORDER BY version DESC LIMIT 1",
            KIND,
            ID,
        )
    if row is None:
        return 0, Order(False), 0.0
    return row["version"], msgspec.json.decode(row["body"], type=Order), row["created"]


class Row(msgspec.Struct, frozen=True):
    """A contact in both worlds, as stored."""

    contact: str
    queue: str
    queued: float
    waited: float
    how: str
    shadow_waited: float
    shadow_how: str


async def report(database: Database, since: float | None) -> Report:
    """Of the contacts that were queued at this time or later; raises LabError when no shadow was ever started."""
    version, order, created = await _standing(database)
    if not version:
        raise LabError("No shadow was ever started: `switchroom shadow start rules.yaml`.")
    async with database.connection() as connection:
        found = await connection.fetch(
            "SELECT contact, queue, extract(epoch FROM queued)::float8, waited, how, shadow_waited, shadow_how"
            " FROM shadow_waits WHERE run = (SELECT max(run) FROM shadow_waits) AND queued >= to_timestamp($1)"
            " ORDER BY queued, contact",
            since or 0.0,
        )
    pairs = [Row(*row) for row in found]
    return summed(pairs, order, created)


def summed(pairs: Sequence[Row], order: Order, created: float) -> Report:
    """The report of these contacts."""
    queues = {"": _queue(pairs)} if pairs else {}
    for queue in sorted({pair.queue for pair in pairs}):
        queues[queue] = _queue([pair for pair in pairs if pair.queue == queue])
    ranked = sorted(pairs, key=lambda pair: (pair.shadow_waited - pair.waited, pair.contact))
    gain = [_contact(p) for p in ranked[:MOST] if p.shadow_waited < p.waited - SAME]
    loss = [_contact(p) for p in ranked[::-1][:MOST] if p.shadow_waited > p.waited + SAME]
    until = max((pair.queued for pair in pairs), default=None)
    return Report(order.on, order.name, created, until, queues, gain, loss, Names.of(order.rules).queues)


def _contact(p: Row) -> Contact:
    return Contact(p.contact, p.queued, p.waited, p.how, p.shadow_waited, p.shadow_how)


def _queue(pairs: Sequence[Row]) -> QueueReport:
    live = sorted(pair.waited for pair in pairs if pair.how == "answered")
    shadow = sorted(pair.shadow_waited for pair in pairs if pair.shadow_how == "answered")
    less = sum(pair.shadow_waited < pair.waited - SAME for pair in pairs)
    more = sum(pair.shadow_waited > pair.waited + SAME for pair in pairs)
    left = sum(pair.how == "abandoned" for pair in pairs)
    shadow_left = sum(pair.shadow_how == "abandoned" for pair in pairs)
    return QueueReport(
        len(pairs),
        less,
        len(pairs) - less - more,
        more,
        sum(p.how != "answered" and p.shadow_how == "answered" for p in pairs),
        sum(p.how == "answered" and p.shadow_how != "answered" for p in pairs),
        left,
        shadow_left,
        fmean(live) if live else None,
        fmean(shadow) if shadow else None,
        _percentile(live, 50),
        _percentile(shadow, 50),
        _percentile(live, 90),
        _percentile(shadow, 90),
        _within(live, left),
        _within(shadow, shadow_left),
    )


def _percentile(values: Sequence[float], of_hundred: int) -> float | None:
    """The smallest value that so many of a hundred do not exceed."""
    return values[max(0, -(-of_hundred * len(values) // 100) - 1)] if values else None


def _within(answered: Sequence[float], left: int) -> float | None:
    asked = len(answered) + left
    return sum(wait <= 20.0 for wait in answered) / asked if asked else None


_LINES = (
    ("answered within 20 s", "within", "shadow_within", 100.0, " %"),
    ("mean wait of the answered", "mean", "shadow_mean", 1.0, " s"),
    ("half wait at most", "p50", "shadow_p50", 1.0, " s"),
    ("90 % wait at most", "p90", "shadow_p90", 1.0, " s"),
    ("abandoned", "abandoned", "shadow_abandoned", 1.0, ""),
)


def text(found: Report, zone: tzinfo) -> str:
    """For a person."""
    state = f"on since {show(found.since, zone)}" if found.on else f"stopped at {show(found.since, zone)}"
    head = f"Shadow {found.rules}: {state}" if found.rules else f"Shadow: {state}"
    if found.until is None:
        return f"{head}; no contact is through in both worlds yet (the shadow is some minutes behind)."
    out = [f"{head}; contacts queued until {show(found.until, zone)}", ""]
    for queue, q in found.queues.items():
        out.append(f"{found.names.get(queue, queue)} ({queue})" if queue else "All queues")
        out.append(f"  {q.contacts} contacts: {q.less} would have waited less, {q.more} more, {q.same} as long")
        instead = f"  {q.answered_instead} who left would have been answered"
        out.append(f"{instead}, {q.lost_instead} who were answered would have left")
        rows = [("", "LIVE", "SHADOW")]
        for label, one, other, scale, unit in _LINES:
            rows.append((label, _value(getattr(q, one), scale, unit), _value(getattr(q, other), scale, unit)))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        out += ["  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        out.append("")
    for title, contacts in (("Greatest gain", found.gain), ("Greatest loss", found.loss)):
        if contacts:
            out.append(f"{title}:")
            out += [f"  {_line(contact, zone)}" for contact in contacts]
    return "\n".join(out).rstrip()


def _value(value: float | None, scale: float, unit: str) -> str:
    if value is None:
        return ""
    return f"{scale * value:.1f}{unit}" if unit else f"{value}"


def _line(c: Contact, zone: tzinfo) -> str:
    return (
        f"{c.contact}, queued {show(c.queued, zone)}: {c.how} after {c.waited:.0f} s, "
        f"would have been {c.shadow_how} after {c.shadow_waited:.0f} s"
    )
