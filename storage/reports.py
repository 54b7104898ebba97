"""What is read from the figures: sums by intervals and keys, and the rows behind a count."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from acd.figures.measures import QUARTER, Quarter, VisitFigures, WorkFigures
from acd.figures.rows import Rows
from storage.errors import BadSearch
from storage.queries import Found, Queries, Row, encode_cursor


class By(msgspec.Struct, frozen=True):
    """Which figures are meant; None means any."""

    queue: str | None = None
    channel: str | None = None
    kind: str | None = None
    agent: str | None = None


class Reports(Queries):
    """Reads over one database; every method may raise DatabaseAway, and BadSearch for what the database cannot hold."""

    async def visit_sums(self, bounds: Sequence[datetime], keys: Sequence[str], by: By, newest: datetime) -> list[Row]:
        """Sums of VisitFigures by interval (`bucket`, from 0) and keys of `queue`, `channel`, `kind`.

        `open` is that of an interval's last quarter; of one that is not over that of the quarter of `newest`.
        """
        lasts = [min(end.timestamp() - QUARTER, newest.timestamp() // QUARTER * QUARTER) for end in bounds[1:]]
        sums = [
            f"sum({name})::bigint AS {name}" for name in VisitFigures.__struct_fields__ if name not in ("open", "longest_ms")
        ]
        sums.append("max(longest_ms) AS longest_ms")
        sums.append(
            "coalesce(sum(open) FILTER (WHERE extract(epoch FROM start) = ANY($2::double precision[])), 0)::bigint AS open"
        )
        return await self._sums("figure_visits", bounds, keys, sums, by, lasts)

    async def end_sums(self, bounds: Sequence[datetime], keys: Sequence[str], by: By) -> list[Row]:
        """How many visits ended in which way, for which reason."""
        return await self._sums("figure_ends", bounds, [*keys, "how", "reason"], ["sum(count)::bigint AS count"], by)

    async def work_sums(self, bounds: Sequence[datetime], keys: Sequence[str], by: By) -> list[Row]:
        """Sums of WorkFigures by interval and keys of `agent`, `queue`, `channel`, `kind`."""
        sums = [f"sum({name})::bigint AS {name}" for name in WorkFigures.__struct_fields__]
        return await self._sums("figure_work", bounds, keys, sums, by)

    async def state_sums(self, bounds: Sequence[datetime], by: By) -> list[Row]:
        """Milliseconds by interval, agent, state and code."""
        only = By(agent=by.agent)
        return await self._sums("figure_states", bounds, ["agent", "state", "code"], ["sum(ms)::bigint AS ms"], only)

    async def complete_to(self) -> datetime | None:
        """Until when everything that happened is in the figures; None: nothing is."""
        row = await self._row("SELECT at FROM figure_watermark")
        return row["at"] if row is not None else None

    async def sum_of(self, since: datetime, until: datetime) -> Quarter:
        """All figures of the time between two borders of quarters, as if it were one; without open visits."""
        total = Quarter(int(since.timestamp()))
        if since >= until:
            return total
        when, by = [since, until], By()
        for row in await self.visit_sums(when, ("queue", "channel", "kind"), by, since):
            figures = VisitFigures(**{name: row[name] for name in VisitFigures.__struct_fields__})
            figures.open = 0
            total.visits[row["queue"], row["channel"], row["kind"]] = figures
        for row in await self.end_sums(when, ("queue", "channel", "kind"), by):
            total.ends[row["queue"], row["channel"], row["kind"], row["how"], row["reason"]] = row["count"]
        for row in await self.work_sums(when, ("agent", "queue", "channel", "kind"), by):
            done = WorkFigures(**{name: row[name] for name in WorkFigures.__struct_fields__})
            total.work[row["agent"], row["queue"], row["channel"], row["kind"]] = done
        for row in await self.state_sums(when, by):
            total.states[row["agent"], row["state"], row["code"]] = row["ms"]
        return total

    async def _sums(
        self,
        table: str,
        bounds: Sequence[datetime],
        keys: Sequence[str],
        sums: Sequence[str],
        by: By,
        lasts: Sequence[float] | None = None,
    ) -> list[Row]:
        args: list[Any] = [list(bounds), *([list(lasts)] if lasts is not None else [])]
        where = _equal(by, args)
        named = "".join(f", {key}" for key in keys)
        groups = ", ".join(str(n + 1) for n in range(1 + len(keys)))
        return await self._fetch(
            f"SELECT width_bucket(start, $1::timestamptz[]) - 1 AS bucket{named}, {', '.join(sums)} FROM {table}"  # noqa: S608  our own names
            f" WHERE start >= ($1::timestamptz[])[1] AND start < ($1::timestamptz[])[cardinality($1)]{where}"
            f" GROUP BY {groups} ORDER BY {groups}",
            *args,
        )

    # --- behind ---------------------------------------------------------------------------------------------------

    async def count_behind(self, rows: Sequence[Rows], since: datetime, until: datetime, by: By) -> int:
        """How many rows are behind a figure of the time between two borders of quarters."""
        args: list[Any] = [since, until]
        sql = _behind(rows, by, args)
        found = await self._row(f"SELECT count(*) AS count FROM ({sql}) AS behind", *args)  # noqa: S608  as above
        return int(found["count"]) if found is not None else 0

    async def behind(
        self, rows: Sequence[Rows], since: datetime, until: datetime, by: By, limit: int, before: str | None = None
    ) -> Found:
        """The rows themselves, newest first; raises BadSearch for a bad cursor."""
        args: list[Any] = [since, until]
        sql = f"SELECT * FROM ({_behind(rows, by, args)}) AS behind"  # noqa: S608  as above
        if before is not None:
            args.extend(_cursor(before))
            sql += f" WHERE (began, id) < (${len(args) - 1}, ${len(args)})"
        args.append(limit + 1)
        found = await self._fetch(f"{sql} ORDER BY began DESC, id DESC LIMIT ${len(args)}", *args)
        page = found[:limit]
        return Found(page, encode_cursor(page[-1]["began"], page[-1]["id"]) if len(found) > limit else None)


def _cursor(text: str) -> tuple[datetime, str]:
    """Where a page ended; raises BadSearch for a text that is no cursor of ours."""
    try:
        at, _, id = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition("|")
        moment = datetime.fromisoformat(at)
    except (binascii.Error, ValueError) as error:
        raise BadSearch("that is not a cursor") from error
    if moment.tzinfo is None:
        raise BadSearch("that is not a cursor")
    return moment, id


_TABLES = {
    "visits": (
        "SELECT t.id, t.contact, t.queue, coalesce(s.agent, '') AS agent, t.channel, t.kind, t.queued AS began, t.ended, t.how,"
        " t.reason, t.waited, t.talked FROM visits t LEFT JOIN LATERAL (SELECT agent FROM segments WHERE contact = t.contact"
        " AND visit = t.id ORDER BY number DESC LIMIT 1) s ON true",
        "t.queued",
    ),
    "segments": (
        "SELECT t.contact || '/' || t.number AS id, t.contact, t.queue, t.agent, v.channel, v.kind, t.started AS began,"
        " t.ended, t.how, coalesce(t.wrap_up_code, '') AS reason, NULL::double precision AS waited, t.talked"
        " FROM segments t LEFT JOIN visits v ON v.id = t.visit",
        "t.started",
    ),
    "offers": (
        "SELECT t.id, t.contact, t.queue, t.agent, t.channel, t.kind, t.made AS began, t.ended, t.how,"
        " coalesce(nullif(t.reason, ''), t.why) AS reason, NULL::double precision AS waited, NULL::double precision AS talked"
        " FROM offers t",
        "t.made",
    ),
}


def _behind(rows: Sequence[Rows], by: By, args: list[Any]) -> str:
    """The union of the rows of each condition; $1 and $2 are the borders."""
    return " UNION ALL ".join(_rows(each, by, args) for each in rows)


def _rows(rows: Rows, by: By, args: list[Any]) -> str:
    select, began = _TABLES[rows.table]
    match rows.moment:
        case "began":
            when = f"{began} >= $1 AND {began} < $2"
        case "ended":
            when = "t.ended >= $1 AND t.ended < $2"
        case "open":
            when = f"$1::timestamptz < $2::timestamptz AND {began} < $2 AND (t.ended IS NULL OR t.ended >= $2)"
    parts = [when]
    if rows.how:
        args.append(list(rows.how))
        parts.append(f"t.how = ANY(${len(args)})")
    if rows.within is not None:
        parts.append("t.within" if rows.within else "NOT t.within")
    of_visit = "v" if rows.table == "segments" else "t"
    columns = {"queue": "t", "channel": of_visit, "kind": of_visit, "agent": "s" if rows.table == "visits" else "t"}
    return f"{select} WHERE {' AND '.join(parts)}{_equal(by, args, columns)}"


def _equal(by: By, args: list[Any], columns: dict[str, str] | None = None) -> str:
    found = ""
    for name, value in msgspec.structs.asdict(by).items():
        if value is not None:
            args.append(value)
            found += f" AND {columns[name] + '.' if columns else ''}{name} = ${len(args)}"
    return found
