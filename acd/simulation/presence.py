"""Who is there, in which state, and what is configured, as events tell it: what the rules cannot change.

An agent who did not take an offer was away from the moment it came until they were back in a state of their own: in another
course of the day nobody would have had them in that time either. So they are unreachable for so long.
"""

from __future__ import annotations

import msgspec

from acd import events
from acd.events import Event
from acd.model import AgentState

AWAY = "away"
"""Why an agent is unreachable in a simulation who missed an offer."""


class Person(msgspec.Struct):
    """An agent as they are there."""

    here: bool = False
    chosen: events.AgentStateChosen | None = None
    reach: list[events.AgentReachable] = []
    state: AgentState = "logged-out"
    away: bool = False


class Presence(msgspec.Struct):
    """The present state, and the events since `take`."""

    configured: events.Configured | None = None
    people: dict[str, Person] = {}
    periods: dict[str, bool] = {}
    closed: dict[str, str] = {}
    """Queues that a supervisor closed, and who it was."""
    fresh: list[Event] = []
    misses: list[tuple[str, float]] = []
    away: list[str] = []
    """Those who missed an offer and are not back."""

    def take(self) -> list[Event]:
        """What is new."""
        new, self.fresh = self.fresh, []
        return new

    def event(self, at: float, event: Event) -> bool:
        """Whether it is one that happens whatever the rules are; its time is the record's."""
        match event:
            case events.Configured():
                self.configured = event = msgspec.structs.replace(event, at=at)
            case events.AgentAmended():
                event = msgspec.structs.replace(event, at=at)
                self._amend(event)
            case events.PeriodChanged():
                event = msgspec.structs.replace(event, at=at)
                self.periods[event.period] = event.on
            case events.QueueClosed():
                event = msgspec.structs.replace(event, at=at)
                self.closed[event.queue] = event.by
            case events.QueueOpened():
                event = msgspec.structs.replace(event, at=at)
                self.closed.pop(event.queue, None)
            case events.AgentLoggedIn() | events.AgentLoggedOut() | events.AgentLost() | events.AgentStateChosen():
                event = self._person(at, event)
            case events.AgentReachable():
                return self._reachable(msgspec.structs.replace(event, at=at))
            case _:
                return False
        self.fresh.append(event)
        return True

    def _amend(self, event: events.AgentAmended) -> None:
        if self.configured is not None:
            agents = [agent for agent in self.configured.agents if agent.id != event.agent.id]
            self.configured = msgspec.structs.replace(self.configured, agents=[*agents, event.agent])

    def _of(self, agent: str) -> Person:
        found = self.people.get(agent)
        if found is None:
            found = self.people[agent] = Person()
        return found

    def _person(
        self, at: float, event: events.AgentLoggedIn | events.AgentLoggedOut | events.AgentLost | events.AgentStateChosen
    ) -> Event:
        person = self._of(event.agent)
        match event:
            case events.AgentLoggedIn():
                person.here, person.chosen = True, None
                return msgspec.structs.replace(event, at=at)
            case events.AgentStateChosen():
                person.chosen = msgspec.structs.replace(event, at=at)
                return person.chosen
            case events.AgentLoggedOut():
                person.here = False
                return msgspec.structs.replace(event, at=at)
            case events.AgentLost():  # elsewhere the agent may talk at this time: they leave when it is over
                person.here = False
                return events.AgentLoggedOut(at, event.agent)

    def _reachable(self, event: events.AgentReachable) -> bool:
        person = self._of(event.agent)
        kept = [other for other in person.reach if event.channels and other.channels != event.channels]
        person.reach = [*kept, event]
        if not person.away:
            self.fresh.append(event)
        return True

    def missed(self, agent: str, since: float) -> None:
        """An offer that came at `since` was not taken."""
        self.misses.append((agent, since))

    def state(self, at: float, agent: str, state: AgentState, code: str = "") -> None:
        """The agent's state is new; one of whom no event told has been here since before the first event."""
        person = self.people.get(agent)
        if person is None:
            person = self._of(agent)
            if state != "logged-out":
                self._assume(at, agent, person, state, code)
        person.state = state

    def _assume(self, at: float, agent: str, person: Person, state: AgentState, code: str) -> None:
        person.here = True
        person.reach = [events.AgentReachable(at, agent, True)]
        idle = state == "idle"
        person.chosen = events.AgentStateChosen(at, agent, "idle" if idle else "available", code if idle else "")
        self.fresh += [events.AgentLoggedIn(at, agent), *person.reach, person.chosen]

    def settle(self, at: float) -> list[Event]:
        """After a record: who is away now, who is back, and of whom was heard for the first time."""
        found = self.take()
        for agent, since in self.misses:
            person = self._of(agent)
            if not person.away:
                person.away = True
                self.away.append(agent)
                found.append(events.AgentReachable(since, agent, False, AWAY))
        self.misses.clear()
        for agent in [agent for agent in self.away if self.people[agent].state != "not-responding"]:
            person = self.people[agent]
            person.away = False
            self.away.remove(agent)
            found += [msgspec.structs.replace(event, at=at) for event in person.reach]
        return found

    def opening(self, at: float) -> list[Event]:
        """Events that make an empty engine's world as it is now."""
        found: list[Event] = []
        if self.configured is not None:
            found.append(msgspec.structs.replace(self.configured, at=at))
        found += [events.PeriodChanged(at, period, on) for period, on in self.periods.items()]
        found += [events.QueueClosed(at, queue, by) for queue, by in self.closed.items()]
        for agent, person in self.people.items():
            if not person.here:
                continue
            found.append(events.AgentLoggedIn(at, agent))
            reach = [events.AgentReachable(at, agent, False, AWAY)] if person.away else person.reach
            found += [msgspec.structs.replace(event, at=at) for event in reach]
            if person.chosen is not None:
                found.append(msgspec.structs.replace(person.chosen, at=at))
        return found
