"""One fold with how far it is: it takes each event once, and a fold that fails costs itself alone."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import structlog

from acd.effects import Effect
from exchange.bookkeeper.folds import Fold, Instructed
from exchange.brain.records import Record
from storage.entries import BEGINNING, Position
from storage.folds import FoldStates
from storage.history import History
from storage.queries import Queries
from storage.rows import RowWrite

log = structlog.get_logger()


class Kept:
    """A fold at a place of the log."""

    def __init__(self, fold: Fold, states: FoldStates) -> None:
        self.fold = fold
        self.position = BEGINNING
        """The newest event that it has taken."""
        self.saved = BEGINNING
        self.problem = ""
        self._states = states
        self._rows: list[RowWrite] = []

    async def begin(self, history: History) -> None:
        """Find the saved state, or begin anew."""
        fold = self.fold
        found = await self._states.load(fold.name)
        if found is not None and found.version == fold.version:
            if found.state is not None:
                fold.restore(found.state)
            self.position = self.saved = found.position
            return
        start = await history.end() if fold.begins == "end" else BEGINNING
        await self._states.begin(fold.name, fold.version, start)
        self.position = self.saved = start

    def take(self, position: Position, record: Record | None, effects: Sequence[Effect]) -> None:
        """The next event of the log, whether it was taken already or not; without a record the fold only moves on."""
        if position <= self.position or self.problem:
            return
        try:
            if record is not None:
                self.fold.take(position, record, effects)
        except Exception:
            log.exception("a fold fails", fold=self.fold.name, epoch=position.epoch, offset=position.offset)
            self.problem = f"The fold {self.fold.name} failed at {position.epoch}/{position.offset}: see the bookkeeper's log."
            return
        self.position = position

    async def instruct(self, queries: Queries) -> None:
        """Tell the fold what its document says; raises DatabaseAway."""
        if not isinstance(self.fold, Instructed) or self.problem:
            return
        found = await queries.document(*self.fold.document)
        if found is None:
            return
        try:
            self.fold.told(*found)
        except Exception:
            log.exception("a fold cannot do as its document says", fold=self.fold.name)
            self.problem = f"The fold {self.fold.name} cannot do as its document says: see the bookkeeper's log."

    async def save(self) -> None:
        """Keep what is new; raises DatabaseAway, and Superseded when another process keeps this fold."""
        if self.position == self.saved or self.problem:
            return
        fold, position = self.fold, self.position
        try:
            state, rows = fold.save()
            self._rows += rows  # until they are in the database: a fold gives each of them once
            await self._states.save(fold.name, fold.version, self.saved, position, state, self._rows)
        except (asyncpg.PostgresError, ArithmeticError, LookupError, TypeError, ValueError):
            log.exception("a fold cannot be saved", fold=fold.name)
            self.problem = f"The fold {fold.name} cannot be saved: see the bookkeeper's log."
            return
        self.saved = position
        self._rows.clear()
