"""The door of a queue, and the rules for those it cannot serve: overflow, closed, full, nobody there."""

from __future__ import annotations

from acd import estimates, visits
from acd.cases import Contact, Visit
from acd.effects import Overflowed, OverflowWhy
from acd.eligibility import NOTHING
from acd.errors import Refused
from acd.lanes import Lane, lane_of, stand
from acd.matching import seek_agent, tell_nobody
from acd.model import Need, Overflow, Relaxation, Target, VisitKind
from acd.roster import Seat
from acd.state import Floor, Queue, Sweep

MOST_HOPS = 8
"""How often rules may move one contact, before it goes back to its flow."""


class Ticket:
    """With what somebody comes to a queue."""

    __slots__ = ("base", "id", "kind", "need", "outside", "patience", "preferred", "priority", "relaxation", "steps_from")

    def __init__(
        self,
        priority: int,
        id: str = "",
        need: Need = NOTHING,
        relaxation: tuple[Relaxation, ...] | None = None,
        *,
        kind: VisitKind = "direct",
        base: float | None = None,
        steps_from: float | None = None,
        preferred: str = "",
        patience: float = 0.0,
        outside: bool = False,
    ) -> None:
        self.priority, self.id, self.need, self.relaxation = priority, id, need, relaxation
        self.kind, self.base, self.steps_from = kind, base, steps_from
        self.preferred, self.patience, self.outside = preferred, patience, outside


def check(floor: Floor, contact: Contact, queue: Queue) -> None:
    """Refuse whom the queue would not let in; nothing is changed."""
    config = queue.config
    if config.channels and contact.channel not in config.channels:
        raise Refused("wrong-channel", f"queue {config.id} takes no {contact.channel}")
    if contact.visit_in(config.id) is not None:
        raise Refused("already-queued", f"contact {contact.id} waits in queue {config.id} already")
    shut = floor.closed(queue)
    full = bool(config.max_waiting and len(queue.waiting) >= config.max_waiting)
    if (shut or full) and rule_at_door(floor, queue, None) is None:
        if shut:
            raise Refused("queue-closed", f"queue {config.id} is closed")
        raise Refused("queue-full", f"{len(queue.waiting)} contacts wait in queue {config.id}")


def enter(floor: Floor, contact: Contact, queue: Queue, ticket: Ticket) -> None:
    """The contact begins to wait, unless a rule takes it elsewhere at once; `check` has let it in."""
    standing = contact.state == "waiting"
    visit = visits.begin(
        floor,
        contact,
        queue,
        id=ticket.id,
        priority=ticket.priority,
        kind=ticket.kind,
        base=ticket.base,
        steps_from=ticket.steps_from,
        asked=ticket.need,
        relaxation=ticket.relaxation,
        preferred=ticket.preferred,
        patience=ticket.patience,
        outside=ticket.outside,
    )
    rule = rule_at_door(floor, queue, lane_of(floor, visit)) if queue.rules else None
    if standing:
        stand(floor, visit)
    elif contact.state == "arrived":
        floor.change_contact(contact, "waiting")
    if rule is not None:
        overflow(floor, visit, rule, rule.when)
        return
    if contact.state == "waiting" and not seek_agent(floor, contact):
        tell_nobody(floor, visit)


# --- which rule ---------------------------------------------------------------------------------------------------


def rule_at_door(floor: Floor, queue: Queue, lane: Lane | None) -> Overflow | None:
    """The first rule that takes a newcomer elsewhere; without a lane only closed and size are asked."""
    for rule in queue.config.overflow:
        if rule.during and not floor.periods.get(rule.during, False):
            continue
        if rule.when == "size":
            if len(queue.waiting) >= rule.over:
                return rule
        elif rule.when == "ewt":
            if lane is not None and _too_long(floor, lane, rule.over):
                return rule
        elif rule.when != "wait" and holds(floor, queue, lane, rule):
            return rule
    return None


def _too_long(floor: Floor, lane: Lane, over: float) -> bool:
    if floor.roster.free.get(lane.bit, 0) & lane.mask:
        return False
    seconds = estimates.predict(floor, lane, len(lane.queue.waiting)).seconds
    return seconds is not None and seconds > over


def holds(floor: Floor, queue: Queue, lane: Lane | None, rule: Overflow) -> bool:
    """Whether a rule about the queue's state applies now."""
    match rule.when:
        case "closed":
            return floor.closed(queue)
        case "period":
            return bool(rule.during)
        case "nobody-logged-in":
            return not floor.roster.logged_in & queue.members[-1]
        case "nobody-with-the-skill":
            return lane is not None and not floor.roster.logged_in & able_ever(lane)
        case _:
            return False


def able_ever(lane: Lane) -> int:
    """Who may have the lane's contacts, delays aside."""
    return lane.mask if lane.aside else lane.mask | (lane.queue.members[-1] & ~lane.queue.members[lane.delay])


def rule_for_waiting(floor: Floor, visit: Visit) -> Overflow | None:
    """The first rule that takes somebody away who waits, by the queue's state."""
    queue = floor.queues[visit.queue]
    lane = lane_of(floor, visit)
    for rule in queue.config.overflow:
        if rule.when in ("size", "ewt", "wait") or (rule.during and not floor.periods.get(rule.during, False)):
            continue
        if holds(floor, queue, lane, rule):
            return rule
    return None


# --- carrying it out ----------------------------------------------------------------------------------------------


def overflow(floor: Floor, visit: Visit, rule: Overflow | None, why: OverflowWhy) -> None:
    """Take a waiting contact elsewhere; without a rule back to its flow."""
    contact = floor.contacts[visit.contact]
    to = rule.to if rule is not None else None
    contact.hops += 1
    if to is not None and contact.hops > MOST_HOPS:
        to = None
    if to is not None and to.kind in ("team", "agent"):
        need = Need(teams=(to.id,)) if to.kind == "team" else Need(agents=(to.id,))
        floor.out.append(Overflowed(contact.id, visit.queue, why, to))
        if to.priority:
            visits.change_place(floor, visit, to.priority)
        visits.let_out(floor, visit, need)
        if contact.state == "waiting" and not seek_agent(floor, contact, "step"):
            tell_nobody(floor, visit)
        return
    if to is not None and to.kind == "queue":
        _to_queue(floor, contact, visit, to, why)
        return
    floor.out.append(Overflowed(contact.id, visit.queue, why, to))
    to_flow(floor, contact, to)


def _to_queue(floor: Floor, contact: Contact, visit: Visit, to: Target, why: OverflowWhy) -> None:
    queue = floor.queues.get(to.id)
    try:
        if queue is None:
            raise Refused("unknown-queue", f"there is no queue {to.id}")
        check(floor, contact, queue)
    except Refused as refused:
        if refused.code == "already-queued":
            visits.end(floor, visit, "flowed-out", "overflow", to)
            return
        floor.out.append(Overflowed(contact.id, visit.queue, why, None))
        to_flow(floor, contact, None)
        return
    floor.out.append(Overflowed(contact.id, visit.queue, why, to))
    visits.end(floor, visit, "flowed-out", "overflow", to)
    if not contact.visits:
        contact.state = "arrived"
    ticket = Ticket(
        to.priority or visit.priority,
        "",
        visit.asked,
        visit.relaxation,
        kind=visit.kind,
        base=visit.base if to.keep_place else None,
    )
    enter(floor, contact, queue, ticket)


def to_flow(floor: Floor, contact: Contact, to: Target | None) -> None:
    """Out of all queues."""
    for visit in list(contact.visits):
        visits.end(floor, visit, "flowed-out", "overflow", to)
    contact.state = "arrived"
    floor.change_contact(contact, "arrived")


# --- when rules begin to apply ------------------------------------------------------------------------------------


def nobody_left(floor: Floor, seat: Seat) -> None:
    """An agent logged out or can less: look at the queues whose rules may apply now."""
    there = floor.roster.logged_in
    for queue, _ in seat.serves:
        if not len(queue.waiting):
            continue
        if "nobody-logged-in" in queue.rules and not there & queue.members[-1]:
            sweep(floor, queue)
        elif "nobody-with-the-skill" in queue.rules:
            lanes = (lane for lane in queue.lanes.values() if len(lane.waiting))
            if any(not there & able_ever(lane) for lane in lanes):
                sweep(floor, queue)


def sweep(floor: Floor, queue: Queue) -> None:
    """Look at everybody who waits in the queue, from the first on."""
    for known in floor.sweeps:
        if known.queue == queue.config.id:
            known.after = None
            return
    floor.sweeps.append(Sweep(queue.config.id))


def sweep_queue(floor: Floor, work: Sweep, most: int) -> int:
    """Go on with a queue; how many were looked at (fewer than asked: it is done)."""
    queue = floor.queues.get(work.queue)
    if queue is None:
        return 0
    shut = floor.closed(queue)
    looked = 0
    while looked < most:
        key = queue.waiting.first() if work.after is None else queue.waiting.above(work.after)
        if key is None:
            break
        looked += 1
        work.after = key
        visit = floor.visits[key[2]]
        rule = rule_for_waiting(floor, visit)
        if rule is not None:
            if not (visit.outside and rule.to.kind in ("team", "agent")):
                overflow(floor, visit, rule, rule.when)
        elif shut and queue.config.when_closed == "leave" and visit.kind == "direct":
            overflow(floor, visit, None, "closed")
    return looked
