"""Numbered plain SQL, each file once, in a transaction of its own, one process at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

import asyncpg
import structlog

from storage.errors import MigrationError

log = structlog.get_logger(__name__)

_LOCK = 0x5357_4954_4348
"""Key of the advisory lock."""

_NAME = re.compile(r"(\d{3})_[a-z0-9_]+\.sql")


@dataclass(frozen=True)
class Migration:
    """One file."""

    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        """Tells an applied file from an edited one."""
        return sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All files, in order; numbers may be left out. Raises MigrationError when two have the same."""
    found = []
    for entry in files("storage").joinpath("migrations").iterdir():
        match = _NAME.fullmatch(entry.name)
        if match:
            found.append(Migration(int(match[1]), entry.name, entry.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.number)
    if len({migration.number for migration in found}) != len(found):
        raise MigrationError(f"two migrations have the same number: {[m.name for m in found]}")
    return found


async def migrate(connection: asyncpg.Connection, wanted: list[Migration] | None = None) -> list[str]:
    """Bring the database up to date; gives the names of the files that were run now."""
    wanted = migrations() if wanted is None else wanted
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        return await _run_missing(connection, wanted)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _run_missing(connection: asyncpg.Connection, wanted: list[Migration]) -> list[str]:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (number integer PRIMARY KEY, name text NOT NULL, digest text NOT NULL,"
        " applied timestamptz NOT NULL DEFAULT now())"
    )
    applied = {row["number"]: row for row in await connection.fetch("SELECT number, name, digest FROM migrations")}
    newest, known = max(applied, default=0), max((migration.number for migration in wanted), default=0)
    if newest > known:
        raise MigrationError(f"the database is at migration {newest}, this version knows {known}: run a newer version")
    done = []
    for migration in wanted:
        row = applied.get(migration.number)
        if row is not None:
            if row["digest"] != migration.digest:
                raise MigrationError(f"migration {migration.name} was changed after it was applied as {row['name']}")
            continue
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO migrations (number, name, digest) VALUES ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.digest,
            )
        log.info("database migrated", migration=migration.name)
        done.append(migration.name)
    return done
