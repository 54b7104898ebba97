"""A process that is started ahead: everything imported, waiting for its word to begin.

What a program imports takes seconds on a busy machine, and while the exchange starts nobody decides. The word comes by a pipe,
which ends with us: so does a spare that nobody needs any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from exchange.supervisor.process import Process, launch

if TYPE_CHECKING:
    from exchange.supervisor.specs import Spec

log = structlog.get_logger()

FLAG = "--spare"
"""What a program that can wait is told, besides its own arguments."""

WORD = b"go\n"
DISMISS_SECONDS = 5.0


class Spare:
    """Keeps one ahead of the process that runs."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._word = -1

    def prepare(self, spec: Spec, log_file: Path) -> None:
        """Start one, unless there is one."""
        if self._process is not None and not self._process.exited.done():
            return
        self._forget()
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            self._process = launch((*spec.argv, FLAG), spec.environment, log_file, stdin=reading)
            self._word = writing
        except OSError as error:  # then the next start is a slow one
            os.close(writing)
            log.warning("no spare process", process=spec.name, error=str(error))
        finally:
            os.close(reading)

    @property
    def pid(self) -> int:
        """Its process id; 0 while there is none."""
        return self._process.pid if self._process is not None and not self._process.exited.done() else 0

    def take(self) -> Process | None:
        """Have it begin; None if there is none."""
        process, self._process = self._process, None
        if process is None or process.exited.done():
            self._forget()
            return None
        try:
            os.write(self._word, WORD)
        except OSError:  # it has just died
            return None
        finally:
            self._forget()
        return process

    async def dismiss(self) -> None:
        """It is not needed any more."""
        process, self._process = self._process, None
        self._forget()
        if process is not None:
            process.send(signal.SIGKILL)
            await asyncio.wait({process.exited}, timeout=DISMISS_SECONDS)

    def abandon(self) -> None:
        """Stop watching; it ends by itself."""
        if self._process is not None:
            self._process.abandon()
            self._process = None
        self._forget()

    def _forget(self) -> None:
        if self._word >= 0:
            os.close(self._word)
            self._word = -1


def wait_for_the_word() -> bool:
    """In the spare: whether to begin. Blocks."""
    word = b""
    with contextlib.suppress(OSError):
        word = sys.stdin.buffer.readline()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return word == WORD
