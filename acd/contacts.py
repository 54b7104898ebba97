"""A contact's life outside its talks: arrival, queues, and its one final state."""

from __future__ import annotations

from acd import callbacks, entry, visits
from acd.agents import back_to_place, spare
from acd.cases import Contact, Ticket, check_priority
from acd.effects import ReleasedWhy, WithdrawnWhy
from acd.eligibility import check_need, join
from acd.ends import drop_callback, finish, reclaim, remember_place
from acd.errors import Refused
from acd.events import ContactAmended, ContactArrived, ContactEnded, ContactQueued, ContactUnqueued, CustomerLeft
from acd.model import FinalState
from acd.offers import withdraw_from
from acd.segments import end_talk
from acd.state import Floor
from acd.talks import wrap_up_or_rest


def arrive(floor: Floor, event: ContactArrived) -> None:
    """A contact begins, with its flow."""
    if event.contact in floor.contacts or event.contact in floor.recent_ends:
        raise Refused("contact-exists", f"contact {event.contact} has arrived before")
    contact = Contact(event.contact, event.channel, event.entry_point, floor.at, event.customer)
    floor.contacts[contact.id] = contact
    floor.arrived += 1
    floor.change_contact(contact, "arrived")


def enqueue(floor: Floor, event: ContactQueued) -> None:
    """The contact begins to wait; its place is this instant and its priority, or one that its customer has earned before."""
    contact = floor.contact(event.contact)
    queue = floor.queue(event.queue)
    if contact.state not in ("arrived", "waiting"):
        raise Refused("not-with-flow", f"contact {contact.id} is {contact.state}")
    check_priority(event.priority)
    if event.visit and event.visit in floor.visits:
        raise Refused("visit-exists", f"there is a visit {event.visit}")
    check_need(join(queue.config.need, event.need), event.relaxation or ())
    entry.check(floor, contact, queue)
    contact.hops = 0
    base = reclaim(floor, contact.customer, event.queue)
    if contact.customer in floor.callbacks:
        base = callbacks.called_in(floor, contact, event.queue, base)
    ticket = Ticket(
        event.priority,
        event.visit,
        event.need,
        event.relaxation,
        base=base,
        kind="callback" if contact.to_dial else "direct",
        preferred=event.preferred,
        patience=event.patience,
    )
    entry.enter(floor, contact, queue, ticket)


def unqueue(floor: Floor, event: ContactUnqueued) -> None:
    """Out of one queue or all; back to the flow when it is in none."""
    contact = floor.contact(event.contact)
    if contact.state not in ("waiting", "offered", "scheduled"):
        raise Refused("not-waiting", f"contact {contact.id} is {contact.state}")
    chosen = [visit for visit in contact.visits if event.queue in ("", visit.queue)]
    if not chosen:
        raise Refused("not-in-queue", f"contact {contact.id} is not in queue {event.queue}")
    offered = floor.offers.get(contact.offer)
    agent = None
    if offered is not None and any(visit.id == offered.visit for visit in chosen):
        agent = withdraw_from(floor, contact, "flowed-out")
    for visit in chosen:
        visits.end(floor, visit, "flowed-out", "unqueued")
    if not contact.visits:
        contact.state = "arrived"
        drop_callback(floor, contact, "unqueued")
        floor.change_contact(contact, "arrived")
    elif agent is not None:
        back_to_place(floor, contact)
    if agent is not None:
        spare(floor, agent)


def amend(floor: Floor, event: ContactAmended) -> None:
    """Another priority or need; an offer that is out stays when only the priority is new."""
    contact = floor.contact(event.contact)
    if contact.state not in ("waiting", "offered", "scheduled"):
        raise Refused("not-waiting", f"contact {contact.id} is {contact.state}")
    if event.priority:
        check_priority(event.priority)
    if event.need is not None:
        check_need(event.need, event.relaxation or ())
    agent = withdraw_from(floor, contact, "changed") if event.need is not None else None
    for visit in contact.visits:
        if event.priority:
            visits.change_place(floor, visit, event.priority)
        if event.need is not None:
            visits.change_need(floor, visit, event.need, event.relaxation or ())
    if agent is not None:
        back_to_place(floor, contact)
        spare(floor, agent)
    elif contact.state == "waiting" and event.need is not None:
        entry.wait_on(floor, contact)


def customer_left(floor: Floor, event: CustomerLeft) -> None:
    """The customer hung up, whatever the contact's state; one who will be called back may."""
    contact = floor.contact(event.contact)
    if contact.to_dial and contact.state in ("waiting", "offered", "scheduled"):
        return
    if callbacks.is_dialling(contact):
        callbacks.fail(floor, contact, "unreachable")
        return
    _end(floor, contact, by_customer=True, failed=False, rejected=False)


def end(floor: Floor, event: ContactEnded) -> None:
    """The talk is over, or flow or system ended the contact."""
    contact = floor.contact(event.contact)
    if callbacks.is_dialling(contact):
        callbacks.fail(floor, contact, "unreachable")
        return
    if contact.state in ("engaged", "parked"):
        how: FinalState = "failed" if event.failed else "handled"
        _end_talk(floor, contact, how, event.by)
        return
    if event.by == "agent":
        raise Refused("not-engaged", f"contact {contact.id} is {contact.state}")
    if event.by == "customer" and not event.failed:
        customer_left(floor, CustomerLeft(event.at, contact.id))
        return
    _end(floor, contact, by_customer=event.by == "customer", failed=event.failed, rejected=event.rejected)


def _end_talk(floor: Floor, contact: Contact, how: FinalState, by: ReleasedWhy) -> None:
    agent = floor.agents[contact.agent]
    work = end_talk(floor, contact, by, "failed" if how == "failed" else "handled")
    finish(floor, contact, how)
    wrap_up_or_rest(floor, agent, work)


def _end(floor: Floor, contact: Contact, *, by_customer: bool, failed: bool, rejected: bool) -> None:
    if contact.state in ("engaged", "parked"):
        _end_talk(floor, contact, "handled", "customer")
        return
    final: FinalState = "failed" if failed else "rejected" if rejected else "flowed-out"
    if contact.state == "arrived":
        finish(floor, contact, final)
        return
    if by_customer and not failed:
        first = contact.visits[0]
        waited = first.waited_by(floor.at)
        short = contact.segments == 0 and waited < floor.queues[first.queue].config.short_abandon_seconds
        final = "short-abandoned" if short else "abandoned"
        remember_place(floor, contact)
    why: WithdrawnWhy = "customer-left" if by_customer else "failed" if failed else "flowed-out"
    holder = withdraw_from(floor, contact, why)
    finish(floor, contact, final)
    if holder is not None:
        spare(floor, holder)
