"""From an offer's answer to the end of the talk: accept, decline, miss, park, transfer, lose."""

from __future__ import annotations

from acd import agents, entry, estimates, visits, wrapup
from acd.agents import back_to_place, change_reachable, leave, pause, rest, take_presence, withdraw
from acd.callbacks import not_dialling
from acd.capacity import BITS
from acd.cases import Contact, Ticket, Visit, check_priority
from acd.effects import Assigned, CallbackChanged, Overflowed, Parked, ReleasedWhy, SegmentStarted
from acd.errors import Refused
from acd.events import (
    AgentLost,
    AgentReachable,
    ConnectFailed,
    ContactParked,
    ContactResumed,
    ContactTransferred,
    OfferAccepted,
    OfferDeclined,
    WrapUpDone,
)
from acd.lanes import step_out
from acd.matching import seek_contact
from acd.model import MissRule, Need, Target
from acd.offers import close_offer, the_offer
from acd.people import Agent, Offer, Work
from acd.segments import end_segment, end_talk, set_timer
from acd.state import Floor
from acd.visits import prefer

CONNECT_FAILED = "connect-failed"
"""Idle code of the pause after a connection that failed."""


def accept(floor: Floor, event: OfferAccepted) -> None:
    """Join the two; an accept that comes before the deadline was dealt with counts."""
    take(floor, the_offer(floor, event.offer, event.agent))


def take(floor: Floor, offer: Offer) -> None:
    """The agent has what was offered."""
    visit = floor.visits[offer.visit]
    contact, agent = close_offer(floor, offer, None)
    assign(floor, contact, agent, visit, offer.id)


def assign(floor: Floor, contact: Contact, agent: Agent, visit: Visit, offer: str, by: str = "") -> None:
    """Contact and agent are joined; the contact's other visits are over."""
    at = floor.at
    if contact.state == "waiting":
        for standing in contact.visits:
            step_out(floor, standing)
        contact.state = "offered"
    for other in [v for v in contact.visits if v is not visit]:
        visits.end(floor, other, "flowed-out", "elsewhere")
    visit.stop_waiting(at)
    floor.timers.clear("visit", visit.id)
    first = visit.answered_at is None
    if first:
        visit.answered_at = at
        estimates.keep_score(floor.queues[visit.queue], visit)
    if contact.answered_at is None:
        contact.answered_at = at
    contact.agent = contact.last_agent = agent.id
    contact.segments += 1
    contact.hops = 0
    dialling = contact.to_dial
    work = Work(contact.id, contact.channel, contact.segments, visit.queue, visit.id, at, at, dialling=dialling)
    agent.works.append(work)
    agent.misses = {}
    floor.out.append(Assigned(contact.id, agent.id, visit.queue, offer, contact.channel, dialling, by))
    floor.out.append(
        SegmentStarted(contact.id, work.number, agent.id, visit.queue, visit.id, at, contact.channel, visit.waited, first)
    )
    if dialling:
        _dial(floor, contact, visit)
    floor.change_contact(contact, "engaged")
    floor.settle(agent, by=by)
    seek_contact(floor, agent)


def _dial(floor: Floor, contact: Contact, visit: Visit) -> None:
    """The agent of a callback is there: the customer is called."""
    if contact.callback is not None:
        contact.callback.state = "dialling"
        floor.timers.clear("callback", contact.id)
        floor.out.append(CallbackChanged(contact.id, visit.queue, "dialling", tries=contact.callback.tries + 1))


def decline(floor: Floor, event: OfferDeclined) -> None:
    """The agent is out of rotation by the rule for the reason; the contact keeps its place."""
    the_offer(floor, event.offer, event.agent)
    agent = floor.agents[event.agent]
    contact = withdraw(floor, agent, "declined", event.reason)
    rule = floor.settings.declined_by_reason.get(event.reason)
    if rule is None:
        _missed(floor, agent, contact, "declined", floor.settings.declined, "declined")
    else:
        _missed(floor, agent, contact, "declined", rule, f"declined/{event.reason}")


def miss(floor: Floor, id: str) -> None:
    """RONA: the offer's deadline passed."""
    agent = floor.agents[floor.offers[id].agent]
    contact = withdraw(floor, agent, "rona")
    _missed(floor, agent, contact, "rona", floor.settings.rona, "rona")


def _missed(floor: Floor, agent: Agent, contact: Contact, code: str, rule: MissRule, kind: str) -> None:
    """Out of rotation with the code when this was the last that the rule allows; each kind is counted by itself."""
    agent.misses[kind] = agent.misses.get(kind, 0) + 1
    if agent.misses[kind] < rule.limit:
        floor.stamp_free(agent)  # behind all others, but still there
        back_to_place(floor, contact)  # others first
        if agent.held or not agents.take_choice(floor, agent):
            floor.settle(agent)
            seek_contact(floor, agent)
        return
    if agent.held or not agents.take_choice(floor, agent):
        take_presence(floor, agent, "not-responding", code, until=floor.at + rule.seconds if rule.seconds else None)
    back_to_place(floor, contact)


def fail_connection(floor: Floor, event: ConnectFailed) -> None:
    """Accepted, but not joined: no talk, the contact keeps its place, the agent pauses."""
    contact, agent, work = engaged(floor, event.contact, event.agent)
    end_talk(floor, contact, "connect-failed", "connect-failed")
    end_segment(floor, agent, work, "")
    not_dialling(floor, contact)
    pause(floor, agent, CONNECT_FAILED, floor.settings.connect_retry_seconds)
    back_to_place(floor, contact)


def lose_agent(floor: Floor, event: AgentLost) -> None:
    """Logged out and not reachable; the contacts they had go back to their places."""
    agent = floor.agent(event.agent)
    contacts = [floor.contacts[work.contact] for work in agent.works if work.state != "wrap-up"]
    for contact in contacts:
        work = end_talk(floor, contact, "agent-lost", "agent-lost")
        end_segment(floor, agent, work, "")
    if agent.presence != "logged-out":
        leave(floor, agent)
    change_reachable(floor, AgentReachable(event.at, agent.id, reachable=False))
    for contact in contacts:
        not_dialling(floor, contact)
        back_to_place(floor, contact)


def engaged(floor: Floor, contact_id: str, agent_id: str) -> tuple[Contact, Agent, Work]:
    """A contact with its agent, talking; refused when they are not."""
    contact = floor.contact(contact_id)
    agent = floor.agent(agent_id)
    work = agent.work(contact_id)
    if contact.state != "engaged" or contact.agent != agent.id or work is None:
        raise Refused("not-engaged", f"contact {contact.id} is not with {agent.id}")
    return contact, agent, work


# --- wrap-up ------------------------------------------------------------------------------------------------------


def finish_wrap_up(floor: Floor, event: WrapUpDone) -> None:
    """The agent is done with the contact."""
    agent, work = wrapup.find(floor, event.agent, event.contact)
    wrapup.check_code(floor, work, event.code)
    end_segment(floor, agent, work, event.code)
    rest(floor, agent)


def wrap_up_over(floor: Floor, id: str) -> None:
    """The time of after-contact work is over."""
    agent = floor.agents[id]
    for work in [w for w in agent.works if w.until is not None and w.until <= floor.at]:
        end_segment(floor, agent, work, "")
    set_timer(floor, agent)
    rest(floor, agent)


def wrap_up_or_rest(floor: Floor, agent: Agent, work: Work) -> None:
    """The talk is over: after-contact work, or free for more."""
    if wrapup.start(floor, agent, work):
        seek_contact(floor, agent)
    else:
        rest(floor, agent)


# --- parking ------------------------------------------------------------------------------------------------------


def park(floor: Floor, event: ContactParked) -> None:
    """The conversation rests; its slot is free."""
    contact, agent, work = engaged(floor, event.contact, event.agent)
    _no_dialling(contact, work)
    if contact.channel == "voice":
        raise Refused("not-for-voice", "a call is put on hold, not parked")
    work.talk += floor.at - work.since
    work.state, work.since = "parked", floor.at
    floor.out.append(Parked(contact.id, agent.id, True))
    floor.change_contact(contact, "parked")
    rest(floor, agent)


def resume(floor: Floor, event: ContactResumed) -> None:
    """The conversation goes on, with its agent if they have a slot, else from the front of its queue."""
    contact = floor.contact(event.contact)
    if contact.state != "parked":
        raise Refused("not-parked", f"contact {contact.id} is {contact.state}")
    agent = floor.agents[contact.agent]
    seat = floor.seat(agent)
    offered = (floor.contacts[floor.offers[agent.offer].contact].channel,) if agent.offer else ()
    room = seat.capacity.room(agent, *offered) & agent.reach & BITS[contact.channel]
    work = agent.work(contact.id)
    if work is None:
        raise LookupError(f"contact {contact.id} is parked with {agent.id}, who has no work on it")
    if event.by == "agent" and not room:
        raise Refused("no-capacity", f"{agent.id} can take no more {contact.channel} now")
    if room and (event.by == "agent" or (agent.presence == "available" and not agent.offer and not agent.next_state)):
        work.state, work.since = "engaged", floor.at
        floor.out.append(Parked(contact.id, agent.id, False))
        floor.change_contact(contact, "engaged")
        floor.settle(agent)
        return
    end_talk(floor, contact, "resumed", "transferred")
    end_segment(floor, agent, work, "")
    visit = contact.visits[0]
    contact.agent = ""
    rest(floor, agent)
    prefer(floor, visit, agent.id, event.patience)
    back_to_place(floor, contact)


# --- transfer -----------------------------------------------------------------------------------------------------


def transfer(floor: Floor, event: ContactTransferred) -> None:
    """The agent's part ends, the contact goes on to a queue, a team, an agent, or out of the queues."""
    contact, agent, work = engaged(floor, event.contact, event.agent)
    hand_over(floor, contact, agent, work, event.to, event.visit, "transferred")


def _no_dialling(contact: Contact, work: Work) -> None:
    if work.dialling:
        raise Refused("dialling", f"the customer of contact {contact.id} is being dialled")


def hand_over(
    floor: Floor, contact: Contact, agent: Agent, work: Work, to: Target, visit_id: str, why: ReleasedWhy, by: str = ""
) -> None:
    """From an agent to somewhere else; refused, with nothing changed, when that does not take it."""
    visit = contact.visits[0]
    _no_dialling(contact, work)
    if visit_id and visit_id in floor.visits:
        raise Refused("visit-exists", f"there is a visit {visit_id}")
    if to.priority:
        check_priority(to.priority)
    queue = floor.queue(to.id if to.kind == "queue" else visit.queue)
    if to.kind == "agent":
        floor.agent(to.id)
        if to.id == agent.id:
            raise Refused("same-agent", f"contact {contact.id} is with {agent.id}")
    elif to.kind == "team" and to.id not in floor.teams:
        raise Refused("unknown-team", f"there is no team {to.id}")
    if queue.config.id != visit.queue:
        entry.check(floor, contact, queue)
    elif to.kind == "queue":
        entry.check_open(floor, queue)
    outside = None
    if to.kind == "team":
        outside = Need(teams=(to.id,))
    elif to.kind == "agent":
        outside = Need(agents=(to.id,))
    kept = to.keep_place and queue.config.keep_place
    base, priority = visit.base if kept else None, to.priority or visit.priority
    inside = queue.config.id == visit.queue
    end_talk(floor, contact, why, "transferred", by)
    visits.end(floor, visit, "handled", "transferred" if why == "transferred" else "moved", to)
    contact.agent = ""
    contact.state = "arrived"
    if to.kind not in entry.AGENTS_AND_QUEUES:
        floor.out.append(Overflowed(contact.id, visit.queue, "transferred", to))
        floor.change_contact(contact, "arrived")
        wrap_up_or_rest(floor, agent, work)
        return
    wrap_up_or_rest(floor, agent, work)
    ticket = Ticket(priority, visit_id, visit.asked, visit.relaxation, base=base, outside=outside, inside=inside)
    entry.enter(floor, contact, queue, ticket)
