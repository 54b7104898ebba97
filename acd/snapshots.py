"""The whole state as bytes and back; what can be derived (lines, sets, orders) is derived anew."""

from __future__ import annotations

import msgspec

from acd import configuration
from acd.cases import Contact, Left
from acd.model import (
    AgentConfig,
    Code,
    FinalState,
    ProfileConfig,
    QueueConfig,
    Settings,
    SkillConfig,
    TeamConfig,
)
from acd.people import Agent, Offer
from acd.state import Floor, History, Queue, Sweep, Visits
from acd.timers import Entry

VERSION = 2


class _Queue(msgspec.Struct, array_like=True):
    config: QueueConfig
    history: History
    visits: Visits
    shut: bool


class _Snapshot(msgspec.Struct):
    version: int
    at: float
    events: int
    settings: Settings
    idle_codes: list[Code]
    queues: list[_Queue]
    agent_configs: list[AgentConfig]
    teams: list[TeamConfig]
    profiles: list[ProfileConfig]
    skills: list[SkillConfig]
    agents: list[Agent]
    contacts: list[Contact]
    offers: list[Offer]
    recent_ends: list[str]
    callbacks: dict[str, str]
    left: list[Left]
    periods: dict[str, bool]
    arrived: int
    ended: dict[FinalState, int]
    orders: int
    sweeps: list[Sweep]
    going_on: bool
    deadlines: tuple[list[Entry], int, float | None]


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
            queues=[_Queue(queue.config, queue.history, queue.visits, queue.shut) for queue in floor.queues.values()],
            agent_configs=list(floor.agent_configs.values()),
            teams=list(floor.teams.values()),
            profiles=list(floor.profiles.values()),
            skills=list(floor.skills.values()),
            agents=list(floor.agents.values()),
            contacts=list(floor.contacts.values()),
            offers=list(floor.offers.values()),
            recent_ends=list(floor.recent_ends),
            callbacks=floor.callbacks,
            left=list(floor.left.values()),
            periods=floor.periods,
            arrived=floor.arrived,
            ended=floor.ended,
            orders=floor.orders,
            sweeps=floor.sweeps,
            going_on=floor.going_on,
            deadlines=floor.timers.save(),
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
    floor.queues = {q.config.id: Queue(q.config, q.history, q.visits, shut=q.shut) for q in saved.queues}
    floor.agent_configs = {config.id: config for config in saved.agent_configs}
    floor.teams = {team.id: team for team in saved.teams}
    floor.profiles = {profile.id: profile for profile in saved.profiles}
    floor.skills = {skill.id: skill for skill in saved.skills}
    floor.agents = {agent.id: agent for agent in saved.agents}
    floor.contacts = {contact.id: contact for contact in saved.contacts}
    floor.visits = {visit.id: visit for contact in saved.contacts for visit in contact.visits}
    floor.offers = {offer.id: offer for offer in saved.offers}
    floor.recent_ends = dict.fromkeys(saved.recent_ends)
    floor.callbacks, floor.periods = saved.callbacks, saved.periods
    floor.left = {(left.customer, left.queue): left for left in saved.left}
    floor.arrived, floor.ended, floor.orders = saved.arrived, saved.ended, saved.orders
    floor.sweeps, floor.going_on = saved.sweeps, saved.going_on
    floor.timers.restore(*saved.deadlines)
    configuration.rebuild(floor)
    configuration.line_up(floor)
    return floor
