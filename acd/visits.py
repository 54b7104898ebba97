"""A stay in a queue: its beginning, the steps by which others may have the contact, its end. The place is kept throughout."""

from __future__ import annotations

from math import inf

from acd import estimates
from acd.capacity import BITS
from acd.cases import Contact, Ticket, Visit
from acd.effects import VisitEnded, VisitReason, VisitStarted
from acd.eligibility import need_now, relax, steps_of
from acd.lanes import lane_of, move, stand, step_out
from acd.model import NOTHING, STRICT_AGEING, FinalState, Need, QueueConfig, Relaxation, Target
from acd.state import Floor, Queue

FADE = 0.98
"""How much of a queue's history stays when something new is seen: the last fifty or so count."""


def place_of(config: QueueConfig, base: float, priority: int) -> float:
    """The key of the order: later by the queue's ageing time for each level of priority; it does not change with time."""
    return base + (priority - 1) * (config.ageing_seconds or STRICT_AGEING)


def begin(floor: Floor, contact: Contact, queue: Queue, ticket: Ticket) -> Visit:
    """A new visit, which does not stand in line yet."""
    at, order = floor.at, floor.next_order()
    base = at if ticket.base is None else ticket.base
    visit = Visit(
        ticket.id or f"{contact.id}/{order}",
        contact.id,
        queue.config.id,
        contact.channel,
        ticket.kind,
        at,
        base,
        at if ticket.steps_from is None else ticket.steps_from,
        order,
        ticket.priority,
        place_of(queue.config, base, ticket.priority),
        ticket.need,
        NOTHING,
        ticket.relaxation,
    )
    visit.waiting_since = at
    if ticket.outside is not None:
        visit.outside, visit.need = True, ticket.outside
    _catch_up(floor, queue, visit, anew=True)
    if ticket.preferred in floor.agents and (ticket.patience > 0 or _can_take(floor, ticket.preferred, visit)):
        prefer(floor, visit, ticket.preferred, ticket.patience)
    contact.visits.append(visit)
    contact.last_queue = queue.config.id
    floor.visits[visit.id] = visit
    queue.visits.offered += 1
    queue.visits.open += 1
    if ticket.kind == "callback":
        queue.visits.callbacks += 1
    lane = lane_of(floor, visit)
    if not lane.free():
        expected = estimates.predict(floor, lane, queue.waiting.rank(visit.key))
        visit.estimate, visit.p90 = expected.seconds, expected.p90
    _tell_started(floor, contact, visit, ticket)
    schedule(floor, visit)
    return visit


def _tell_started(floor: Floor, contact: Contact, visit: Visit, ticket: Ticket) -> None:
    floor.out.append(
        VisitStarted(
            visit.id,
            contact.id,
            visit.queue,
            contact.channel,
            visit.kind,
            floor.at,
            visit.priority,
            visit.estimate,
            visit.p90,
            contact.entry_point,
            ticket.need if ticket.outside is None else ticket.outside,
            ticket.relaxation if ticket.outside is None else (),
            ticket.preferred,
            ticket.patience,
        )
    )


def end(floor: Floor, visit: Visit, how: FinalState, reason: VisitReason = "", to: Target | None = None) -> None:
    """The visit is over; it leaves the line if it stands in it."""
    contact = floor.contacts[visit.contact]
    queue = floor.queues[visit.queue]
    if contact.state == "waiting":
        step_out(floor, visit)
    visit.stop_waiting(floor.at)
    contact.visits.remove(visit)
    del floor.visits[visit.id]
    floor.timers.clear("visit", visit.id)
    counts, history = queue.visits, queue.history
    counts.open -= 1
    counts.ended[how] = counts.ended.get(how, 0) + 1
    if visit.kind == "callback":
        counts.callbacks -= 1
    history.waited = history.waited * FADE + visit.waited
    history.abandoned = history.abandoned * FADE + (how in ("abandoned", "short-abandoned"))
    contact.waited += visit.waited
    contact.talked += visit.talked
    floor.out.append(
        VisitEnded(
            visit.id,
            visit.contact,
            visit.queue,
            how,
            visit.queued_at,
            floor.at,
            visit.waited,
            visit.talked,
            visit.waited <= queue.config.service_level_seconds,
            visit.channel,
            visit.kind,
            reason,
            to,
            visit.answered_at,
        )
    )


# --- steps --------------------------------------------------------------------------------------------------------


def schedule(floor: Floor, visit: Visit) -> None:
    """Wake up when the next step is due. While an offer is out, a rule by waiting time that is due waits for its end."""
    queue, state = floor.queues[visit.queue], floor.contacts[visit.contact].state
    start, steps = visit.steps_from, steps_of(queue, visit)
    passed = floor.at if state == "offered" else -inf
    due = inf
    if visit.patience_ends is not None and visit.patience_ends > passed:
        due = visit.patience_ends
    if visit.step < len(steps) and passed < (at := start + steps[visit.step].after) < due:
        due = at
    if visit.delay < len(queue.delays) and passed < (at := start + queue.delays[visit.delay]) < due:
        due = at
    if visit.waits_done < len(queue.waits) and passed < (at := start + queue.waits[visit.waits_done]) < due:
        due = at
    if due < inf and state != "scheduled":
        floor.timers.set("visit", visit.id, due)
    else:
        floor.timers.clear("visit", visit.id)


def advance(floor: Floor, visit: Visit) -> bool:
    """Take the steps that are due; whether it matters to agents or rules. Where it stands in line follows.

    `schedule` is left to the caller.
    """
    queue = floor.queues[visit.queue]
    need, delay, step = visit.need, visit.delay, visit.step
    _catch_up(floor, queue, visit)
    others = delay != visit.delay or need != visit.need
    if others and visit.id in floor.standing:
        move(floor, visit)
    return others or (visit.patience_ends is not None and step != visit.step)  # rules ask about all, not the preferred one


def _catch_up(floor: Floor, queue: Queue, visit: Visit, *, anew: bool = False) -> None:
    """Steps, delays and patience as of now; the need follows, made anew when it is not that of the steps before."""
    at, start = floor.at, visit.steps_from  # compared as `schedule` adds them: a difference would round otherwise
    if visit.patience_ends is not None and visit.patience_ends <= at:
        visit.patience_ends = None
        anew = True
    steps, first = steps_of(queue, visit), visit.step
    while visit.step < len(steps) and start + steps[visit.step].after <= at:
        visit.step += 1
    while visit.delay < len(queue.delays) and start + queue.delays[visit.delay] <= at:
        visit.delay += 1
    if visit.outside:
        return
    if anew or visit.patience_ends is not None:
        visit.need = need_now(queue, visit)
    else:
        for step in steps[first : visit.step]:
            visit.need = relax(visit.need, step)


def _can_take(floor: Floor, agent: str, visit: Visit) -> bool:
    """Whether the preferred agent is free for it at this moment."""
    return bool(floor.roster.by_id[agent].open & BITS[visit.channel])


def prefer(floor: Floor, visit: Visit, agent: str, patience: float) -> None:
    """For so long only this agent, if they are there at all."""
    if floor.agents[agent].presence != "logged-out":
        visit.preferred, visit.patience_ends = agent, floor.at + patience
        visit.need = Need(agents=(agent,))


def change_place(floor: Floor, visit: Visit, priority: int) -> None:
    """Another priority: the time that it has waited counts on."""
    standing = visit.id in floor.standing
    if standing:
        step_out(floor, visit)
    visit.priority = priority
    visit.place = place_of(floor.queues[visit.queue].config, visit.base, priority)
    if standing:
        stand(floor, visit)


def change_need(floor: Floor, visit: Visit, need: Need, relaxation: tuple[Relaxation, ...]) -> None:
    """Another need, with its own steps, by the time since the contact was queued."""
    visit.asked, visit.relaxation, visit.step, visit.outside = need, relaxation, 0, False
    visit.patience_ends = None
    _catch_up(floor, floor.queues[visit.queue], visit, anew=True)
    if visit.id in floor.standing:
        move(floor, visit)
    schedule(floor, visit)


def let_out(floor: Floor, visit: Visit, need: Need) -> None:
    """By a rule it goes to these agents, whatever queues and skills they have; it stays in its queue, and what it asked for is
    kept for the next one."""
    visit.need, visit.outside, visit.patience_ends = need, True, None
    if visit.id in floor.standing:
        move(floor, visit)
    schedule(floor, visit)


def refresh(floor: Floor, visit: Visit) -> None:
    """After a new configuration: place, steps and need by the new rules. It does not stand in line now."""
    queue = floor.queues[visit.queue]
    visit.place = place_of(queue.config, visit.base, visit.priority)
    visit.delay = visit.step = 0
    visit.waits_done = min(visit.waits_done, len(queue.waits))
    _catch_up(floor, queue, visit, anew=True)
    if floor.contacts[visit.contact].state in ("waiting", "offered"):
        schedule(floor, visit)
