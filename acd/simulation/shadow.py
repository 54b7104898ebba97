"""Other rules on the live events: the same contacts and agents, a little later, so that what they do is known by then.

The shadow is `lag` seconds behind. When it wants to know how long a contact is talked with, the exchange has mostly seen it; if
not, it waits to learn it, and draws it when nobody talks with the contact in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from acd import effects, events
from acd.effects import Effect
from acd.events import Configured, Event
from acd.model import FinalState
from acd.simulation.course import State
from acd.simulation.manners import Manners, manner_of
from acd.simulation.observer import Observer, Watch
from acd.simulation.plans import Habits
from acd.simulation.presence import Presence
from acd.simulation.simulator import Simulator

SEED = 1
KEPT = 200
"""Observations by queue that the shadow draws from."""
REFIT = 50
"""After so many new ones of a queue what is drawn from is made anew."""

How = Literal["answered", "abandoned", "short-abandoned", "flowed-out", "rejected", "failed"]


class Wait(msgspec.Struct):
    """How long a contact waited from its first queue on, and what ended that."""

    queue: str
    began: float
    open: int = 0
    seconds: float = 0.0
    how: How | None = None


class Pair(msgspec.Struct, frozen=True):
    """A contact in both worlds."""

    contact: str
    queue: str
    began: float
    waited: float
    how: How
    shadow_waited: float
    shadow_how: How


class Waits:
    """Follows the effects of one world."""

    def __init__(self, known: dict[str, Wait] | None = None) -> None:
        self.known: dict[str, Wait] = known or {}
        self.done: list[str] = []
        """Contacts whose wait has ended, or that ended without one, since this was emptied."""
        self.told: dict[type[Any], Any] = {
            effects.VisitStarted: self._started,
            effects.VisitEnded: self._ended,
            effects.SegmentStarted: self._answered,
            effects.ContactFinal: self._final,
        }

    def see(self, at: float, effect: Effect) -> None:
        """An effect, and when."""
        tell = self.told.get(type(effect))
        if tell is not None:
            tell(at, effect)

    def _started(self, at: float, effect: effects.VisitStarted) -> None:
        wait = self.known.get(effect.contact)
        if wait is None:
            wait = self.known[effect.contact] = Wait(effect.queue, at)
        wait.open += 1

    def _ended(self, at: float, effect: effects.VisitEnded) -> None:
        wait = self.known.get(effect.contact)
        if wait is not None:
            wait.open -= 1
            if wait.how is None and wait.open <= 0:
                wait.seconds = at - wait.began

    def _answered(self, at: float, effect: effects.SegmentStarted) -> None:
        wait = self.known.get(effect.contact)
        if wait is not None and wait.how is None:
            wait.how, wait.seconds = "answered", at - wait.began
            self.done.append(effect.contact)

    def _final(self, at: float, effect: effects.ContactFinal) -> None:
        wait = self.known.get(effect.contact)
        if wait is None:
            self.done.append(effect.contact)
        elif wait.how is None:
            final: FinalState = effect.final
            wait.how = "failed" if final == "handled" else final
            self.done.append(effect.contact)


class Saved(msgspec.Struct):
    """A shadow at one moment."""

    rules: Configured
    lag: float
    since: float
    simulation: State
    watches: list[Watch]
    habits: dict[str, Habits]
    live: dict[str, Wait]
    shadow: dict[str, Wait]
    over: dict[str, int]
    pairs: int
    dropped: int


class Shadow:
    """One rule set beside the live one; `see` takes the live events."""

    def __init__(self, rules: Configured, lag: float, presence: Presence, at: float) -> None:
        """Begins at `at` with whoever is there; contacts that are here already are left out."""
        self.rules = rules
        self.lag = lag
        self.since = at
        self.pairs = 0
        self.dropped = 0
        """Contacts that waited in one of the worlds only, e.g. in a queue that the rules do not have."""
        self._observer = Observer(KEPT)
        self._observer.presence = presence
        self._counts: dict[str, int] = {}
        self._live, self._waits = Waits(), Waits()
        self._over: dict[str, int] = {}
        """Contacts that are through in one world: 1 live, 2 in the shadow."""
        self._manners = Manners(SEED, {})
        self._simulator = Simulator(self._manners, self._waits.told, late=lag)
        self._simulator.push(msgspec.structs.replace(rules, at=at))
        for event in presence.opening(at):
            if not isinstance(event, Configured):
                self._simulator.push(event)
        presence.take()

    @property
    def now(self) -> float:
        """The shadow's time."""
        return self._simulator.now

    @property
    def refused(self) -> dict[str, int]:
        """What the rules did not allow, by kind."""
        return dict(self._simulator.refused)

    def see(self, at: float, event: Event | None, found: Sequence[Effect]) -> list[Pair]:
        """One live record; pairs of waits that are complete now."""
        observer, simulator = self._observer, self._simulator
        observer.see(at, event, found)
        for effect in found:
            self._live.see(at, effect)
        fresh, learned, timeline = observer.take()
        for happens in timeline:
            if not isinstance(happens, Configured | events.AgentAmended):
                simulator.push(happens)
        for plan in fresh:
            simulator.come(plan)
        for contact in learned:
            simulator.learned(contact)
        if learned:
            self._refit()
        if at - self.lag > simulator.now:
            simulator.run(at - self.lag)
        return self._paired()

    def _refit(self) -> None:
        for queue, habits in self._observer.habits.items():
            seen = len(habits.patience) + len(habits.talks)
            known = self._counts.get(queue)
            if known is None or abs(seen - known) >= REFIT or (known < REFIT and seen > known):
                self._counts[queue] = seen
                self._manners.learn(queue, manner_of(habits))

    def _fit_all(self) -> None:
        for queue, habits in self._observer.habits.items():
            self._counts[queue] = len(habits.patience) + len(habits.talks)
            self._manners.learn(queue, manner_of(habits))

    def _paired(self) -> list[Pair]:
        found = []
        for side, waits in ((1, self._live), (2, self._waits)):
            for contact in waits.done:
                through = self._over.get(contact, 0) | side
                if through != 3:
                    self._over[contact] = through
                    continue
                self._over.pop(contact, None)
                pair = self._pair(contact)
                if pair is not None:
                    found.append(pair)
            waits.done.clear()
        self.pairs += len(found)
        return found

    def _pair(self, contact: str) -> Pair | None:
        live, shadow = self._live.known.pop(contact, None), self._waits.known.pop(contact, None)
        if live is None or shadow is None or live.how is None or shadow.how is None:
            self.dropped += live is not None or shadow is not None
            return None
        return Pair(contact, live.queue, live.began, live.seconds, live.how, shadow.seconds, shadow.how)

    # --- saving ---------------------------------------------------------------------------------------------------

    def save(self) -> Saved:
        """The present moment, without who is there: that is `presence`, and the caller's.

        What is drawn from is made anew as `restore` does, so that whoever goes on has the same future.
        """
        self._fit_all()
        return Saved(
            self.rules,
            self.lag,
            self.since,
            self._simulator.freeze(),
            list(self._observer.watches.values()),
            self._observer.habits,
            self._live.known,
            self._waits.known,
            self._over,
            self.pairs,
            self.dropped,
        )

    @classmethod
    def restore(cls, saved: Saved, presence: Presence) -> Shadow:
        """Go on from a moment; raises ValueError for an engine's state of another version."""
        found = cls.__new__(cls)
        found.rules, found.lag, found.since = saved.rules, saved.lag, saved.since
        found.pairs, found.dropped = saved.pairs, saved.dropped
        found._observer = Observer(KEPT)
        found._observer.presence = presence
        found._observer.habits = saved.habits
        found._observer.watches = {watch.plan.contact: watch for watch in saved.watches}
        found._counts = {}
        found._live, found._waits, found._over = Waits(saved.live), Waits(saved.shadow), saved.over
        found._manners = Manners(SEED, {})
        found._simulator = Simulator(found._manners, found._waits.told, late=saved.lag)
        for course in saved.simulation.courses:
            watch = found._observer.watches.get(course.plan.contact)
            if watch is not None:  # what is learned of a contact is learned of the plan that it goes by
                course.plan = watch.plan
        found._simulator.thaw(saved.simulation, saved.rules)
        found._fit_all()
        return found
