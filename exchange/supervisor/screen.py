"""What `switchroom serve` says on the terminal; a terminal that has gone away stops nothing."""

from __future__ import annotations

import sys
from typing import TextIO

import structlog

log = structlog.get_logger()


class Screen:
    """Plain lines, one for each step, readable in a terminal, a journal and a CI log alike."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out if out is not None else sys.stdout
        self._broken = False

    def say(self, text: str = "") -> None:
        """One line."""
        if self._broken:
            return
        try:
            self._out.write(text + "\n")
            self._out.flush()
        except (OSError, ValueError) as error:
            self._broken = True
            log.warning("terminal is gone", error=str(error))
