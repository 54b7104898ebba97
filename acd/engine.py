"""The routing engine: `Engine.handle(event) -> list[Effect]`, and what may be asked of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from acd import (
    agents,
    callbacks,
    configuration,
    contacts,
    deadlines,
    eligibility,
    estimates,
    events,
    snapshots,
    supervisors,
    talks,
    views,
    wrapup,
)
from acd.effects import Effect
from acd.errors import Refused
from acd.model import AgentView, ContactMark, ContactView, EngineStatistics, Estimate, OfferView, Score, WorkView
from acd.state import Floor

_HANDLERS: dict[type[Any], Callable[[Floor, Any], None]] = {
    events.Configured: configuration.configure,
    events.AgentAmended: configuration.amend_agent,
    events.PeriodChanged: supervisors.change_period,
    events.AgentLoggedIn: agents.log_in,
    events.AgentLoggedOut: agents.log_out,
    events.AgentStateChosen: agents.choose_state,
    events.AgentReachable: agents.change_reachable,
    events.AgentLost: talks.lose_agent,
    events.ContactArrived: contacts.arrive,
    events.ContactQueued: contacts.enqueue,
    events.ContactUnqueued: contacts.unqueue,
    events.ContactAmended: contacts.amend,
    events.CustomerLeft: contacts.customer_left,
    events.ContactEnded: contacts.end,
    events.ContactTransferred: talks.transfer,
    events.ContactParked: talks.park,
    events.ContactResumed: talks.resume,
    events.OfferAccepted: talks.accept,
    events.OfferDeclined: talks.decline,
    events.ConnectFailed: talks.fail_connection,
    events.WrapUpAsked: wrapup.ask,
    events.WrapUpDone: talks.finish_wrap_up,
    events.WrapUpExtended: wrapup.extend,
    events.CallbackTaken: callbacks.take,
    events.CallbackAnswered: callbacks.answered,
    events.CallbackFailed: callbacks.failed,
    events.CallbackCancelled: callbacks.cancel,
    events.ContactPicked: supervisors.pick,
    events.ContactAssigned: supervisors.assign_by_hand,
    events.ContactRequeued: supervisors.requeue,
    events.QueueClosed: supervisors.close_queue,
    events.QueueOpened: supervisors.open_queue,
    events.BroadcastMade: supervisors.broadcast,
    events.DeadlineReached: deadlines.reached,
    events.Continue: deadlines.go_on,
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
        if event.at > before:
            floor.at = event.at
        out: list[Effect] = []
        floor.out = out
        try:
            _HANDLERS[type(event)](floor, event)
        except Refused:
            floor.at = before
            raise
        while floor.accepting:
            offer = floor.offers.get(floor.accepting.pop(0))
            if offer is not None:
                talks.take(floor, offer)
        floor.events += 1
        deadlines.ask_to_be_woken(floor)
        return out

    def accept_nothing(self) -> None:
        """From now on every offer waits for its agent, whatever the rules say: to look at what was there before an answer."""
        self._floor.by_hand = True

    @property
    def at(self) -> float:
        """Time of the last event."""
        return self._floor.at

    @property
    def unfinished(self) -> bool:
        """Whether `Continue` is asked for."""
        return self._floor.going_on

    def has_rule(self, queue: str, why: str) -> bool:
        """Whether the queue has an overflow rule of this kind."""
        return why in self._floor.queue(queue).rules

    # --- queues ---------------------------------------------------------------------------------------------------

    def queues(self) -> list[str]:
        """Ids of all queues, in the order of the configuration."""
        return list(self._floor.queues)

    def waiting(self, queue: str) -> int:
        """How many wait in the queue, those with an offer out not counted."""
        return len(self._floor.queue(queue).waiting)

    def longest_wait(self, queue: str, now: float) -> float:
        """Seconds that the longest waiting contact has waited; 0 when nobody waits."""
        return max((visit.waited_by(now) for _, _, visit in self._floor.queue(queue).waiting), default=0.0)

    def agents_in(self, queue: str) -> dict[str, int]:
        """Agents who serve the queue by state; `unreachable` are those available without a softphone."""
        members = self._floor.queue(queue).members[-1]
        counts = {reason: (members & mask).bit_count() for reason, mask in self._floor.roster.reasons.items()}
        return {reason: number for reason, number in counts.items() if number}

    def staffed(self, queue: str) -> bool:
        """Whether anybody who serves the queue is logged in."""
        return bool(self._floor.queue(queue).members[-1] & self._floor.roster.logged_in)

    def closed(self, queue: str) -> bool:
        """Whether the queue is closed, by its hours or by a supervisor."""
        return self._floor.closed(self._floor.queue(queue))

    def score(self, queue: str) -> Score:
        """How good the queue's predictions were."""
        return estimates.score(self._floor.queue(queue))

    # --- contacts -------------------------------------------------------------------------------------------------

    def position(self, contact: str) -> int | None:
        """Place in the queue, 1 is next; None when the contact is in none or engaged."""
        found = self._floor.contacts.get(contact)
        if found is None or found.state not in ("waiting", "offered", "scheduled"):
            return None
        visit = found.visits[0]
        return self._floor.queues[visit.queue].waiting.rank(visit.key) + 1

    def estimate(self, contact: str, now: float) -> Estimate | None:
        """Position and predicted remaining wait; None when the contact does not wait."""
        found = self._floor.contacts.get(contact)
        if found is None or found.state not in ("waiting", "offered", "scheduled"):
            return None
        return estimates.estimate(self._floor, found)

    def contact(self, contact: str) -> ContactView | None:
        """An open contact."""
        found = self._floor.contacts.get(contact)
        return views.of_contact(self._floor, found) if found is not None else None

    def contacts(self) -> list[ContactView]:
        """All open contacts, in order of arrival."""
        return [views.of_contact(self._floor, contact) for contact in self._floor.contacts.values()]

    def marks(self) -> list[ContactMark]:
        """All open contacts, in order of arrival; of each as much as tells what is there."""
        return [
            ContactMark(found.id, found.channel, found.state, tuple([(visit.id, visit.queue) for visit in found.visits]))
            for found in self._floor.contacts.values()
        ]

    # --- agents ---------------------------------------------------------------------------------------------------

    def agent(self, agent: str) -> AgentView | None:
        """An agent."""
        found = self._floor.agents.get(agent)
        return views.of_agent(self._floor, found) if found is not None else None

    def agents(self) -> list[AgentView]:
        """All agents, in the order of the configuration."""
        return [views.of_agent(self._floor, agent) for agent in self._floor.agents.values()]

    def works(self) -> list[tuple[WorkView, str]]:
        """What all agents have, wrap-up included, each with its agent."""
        floor = self._floor
        return [(work, agent.id) for agent in floor.agents.values() if agent.works for work in floor.works_of(agent)]

    def logged_in(self) -> list[str]:
        """The agents that are not logged out, in the order of the configuration."""
        return [agent.id for agent in self._floor.agents.values() if agent.state != "logged-out"]

    def offer(self, offer: str) -> OfferView | None:
        """An offer that is out."""
        return views.of_offer(self._floor, offer)

    def offers(self) -> list[OfferView]:
        """All offers that are out."""
        return [view for id in self._floor.offers if (view := views.of_offer(self._floor, id)) is not None]

    def why_not(self, contact: str, agent: str) -> tuple[str, str]:
        """Why the agent cannot have the waiting contact now: reason and detail, both empty when they can; raises Refused."""
        floor = self._floor
        found, seat = floor.contact(contact), floor.seat(floor.agent(agent))
        if not found.visits:
            raise Refused("not-waiting", f"contact {contact} is {found.state}")
        return eligibility.why_not(floor, found.visits[0], seat)

    def statistics(self) -> EngineStatistics:
        """Counters that must always add up."""
        return views.statistics(self._floor)
