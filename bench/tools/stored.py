"""A big floor as a killed exchange leaves it: configuration, snapshot, log, contacts with their data and first messages."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from api.auth import hash_password, token_hash
from bench.tools import busy
from exchange.brain import logged, records
from exchange.brain.house import freeze
from storage.database import Database
from storage.embedded import DATABASE
from storage.entries import day_of
from storage.log import EventLog
from tests.tools.postgres import PostgresServer

TOKEN = secrets.token_urlsafe(16)
"""Of a supervisor who is logged in."""
CAD = '{"account": "4711", "language": "en", "reason": "delivery"}'
ENDS_AFTER = 60.0
"""Seconds from the snapshot to the log's end, about."""


async def fill(dsn: str, spool: Path, floor: busy.BusyHouse, events: int) -> dict[str, Any]:
    """What is stored of the floor, and of so many events more."""
    snapshot = freeze(floor.house)
    while len(floor.log) < events:
        floor.step()
    kept = floor.log[:events]
    rows = [
        (day_of(record.at), 1, 2 + n, record.at, records.KIND, records.encode(record), logged.encode(outcome.decided))
        for n, (record, outcome) in enumerate(kept)
    ]
    async with Database(dsn, command_timeout=120) as database:
        async with EventLog(database, spool) as log:
            await log.append("bench", b"", rows[0][3])
            await log.save_snapshot(1, 1, snapshot)
        async with database.connection() as connection:
            await _people(connection, floor)
            await _contacts(connection, floor)
            for day in {row[0] for row in rows}:
                await connection.execute("SELECT make_log_day($1)", day)
            await connection.copy_records_to_table("event_log", records=rows)
            await connection.execute("VACUUM ANALYZE")
    return {"snapshot_mb": round(len(snapshot) / 1e6, 1), "log_mb": round(sum(len(r[5]) + len(r[6]) for r in rows) / 1e6, 1)}


async def _people(connection: Any, floor: busy.BusyHouse) -> None:
    documents = [("queue", each.id, msgspec.json.encode(each).decode()) for each in busy.queues()]
    documents += [("agent", each.id, msgspec.json.encode(each).decode()) for each in floor.people]
    await connection.executemany("INSERT INTO documents (kind, id, version, body) VALUES ($1, $2, 1, $3)", documents)
    await connection.execute(
        "INSERT INTO users (id, name, display, role, password_hash) VALUES ('boss', 'boss', 'Boss', 'supervisor', $1)",
        hash_password(secrets.token_urlsafe(8)),
    )
    await connection.execute(
        "INSERT INTO sessions (token_hash, user_id, expires) VALUES ($1, 'boss', now() + interval '1 day')", token_hash(TOKEN)
    )


async def _contacts(connection: Any, floor: busy.BusyHouse) -> None:
    ids = [uuid.UUID(int=n + 1) for n in range(floor.contacts)]
    at = datetime.fromtimestamp(floor.at, UTC)
    await connection.copy_records_to_table(
        "contacts",
        records=[(id, "chat", f"+49 30 {id.int:07}", "shop", f"Customer {id.int}", "", at, CAD) for id in ids],
        columns=["id", "channel", "ani", "dnis", "display", "entry_point", "arrived", "cad"],
    )
    await connection.copy_records_to_table(
        "messages",
        records=[(id, number, "customer", "", at, "Where is my parcel?") for id in ids for number in (1, 2)],
        columns=["contact", "number", "author", "agent", "at", "body"],
    )


async def copied(server: PostgresServer, name: str) -> str:
    """The DSN of a copy of it: each start finds the same."""
    await _administer(server, f"CREATE DATABASE {name} TEMPLATE {DATABASE}")
    return server.embedded.dsn.replace(f"/{DATABASE}?", f"/{name}?")


async def dropped(server: PostgresServer, name: str) -> None:
    """The copy is not needed any more."""
    await _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


async def _administer(server: PostgresServer, command: str) -> None:
    connection = await asyncpg.connect(server.embedded.dsn.replace(f"/{DATABASE}?", "/postgres?"))
    try:
        await connection.execute(command)
    finally:
        await connection.close()
