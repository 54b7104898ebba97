"""The whole state as bytes and back; what can be derived (places, pools, timers) is derived anew."""

from __future__ import annotations

import msgspec

from acd.deadlines import counts
from acd.model import AgentConfig, Code, FinalState, QueueConfig, Settings
from acd.state import Agent, Contact, Floor, History, Offer, Queue, Visits
from acd.timers import TimerKind

VERSION = 1


class _Queue(msgspec.Struct, array_like=True):
    config: QueueConfig
    history: History
    visits: Visits


class _Snapshot(msgspec.Struct):
    version: int
    at: float
    events: int
    settings: Settings
    idle_codes: list[Code]
    queues: list[_Queue]
    agent_configs: list[AgentConfig]
    agents: list[Agent]
    contacts: list[Contact]
    offers: list[Offer]
    recent_ends: list[str]
    arrived: int
    ended: dict[FinalState, int]
    orders: int
    rematching: bool
    asked: float | None
    deadlines: list[tuple[float, TimerKind, str]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Snapshot)


def save(floor: Floor) -> bytes:
    """The state as bytes."""
    return _encoder.encode(
        _Snapshot(
            version=VERSION,
            at=floor.at,
            events=floor.events,
            settings=floor.settings,
            idle_codes=list(floor.idle_codes.values()),
            queues=[_Queue(queue.config, queue.history, queue.visits) for queue in floor.queues.values()],
            agent_configs=list(floor.agent_configs.values()),
            agents=list(floor.agents.values()),
            contacts=list(floor.contacts.values()),
            offers=list(floor.offers.values()),
            recent_ends=list(floor.recent_ends),
            arrived=floor.arrived,
            ended=floor.ended,
            orders=floor.orders,
            rematching=floor.rematching,
            asked=floor.timers.asked,
            deadlines=floor.timers.open(lambda at, kind, id: counts(floor, at, kind, id)),
        )
    )


def load(body: bytes) -> Floor:
    """The state of such bytes; raises ValueError."""
    saved = _decoder.decode(body)
    if saved.version != VERSION:
        raise ValueError(f"a snapshot of version {saved.version}; this is {VERSION}")
    floor = Floor()
    floor.at, floor.events, floor.settings = saved.at, saved.events, saved.settings
    floor.idle_codes = {code.code: code for code in saved.idle_codes}
    floor.queues = {queue.config.id: Queue(queue.config, queue.history, queue.visits) for queue in saved.queues}
    floor.agent_configs = {config.id: config for config in saved.agent_configs}
    floor.agents = {agent.id: agent for agent in saved.agents}
    floor.contacts = {contact.id: contact for contact in saved.contacts}
    floor.offers = {offer.id: offer for offer in saved.offers}
    floor.recent_ends = dict.fromkeys(saved.recent_ends)
    floor.arrived, floor.ended = saved.arrived, saved.ended
    floor.orders, floor.rematching = saved.orders, saved.rematching
    for contact in saved.contacts:
        if contact.state == "waiting":
            floor.queues[contact.queue].waiting.add(contact.key)
    floor.rebuild_pools()
    floor.timers.rebuild(saved.deadlines)
    floor.timers.asked = saved.asked
    return floor
