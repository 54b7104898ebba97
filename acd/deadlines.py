"""What happens when a deadline falls, and which one is next."""

from __future__ import annotations

from acd.agents import end_segment, rest
from acd.effects import WakeAt
from acd.errors import Refused
from acd.events import DeadlineReached, Recovered
from acd.matching import rematch
from acd.state import Floor
from acd.talks import miss
from acd.timers import TimerKind


def reached(floor: Floor, event: DeadlineReached) -> None:
    """Deal with every deadline that has come, the earliest first."""
    floor.timers.asked = None
    while (due := floor.timers.due(floor.at)) is not None:
        deadline, kind, id = due
        if not counts(floor, deadline, kind, id):
            continue
        if kind == "offer":
            miss(floor, id)
        elif kind == "agent":
            _timed_state_over(floor, id)
        else:
            rematch(floor)
            if floor.rematching:
                return


def _timed_state_over(floor: Floor, id: str) -> None:
    agent = floor.agents[id]
    if agent.state == "wrap-up":
        end_segment(floor, agent, "")
    rest(floor, agent)


def counts(floor: Floor, at: float, kind: TimerKind, id: str) -> bool:
    """Whether a deadline is still the one its owner waits for."""
    if kind == "offer":
        offer = floor.offers.get(id)
        return offer is not None and offer.deadline == at
    if kind == "agent":
        agent = floor.agents.get(id)
        return agent is not None and agent.state in ("wrap-up", "idle") and agent.until == at
    return floor.rematching


def ask_to_be_woken(floor: Floor) -> None:
    """Say when the next deadline is, when that is new."""
    at = floor.timers.next(lambda at, kind, id: counts(floor, at, kind, id))
    if at is not None and at != floor.timers.asked:
        floor.timers.asked = at
        floor.out.append(WakeAt(at))


def recover(floor: Floor, event: Recovered) -> None:
    """Move all deadlines by the time we were away, so that nobody misses an offer for it."""
    if event.gap < 0:
        raise Refused("bad-gap", f"a gap of {event.gap} seconds")
    for offer in floor.offers.values():
        offer.deadline += event.gap
    for agent in floor.agents.values():
        if agent.until is not None:
            agent.until += event.gap
            floor.tell_agent(agent)
    floor.timers.rebuild(open_deadlines(floor))
    floor.timers.asked = None


def open_deadlines(floor: Floor) -> list[tuple[float, TimerKind, str]]:
    """All deadlines that count, the earliest first, those of one instant in the order of their owners."""
    entries: list[tuple[float, TimerKind, str]] = [(offer.deadline, "offer", offer.id) for offer in floor.offers.values()]
    for agent in floor.agents.values():
        if agent.until is not None and agent.state in ("wrap-up", "idle"):
            entries.append((agent.until, "agent", agent.id))
    if floor.rematching:
        entries.append((floor.at, "rematch", ""))
    return sorted(entries, key=lambda entry: entry[0])
