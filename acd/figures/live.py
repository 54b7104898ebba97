"""What is going on at this moment, read from the fold: who waits and for how long, what the agents do."""

from __future__ import annotations

import msgspec

from acd.figures.fold import Fold
from acd.figures.measures import QUARTER, Quarter, VisitFigures, VisitKey, copied, instant, quarter_of
from acd.figures.standing import QueueNow

MOST = 100
"""Quarters that are looked back: more than a day has."""


class AgentState(msgspec.Struct, frozen=True):
    """What an agent who is logged in does now."""

    state: str
    code: str
    since: float
    contacts: int


class Now(msgspec.Struct, frozen=True):
    """The moment."""

    at: float
    queues: dict[VisitKey, QueueNow]
    closed: list[str]
    agents: dict[str, AgentState]


def now(fold: Fold, at: float) -> Now:
    """What is going on at this time, which is not before the newest effect's."""
    state = fold.state
    moment = max(state.now, instant(at))
    agents = {id: AgentState(a.state, a.code, a.since / 1000, a.contacts) for id, a in state.agents.items()}
    return Now(moment / 1000, fold.standing.now(moment), list(state.closed_queues), agents)


def quarters(fold: Fold, at: float) -> list[Quarter]:
    """The running quarter at this time, with the agents' times up to then; before it those that are over but that no effect
    has closed yet. The fold does not change: the next effect may be of a time before this one. Copies: they do not change."""
    state = fold.state
    moment = max(state.now, instant(at))
    found = [copied(state.quarter)]
    last = quarter_of(moment)
    for start in range(max(state.quarter.end, last - MOST * QUARTER), last + 1, QUARTER):
        found.append(Quarter(start, {key: VisitFigures(open=count) for key, count in state.open.items()}))
    for quarter in found:
        for id, agent in state.agents.items():
            spent = min(moment, quarter.end * 1000) - max(agent.booked, quarter.start * 1000)
            if spent > 0:
                key = (id, agent.state, agent.code)
                quarter.states[key] = quarter.states.get(key, 0) + spent
    return found
