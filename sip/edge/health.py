"""What trunks have shown of themselves lately, for those who look: the last OPTIONS, the last call that failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Shown:
    """Moments are wall clock times, 0 for never."""

    options_at: float = 0.0
    failed_at: float = 0.0
    failed_code: int = 0
    failed_detail: str = ""


class Health:
    """By trunk; there are as many as the settings name."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._shown: dict[str, Shown] = {}

    def of(self, trunk: str) -> Shown:
        return self._shown.get(trunk) or Shown()

    def options(self, trunk: str) -> None:
        """It asked whether we are there."""
        self._shown.setdefault(trunk, Shown()).options_at = self._wall()

    def failed(self, trunk: str, code: int, detail: str) -> None:
        """It refused a call with that code, or (0) did not answer."""
        shown = self._shown.setdefault(trunk, Shown())
        shown.failed_at, shown.failed_code, shown.failed_detail = self._wall(), code, detail
