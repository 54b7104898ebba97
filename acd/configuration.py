"""A new configuration: checked as a whole, then taken as a whole."""

from __future__ import annotations

from acd.errors import Refused
from acd.events import Configured
from acd.matching import rematch
from acd.state import Agent, Floor, History, Queue, Visits


def configure(floor: Floor, event: Configured) -> None:
    """Take the new queues, agents and codes; contacts keep their places, agents their states."""
    _check(floor, event)
    before = floor.queues
    floor.settings = event.settings
    floor.idle_codes = {code.code: code for code in event.idle_codes}
    floor.queues = {}
    for config in event.queues:
        old = before.get(config.id)
        queue = Queue(config, old.history, old.visits) if old is not None else Queue(config, History(), Visits())
        if old is not None:
            queue.waiting = old.waiting
        floor.queues[config.id] = queue
    floor.agent_configs = {config.id: config for config in event.agents}
    floor.agents = {id: floor.agents.get(id) or Agent(id, since=floor.at) for id in floor.agent_configs}
    floor.rebuild_pools()
    rematch(floor)


def _check(floor: Floor, event: Configured) -> None:
    queues = {config.id for config in event.queues}
    agents = {config.id for config in event.agents}
    if len(queues) != len(event.queues) or len(agents) != len(event.agents):
        raise Refused("duplicate-id", "two queues or two agents have the same id")
    for config in event.queues:
        for member in config.team_agents:
            if member not in agents:
                raise Refused("unknown-agent", f"queue {config.id} names {member}, who is no agent")
    for agent in event.agents:
        for queue in agent.queues:
            if queue not in queues:
                raise Refused("unknown-queue", f"agent {agent.id} serves {queue}, which is no queue")
    for contact in floor.contacts.values():
        if contact.queue and contact.queue not in queues:
            raise Refused("queue-in-use", f"contact {contact.id} is in queue {contact.queue}")
    for held in floor.agents.values():
        if held.id not in agents and held.state != "logged-out":
            raise Refused("agent-in-use", f"agent {held.id} is logged in")
        if held.segment is not None and held.segment.queue not in queues:
            raise Refused("queue-in-use", f"agent {held.id} is busy with a contact of queue {held.segment.queue}")
