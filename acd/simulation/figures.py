"""Counts what the engine says, of a log as of a simulation, by the formulas of docs/reports.md."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from acd import effects
from acd.effects import Effect
from acd.events import Configured
from acd.model import AgentConfig, AgentState, TeamConfig

HANDLING: frozenset[AgentState] = frozenset({"engaged", "wrap-up"})
AVAILABLE: frozenset[AgentState] = frozenset({"available"})

AT_ONCE = 1e-6
"""Seconds that are no wait."""


class QueueTally(msgspec.Struct):
    """Visits of one queue."""

    offered: int = 0
    answered: int = 0
    within: int = 0
    abandoned: int = 0
    short: int = 0
    flowed_out: int = 0
    waited: float = 0.0
    """Of those answered, s."""
    waits: list[float] = []
    """Of those answered, one each."""


class AgentTally(msgspec.Struct):
    """Seconds of one agent."""

    state: AgentState = "logged-out"
    since: float = 0.0
    handling: float = 0.0
    available: float = 0.0


class Figures(msgspec.Struct, frozen=True):
    """One queue of one run."""

    offered: int
    answered: int
    abandoned: int
    short: int
    flowed_out: int
    level: float | None
    """Service level, short abandons left out: answered within T of (answered + abandoned), without those."""
    asa: float | None
    """Mean wait of those answered, s."""
    p90: float | None
    """Nine of ten of those answered waited no longer, s."""
    abandonment: float | None
    """Abandoned and short-abandoned of offered."""
    waited: float | None
    """Share of those answered or abandoned who were not answered at once."""
    occupancy: float | None
    """Of the agents who serve the queue: (engaged + wrap-up) of (engaged + wrap-up + available), whatever queue it was for."""


class Tally:
    """Sees effects in their order."""

    def __init__(self) -> None:
        self.queues: dict[str, QueueTally] = {}
        self.agents: dict[str, AgentTally] = {}
        self._levels: dict[str, float] = {}
        self.told: dict[type[Any], Callable[[float, Any], None]] = {
            effects.AgentChanged: self._agent_changed,
            effects.VisitStarted: self._visit_started,
            effects.SegmentStarted: self._segment_started,
            effects.VisitEnded: self._visit_ended,
        }
        """Which effects count, and who counts them."""

    def configure(self, configured: Configured) -> None:
        """The service levels that count from now on."""
        self._levels = {queue.id: queue.service_level_seconds for queue in configured.queues}
        for queue in configured.queues:
            self.queues.setdefault(queue.id, QueueTally())

    def see(self, at: float, effect: Effect) -> None:
        """An effect, and when."""
        tell = self.told.get(type(effect))
        if tell is not None:
            tell(at, effect)

    def close(self, at: float) -> None:
        """No more will come: count the agents' present states up to here."""
        for id, agent in self.agents.items():
            self._agent(at, id, agent.state)

    def _queue(self, queue: str) -> QueueTally:
        found = self.queues.get(queue)
        if found is None:
            found = self.queues[queue] = QueueTally()
        return found

    def _visit_started(self, _: float, effect: effects.VisitStarted) -> None:
        self._queue(effect.queue).offered += 1

    def _segment_started(self, _: float, effect: effects.SegmentStarted) -> None:
        if not effect.first or not effect.queue:
            return
        tally, waited = self._queue(effect.queue), effect.waited
        tally.answered += 1
        tally.within += waited <= self._levels.get(effect.queue, 20.0)
        tally.waited += waited
        tally.waits.append(waited)

    def _visit_ended(self, _: float, effect: effects.VisitEnded) -> None:
        if effect.answered_at is not None:
            return
        tally = self._queue(effect.queue)
        if effect.how == "abandoned":
            tally.abandoned += 1
        elif effect.how == "short-abandoned":
            tally.short += 1
        else:
            tally.flowed_out += 1

    def _agent_changed(self, at: float, effect: effects.AgentChanged) -> None:
        self._agent(at, effect.agent, effect.state)

    def _agent(self, at: float, id: str, state: AgentState) -> None:
        agent = self.agents.get(id)
        if agent is None:
            agent = self.agents[id] = AgentTally(since=at)
        if agent.state in HANDLING:
            agent.handling += at - agent.since
        elif agent.state in AVAILABLE:
            agent.available += at - agent.since
        agent.state, agent.since = state, at

    def figures(self, serving: Mapping[str, Iterable[str]]) -> dict[str, Figures]:
        """By queue; `serving` says which agents serve each. The key "" is all queues and agents together."""
        every = QueueTally()
        out: dict[str, Figures] = {}
        for id, tally in self.queues.items():
            out[id] = _figures(tally, self.occupancy(serving.get(id, ())))
            for name in ("offered", "answered", "within", "abandoned", "short", "flowed_out", "waited"):
                setattr(every, name, getattr(every, name) + getattr(tally, name))
            every.waits += tally.waits
        out[""] = _figures(every, self.occupancy(self.agents))
        return out

    def occupancy(self, agents: Iterable[str]) -> float | None:
        """Of these agents together; None when none of them was there."""
        tallies = [self.agents[agent] for agent in agents if agent in self.agents]
        handling = sum(agent.handling for agent in tallies)
        there = handling + sum(agent.available for agent in tallies)
        return handling / there if there else None


def _figures(tally: QueueTally, occupancy: float | None) -> Figures:
    asked = tally.answered + tally.abandoned
    waits = sorted(tally.waits)
    return Figures(
        tally.offered,
        tally.answered,
        tally.abandoned,
        tally.short,
        tally.flowed_out,
        tally.within / asked if asked else None,
        tally.waited / tally.answered if tally.answered else None,
        waits[max(0, -(-9 * len(waits) // 10) - 1)] if waits else None,
        (tally.abandoned + tally.short) / tally.offered if tally.offered else None,
        1 - bisect_right(waits, AT_ONCE) / asked if asked else None,
        occupancy,
    )


def serving(configured: Configured) -> dict[str, list[str]]:
    """Which agents serve each queue: by memberships, their own or their team's; who has none serves the queues nobody names."""
    teams: dict[str, TeamConfig] = {team.id: team for team in configured.teams}
    named: dict[str, list[str]] = {queue.id: [] for queue in configured.queues}
    free: list[str] = []
    for agent in configured.agents:
        queues = _queues_of(agent, teams)
        if not queues:
            free.append(agent.id)
        for queue in queues:
            if queue in named:
                named[queue].append(agent.id)
    taken = {queue for agent in configured.agents for queue in _queues_of(agent, teams)}
    taken |= {m.queue for team in configured.teams for m in team.queues}
    return {queue: agents if queue in taken else list(free) for queue, agents in named.items()}


def _queues_of(agent: AgentConfig, teams: Mapping[str, TeamConfig]) -> dict[str, None]:
    team = teams.get(agent.team)
    return dict.fromkeys(m.queue for m in (*agent.queues, *(team.queues if team is not None else ())))
