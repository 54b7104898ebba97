"""Bring waiting contacts and available agents together: when a contact begins to wait, and when an agent becomes available."""

from __future__ import annotations

from acd.effects import NobodyFor, NobodyWhy
from acd.explanations import explain
from acd.offers import make_offer
from acd.ranking import first_agent, first_contact
from acd.state import Agent, Contact, Floor

MATCHES_AT_ONCE = 256
"""A change of configuration makes at most so many offers in one event and goes on in the next."""


def seek_agent(floor: Floor, contact: Contact, *, tell: bool = False) -> None:
    """Offer a waiting contact to the longest available agent of its queue; `tell` says it when there is none."""
    queue = floor.queues[contact.queue]
    key = first_agent(queue)
    if key is not None:
        make_offer(floor, contact, floor.agents[key[2]], "contact")
    elif tell:
        staffed = any(pool.counts.total() > pool.counts["logged-out"] for pool in queue.pools)
        why: NobodyWhy = "nobody-available" if staffed else "nobody-logged-in"
        floor.out.append(NobodyFor(contact.id, contact.queue, why, explain(floor, "contact", contact, None)))


def seek_contact(floor: Floor, agent: Agent) -> None:
    """Offer an available agent the contact that comes first over their queues."""
    if agent.reason != "available":
        return
    key = first_contact(floor.pool_of[agent.id])
    if key is not None:
        make_offer(floor, floor.contacts[key[3]], agent, "agent")


def rematch(floor: Floor) -> None:
    """Match everybody after a change of who serves what, a bounded number at a time."""
    left = MATCHES_AT_ONCE
    floor.rematching = False
    for pool in floor.pools.values():
        while (key := first_contact(pool)) is not None and len(pool.free):
            if not left:
                floor.rematching = True
                floor.timers.add(floor.at, "rematch", "")
                return
            left -= 1
            contact = floor.contacts[key[3]]
            first = first_agent(floor.queues[contact.queue])
            if first is None:
                break
            make_offer(floor, contact, floor.agents[first[2]], "contact")
