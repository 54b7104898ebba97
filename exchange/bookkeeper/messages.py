"""What the bookkeeper's control socket understands."""

from __future__ import annotations

import msgspec


class Status(msgspec.Struct, frozen=True, tag="status"):
    """Returns a BookStanding."""


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown"):
    """Read to the log's end, save everything, leave."""


BookCommand = Status | Shutdown


class BookStanding(msgspec.Struct, frozen=True):
    """How far the bookkeeper is, and what it keeps; times are epoch seconds."""

    epoch: int = 0
    offset: int = 0
    at: float = 0.0
    """Engine time of the newest event it has taken."""
    compared: int = 0
    """Events whose effects were computed and were the logged ones, since it started."""
    differences: int = 0
    snapshot_epoch: int = 0
    snapshot_offset: int = 0
    snapshot_at: float = 0.0
    snapshot_seconds: float = 0.0
    snapshot_bytes: int = 0
    log_bytes: int = 0
    log_days: int = 0
    log_oldest: str = ""
    held_by: str = ""
    folds: dict[str, list[int]] = {}
    """Epoch and offset up to which each fold is saved."""
    problems: list[str] = []
    """Sentences for people."""
