"""An offer's beginning and end; what becomes of its two sides is decided by the callers."""

from __future__ import annotations

from acd.cases import Contact, Visit
from acd.effects import OfferMade, OfferWithdrawn, WithdrawnWhy
from acd.errors import Refused
from acd.model import Decision
from acd.people import Agent, Offer
from acd.state import Floor


def make_offer(floor: Floor, visit: Visit, agent: Agent, decision: Decision) -> Offer:
    """Present a waiting contact to a free agent; the contact keeps its places, the agent is reserved."""
    contact = floor.contacts[visit.contact]
    contact.offers += 1
    rule = floor.queues[visit.queue].config.offer_of(visit.channel)
    offer = Offer(
        f"{contact.id}.{contact.offers}", contact.id, agent.id, visit.id, visit.queue, floor.at, floor.at + rule.seconds
    )
    floor.offers[offer.id] = offer
    contact.offer = agent.offer = offer.id
    agent.offered_order = floor.next_order()
    floor.out.append(
        OfferMade(
            offer.id,
            contact.id,
            agent.id,
            visit.queue,
            offer.deadline,
            visit.waited_by(floor.at),
            decision,
            visit.channel,
            visit.id,
            contact.to_dial,
            rule.auto_accept,
        )
    )
    floor.change_contact(contact, "offered")
    floor.settle(agent)
    if rule.auto_accept and not floor.by_hand:
        floor.accepting.append(offer.id)
    else:
        floor.timers.set("offer", offer.id, offer.deadline)
    return offer


def the_offer(floor: Floor, id: str, agent: str) -> Offer:
    """The offer that is out to this agent; refused when it is gone or somebody else's."""
    floor.agent(agent)
    offer = floor.offers.get(id)
    if offer is None:
        raise Refused("offer-gone", f"offer {id} is over")
    if offer.agent != agent:
        raise Refused("not-your-offer", f"offer {id} is not out to {agent}")
    return offer


def close_offer(floor: Floor, offer: Offer, withdrawn: WithdrawnWhy | None, reason: str = "") -> tuple[Contact, Agent]:
    """The offer is over, accepted when `withdrawn` is None; both sides are free of it but have their old states yet."""
    del floor.offers[offer.id]
    floor.timers.clear("offer", offer.id)
    contact, agent = floor.contacts[offer.contact], floor.agents[offer.agent]
    contact.offer = agent.offer = ""
    if withdrawn is not None:
        seconds = floor.at - offer.made_at
        floor.out.append(OfferWithdrawn(offer.id, contact.id, agent.id, withdrawn, offer.queue, seconds, reason))
    return contact, agent


def withdraw_from(floor: Floor, contact: Contact, why: WithdrawnWhy) -> Agent | None:
    """End the offer of this contact, if one is out; the agent is to be spared by the caller."""
    if not contact.offer:
        return None
    return close_offer(floor, floor.offers[contact.offer], why)[1]
