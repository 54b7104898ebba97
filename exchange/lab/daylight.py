"""A day out of the log: what happened by itself, what was measured, and how."""

from __future__ import annotations

import msgspec

from acd.events import Configured
from acd.simulation.day import DRAIN, Clipped, Day
from acd.simulation.figures import Figures, serving
from acd.simulation.observer import Observer
from exchange.brain import records
from exchange.brain.records import KIND
from exchange.lab.entries import Log, seen
from exchange.lab.errors import LabError
from storage.entries import LogRow

RUN_UP = 86_400.0
"""So much before the day is read as well, to know who was there when it began."""


class Measured(msgspec.Struct):
    """A day, and what it was like."""

    day: Day
    figures: dict[str, Figures]
    left_out: int
    """Contacts that were there already when the day began."""
    unread: int
    """Events of which this version can read nothing."""
    without: int
    """Events whose effects the log does not know."""


async def read(log: Log, start: float, end: float) -> Measured:
    """Raises LabError when the log says nothing of that time."""
    span = await log.span()
    if span is None or span[0] > end or span[1] < start:
        raise LabError(f"The log of {log.name} has no events of that time.")
    end = min(end, span[1])  # of today, what there is
    reading = _Reading(start, end)
    async for row in log.rows(await log.before(start - RUN_UP)):
        if not reading.begun and row.at >= start:
            reading.begin(await _rules(log, reading.observer, start))
        if row.at > end + DRAIN or (row.at > end and not reading.observer.watches):
            break
        reading.take(row)
    if not reading.begun:
        reading.begin(await _rules(log, reading.observer, start))
    return reading.done()


async def _rules(log: Log, observer: Observer, at: float) -> Configured:
    found = observer.presence.configured or await log.configured(at)
    if found is not None:
        return found
    async for row in log.rows(await log.before(at)):  # the exchange's first day
        if row.kind == KIND and b"configured" in row.body:
            match records.decode(row.body).input:
                case records.Routing(Configured() as event):
                    return msgspec.structs.replace(event, at=at)
                case _:
                    pass
    raise LabError(f"The log of {log.name} does not say how the exchange was configured at that time.")


class _Reading:
    def __init__(self, start: float, end: float) -> None:
        self.observer = Observer()
        self.day = Day(start, end, [], [], [])
        self.tally = Clipped(start, end)
        self.begun = False
        self._left_out = self._unread = self._without = 0

    def take(self, row: LogRow) -> None:
        if row.kind != KIND:
            return
        try:
            record, found = records.decode(row.body), seen(row)
        except ValueError:
            self._unread += 1
            return
        self._without += row.effects is None
        *before, last = records.engine_events(record.input) or (None,)
        for event in before:
            self.observer.see(row.at, event, [])
        self.observer.see(row.at, last, found)
        for effect in found:
            tell = self.tally.told.get(type(effect))
            if tell is not None:
                tell(row.at, effect)

    def begin(self, rules: Configured) -> None:
        """The day begins, by these rules."""
        self.begun = True
        self.observer.presence.configured = rules
        self.tally.configure(rules)
        self._left_out = len(self.observer.watches)
        self.day.opening = self.observer.presence.opening(self.day.start)
        self.observer.forget()
        self.observer.take()
        self.observer.habits.clear()

    def done(self) -> Measured:
        """All events have been taken."""
        day, observer = self.day, self.observer
        plans, _, day.timeline = observer.take()
        day.plans = [plan for plan in plans if plan.at <= day.end]
        day.habits, day.skipped = observer.habits, observer.skipped
        if self._without and not any(plan.stays for plan in day.plans):
            raise LabError(
                "The events of that time are older than version 0.2 and without their effects: nothing can be read from them."
            )
        self._finish_open_plans()
        self.tally.close(day.end)
        return Measured(day, self.tally.figures(serving(day.rules())), self._left_out, self._unread, self._without)

    def _finish_open_plans(self) -> None:
        """Of those who are still here when the reading ends nothing more will be known."""
        for watch in self.observer.watches.values():
            for stay in watch.plan.stays:
                if not stay.ended:
                    stay.seen, stay.ended = max(0.0, self.day.end - watch.began), True
            watch.plan.over = True
