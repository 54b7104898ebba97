"""The door of a queue, and the rules for those it cannot serve: overflow, closed, full, nobody there."""

from __future__ import annotations

from acd import estimates, visits
from acd.cases import Contact, Ticket, Visit
from acd.effects import Overflowed, OverflowWhy
from acd.eligibility import able, need_of_all
from acd.errors import Refused
from acd.lanes import Lane, lane_of, stand
from acd.matching import seek_agent, tell_nobody
from acd.model import Need, Overflow, Target, Trigger
from acd.roster import Seat
from acd.state import Floor, Queue, Sweep

MOST_HOPS = 8
"""How often rules may move one contact, before it goes back to its flow."""

AGENTS_AND_QUEUES = ("queue", "team", "agent")
"""Kinds of targets where the contact goes on waiting; the others take a customer who is on the line."""


def check(floor: Floor, contact: Contact, queue: Queue, *, to_dial: bool = False, later: bool = False) -> None:
    """Refuse whom the queue would not let in; nothing is changed. Who comes `later` may find it open then."""
    config = queue.config
    if config.channels and contact.channel not in config.channels:
        raise Refused("wrong-channel", f"queue {config.id} takes no {contact.channel}")
    if contact.visit_in(config.id) is not None:
        raise Refused("already-queued", f"contact {contact.id} waits in queue {config.id} already")
    if later:
        return
    shut = floor.closed(queue)
    full = bool(config.max_waiting and len(queue.waiting) >= config.max_waiting)
    if (shut or full) and rule_at_door(floor, queue, None, to_dial=to_dial or contact.to_dial) is None:
        if shut:
            raise Refused("queue-closed", f"queue {config.id} is closed")
        raise Refused("queue-full", f"{len(queue.waiting)} contacts wait in queue {config.id}")


def check_open(floor: Floor, queue: Queue) -> None:
    """Refuse a place anew in a queue that hands back all who wait since it closed."""
    if queue.config.when_closed == "leave" and floor.closed(queue) and rule_at_door(floor, queue, None) is None:
        raise Refused("queue-closed", f"queue {queue.config.id} is closed")


def enter(floor: Floor, contact: Contact, queue: Queue, ticket: Ticket) -> None:
    """The contact begins to wait, unless a rule takes it elsewhere at once; `check` has let it in."""
    standing = contact.state == "waiting"
    visit = visits.begin(floor, contact, queue, ticket)
    rule = rule_at_door(floor, queue, visit, to_dial=contact.to_dial, inside=ticket.inside) if queue.rules else None
    if standing:
        stand(floor, visit)
    elif contact.state == "arrived":
        floor.change_contact(contact, "waiting")
    if rule is not None and overflow(floor, visit, rule, rule.when):
        return
    if contact.state == "waiting" and not seek_agent(floor, contact):
        tell_nobody(floor, visit)


# --- which rule ---------------------------------------------------------------------------------------------------


def rule_at_door(
    floor: Floor, queue: Queue, visit: Visit | None, *, to_dial: bool = False, inside: bool = False
) -> Overflow | None:
    """The first rule that takes a newcomer elsewhere; without a visit only closed, size and nobody there are asked."""
    for rule in queue.config.overflow:
        if not applies(floor, rule, to_dial=to_dial):
            continue
        if rule.when == "size":
            if not inside and len(queue.waiting) >= rule.over:
                return rule
        elif rule.when == "ewt":
            if not inside and visit is not None and _too_long(floor, lane_of(floor, visit), rule.over):
                return rule
        elif rule.when != "wait" and holds(floor, queue, visit, rule):
            return rule
    return None


def applies(floor: Floor, rule: Overflow, *, to_dial: bool) -> bool:
    """Whether the rule is one for now; where a customer must be on the line, none for callbacks."""
    if to_dial and rule.to.kind not in AGENTS_AND_QUEUES:
        return False
    return not rule.during or floor.periods.get(rule.during, False)


def _too_long(floor: Floor, lane: Lane, over: float) -> bool:
    if lane.free():
        return False
    seconds = estimates.predict(floor, lane, len(lane.queue.waiting)).seconds
    return seconds is not None and seconds > over


def holds(floor: Floor, queue: Queue, visit: Visit | None, rule: Overflow) -> bool:
    """Whether a rule about the queue's state applies now."""
    match rule.when:
        case "closed":
            return floor.closed(queue)
        case "period":
            return bool(rule.during)
        case "nobody-logged-in":
            return not floor.roster.logged_in & queue.members[-1]
        case "nobody-with-the-skill":
            return visit is not None and not floor.roster.logged_in & able_ever(floor, queue, visit)
        case _:
            return False


def able_ever(floor: Floor, queue: Queue, visit: Visit) -> int:
    """Who may have the visit's contact, delays and a preferred agent aside."""
    return able(floor.roster, queue, need_of_all(queue, visit), len(queue.delays), visit.outside)


def rule_for_waiting(floor: Floor, visit: Visit) -> Overflow | None:
    """The first rule that takes somebody away who waits: by the queue's state, or by a waiting time that is over since a period
    began."""
    queue, to_dial = floor.queues[visit.queue], floor.contacts[visit.contact].to_dial
    for rule in queue.config.overflow:
        if rule.when in ("size", "ewt") or not applies(floor, rule, to_dial=to_dial):
            continue
        there_already = visit.outside and rule.to.kind in ("team", "agent")
        if rule.when == "wait":
            if rule.during and not there_already and visit.steps_from + rule.over <= floor.at:
                return rule
        elif holds(floor, queue, visit, rule):
            return None if there_already else rule
    return None


def rule_by_wait(floor: Floor, visit: Visit) -> Overflow | None:
    """The first of the rules whose waiting time has been reached since this was asked last."""
    queue = floor.queues[visit.queue]
    if visit.waits_done == len(queue.waits):
        return None
    passed, to_dial = visit.waits_done, floor.contacts[visit.contact].to_dial
    while passed < len(queue.waits) and visit.steps_from + queue.waits[passed] <= floor.at:
        passed += 1
    reached, visit.waits_done = queue.waits[visit.waits_done : passed], passed
    for rule in queue.config.overflow:
        if rule.when == "wait" and rule.over in reached and applies(floor, rule, to_dial=to_dial):
            return rule
    return None


# --- carrying it out ----------------------------------------------------------------------------------------------


def overflow(floor: Floor, visit: Visit, rule: Overflow | None, why: OverflowWhy) -> bool:
    """Take a waiting contact elsewhere, without a rule back to its flow; False when it has to stay."""
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
        return True
    if to is not None and to.kind == "queue":
        return _to_queue(floor, contact, visit, to, why)
    return _to_flow(floor, contact, visit, to, why)


def _to_queue(floor: Floor, contact: Contact, visit: Visit, to: Target, why: OverflowWhy) -> bool:
    queue = floor.queues.get(to.id)
    try:
        if queue is None:
            raise Refused("unknown-queue", f"there is no queue {to.id}")
        check(floor, contact, queue)
    except Refused as refused:
        if refused.code != "already-queued":
            return _to_flow(floor, contact, visit, None, why)
        visits.end(floor, visit, "flowed-out", "overflow", to)
        return True
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
    return True


def _to_flow(floor: Floor, contact: Contact, visit: Visit, to: Target | None, why: OverflowWhy) -> bool:
    """Out of all queues; out of this one alone when nobody takes it elsewhere and it waits in others, too."""
    if contact.to_dial:
        return False
    if to is None and len(contact.visits) > 1:
        visits.end(floor, visit, "flowed-out", "overflow")
        return True
    floor.out.append(Overflowed(contact.id, visit.queue, why, to))
    for stay in list(contact.visits):
        visits.end(floor, stay, "flowed-out", "overflow", to)
    contact.state = "arrived"
    floor.change_contact(contact, "arrived")
    return True


# --- when rules begin to apply ------------------------------------------------------------------------------------


def wait_on(floor: Floor, contact: Contact, trigger: Trigger = "contact") -> None:
    """A contact waits again, or by another need: elsewhere when a rule says so, else for the best free agent."""
    for visit in list(contact.visits):
        queue = floor.queues[visit.queue]
        ruled = queue.rules or queue.config.when_closed == "leave"
        if ruled and contact.state == "waiting" and visit.id in floor.visits:
            by_rule(floor, visit)
    if contact.state == "waiting":
        seek_agent(floor, contact, trigger)


def by_rule(floor: Floor, visit: Visit) -> bool:
    """Take somebody elsewhere who waits where the queue's rules do not keep them; whether that was so."""
    queue = floor.queues[visit.queue]
    rule = rule_for_waiting(floor, visit)
    if rule is not None:
        return overflow(floor, visit, rule, rule.when)
    leaves = queue.config.when_closed == "leave" and not visit.outside and floor.closed(queue)
    return leaves and overflow(floor, visit, None, "closed")


def rules_may_hold(floor: Floor) -> None:
    """Agents or rules are new: look at all who wait in queues with rules about their state."""
    for queue in floor.queues.values():
        if len(queue.waiting) and (queue.rules - {"size", "ewt"} or queue.config.when_closed == "leave"):
            sweep(floor, queue)


def nobody_left(floor: Floor, seat: Seat) -> None:
    """An agent logged out: look at the queues whose rules may apply now."""
    for queue in floor.queues.values():
        if queue.waiting.length and _may_be_left(floor, queue, seat):
            sweep(floor, queue)


def _may_be_left(floor: Floor, queue: Queue, seat: Seat) -> bool:
    there, served = floor.roster.logged_in, queue.config.id in seat.by_queue
    if served and "nobody-logged-in" in queue.rules and not there & queue.members[-1]:
        return True
    if "nobody-with-the-skill" not in queue.rules:
        return False
    for lane in queue.lanes.values():
        if lane.head is None:
            continue
        if lane.need.agents:
            return True  # while a preferred agent is waited for, the lane does not say who else may have its contacts
        if (served or lane.outside) and not there & able(floor.roster, queue, lane.need, len(queue.delays), lane.outside):
            return True
    return False


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
    looked = 0
    while looked < most:
        key = queue.waiting.first() if work.after is None else queue.waiting.from_key((work.after[0], work.after[1] + 1))
        if key is None:
            break
        looked += 1
        place, order, visit = key
        work.after = (place, order, visit.id)
        by_rule(floor, visit)
    return looked
