"""Tells the engine when periods begin and end: at each change, after a restart, and when the configuration is new."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from acd.document import Document
from acd.events import PeriodChanged
from exchange.brain.records import Input, Routing
from exchange.configuration.calendars import Calendar

log = structlog.get_logger()

LOOK_AGAIN = 60.0
"""Seconds after which the wall clock is asked again at the latest: it may have been set."""


class Periods:
    """The calendars of the document in force, and what the engine was told of them."""

    def __init__(self, put: Callable[[Input], object], wall: Callable[[], float] = time.time) -> None:
        self._put = put
        self._wall = wall
        self._told: dict[str, bool] = {}
        """Since this process began: after a restart everything is told again, which changes nothing where it is known."""
        self._calendars: dict[str, Calendar] = {}
        self._timer: asyncio.TimerHandle | None = None

    def take(self, document: Document) -> None:
        """A new document is in force; what its periods are now is told at once."""
        self._calendars = {}
        for period in document.periods:
            try:
                self._calendars[period.id] = Calendar(period)
            except (ValueError, NotImplementedError) as error:
                log.error("period cannot be used", period=period.id, error=str(error))
        self.look()

    def look(self) -> None:
        """Tell what has begun or ended, and come back at the next change."""
        if self._timer is not None:
            self._timer.cancel()
        now = self._wall()
        states = {id: calendar.on(now) for id, calendar in self._calendars.items()}
        gone = dict.fromkeys(id for id, on in self._told.items() if on and id not in states)
        for id, on in (states | dict.fromkeys(gone, False)).items():
            if self._told.get(id) != on:
                log.info("period", period=id, on=on)
                self._told[id] = on
                self._put(Routing(PeriodChanged(0, id, on)))
        ahead = [change - now for calendar in self._calendars.values() if (change := calendar.next_change(now)) is not None]
        wait = min([LOOK_AGAIN, *ahead])
        self._timer = asyncio.get_running_loop().call_later(max(0.01, wait), self.look)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
