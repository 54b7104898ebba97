"""The routing engine: `Engine.handle(event) -> list[Effect]`, and what may be asked of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from acd import agents, configuration, contacts, deadlines, estimates, events, snapshots, talks
from acd.effects import Effect
from acd.errors import Refused
from acd.model import (
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    AgentView,
    ContactView,
    EngineStatistics,
    Estimate,
    OfferView,
    QueueStatistics,
)
from acd.state import Agent, Contact, Floor

_HANDLERS: dict[type[Any], Callable[[Floor, Any], None]] = {
    events.Configured: configuration.configure,
    events.AgentLoggedIn: agents.log_in,
    events.AgentLoggedOut: agents.log_out,
    events.AgentStateChosen: agents.choose_state,
    events.AgentReachable: agents.change_reachable,
    events.AgentLost: talks.lose_agent,
    events.WrapUpDone: agents.finish_wrap_up,
    events.WrapUpExtended: agents.extend_wrap_up,
    events.ContactArrived: contacts.arrive,
    events.ContactQueued: contacts.enqueue,
    events.ContactUnqueued: contacts.unqueue,
    events.CustomerLeft: contacts.customer_left,
    events.ContactEnded: contacts.end,
    events.OfferAccepted: talks.accept,
    events.OfferDeclined: talks.decline,
    events.ConnectFailed: talks.fail_connection,
    events.DeadlineReached: deadlines.reached,
    events.Recovered: deadlines.recover,
}


class Engine:
    """Decides; the same events give the same effects, always."""

    def __init__(self, floor: Floor | None = None) -> None:
        self._floor = floor or Floor()

    @classmethod
    def restore(cls, body: bytes) -> Engine:
        """An engine in the state of a snapshot; raises ValueError."""
        return cls(snapshots.load(body))

    def snapshot(self) -> bytes:
        """The whole state."""
        return snapshots.save(self._floor)

    def handle(self, event: events.Event) -> list[Effect]:
        """What is to happen now; raises Refused, with nothing changed, when the event is not allowed.

        An event that is older than the one before it counts as of the same time.
        """
        floor = self._floor
        before = floor.at
        floor.at = max(before, event.at)
        out: list[Effect] = []
        floor.out = out
        try:
            _HANDLERS[type(event)](floor, event)
        except Refused:
            floor.at = before
            raise
        floor.events += 1
        deadlines.ask_to_be_woken(floor)
        return out

    @property
    def at(self) -> float:
        """Time of the last event."""
        return self._floor.at

    def queues(self) -> list[str]:
        """Ids of all queues, in the order of the configuration."""
        return list(self._floor.queues)

    def position(self, contact: str) -> int | None:
        """Place in the queue, 1 is next; None when the contact is in none or engaged."""
        found = self._floor.contacts.get(contact)
        if found is None or found.state not in ("waiting", "offered"):
            return None
        return self._floor.queues[found.queue].waiting.rank(found.key) + 1

    def waiting(self, queue: str) -> int:
        """How many wait in the queue, those with an offer out not counted."""
        return len(self._floor.queue(queue).waiting)

    def longest_wait(self, queue: str, now: float) -> float:
        """Seconds that the longest waiting contact has waited; 0 when nobody waits."""
        waiting = self._floor.queue(queue).waiting
        longest = 0.0
        for priority in range(HIGHEST_PRIORITY, LOWEST_PRIORITY + 1):
            key = waiting.from_key((priority,))
            if key is None:
                break
            if key[0] == priority:
                longest = max(longest, self._floor.contacts[key[3]].waited_by(now))
        return longest

    def agents_in(self, queue: str) -> dict[str, int]:
        """Agents who serve the queue by state; `unreachable` are those available without a softphone."""
        counts: dict[str, int] = {}
        for pool in self._floor.queue(queue).pools:
            for reason, number in pool.counts.items():
                if number:
                    counts[reason] = counts.get(reason, 0) + number
        return counts

    def staffed(self, queue: str) -> bool:
        """Whether anybody who serves the queue is logged in."""
        return any(pool.counts.total() > pool.counts["logged-out"] for pool in self._floor.queue(queue).pools)

    def estimate(self, contact: str, now: float) -> Estimate | None:
        """Position and predicted remaining wait; None when the contact does not wait."""
        found = self._floor.contacts.get(contact)
        if found is None or found.state not in ("waiting", "offered"):
            return None
        return estimates.estimate(self._floor, found)

    def contact(self, contact: str) -> ContactView | None:
        """An open contact."""
        found = self._floor.contacts.get(contact)
        return _contact_view(found, self._floor.at) if found is not None else None

    def contacts(self) -> list[ContactView]:
        """All open contacts, in order of arrival."""
        return [_contact_view(contact, self._floor.at) for contact in self._floor.contacts.values()]

    def agent(self, agent: str) -> AgentView | None:
        """An agent."""
        found = self._floor.agents.get(agent)
        return self._agent_view(found) if found is not None else None

    def agents(self) -> list[AgentView]:
        """All agents, in the order of the configuration."""
        return [self._agent_view(agent) for agent in self._floor.agents.values()]

    def offer(self, offer: str) -> OfferView | None:
        """An offer that is out."""
        found = self._floor.offers.get(offer)
        if found is None:
            return None
        return OfferView(found.id, found.contact, found.agent, found.queue, found.made_at, found.deadline)

    def statistics(self) -> EngineStatistics:
        """Counters that must always add up."""
        floor = self._floor
        open_visits: dict[str, int] = dict.fromkeys(floor.queues, 0)
        for contact in floor.contacts.values():
            if contact.queue:
                open_visits[contact.queue] += 1
        by_state: dict[str, int] = {}
        for pool in floor.pools.values():
            for reason, number in pool.counts.items():
                if number:
                    by_state[reason] = by_state.get(reason, 0) + number
        return EngineStatistics(
            events=floor.events,
            contacts=floor.arrived,
            open=len(floor.contacts),
            ended=dict(floor.ended),
            waiting=sum(len(queue.waiting) for queue in floor.queues.values()),
            offers=len(floor.offers),
            deadlines=len(floor.timers),
            agents=by_state,
            queues={
                id: QueueStatistics(queue.visits.offered, open_visits[id], len(queue.waiting), dict(queue.visits.ended))
                for id, queue in floor.queues.items()
            },
        )

    def _agent_view(self, agent: Agent) -> AgentView:
        return AgentView(
            id=agent.id,
            name=self._floor.agent_configs[agent.id].name,
            state=agent.state,
            code=agent.code,
            since=agent.since,
            until=agent.until,
            reachable=agent.reachable,
            next_state=agent.next_state,
            next_code=agent.next_code,
            contact=agent.contact,
            offer=agent.offer,
            queue=agent.segment.queue if agent.segment is not None else "",
            queues=tuple(queue.config.id for queue in self._floor.pool_of[agent.id].queues),
        )


def _contact_view(contact: Contact, now: float) -> ContactView:
    return ContactView(
        id=contact.id,
        channel=contact.channel,
        entry_point=contact.entry_point,
        state=contact.state,
        arrived_at=contact.arrived_at,
        queue=contact.queue,
        visit=contact.visit,
        priority=contact.priority,
        queued_at=contact.queued_at,
        waited=contact.waited_by(now),
        agent=contact.agent,
        offer=contact.offer,
        answered_at=contact.answered_at,
        segments=contact.segments,
    )
