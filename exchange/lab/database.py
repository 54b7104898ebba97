"""The event log of a database, read by days."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

from acd.events import Configured
from exchange.brain import flows, records
from exchange.brain.records import Routing
from exchange.lab.errors import LabError
from ivr.document import Flow
from storage.database import Database
from storage.entries import BEGINNING, LogRow, Position, day_of
from storage.errors import BadSearch
from storage.history import History
from storage.queries import Queries

AFTERWARDS = 7200.0
"""So long after a contact's end there may still be work about it."""


class DatabaseLog:
    """Everything that is kept."""

    def __init__(self, database: Database, name: str) -> None:
        self.name = name
        self._database = database
        self._history = History(database)

    async def span(self) -> tuple[float, float] | None:
        """Times of the oldest and the newest event."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow("SELECT min(at) AS first, max(at) AS last FROM event_log")
        return (row["first"], row["last"]) if row is not None and row["first"] is not None else None

    async def before(self, at: float) -> Position:
        """The end of the day before; the clock of a day's first event may be a little off its midnight."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                'SELECT epoch, "offset" FROM log_days WHERE day <= $1 ORDER BY day DESC LIMIT 1', day_of(at)
            )
        return Position(row["epoch"], row["offset"] - 1) if row is not None else BEGINNING

    async def rows(self, after: Position) -> AsyncIterator[LogRow]:
        """All events behind a position, in order."""
        async for row in self._history.read(after):
            yield row

    async def configured(self, before: float) -> Configured | None:
        """The newest configuration that was logged before this time."""
        async with self._database.connection() as connection, connection.transaction():
            query = connection.cursor(
                "SELECT body FROM event_log WHERE day <= $1 AND at < $2 AND position($3::bytea in body) > 0"
                ' ORDER BY day DESC, epoch DESC, "offset" DESC',
                day_of(before) + timedelta(days=1),
                before,
                b"configured",
                prefetch=10,
            )
            async for row in query:
                match records.decode(row["body"]).input:
                    case Routing(Configured() as found):
                        return found
                    case _:
                        pass
        return None

    async def snapshot(self, before: float) -> tuple[Position, bytes] | None:
        """The newest snapshot as of this time or earlier."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(
                'SELECT s.epoch, s."offset", s.body FROM snapshots s JOIN event_log e'
                ' ON e.epoch = s.epoch AND e."offset" = s."offset" AND e.at <= $1'
                ' ORDER BY s.epoch DESC, s."offset" DESC LIMIT 1',
                before,
            )
        return (Position(row["epoch"], row["offset"]), row["body"]) if row is not None else None

    async def at(self, position: Position) -> float:
        """Time of an event; 0 when it is not there."""
        async with self._database.connection() as connection:
            return float(
                await connection.fetchval('SELECT at FROM event_log WHERE epoch = $1 AND "offset" = $2', *position) or 0.0
            )

    async def flows(self) -> list[Flow]:
        """All published flows, all versions."""
        return await flows.load(Queries(self._database))

    async def flow_documents(self) -> list[tuple[str, int, str]]:
        """Their texts."""
        return await Queries(self._database).documents(flows.KIND_FLOW)

    async def about(self, contact: str) -> list[LogRow]:
        """Events whose effects name a contact; raises LabError for what is no id."""
        queries = Queries(self._database)
        try:
            row = await queries.contact(contact)
        except BadSearch as error:
            raise LabError(f"{contact} is no contact's id.") from error
        since, until = _born(contact) - 1.0, None
        if row is not None:
            since = row["arrived"].timestamp() - 1.0
            until = row["ended"].timestamp() + AFTERWARDS if row["ended"] is not None else None
        return [LogRow(*found) for found in await queries.events_about(contact, since, until)]

    async def users(self) -> dict[str, str]:
        """Names of people by id."""
        return {user.id: user.display for user in await Queries(self._database).users()}


def _born(contact: str) -> float:
    """Time in a UUIDv7; raises LabError."""
    try:
        found = UUID(contact)
    except ValueError as error:
        raise LabError(f"{contact} is no contact's id.") from error
    return (found.int >> 80) / 1000.0 if found.version == 7 else 0.0
