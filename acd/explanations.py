"""The decision record: taken before the decision changes anything, from the same order that decides."""

from __future__ import annotations

from acd.cases import Visit
from acd.lanes import Lane
from acd.model import AgentCandidate, ContactCandidate, Decision, Trigger
from acd.ranking import CONTACT_RULE, ContactRank, Ranked
from acd.roster import REASONS, Seat
from acd.state import Floor

RUNNERS_UP = 10
"""How many of those who came next are named."""


def of_agents(floor: Floor, trigger: Trigger, visit: Visit, lane: Lane, ranked: list[Ranked], by: str = "") -> Decision:
    """Why the first of these agents (or nobody) gets the contact that looked for one."""
    strategy = lane.queue.strategy
    agents = [AgentCandidate(seat.agent.id, key) for key, seat in ranked]
    tie = ""
    if len(agents) > 1 and agents[0].key[:-1] == agents[1].key[:-1]:
        tie = strategy.tie_break
    return Decision(
        floor.at,
        trigger,
        strategy.name,
        _contact(visit, *(_served(ranked[0][1], visit) if ranked else (1, 1))),
        agents[0] if agents else None,
        strategy.labels,
        tuple(agents[1:]),
        (),
        others(floor, lane, len(agents)),
        len(lane.queue.waiting),
        visit.step,
        visit.need,
        tie,
        by,
    )


def of_contacts(
    floor: Floor, visit: Visit, lane: Lane, seat: Seat, ranked: list[tuple[ContactRank, Visit]], agents: list[Ranked]
) -> Decision:
    """Why the agent who became free gets the first of these contacts; `agents` could have had it, too."""
    strategy = lane.queue.strategy
    named = [AgentCandidate(known.agent.id, key) for key, known in agents if known is not seat]
    own = next((key for key, other in agents if other is seat), strategy.key(seat))
    contacts = [
        ContactCandidate(v.contact, v.queue, priority, place, -weight, order, v.priority, v.queued_at)
        for (priority, _, weight, place, order), v in ranked[1:]
    ]
    first, second = ranked[0][0], ranked[1][0] if len(ranked) > 1 else None
    tie = ""
    if second is not None and first[:2] == second[:2]:
        tie = "weight of the queue" if first[2] != second[2] else "" if first[3] != second[3] else "order of being queued"
    return Decision(
        floor.at,
        "agent",
        CONTACT_RULE,
        _contact(visit, first[0], -first[2]),
        AgentCandidate(seat.agent.id, own),
        strategy.labels,
        tuple(named[:RUNNERS_UP]),
        tuple(contacts),
        others(floor, lane, len(agents)),
        len(lane.queue.waiting),
        visit.step,
        visit.need,
        tie,
    )


def of_order(floor: Floor, visit: Visit, lane: Lane, seat: Seat, by: str) -> Decision:
    """Why this agent: somebody said so."""
    candidate = AgentCandidate(seat.agent.id, lane.queue.strategy.key(seat))
    found = others(floor, lane, 1 if lane.free() & seat.bit else 0)
    waiting = len(lane.queue.waiting)
    contact = _contact(visit, *_served(seat, visit))
    return Decision(
        floor.at,
        "supervisor",
        "",
        contact,
        candidate,
        lane.queue.strategy.labels,
        (),
        (),
        found,
        waiting,
        visit.step,
        visit.need,
        "",
        by,
    )


def others(floor: Floor, lane: Lane, named: int) -> dict[str, int]:
    """The queue's agents who are not named, by the reason why they were no candidates."""
    roster = floor.roster
    able = lane.mask
    free = roster.free.get(lane.bit, 0) & able
    counts: dict[str, int] = {}
    busy = able & ~free if free else able
    left = busy.bit_count()
    for reason in REASONS:
        if not left:
            break
        number = (busy & roster.reasons[reason]).bit_count()
        if number:
            counts["full" if reason == "available" else reason] = number
            left -= number
    unnamed = free.bit_count() - named
    if unnamed > 0:
        counts["available"] = unnamed
    lacking = lane.lacking()
    return counts | lacking if lacking else counts


def _served(seat: Seat, visit: Visit) -> tuple[int, int]:
    """With which priority and weight the agent serves the visit's queue."""
    member = seat.by_queue.get(visit.queue)
    return (member.priority, member.weight) if member is not None else (1, 1)


def _contact(visit: Visit, agents_priority: int, weight: int) -> ContactCandidate:
    return ContactCandidate(
        visit.contact, visit.queue, agents_priority, visit.place, weight, visit.order, visit.priority, visit.queued_at
    )
