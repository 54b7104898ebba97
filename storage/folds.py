"""How far each fold over the log is, with its state: a row of `log_readers`, moved in one transaction with the fold's rows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from storage.database import Database
from storage.entries import Position
from storage.errors import Superseded
from storage.rows import STATEMENTS, RowWrite


class FoldState(msgspec.Struct, frozen=True):
    """What was saved last."""

    position: Position
    version: int
    state: bytes | None


class FoldStates:
    """Loads and saves; every method may raise DatabaseAway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, name: str) -> FoldState | None:
        """None for a fold that never was."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow('SELECT epoch, "offset", version, state FROM log_readers WHERE name = $1', name)
        return FoldState(Position(row["epoch"], row["offset"]), row["version"], row["state"]) if row is not None else None

    async def begin(self, name: str, version: int, position: Position) -> None:
        """Put a fold down here without a state, whatever was saved."""
        async with self._database.connection() as connection:
            await connection.execute(
                'INSERT INTO log_readers (name, epoch, "offset", version) VALUES ($1, $2, $3, $4) ON CONFLICT (name)'
                ' DO UPDATE SET epoch = $2, "offset" = $3, version = $4, state = NULL, seen = now()',
                name,
                *position,
                version,
            )

    async def save(
        self, name: str, version: int, before: Position, position: Position, state: bytes, rows: Sequence[RowWrite]
    ) -> None:
        """Move it from where it was to where it is, with its rows, or not at all.

        Raises Superseded when it is not where it was (another process moves it), asyncpg.PostgresError for a bad row.
        """
        async with self._database.connection() as connection, connection.transaction():
            moved = await connection.fetchval(
                'UPDATE log_readers SET epoch = $5, "offset" = $6, state = $7, seen = now()'
                ' WHERE name = $1 AND version = $2 AND (epoch, "offset") = ($3, $4) RETURNING 1',
                name,
                version,
                *before,
                *position,
                state,
            )
            if moved is None:
                raise Superseded(f"Another process keeps the fold {name}.")
            for write in rows:
                await connection.execute(STATEMENTS[write.statement], *write.args)
