"""What is read from the records, and the few writes that are no event: people, sessions, documents."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from storage.database import Database
from storage.errors import BadSearch

Row = asyncpg.Record


class Found(msgspec.Struct, frozen=True):
    """One page: rows, and the cursor of the next page."""

    rows: list[Row]
    next: str | None


class Filter(msgspec.Struct, frozen=True):
    """What contacts and recordings are searched by; None means any."""

    since: datetime | None = None
    until: datetime | None = None
    number: str | None = None
    agent: str | None = None
    queue: str | None = None
    final: str | None = None
    limit: int = 50
    before: str | None = None


class User(msgspec.Struct, frozen=True):
    id: str
    name: str
    display: str
    role: str
    password_hash: str


def encode_cursor(at: datetime, id: object) -> str:
    """Where a page ended, as opaque text."""
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{id}".encode()).decode().rstrip("=")


def decode_cursor(text: str) -> tuple[datetime, str]:
    """Raises BadSearch for a text that is no cursor of ours."""
    try:
        at, _, id = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition("|")
        moment, id = datetime.fromisoformat(at), str(uuid.UUID(id))
    except (binascii.Error, ValueError) as error:
        raise BadSearch("that is not a cursor") from error
    if moment.tzinfo is None:
        raise BadSearch("that is not a cursor")
    return moment, id


class Queries:
    """Reads over one database; every method may raise DatabaseAway, and BadSearch for what the database cannot hold."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        try:
            async with self._database.connection() as connection:
                yield connection
        except asyncpg.DataError as error:
            raise BadSearch("the database cannot hold such a value") from error

    async def _fetch(self, sql: str, *args: Any) -> list[Row]:
        async with self._connection() as connection:
            return list(await connection.fetch(sql, *args))

    async def _row(self, sql: str, *args: Any) -> Row | None:
        async with self._connection() as connection:
            return await connection.fetchrow(sql, *args)

    async def _execute(self, sql: str, *args: Any) -> None:
        async with self._connection() as connection:
            await connection.execute(sql, *args)

    # --- people and sessions --------------------------------------------------------------------------------------

    async def user_by_name(self, name: str) -> User | None:
        row = await self._row("SELECT * FROM users WHERE lower(name) = lower($1) AND NOT disabled", name)
        return _user(row) if row is not None else None

    async def put_user(self, id: str, name: str, display: str, role: str, password_hash: str) -> None:
        """Make a person, or set everything of them anew."""
        await self._execute(
            "INSERT INTO users (id, name, display, role, password_hash) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id)"
            " DO UPDATE SET name = $2, display = $3, role = $4, password_hash = $5",
            id,
            name,
            display,
            role,
            password_hash,
        )

    async def users(self, role: str | None = None) -> list[User]:
        rows = await self._fetch(
            "SELECT * FROM users WHERE NOT disabled AND ($1::text IS NULL OR role = $1) ORDER BY name", role
        )
        return [_user(row) for row in rows]

    async def open_session(self, token_hash: bytes, user: str, expires: datetime) -> None:
        await self._execute("DELETE FROM sessions WHERE expires < now()")
        await self._execute(
            "INSERT INTO sessions (token_hash, user_id, expires) VALUES ($1, $2, $3)", token_hash, user, expires
        )

    async def user_by_session(self, token_hash: bytes) -> User | None:
        row = await self._row(
            "SELECT u.* FROM sessions s JOIN users u ON u.id = s.user_id"
            " WHERE s.token_hash = $1 AND s.expires > now() AND NOT u.disabled",
            token_hash,
        )
        return _user(row) if row is not None else None

    async def close_session(self, token_hash: bytes) -> None:
        await self._execute("DELETE FROM sessions WHERE token_hash = $1", token_hash)

    # --- documents ------------------------------------------------------------------------------------------------

    async def document(self, kind: str, id: str) -> tuple[int, str] | None:
        """Version and body of the newest version."""
        row = await self._row(
            "SELECT version, body FROM documents WHERE kind = $1 AND id = $2 ORDER BY version DESC LIMIT 1", kind, id
        )
        return (row["version"], row["body"]) if row is not None else None

    async def documents(self, kind: str) -> list[tuple[str, int, str]]:
        """Id, version and body of all versions, oldest first (callers stay in the version they began)."""
        rows = await self._fetch("SELECT id, version, body FROM documents WHERE kind = $1 ORDER BY id, version", kind)
        return [(row["id"], row["version"], row["body"]) for row in rows]

    async def newest_documents(self, kinds: list[str]) -> list[Row]:
        """Kind, id, version, body, changed_by, created and deleted of the newest version of each document."""
        return await self._fetch(
            "SELECT DISTINCT ON (kind, id) * FROM documents WHERE kind = ANY($1) ORDER BY kind, id, version DESC", kinds
        )

    async def put_document(self, kind: str, id: str, body: str) -> int:
        """A new version, unless the newest one says the same; the version's number."""
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", f"{kind}/{id}")
            row = await connection.fetchrow(
                "SELECT version, body FROM documents WHERE kind = $1 AND id = $2 ORDER BY version DESC LIMIT 1", kind, id
            )
            if row is not None and row["body"] == body:
                return int(row["version"])
            version = int(row["version"]) + 1 if row is not None else 1
            await connection.execute(
                "INSERT INTO documents (kind, id, version, body) VALUES ($1, $2, $3, $4)", kind, id, version, body
            )
            return version

    # --- contacts -------------------------------------------------------------------------------------------------

    async def contacts(self, by: Filter) -> Found:
        """Newest first; raises BadSearch for a bad cursor."""
        where, args = _where(by, "c.arrived", "c.id", {"c.ani": by.number, "c.agent": by.agent, "c.queue": by.queue})
        if by.final is not None:
            args.append(by.final)
            where += f" AND c.final = ${len(args)}"
        args.append(by.limit + 1)
        rows = await self._fetch(
            "SELECT c.*, u.display AS agent_name FROM contacts c LEFT JOIN users u ON u.id = c.agent"  # noqa: S608
            f" WHERE {where} ORDER BY c.arrived DESC, c.id DESC LIMIT ${len(args)}",
            *args,
        )
        return _page(rows, by.limit, "arrived")

    async def contact(self, id: str) -> Row | None:
        return await self._row(
            "SELECT c.*, u.display AS agent_name FROM contacts c LEFT JOIN users u ON u.id = c.agent WHERE c.id = $1", id
        )

    async def segments(self, contact: str) -> list[Row]:
        return await self._fetch(
            "SELECT s.*, u.display AS agent_name FROM segments s LEFT JOIN users u ON u.id = s.agent"
            " WHERE contact = $1 ORDER BY number",
            contact,
        )

    async def visits(self, contact: str) -> list[Row]:
        """The stays in queues that are over, in order."""
        return await self._fetch("SELECT * FROM visits WHERE contact = $1 AND ended IS NOT NULL ORDER BY queued, id", contact)

    async def legs(self, contact: str) -> list[Row]:
        return await self._fetch("SELECT * FROM legs WHERE contact = $1 ORDER BY started NULLS LAST, id", contact)

    async def open_contacts(self, ids: list[str]) -> list[Row]:
        """Who is calling, for the contacts that a restart finds open."""
        return await self._fetch(
            "SELECT id, ani, dnis, display, cad, callback, trunk, source FROM contacts WHERE id = ANY($1::uuid[])", ids
        )

    async def events_about(self, contact: str, since: float, until: float | None) -> list[Row]:
        """Events between two times whose effects name a contact, in order; with their effects."""
        return await self._fetch(
            'SELECT epoch, "offset", at, kind, body, effects, day FROM event_log'
            " WHERE day >= (to_timestamp($2) AT TIME ZONE 'UTC')::date - 1 AND at >= $2 AND ($3::float8 IS NULL OR at <= $3)"
            " AND ($3::float8 IS NULL OR day <= (to_timestamp($3) AT TIME ZONE 'UTC')::date + 1)"
            " AND position(convert_to($1, 'UTF8') in effects) > 0 ORDER BY day, epoch, \"offset\"",
            contact,
            since,
            until,
        )

    async def decisions(self, contact: str) -> list[Row]:
        """A contact's decisions in their order, with the effects of their events; those of days that were dropped are gone."""
        return await self._fetch(
            'SELECT d.epoch, d."offset", d.index, d.made, e.effects FROM decisions d CROSS JOIN LATERAL (SELECT day FROM'
            ' log_days WHERE (epoch, "offset") <= (d.epoch, d."offset") ORDER BY epoch DESC, "offset" DESC LIMIT 1) l'
            ' JOIN event_log e ON e.day = l.day AND e.epoch = d.epoch AND e."offset" = d."offset"'
            ' WHERE d.contact = $1 ORDER BY d.epoch, d."offset", d.index',
            contact,
        )

    # --- recordings -----------------------------------------------------------------------------------------------

    async def recordings(self, by: Filter) -> Found:
        """Newest first, those thrown away left out; raises BadSearch for a bad cursor."""
        columns = {"c.ani": by.number, "r.agent": by.agent, "coalesce(r.queue, c.queue)": by.queue}
        where, args = _where(by, "r.started", "r.id", columns)
        args.append(by.limit + 1)
        rows = await self._fetch(
            f"SELECT {_RECORDING} WHERE r.state <> 'dropped' AND {where} ORDER BY r.started DESC, r.id DESC LIMIT ${len(args)}",
            *args,
        )
        return _page(rows, by.limit, "started")

    async def recording(self, id: str) -> Row | None:
        return await self._row(f"SELECT {_RECORDING} WHERE r.id = $1", id)

    async def recordings_of(self, contact: str) -> list[str]:
        rows = await self._fetch(
            "SELECT id FROM recordings WHERE contact = $1 AND state <> 'dropped' ORDER BY started", contact
        )
        return [str(row["id"]) for row in rows]

    async def unfiled(self) -> list[Row]:
        """Recordings that are not in the vault yet."""
        return await self._fetch(
            "SELECT r.*, c.final AS contact_final FROM recordings r LEFT JOIN contacts c ON c.id = r.contact"
            " WHERE r.state IN ('pending', 'closed') ORDER BY r.started"
        )


_RECORDING = (
    "r.*, c.ani, coalesce(r.queue, c.queue) AS of_queue, u.display AS agent_name"
    " FROM recordings r LEFT JOIN contacts c ON c.id = r.contact LEFT JOIN users u ON u.id = r.agent"
)


def _user(row: Row) -> User:
    return User(row["id"], row["name"], row["display"], row["role"], row["password_hash"])


def _where(by: Filter, time: str, id: str, columns: dict[str, str | None]) -> tuple[str, list[Any]]:
    parts, args = ["true"], list[Any]()
    for condition, value in ((f"{time} >= ", by.since), (f"{time} < ", by.until)):
        if value is not None:
            args.append(value)
            parts.append(f"{condition}${len(args)}")
    for column, text in columns.items():
        if text is not None:
            args.append(text)
            parts.append(f"{column} = ${len(args)}")
    if by.before is not None:
        args.extend(decode_cursor(by.before))
        parts.append(f"({time}, {id}) < (${len(args) - 1}, ${len(args)}::uuid)")
    return " AND ".join(parts), args


def _page(rows: list[Row], limit: int, time: str) -> Found:
    more = len(rows) > limit
    rows = rows[:limit]
    return Found(rows, encode_cursor(rows[-1][time], rows[-1]["id"]) if more else None)
