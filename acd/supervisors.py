"""What supervisors (and agents who pick) do by hand: each with who did it."""

from __future__ import annotations

from acd import entry, explanations, visits
from acd.agents import back_to_place, spare, withdraw
from acd.capacity import BITS
from acd.cases import Contact, Ticket, Visit
from acd.effects import BroadcastSent, QueueChanged
from acd.errors import Refused
from acd.events import BroadcastMade, ContactAssigned, ContactPicked, ContactRequeued, PeriodChanged, QueueClosed, QueueOpened
from acd.lanes import lane_of
from acd.model import Target
from acd.offers import make_offer, withdraw_from
from acd.people import Agent, Offer
from acd.state import Floor, Queue
from acd.talks import assign, hand_over


def pick(floor: Floor, event: ContactPicked) -> None:
    """An agent takes a waiting contact out of its turn."""
    contact, agent = _both(floor, event.contact, event.agent)
    if not floor.seat(agent).capacity.room(agent) & BITS[contact.channel]:
        raise Refused("no-capacity", f"{agent.id} can take no more {contact.channel} now")
    if agent.offer and floor.offers[agent.offer].contact != contact.id:
        raise Refused("agent-reserved", f"{agent.id} has an offer out")
    _give(floor, contact, agent, event.by or agent.id)


def assign_by_hand(floor: Floor, event: ContactAssigned) -> None:
    """A supervisor names the agent: an offer, or with force a talk at once."""
    contact, agent = _both(floor, event.contact, event.agent)
    if event.force:
        _give(floor, contact, agent, event.by)
        return
    seat = floor.seat(agent)
    if not seat.open & BITS[contact.channel]:
        raise Refused("agent-not-free", f"{agent.id} cannot be offered a {contact.channel} contact now")
    holder = withdraw_from(floor, contact, "taken")
    if holder is not None:
        floor.change_contact(contact, "waiting")
    visit = contact.visits[0]
    make_offer(floor, visit, agent, explanations.of_order(floor, visit, lane_of(floor, visit), seat, event.by))
    if holder is not None:
        spare(floor, holder)


def requeue(floor: Floor, event: ContactRequeued) -> None:
    """A supervisor moves a contact that waits, or takes one from its agent."""
    contact = floor.contact(event.contact)
    if event.visit and event.visit in floor.visits:
        raise Refused("visit-exists", f"there is a visit {event.visit}")
    if contact.state in ("engaged", "parked"):
        name = event.queue or contact.visits[0].queue
        agent = floor.agents[contact.agent]
        work = agent.work(contact.id)
        if work is None:
            raise LookupError(f"contact {contact.id} is with {agent.id}, who has no work on it")
        to = Target("queue", name, event.keep_place)
        hand_over(floor, contact, agent, work, to, event.visit, "requeued", event.by)
        return
    if contact.state not in ("waiting", "offered"):
        raise Refused("not-waiting", f"contact {contact.id} is {contact.state}")
    before = contact.visits[0]
    queue = floor.queue(event.queue or before.queue)
    inside = contact.visit_in(queue.config.id) is not None
    if inside:
        entry.check_open(floor, queue)
    else:
        entry.check(floor, contact, queue)
    holder = withdraw_from(floor, contact, "taken")
    ticket = Ticket(
        before.priority,
        event.visit,
        before.asked,
        before.relaxation,
        kind=before.kind,
        base=before.base if event.keep_place else None,
        outside=before.need if before.outside else None,
        inside=inside,
    )
    to = Target("queue", queue.config.id, event.keep_place)
    for visit in list(contact.visits):
        visits.end(floor, visit, "flowed-out", "moved", to)
    contact.state = "arrived"
    entry.enter(floor, contact, queue, ticket)
    if holder is not None:
        spare(floor, holder)


def _both(floor: Floor, contact_id: str, agent_id: str) -> tuple[Contact, Agent]:
    contact = floor.contact(contact_id)
    agent = floor.agent(agent_id)
    if contact.state not in ("waiting", "offered"):
        raise Refused("not-waiting", f"contact {contact.id} is {contact.state}")
    if agent.presence == "logged-out":
        raise Refused("not-logged-in", f"{agent.id} is not logged in")
    if not agent.reach & BITS[contact.channel]:
        raise Refused("unreachable", f"{agent.id} cannot be reached by {contact.channel}")
    return contact, agent


def make_room(floor: Floor, agent: Agent, offer: Offer) -> None:
    """Take back an offer for which the agent has no room any more."""
    channel = floor.contacts[offer.contact].channel
    if not floor.seat(agent).capacity.room(agent) & BITS[channel]:
        contact = withdraw(floor, agent, "changed")
        spare(floor, agent)
        back_to_place(floor, contact)


def _give(floor: Floor, contact: Contact, agent: Agent, by: str) -> None:
    """The contact is the agent's at once, whoever had an offer of it."""
    visit: Visit = contact.visits[0]
    holder = withdraw_from(floor, contact, "taken")
    other = floor.offers.get(agent.offer)
    assign(floor, contact, agent, visit, "", by)
    if other is not None and other.contact != contact.id:
        make_room(floor, agent, other)
    if holder is not None and holder is not agent:
        spare(floor, holder)


# --- queues -------------------------------------------------------------------------------------------------------


def close_queue(floor: Floor, event: QueueClosed) -> None:
    """No newcomers, whatever the hours say."""
    queue = floor.queue(event.queue)
    if queue.shut:
        raise Refused("closed-already", f"queue {event.queue} is closed by a supervisor")
    was = floor.closed(queue)
    queue.shut = True
    if not was:
        closed(floor, queue, "supervisor", event.by)


def open_queue(floor: Floor, event: QueueOpened) -> None:
    """The hours count again."""
    queue = floor.queue(event.queue)
    if not queue.shut:
        raise Refused("not-closed", f"queue {event.queue} is not closed by a supervisor")
    queue.shut = False
    if not floor.closed(queue):
        floor.out.append(QueueChanged(event.queue, False, "supervisor", event.by))


def closed(floor: Floor, queue: Queue, why: str, by: str = "") -> None:
    """A queue has closed: those who wait are looked at by its rules."""
    floor.out.append(QueueChanged(queue.config.id, True, "hours" if why == "hours" else "supervisor", by))
    if len(queue.waiting) and ("closed" in queue.rules or queue.config.when_closed == "leave"):
        entry.sweep(floor, queue)


def change_period(floor: Floor, event: PeriodChanged) -> None:
    """Opening hours and rules by time of day follow."""
    if floor.periods.get(event.period, False) == event.on:
        return
    before = {queue.config.id: floor.closed(queue) for queue in floor.queues.values()}
    floor.periods[event.period] = event.on
    for queue in floor.queues.values():
        now = floor.closed(queue)
        if now and not before[queue.config.id]:
            closed(floor, queue, "hours")
        elif before[queue.config.id] and not now:
            floor.out.append(QueueChanged(queue.config.id, False, "hours"))
        begins = event.on and any(rule.during == event.period for rule in queue.config.overflow)
        if begins and len(queue.waiting):
            entry.sweep(floor, queue)


def broadcast(floor: Floor, event: BroadcastMade) -> None:
    """To those who are logged in, of these teams and queues."""
    roster = floor.roster
    mask = roster.logged_in
    if event.teams or event.queues:
        chosen = 0
        for team in event.teams:
            chosen |= roster.teams.get(team, 0)
        for name in event.queues:
            chosen |= floor.queue(name).members[-1]
        mask &= chosen
    agents = tuple(seat.agent.id for seat in roster.seats_of(mask))
    floor.out.append(BroadcastSent(event.message, agents, event.by))
