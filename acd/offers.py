"""An offer's beginning and end; what becomes of its two sides is decided by the callers."""

from __future__ import annotations

from typing import Literal

from acd.effects import OfferMade, OfferWithdrawn, WithdrawnWhy
from acd.errors import Refused
from acd.explanations import explain
from acd.state import Agent, Contact, Floor, Offer


def make_offer(floor: Floor, contact: Contact, agent: Agent, trigger: Literal["contact", "agent"]) -> None:
    """Present a waiting contact to an available agent; the contact keeps its place, the agent is reserved."""
    decision = explain(floor, trigger, contact, agent)
    contact.offers += 1
    deadline = floor.at + floor.queues[contact.queue].config.offer_seconds
    offer = Offer(f"{contact.id}.{contact.offers}", contact.id, agent.id, contact.queue, floor.at, deadline)
    floor.offers[offer.id] = offer
    floor.timers.add(deadline, "offer", offer.id)
    contact.offer = agent.offer = offer.id
    agent.contact = contact.id
    floor.out.append(OfferMade(offer.id, contact.id, agent.id, contact.queue, deadline, contact.waited_by(floor.at), decision))
    floor.change_contact(contact, "offered")
    floor.change_agent(agent, "reserved", until=deadline)


def the_offer(floor: Floor, id: str, agent: str) -> Offer:
    """The offer that is out to this agent; refused when it is gone or somebody else's."""
    floor.agent(agent)
    offer = floor.offers.get(id)
    if offer is None:
        raise Refused("offer-gone", f"offer {id} is over")
    if offer.agent != agent:
        raise Refused("not-your-offer", f"offer {id} is not out to {agent}")
    return offer


def close_offer(floor: Floor, offer: Offer, withdrawn: WithdrawnWhy | None) -> tuple[Contact, Agent]:
    """The offer is over, accepted when `withdrawn` is None; both sides are free of it but have their old states yet."""
    del floor.offers[offer.id]
    contact, agent = floor.contacts[offer.contact], floor.agents[offer.agent]
    contact.offer = agent.offer = agent.contact = ""
    if withdrawn is not None:
        floor.out.append(OfferWithdrawn(offer.id, contact.id, agent.id, withdrawn))
    return contact, agent
