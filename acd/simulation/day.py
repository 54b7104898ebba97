"""A day as it was, or as it might be, and runs of it under one set of rules or another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from acd import effects, events
from acd.events import Configured, Event
from acd.model import AgentState
from acd.simulation.arrivals import Stream, poisson
from acd.simulation.figures import Figures, Tally, serving
from acd.simulation.manners import Manner, Manners, manner_of, pooled
from acd.simulation.plans import Habits, Plan
from acd.simulation.simulator import Simulator

DRAIN = 3600.0
"""After the end of the day nobody comes any more, and those who are there are served or leave."""


class Day(msgspec.Struct):
    """What happens by itself between two times, and what is known of those to whom it happens."""

    start: float
    end: float
    opening: list[Event]
    """The world at the start: configuration, who is there."""
    timeline: list[Event]
    plans: list[Plan]
    habits: dict[str, Habits] = {}
    streams: list[Stream] = []
    """Drawn anew for each seed, besides the plans."""
    manners: dict[str, Manner] = {}
    """Of queues whose habits are assumed."""
    skipped: dict[str, int] = {}
    counts_from: float = 0.0
    """What happens before only warms up; 0: the start."""

    def rules(self) -> Configured:
        """The configuration at the start; raises ValueError when there is none."""
        for event in self.opening:
            if isinstance(event, Configured):
                return event
        raise ValueError("the log does not say how the exchange was configured at the beginning")


class Result(msgspec.Struct, frozen=True):
    """One run."""

    seed: int
    figures: dict[str, Figures]
    refused: dict[str, int]
    open: int
    """Contacts that were still here at the end."""
    events: int


class Clipped(Tally):
    """Counts agents' time between two times, and visits that began between them."""

    def __init__(self, start: float, end: float) -> None:
        super().__init__()
        self._start, self._end = start, end
        self._before: set[str] = set()
        self._after: set[str] = set()
        self.told[effects.VisitStarted] = self._started
        self.told[effects.SegmentStarted] = self._segment
        self.told[effects.VisitEnded] = self._ended

    def _agent(self, at: float, id: str, state: AgentState) -> None:
        super()._agent(min(max(at, self._start), self._end), id, state)

    def _started(self, at: float, effect: effects.VisitStarted) -> None:
        if at < self._start or (at > self._end and effect.contact not in self._before):
            self._after.add(effect.visit)
            return
        self._before.add(effect.contact)
        self._visit_started(at, effect)

    def _segment(self, at: float, effect: effects.SegmentStarted) -> None:
        if effect.visit not in self._after:
            self._segment_started(at, effect)

    def _ended(self, at: float, effect: effects.VisitEnded) -> None:
        if effect.visit not in self._after:
            self._visit_ended(at, effect)


def manners(day: Day) -> tuple[dict[str, Manner], Manner]:
    """By queue, and of the others: fitted once for all runs."""
    found = {queue: manner_of(one) for queue, one in day.habits.items()}
    return found | day.manners, manner_of(pooled(day.habits))


def run(day: Day, seed: int, fitted: tuple[dict[str, Manner], Manner], changed: Configured | None = None) -> Result:
    """The day by the rules it had, or by others."""
    rules = changed if changed is not None else day.rules()
    clipped = Clipped(day.counts_from or day.start, day.end)
    clipped.configure(rules)
    simulator = Simulator(Manners(seed, *fitted), clipped.told)
    for event in _under(day, changed):
        simulator.push(event)
    for plan in day.plans:
        simulator.come(plan)
    for stream in day.streams:
        for plan in poisson(stream, seed, day.start):
            simulator.come(plan)
    simulator.run(day.end)
    clipped.close(day.end)
    simulator.run(day.end + DRAIN)
    return Result(seed, clipped.figures(serving(rules)), dict(simulator.refused), simulator.open, simulator.events)


def _under(day: Day, changed: Configured | None) -> Sequence[Event]:
    happens = [*day.opening, *sorted(day.timeline, key=lambda event: event.at)]
    if changed is None:
        return happens
    kept = [event for event in happens if not isinstance(event, Configured | events.AgentAmended)]
    return [msgspec.structs.replace(changed, at=day.start), *kept]


def missing(day: Day, rules: Configured) -> list[str]:
    """Queues in which contacts of the day waited, and which these rules do not have."""
    known: Mapping[str, object] = {queue.id: queue for queue in rules.queues}
    asked = dict.fromkeys(place.queue for plan in day.plans for stay in plan.stays for place in stay.places)
    return [queue for queue in [*asked, *(stream.queue for stream in day.streams)] if queue not in known]
