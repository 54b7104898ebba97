"""What happens when a deadline falls, which one is next, and work that goes on from event to event."""

from __future__ import annotations

from acd import agents, callbacks, entry, talks
from acd.cases import Visit
from acd.effects import GoOn, WakeAt
from acd.errors import Refused
from acd.events import Continue, DeadlineReached, Recovered
from acd.matching import MATCHES_AT_ONCE, rematch
from acd.state import Floor
from acd.timers import TimerKind
from acd.visits import advance, schedule

DEADLINES_AT_ONCE = 32
"""Of those that fall at one instant: the rest is for the next event, which comes at once."""

OF_AGENTS: frozenset[TimerKind] = frozenset({"offer", "agent", "wrap-up"})
"""Deadlines that move by the time we were away; customers have really waited."""


def reached(floor: Floor, event: DeadlineReached) -> None:
    """Deal with every deadline that has come, the earliest first; with many the rest comes at the next event."""
    floor.timers.asked = None
    for_others: list[Visit] = []
    for _ in range(DEADLINES_AT_ONCE):
        due = floor.timers.due(floor.at)
        if due is None:
            break
        kind, id = due
        if kind == "visit":
            if step(floor, floor.visits[id]):
                for_others.append(floor.visits[id])
        elif kind == "offer":
            talks.miss(floor, id)
        elif kind == "agent":
            agents.pause_over(floor, id)
        elif kind == "wrap-up":
            talks.wrap_up_over(floor, id)
        else:
            callbacks.due(floor, id)
    for visit in sorted(for_others, key=lambda visit: visit.key):
        if visit.id in floor.visits and floor.contacts[visit.contact].state == "waiting":
            entry.wait_on(floor, floor.contacts[visit.contact], "step")


def step(floor: Floor, visit: Visit) -> bool:
    """A waiting contact has come to its next step: a rule takes it elsewhere, or others may have it now, which is returned."""
    others = advance(floor, visit)
    waiting = floor.contacts[visit.contact].state == "waiting"
    rule = entry.rule_by_wait(floor, visit) if waiting else None
    schedule(floor, visit)
    if rule is not None and entry.overflow(floor, visit, rule, "wait"):
        return False
    return others and waiting


def ask_to_be_woken(floor: Floor) -> None:
    """Say when the next deadline is, when that is new, and that work is left."""
    at = floor.timers.next()
    if at is not None and at != floor.timers.asked:
        floor.timers.asked = at
        floor.out.append(WakeAt(at))
    if floor.sweeps and not floor.going_on:
        floor.going_on = True
        floor.out.append(GoOn())


def go_on(floor: Floor, event: Continue) -> None:
    """A bounded part of the work that is left."""
    floor.going_on = False
    left = MATCHES_AT_ONCE
    while floor.sweeps and left > 0:
        work = floor.sweeps[0]
        done = entry.sweep_queue(floor, work, left) if work.queue else rematch(floor, left)
        if done < left:
            floor.sweeps.remove(work)
        left -= done


def recover(floor: Floor, event: Recovered) -> None:
    """Move the agents' deadlines by the time we were away, so that nobody misses an offer for it."""
    if event.gap < 0:
        raise Refused("bad-gap", f"a gap of {event.gap} seconds")
    for offer in floor.offers.values():
        offer.deadline += event.gap
    for agent in floor.agents.values():
        moved = bool(agent.offer)
        if agent.pause_ends is not None:
            agent.pause_ends += event.gap
            moved = True
        for work in agent.works:
            if work.until is not None:
                work.until += event.gap
                moved = True
        if moved:
            floor.tell_agent(agent)
    floor.timers.move(OF_AGENTS, event.gap)
    floor.timers.asked = None
    floor.going_on = False
