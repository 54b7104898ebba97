"""A contact's life outside its talks: arrival, queues, and its one final state."""

from __future__ import annotations

from acd.agents import FADE, spare, start_wrap_up, withdraw
from acd.effects import ContactFinal, VisitEnded, WithdrawnWhy
from acd.errors import Refused
from acd.events import ContactArrived, ContactEnded, ContactQueued, ContactUnqueued, CustomerLeft
from acd.matching import seek_agent
from acd.model import HIGHEST_PRIORITY, LOWEST_PRIORITY, FinalState
from acd.state import Agent, Contact, Floor
from acd.talks import end_talk


def arrive(floor: Floor, event: ContactArrived) -> None:
    """A contact begins, with its flow."""
    if event.contact in floor.contacts or event.contact in floor.recent_ends:
        raise Refused("contact-exists", f"contact {event.contact} has arrived before")
    contact = Contact(event.contact, event.channel, event.entry_point, floor.at)
    floor.contacts[contact.id] = contact
    floor.arrived += 1
    floor.change_contact(contact, "arrived")


def enqueue(floor: Floor, event: ContactQueued) -> None:
    """The contact begins to wait; its place is its priority and this instant."""
    contact = floor.contact(event.contact)
    queue = floor.queue(event.queue)
    if contact.state != "arrived":
        raise Refused("not-with-flow", f"contact {contact.id} is {contact.state}")
    if not HIGHEST_PRIORITY <= event.priority <= LOWEST_PRIORITY:
        raise Refused("bad-priority", f"priority {event.priority} is not from {HIGHEST_PRIORITY} to {LOWEST_PRIORITY}")
    if queue.config.max_waiting and len(queue.waiting) >= queue.config.max_waiting:
        raise Refused("queue-full", f"{len(queue.waiting)} contacts wait in queue {event.queue}")
    contact.queue = contact.last_queue = event.queue
    contact.priority = event.priority
    contact.queued_at = contact.waiting_since = floor.at
    contact.order = floor.next_order()
    contact.visit = event.visit or f"{contact.id}/{contact.order}"
    contact.visit_waited = contact.visit_talked = 0.0
    queue.visits.offered += 1
    floor.change_contact(contact, "waiting")
    seek_agent(floor, contact, tell=True)


def unqueue(floor: Floor, event: ContactUnqueued) -> None:
    """Back to the flow."""
    contact = floor.contact(event.contact)
    if contact.state not in ("waiting", "offered"):
        raise Refused("not-waiting", f"contact {contact.id} is {contact.state}")
    agent = _take_from_offer(floor, contact, "flowed-out")
    contact.waiting_since, contact.visit_waited = None, contact.waited_by(floor.at)
    if contact.state == "waiting":
        floor.queues[contact.queue].waiting.remove(contact.key)
    contact.state = "arrived"
    _end_visit(floor, contact, "flowed-out")
    floor.change_contact(contact, "arrived")
    if agent is not None:
        spare(floor, agent)


def customer_left(floor: Floor, event: CustomerLeft) -> None:
    """The customer hung up, whatever the contact's state."""
    contact = floor.contact(event.contact)
    _end(floor, contact, by_customer=True, failed=False, rejected=False)


def end(floor: Floor, event: ContactEnded) -> None:
    """The talk is over, or flow or system ended the contact."""
    contact = floor.contact(event.contact)
    if contact.state == "engaged":
        agent = end_talk(floor, contact, event.by, "failed" if event.failed else "handled")
        _finish(floor, contact, "failed" if event.failed else "handled")
        start_wrap_up(floor, agent)
        return
    if event.by == "agent":
        raise Refused("not-engaged", f"contact {contact.id} is {contact.state}")
    _end(floor, contact, by_customer=event.by == "customer", failed=event.failed, rejected=event.rejected)


def _end(floor: Floor, contact: Contact, *, by_customer: bool, failed: bool, rejected: bool) -> None:
    if contact.state == "engaged":
        agent = end_talk(floor, contact, "customer", "handled")
        _finish(floor, contact, "handled")
        start_wrap_up(floor, agent)
        return
    final: FinalState = "failed" if failed else "rejected" if rejected else "flowed-out"
    if contact.state == "arrived":
        _finish(floor, contact, final)
        return
    waited = contact.waited_by(floor.at)
    if by_customer and not failed:
        short = contact.segments == 0 and waited < floor.queues[contact.queue].config.short_abandon_seconds
        final = "short-abandoned" if short else "abandoned"
    why: WithdrawnWhy = "customer-left" if by_customer else "failed" if failed else "flowed-out"
    holder = _take_from_offer(floor, contact, why)
    contact.waiting_since, contact.visit_waited = None, waited
    _finish(floor, contact, final)
    if holder is not None:
        spare(floor, holder)


def _take_from_offer(floor: Floor, contact: Contact, why: WithdrawnWhy) -> Agent | None:
    if contact.state != "offered":
        return None
    agent = floor.agents[floor.offers[contact.offer].agent]
    withdraw(floor, agent, why)
    return agent


def _finish(floor: Floor, contact: Contact, final: FinalState) -> None:
    """The only place where a contact gets its final state."""
    queue, agent = contact.last_queue, contact.last_agent
    floor.change_contact(contact, "ended")
    if contact.queue:
        _end_visit(floor, contact, final)
    floor.ended[final] = floor.ended.get(final, 0) + 1
    floor.out.append(ContactFinal(contact.id, final, queue, agent, contact.waited, contact.talked))
    floor.forget_contact(contact)


def _end_visit(floor: Floor, contact: Contact, how: FinalState) -> None:
    queue = floor.queues[contact.queue]
    queue.visits.ended[how] = queue.visits.ended.get(how, 0) + 1
    history = queue.history
    history.waited = history.waited * FADE + contact.visit_waited
    history.abandoned = history.abandoned * FADE + (how in ("abandoned", "short-abandoned"))
    floor.out.append(
        VisitEnded(
            contact.visit,
            contact.id,
            contact.queue,
            how,
            contact.queued_at,
            floor.at,
            contact.visit_waited,
            contact.visit_talked,
            contact.visit_waited <= queue.config.service_level_seconds,
        )
    )
    contact.waited += contact.visit_waited
    contact.talked += contact.visit_talked
    contact.queue = contact.visit = ""
    contact.visit_waited = contact.visit_talked = 0.0
