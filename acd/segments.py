"""An agent's part of a contact: the end of its talk, and its end."""

from __future__ import annotations

from acd.cases import Contact
from acd.effects import Released, ReleasedWhy, SegmentEnded, SegmentHow
from acd.people import Agent, Work
from acd.state import Floor
from acd.visits import FADE


def end_talk(floor: Floor, contact: Contact, why: ReleasedWhy, how: SegmentHow, by: str = "") -> Work:
    """Part the two and count the talk; the agent's part stays open, their states are the caller's to change."""
    agent = floor.agents[contact.agent]
    work = agent.work(contact.id)
    if work is None:
        raise LookupError(f"contact {contact.id} is with {agent.id}, who has no work on it")
    if work.state == "engaged" and not work.dialling:
        work.talk += floor.at - work.since
    work.how, work.since = how, floor.at
    joined = how not in ("connect-failed", "not-reached") and not work.dialling
    if not joined:
        work.talk = 0.0
    for visit in contact.visits:
        visit.talked += work.talk
        if not joined and visit.answered_at == work.started:
            visit.answered_at = None
    if not joined and contact.segments == 1:
        contact.answered_at = None
    floor.out.append(Released(contact.id, agent.id, why, by))
    return work


def end_segment(floor: Floor, agent: Agent, work: Work, code: str) -> None:
    """Close the agent's part of the contact, wrap-up included."""
    at = floor.at
    agent.works.remove(work)
    wrap_up = at - work.since if work.state == "wrap-up" else 0.0
    if work.state == "wrap-up":
        set_timer(floor, agent)
    if work.how in ("handled", "transferred"):
        agent.handled += 1
        history = floor.queues[work.queue].history
        history.handled = history.handled * FADE + 1
        history.handling = history.handling * FADE + work.talk + wrap_up
    floor.out.append(
        SegmentEnded(
            work.contact,
            work.number,
            agent.id,
            work.queue,
            work.visit,
            work.how,
            work.started,
            at,
            work.talk,
            wrap_up,
            code,
            work.channel,
        )
    )


def set_timer(floor: Floor, agent: Agent) -> None:
    """Wake up when the first of the agent's after-contact works must end."""
    first = min((work.until for work in agent.works if work.until is not None), default=None)
    if first is None:
        floor.timers.clear("wrap-up", agent.id)
    else:
        floor.timers.set("wrap-up", agent.id, first)
