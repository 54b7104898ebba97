"""What may be asked of the engine: plain values made of its state at this moment."""

from __future__ import annotations

from acd.cases import Contact
from acd.model import (
    AgentView,
    ContactView,
    EngineStatistics,
    OfferView,
    QueueStatistics,
    VisitView,
)
from acd.people import Agent
from acd.state import Floor


def of_agent(floor: Floor, agent: Agent) -> AgentView:
    """An agent."""
    config = floor.agent_configs[agent.id]
    seat = floor.roster.by_id[agent.id]
    works = floor.works_of(agent)
    contact, until = floor.shown(agent)
    return AgentView(
        id=agent.id,
        name=config.name,
        state=agent.state,
        code=agent.code if agent.state == agent.presence else "",
        since=agent.since,
        until=until,
        reachable=bool(agent.reach),
        next_state=agent.next_state,
        next_code=agent.next_code,
        contact=contact,
        offer=agent.offer,
        queue=works[0].queue if works else "",
        queues=tuple(queue.config.id for queue, _ in seat.serves),
        team=config.team,
        works=works,
        channels=floor.channels_of(agent),
    )


def of_contact(floor: Floor, contact: Contact) -> ContactView:
    """An open contact."""
    visits = tuple(VisitView(v.id, v.queue, v.kind, v.queued_at, v.place, v.step, v.need) for v in contact.visits)
    first = contact.visits[0] if contact.visits else None
    return ContactView(
        id=contact.id,
        channel=contact.channel,
        entry_point=contact.entry_point,
        state=contact.state,
        arrived_at=contact.arrived_at,
        queue=first.queue if first is not None else "",
        visit=first.id if first is not None else "",
        priority=first.priority if first is not None else 0,
        queued_at=first.queued_at if first is not None else 0.0,
        waited=first.waited_by(floor.at) if first is not None else 0.0,
        agent=contact.agent,
        offer=contact.offer,
        answered_at=contact.answered_at,
        segments=contact.segments,
        visits=visits,
        callback=contact.to_dial,
    )


def of_offer(floor: Floor, id: str) -> OfferView | None:
    """An offer that is out."""
    found = floor.offers.get(id)
    if found is None:
        return None
    channel = floor.contacts[found.contact].channel
    return OfferView(found.id, found.contact, found.agent, found.queue, found.made_at, found.deadline, channel)


def statistics(floor: Floor) -> EngineStatistics:
    """Counters that must always add up."""
    return EngineStatistics(
        events=floor.events,
        contacts=floor.arrived,
        open=len(floor.contacts),
        ended=dict(floor.ended),
        waiting=sum(len(queue.waiting) for queue in floor.queues.values()),
        offers=len(floor.offers),
        deadlines=len(floor.timers),
        agents={reason: mask.bit_count() for reason, mask in floor.roster.reasons.items() if mask},
        queues={
            id: QueueStatistics(
                queue.visits.offered,
                queue.visits.open,
                len(queue.waiting),
                dict(queue.visits.ended),
                queue.visits.callbacks,
                floor.closed(queue),
            )
            for id, queue in floor.queues.items()
        },
        unfinished=len(floor.sweeps),
    )
