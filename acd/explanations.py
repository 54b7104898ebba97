"""The decision record: taken before the decision changes anything, from the same order that decides."""

from __future__ import annotations

from itertools import islice
from typing import Literal

from acd.model import AgentCandidate, ContactCandidate, Decision
from acd.ranking import AGENT_RULE, CONTACT_RULE, agents_in_order, contacts_in_order
from acd.state import Agent, Contact, Floor, FreeKey, Pool, Queue

RUNNERS_UP = 10
"""How many of those who came next are named."""


def explain(floor: Floor, trigger: Literal["contact", "agent"], contact: Contact, agent: Agent | None) -> Decision:
    """Why this agent and contact (or nobody), with runners-up and the counts of the others by reason."""
    queue = floor.queues[contact.queue]
    agents = [_agent(key) for key in islice(agents_in_order(queue), RUNNERS_UP + 1)]
    winner = None
    if agent is not None:
        winner = _agent(agent.key)
        agents = [other for other in agents if other.agent != agent.id][:RUNNERS_UP]
    candidate = ContactCandidate(contact.id, contact.queue, contact.priority, contact.queued_at, contact.order)
    contacts: list[ContactCandidate] = []
    waiting = len(queue.waiting)
    if trigger == "agent" and agent is not None:
        pool = floor.pool_of[agent.id]
        waiting = sum(len(served.waiting) for served in pool.queues)
        contacts = _next_contacts(floor, pool, contact)
    return Decision(
        at=floor.at,
        trigger=trigger,
        rule=AGENT_RULE if trigger == "contact" else CONTACT_RULE,
        agent=winner,
        contact=candidate,
        agents=agents,
        contacts=contacts,
        others=_others(queue, named=len(agents) + (winner is not None)),
        waiting=waiting,
        tie_break=_tie_break(trigger, winner, agents, candidate, contacts),
    )


def _agent(key: FreeKey) -> AgentCandidate:
    return AgentCandidate(agent=key[2], available_since=key[0], order=key[1])


def _next_contacts(floor: Floor, pool: Pool, chosen: Contact) -> list[ContactCandidate]:
    found: list[ContactCandidate] = []
    for priority, queued_at, order, id in islice(contacts_in_order(pool), RUNNERS_UP + 1):
        if id != chosen.id:
            found.append(ContactCandidate(id, floor.contacts[id].queue, priority, queued_at, order))
    return found[:RUNNERS_UP]


def _others(queue: Queue, *, named: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    for pool in queue.pools:
        for reason, number in pool.counts.items():
            if number:
                counts[reason] = counts.get(reason, 0) + number
    unnamed = counts.pop("available", 0) - named
    if unnamed > 0:
        counts["available"] = unnamed
    return dict(sorted(counts.items()))  # not in the order of their first case, which no snapshot keeps


def _tie_break(
    trigger: Literal["contact", "agent"],
    winner: AgentCandidate | None,
    agents: list[AgentCandidate],
    contact: ContactCandidate,
    contacts: list[ContactCandidate],
) -> str:
    if trigger == "contact" and winner is not None and agents and agents[0].available_since == winner.available_since:
        return "order of becoming available"
    if (
        trigger == "agent"
        and contacts
        and (contacts[0].priority, contacts[0].queued_at) == (contact.priority, contact.queued_at)
    ):
        return "order of being queued"
    return ""
