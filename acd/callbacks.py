"""Courtesy callbacks: the customer hangs up, the contact keeps its place and is offered like any other; then it is dialled."""

from __future__ import annotations

from typing import Literal

from acd import entry, visits
from acd.agents import put_back, rest, spare
from acd.cases import Callback, Contact, Ticket, Visit
from acd.effects import CallbackChanged, VisitReason
from acd.ends import drop_callback, finish
from acd.errors import Refused
from acd.events import CallbackAnswered, CallbackCancelled, CallbackFailed, CallbackTaken
from acd.offers import withdraw_from
from acd.people import Work
from acd.segments import end_segment, end_talk
from acd.state import Floor


def take(floor: Floor, event: CallbackTaken) -> None:
    """Whoever waits (or is with the flow) need not stay on the line."""
    contact = floor.contact(event.contact)
    if contact.to_dial:
        raise Refused("callback-exists", f"contact {contact.id} is called back already")
    if contact.state not in ("arrived", "waiting", "offered"):
        raise Refused("not-waiting", f"contact {contact.id} is {contact.state}")
    name = event.queue or (contact.visits[0].queue if contact.visits else "")
    queue = floor.queue(name)
    if not queue.config.callback.offered:
        raise Refused("no-callbacks", f"queue {name} calls nobody back")
    if event.not_after and event.not_after <= max(floor.at, event.not_before):
        raise Refused("bad-window", "the callback's window is over before it begins")
    if event.visit in floor.visits:
        raise Refused("visit-exists", f"there is a visit {event.visit}")
    before = contact.visit_in(name)
    if before is None:
        entry.check(floor, contact, queue, to_dial=True, later=event.not_before > floor.at)
    agent = withdraw_from(floor, contact, "changed")
    ticket = Ticket(5, event.visit, kind="callback")
    if before is not None:
        ticket = Ticket(
            before.priority,
            event.visit,
            before.asked,
            before.relaxation,
            kind="callback",
            base=before.base,
            steps_from=before.steps_from,
            outside=before.need if before.outside else None,
            inside=True,
        )
    for visit in list(contact.visits):
        visits.end(floor, visit, "flowed-out", "callback")
    contact.state = "arrived"
    contact.callback = Callback(event.not_before, event.not_after)
    if contact.customer:
        floor.callbacks[contact.customer] = contact.id
    floor.out.append(CallbackChanged(contact.id, name, "waiting", by=event.by))
    if event.not_before > floor.at:
        visit = visits.begin(floor, contact, queue, ticket)
        _schedule(floor, contact, visit, event.not_before)
    else:
        set_timer(floor, contact)
        entry.enter(floor, contact, queue, ticket)
    if agent is not None:
        spare(floor, agent)


def answered(floor: Floor, event: CallbackAnswered) -> None:
    """The customer is there: the talk begins now."""
    contact, callback, work = _dialling(floor, event.contact)
    callback.state = "answered"
    if floor.callbacks.get(contact.customer) == contact.id:
        del floor.callbacks[contact.customer]
    work.dialling, work.since = False, floor.at
    floor.out.append(CallbackChanged(contact.id, work.queue, "answered", tries=callback.tries + 1))
    floor.tell_agent(floor.agents[contact.agent])


def failed(floor: Floor, event: CallbackFailed) -> None:
    """Nobody there: the agent is free, the contact is tried again later or given up."""
    _dialling(floor, event.contact)
    fail(floor, floor.contacts[event.contact], event.why)


def is_dialling(contact: Contact) -> bool:
    """Whether its customer is being called."""
    return contact.callback is not None and contact.callback.state == "dialling"


def fail(floor: Floor, contact: Contact, why: str) -> None:
    """The customer was not reached; an agent who gives up while it rings is one way."""
    contact, callback, work = _dialling(floor, contact.id)
    agent = floor.agents[contact.agent]
    callback.tries += 1
    end_talk(floor, contact, "not-reached", "not-reached")
    end_segment(floor, agent, work, "")
    visit = contact.visits[0]
    contact.agent = ""
    rule = floor.queues[visit.queue].config.callback
    again = floor.at + rule.retry_seconds
    if callback.tries >= rule.tries or (callback.not_after and again >= callback.not_after):
        drop_callback(floor, contact, why)
        finish(floor, contact, "failed", "unreachable")
    else:
        _schedule(floor, contact, visit, again, why)
    rest(floor, agent)


def cancel(floor: Floor, event: CallbackCancelled) -> None:
    """Nobody is to call back."""
    contact = floor.contact(event.contact)
    if not contact.to_dial:
        raise Refused("no-callback", f"contact {contact.id} is not to be called back")
    if contact.state == "engaged":
        raise Refused("already-dialling", f"contact {contact.id} is with {contact.agent}")
    give_up(floor, contact, event.why, event.by)


def give_up(
    floor: Floor, contact: Contact, why: Literal["called-in", "customer", "supervisor", "expired"], by: str = ""
) -> None:
    """The callback is over without a talk."""
    agent = withdraw_from(floor, contact, "cancelled")
    drop_callback(floor, contact, why, by)
    reason: VisitReason = why if why in ("called-in", "expired") else "cancelled"
    finish(floor, contact, "flowed-out", reason)
    if agent is not None:
        spare(floor, agent)


def called_in(floor: Floor, caller: Contact, queue: str, base: float | None) -> float | None:
    """The customer does not wait for the call: the callback is off, its place is theirs when it is the same queue."""
    contact = floor.contacts.get(floor.callbacks[caller.customer])
    if contact is None or contact is caller or contact.state not in ("waiting", "offered", "scheduled"):
        return base
    visit = contact.visit_in(queue)
    if visit is not None:
        base = visit.base if base is None else min(base, visit.base)
    give_up(floor, contact, "called-in")
    return base


def due(floor: Floor, id: str) -> None:
    """A callback's next moment has come: to be tried again, or too late."""
    contact = floor.contacts[id]
    callback = contact.callback
    if callback is None:
        raise LookupError(f"contact {contact.id} is no callback")
    if callback.not_after and callback.not_after <= floor.at:
        give_up(floor, contact, "expired")
        return
    if contact.state == "scheduled":
        callback.state, callback.next_try = "waiting", 0.0
        queue = contact.visits[0].queue
        floor.out.append(CallbackChanged(contact.id, queue, "waiting", tries=callback.tries))
        put_back(floor, contact)
        set_timer(floor, contact)
        entry.wait_on(floor, contact)


def not_dialling(floor: Floor, contact: Contact) -> None:
    """The agent is gone before the customer was there: the callback waits again, within its window."""
    if contact.callback is not None and contact.callback.state == "dialling":
        contact.callback.state = "waiting"
        floor.out.append(CallbackChanged(contact.id, contact.visits[0].queue, "waiting", tries=contact.callback.tries))
        set_timer(floor, contact)


def set_timer(floor: Floor, contact: Contact) -> None:
    """Wake up when the callback is due, or too late."""
    callback = contact.callback
    moments = [t for t in (callback.next_try, callback.not_after) if t] if callback is not None else []
    if moments:
        floor.timers.set("callback", contact.id, min(moments))


def _schedule(floor: Floor, contact: Contact, visit: Visit, at: float, why: str = "") -> None:
    """Out of the line until then; the place is kept."""
    if contact.callback is None:
        raise LookupError(f"contact {contact.id} is no callback")
    contact.callback.state, contact.callback.next_try = "scheduled", at
    visit.stop_waiting(floor.at)
    floor.timers.clear("visit", visit.id)
    floor.change_contact(contact, "scheduled")
    floor.out.append(CallbackChanged(contact.id, visit.queue, "scheduled", why, at, contact.callback.tries))
    set_timer(floor, contact)


def _dialling(floor: Floor, id: str) -> tuple[Contact, Callback, Work]:
    contact = floor.contact(id)
    callback = contact.callback
    work = floor.agents[contact.agent].work(id) if contact.agent else None
    if callback is None or work is None or not work.dialling:
        raise Refused("not-dialling", f"the customer of contact {id} is not being dialled")
    return contact, callback, work
