"""From an offer's answer to the end of the talk."""

from __future__ import annotations

from acd.agents import (
    back_to_place,
    change_reachable,
    end_segment,
    leave,
    pause,
    take_choice,
    withdraw,
)
from acd.effects import Assigned, Released, ReleasedWhy, SegmentHow, SegmentStarted
from acd.errors import Refused
from acd.events import AgentLost, AgentReachable, ConnectFailed, OfferAccepted, OfferDeclined
from acd.offers import close_offer, the_offer
from acd.state import Agent, Contact, Floor, Segment

CONNECT_FAILED = "connect-failed"
"""Idle code of the pause after a connection that failed."""


def accept(floor: Floor, event: OfferAccepted) -> None:
    """Join the two; an accept that comes before the deadline was dealt with counts."""
    offer = the_offer(floor, event.offer, event.agent)
    contact, agent = close_offer(floor, offer, None)
    contact.visit_waited = contact.waited_by(floor.at)
    contact.waiting_since = None
    contact.agent = contact.last_agent = agent.id
    contact.segments += 1
    if contact.answered_at is None:
        contact.answered_at = floor.at
    agent.contact = contact.id
    agent.segment = Segment(contact.id, contact.segments, contact.queue, contact.visit, floor.at)
    floor.out.append(Assigned(contact.id, agent.id, contact.queue, offer.id))
    floor.out.append(SegmentStarted(contact.id, contact.segments, agent.id, contact.queue, contact.visit, floor.at))
    floor.change_contact(contact, "engaged")
    floor.change_agent(agent, "engaged")


def decline(floor: Floor, event: OfferDeclined) -> None:
    """The agent is out of rotation until they choose a state, so that the contact does not come back to them at once."""
    the_offer(floor, event.offer, event.agent)
    agent = floor.agents[event.agent]
    contact = withdraw(floor, agent, "declined")
    _out_of_rotation(floor, agent, "declined")
    back_to_place(floor, contact)


def miss(floor: Floor, offer: str) -> None:
    """RONA: the offer's deadline passed."""
    agent = floor.agents[floor.offers[offer].agent]
    contact = withdraw(floor, agent, "rona")
    _out_of_rotation(floor, agent, "rona")
    back_to_place(floor, contact)


def _out_of_rotation(floor: Floor, agent: Agent, code: str) -> None:
    if not take_choice(floor, agent):
        floor.change_agent(agent, "not-responding", code)


def fail_connection(floor: Floor, event: ConnectFailed) -> None:
    """Accepted, but not joined: no talk, the contact keeps its place, the agent pauses."""
    contact = floor.contact(event.contact)
    agent = floor.agent(event.agent)
    if contact.state != "engaged" or contact.agent != agent.id:
        raise Refused("not-engaged", f"contact {contact.id} is not with {agent.id}")
    end_talk(floor, contact, "connect-failed", "connect-failed")
    contact.answered_at = None if contact.segments == 1 else contact.answered_at
    end_segment(floor, agent, "")
    pause(floor, agent, CONNECT_FAILED, floor.settings.connect_retry_seconds)
    back_to_place(floor, contact)


def lose_agent(floor: Floor, event: AgentLost) -> None:
    """Logged out and not reachable; a contact they had goes back to its place."""
    agent = floor.agent(event.agent)
    contact = floor.contacts[agent.contact] if agent.state == "engaged" else None
    if contact is not None:
        end_talk(floor, contact, "agent-lost", "agent-lost")
        end_segment(floor, agent, "")
    if agent.state != "logged-out":
        leave(floor, agent)
    change_reachable(floor, AgentReachable(event.at, agent.id, reachable=False))
    if contact is not None:
        back_to_place(floor, contact)


def end_talk(floor: Floor, contact: Contact, why: ReleasedWhy, how: SegmentHow) -> Agent:
    """Part the two and count the talk; the agent's segment stays open, their states are the caller's to change."""
    agent = floor.agents[contact.agent]
    segment = agent.segment
    if segment is not None:
        segment.how = how
        segment.talk = 0.0 if how == "connect-failed" else floor.at - segment.started
        contact.visit_talked += segment.talk
    floor.out.append(Released(contact.id, agent.id, why))
    return agent
