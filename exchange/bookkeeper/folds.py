"""What is counted from the log: a fold takes every event once, in order, and its state is kept with how far it is.

A fold is named in `exchange.bookkeeper.table.folds`. The bookkeeper saves its state, the rows that it wants written, and its
position in one transaction, every few seconds and at the end: after a crash it goes on from there, so that nothing is counted
twice or left out, whatever is written to the database by its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

from acd.effects import Effect
from exchange.brain.records import Record
from storage.entries import Position
from storage.rows import RowWrite


class Fold(Protocol):
    """One of them. It runs in the bookkeeper alone, whose only work is this; it may take its time, not hold it for seconds."""

    @property
    def name(self) -> str:
        """Of its row in `log_readers`; for ever."""

    @property
    def version(self) -> int:
        """Of its state: with another one than the saved, it begins anew."""

    @property
    def begins(self) -> Literal["beginning", "end"]:
        """Where it begins without a saved state: at the oldest event that is kept, or with what comes from now on."""

    def take(self, position: Position, record: Record, effects: Sequence[Effect]) -> None:
        """The next event: its record, and what was decided (none where the log does not know). No I/O; it should not raise."""

    def save(self) -> tuple[bytes, Sequence[RowWrite]]:
        """The state as of the newest event, and what is to be written with it; those rows need not be given again."""

    def restore(self, state: bytes) -> None:
        """Put back a state of this version; called at most once, before the first event."""


@runtime_checkable
class Instructed(Protocol):
    """A fold that a document tells what to do; looked at before the first event and every few seconds."""

    @property
    def document(self) -> tuple[str, str]:
        """Kind and id of the document."""

    def told(self, version: int, body: str) -> None:
        """Its newest version, whether known or not."""
