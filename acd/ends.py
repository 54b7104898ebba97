"""A contact's one final state, and the place that its customer may have again."""

from __future__ import annotations

from acd import visits
from acd.cases import Contact, Left
from acd.effects import CallbackChanged, ContactFinal, VisitReason
from acd.model import FinalState
from acd.state import Floor

_MOST_LEFT = 10_000
"""Places that are remembered for customers who left."""


def finish(floor: Floor, contact: Contact, final: FinalState, reason: VisitReason = "") -> None:
    """The only place where a contact gets its final state."""
    queue, agent = contact.last_queue, contact.last_agent
    drop_callback(floor, contact, final)
    for visit in list(contact.visits):
        visits.end(floor, visit, final, reason)
    contact.state = "arrived"  # in no line any more
    floor.change_contact(contact, "ended")
    floor.ended[final] = floor.ended.get(final, 0) + 1
    floor.out.append(
        ContactFinal(
            contact.id,
            final,
            queue,
            agent,
            contact.waited,
            contact.talked,
            contact.channel,
            contact.entry_point,
            contact.arrived_at,
        )
    )
    floor.forget_contact(contact)


def drop_callback(floor: Floor, contact: Contact, why: str, by: str = "") -> None:
    """Nobody will call back any more, if somebody was to."""
    if contact.to_dial and contact.callback is not None:
        queue, tries = contact.visits[0].queue if contact.visits else contact.last_queue, contact.callback.tries
        floor.out.append(CallbackChanged(contact.id, queue, "over", why, tries=tries, by=by))
    contact.callback = None
    floor.timers.clear("callback", contact.id)
    if floor.callbacks.get(contact.customer) == contact.id:
        del floor.callbacks[contact.customer]


# --- places that may be had again ---------------------------------------------------------------------------------


def remember_place(floor: Floor, contact: Contact) -> None:
    """The customer may come again within the queues' times."""
    if not contact.customer:
        return
    for visit in contact.visits:
        seconds = floor.queues[visit.queue].config.reclaim_seconds
        if seconds > 0:
            floor.left.pop((contact.customer, visit.queue), None)
            left = Left(contact.customer, visit.queue, visit.base, visit.priority, floor.at + seconds)
            floor.left[contact.customer, visit.queue] = left
    while floor.left:
        oldest = next(iter(floor.left))
        if len(floor.left) <= _MOST_LEFT and floor.left[oldest].until >= floor.at:
            break
        del floor.left[oldest]


def reclaim(floor: Floor, customer: str, queue: str) -> float | None:
    """The place that the customer may have again, as the time from which it counts."""
    left = floor.left.pop((customer, queue), None) if customer else None
    return left.base if left is not None and left.until >= floor.at else None
