"""What the exchange knows of the bookkeeper: asked every few seconds, for health and metrics."""

from __future__ import annotations

import asyncio
from pathlib import Path

from exchange.bookkeeper.messages import BookStanding, Status
from exchange.supervisor import ask
from media.control.envelope import ControlError

ASK_SECONDS = 5.0
MISSED = 4
"""So often in a row without an answer it is said to be away: it may be busy for a moment with a snapshot."""


class Books:
    """The bookkeeper's newest standing."""

    def __init__(self, run: Path) -> None:
        self.standing: BookStanding | None = None
        self._socket = run / "bookkeeper.ctl"
        self._missed = 0

    async def watch(self) -> None:
        """For ever."""
        while True:
            try:
                self.standing = await ask.ask(self._socket, Status(), BookStanding)
                self._missed = 0
            except ControlError:
                self._missed += 1
            await asyncio.sleep(ASK_SECONDS)

    def problems(self) -> list[str]:
        """Sentences for people."""
        if self._missed >= MISSED:
            return ["The bookkeeper does not answer: no snapshots are made, and the next start of the exchange takes longer."]
        return list(self.standing.problems) if self.standing is not None else []
