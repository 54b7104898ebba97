"""What is read of conversations, broadcasts and kept answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from storage.database import Database
from storage.errors import BadSearch

MOST_MESSAGES = 500
"""Read at once."""


class MessageRow(msgspec.Struct, frozen=True):
    """One message of a conversation."""

    number: int
    author: str
    agent: str
    at: datetime
    body: str


class BroadcastRow(msgspec.Struct, frozen=True):
    id: str
    at: datetime
    by: str
    body: str
    agents: tuple[str, ...]


class Answer(msgspec.Struct, frozen=True):
    """What a request with a key was answered; `digest` tells the same request from another one with its key."""

    digest: bytes
    status: int
    body: dict[str, Any]


class Conversations:
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

    async def messages(self, contact: str, after: int = 0, most: int = MOST_MESSAGES) -> list[MessageRow]:
        """The messages with greater numbers, in order."""
        async with self._connection() as connection:
            rows = await connection.fetch(
                "SELECT number, author, agent, at, body FROM messages WHERE contact = $1 AND number > $2"
                " ORDER BY number LIMIT $3",
                contact,
                after,
                most,
            )
        return [MessageRow(*row) for row in rows]

    async def newest_messages(self, contacts: Sequence[str], most: int = MOST_MESSAGES) -> dict[str, list[MessageRow]]:
        """Of each of these contacts the newest messages, in order."""
        async with self._connection() as connection:
            rows = await connection.fetch(
                "SELECT m.contact, m.number, m.author, m.agent, m.at, m.body FROM unnest($1::uuid[]) AS c (id)"
                " CROSS JOIN LATERAL (SELECT * FROM messages WHERE contact = c.id ORDER BY number DESC LIMIT $2) m"
                " ORDER BY m.contact, m.number",
                list(contacts),
                most,
            )
        found: dict[str, list[MessageRow]] = {}
        for contact, *row in rows:
            found.setdefault(str(contact), []).append(MessageRow(*row))
        return found

    async def broadcasts(self, since: datetime) -> list[BroadcastRow]:
        """What was said to whom, in order."""
        async with self._connection() as connection:
            rows = await connection.fetch(
                'SELECT id, at, "by", body, agents FROM broadcasts WHERE at >= $1 ORDER BY at, id', since
            )
        return [BroadcastRow(str(id), at, by, body, tuple(agents)) for id, at, by, body, agents in rows]

    async def answer(self, asker: str, key: str) -> Answer | None:
        """What this user's request with this key was answered."""
        async with self._connection() as connection:
            row = await connection.fetchrow(
                "SELECT digest, status, body FROM answers WHERE asker = $1 AND key = $2", asker, key
            )
        return Answer(row["digest"], row["status"], json.loads(row["body"])) if row is not None else None

    async def forget_answers(self, before: datetime) -> None:
        """Keys of before that are free again."""
        async with self._connection() as connection:
            await connection.execute("DELETE FROM answers WHERE at < $1", before)
