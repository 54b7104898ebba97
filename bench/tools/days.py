"""A day of a contact centre as its log would have it: contacts of a simulation, through the house and with its effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import blake2b
from uuid import UUID

import msgspec

from acd import effects, events
from acd.engine import Engine
from acd.events import Configured, Event
from acd.model import AgentConfig, Membership, OfferRule, QueueConfig, SkillConfig, WrapUp
from acd.simulation.arrivals import Stream, poisson
from acd.simulation.day import DRAIN, Day
from acd.simulation.manners import LogNormal, Manner, Manners
from acd.simulation.simulator import Simulator
from acd.simulation.survival import Exponential
from exchange.brain import logged, records
from exchange.brain.house import House
from exchange.brain.records import Record, Routing
from ivr.runner import Runner
from storage.entries import LogRow

See = Callable[[float, Event, list[effects.Effect]], None]


class Tapped(Engine):
    """An engine that somebody listens to."""

    see: See

    def handle(self, event: Event) -> list[effects.Effect]:
        found = super().handle(event)
        self.see(event.at, event, found)
        return found


def centre(agents: int, *, reverse: bool = False) -> Configured:
    """Sales and support with two languages; every third agent serves both queues. `reverse`: sales first."""
    queues = [
        QueueConfig("sales", "Sales", wrap_up=WrapUp("timed", 60.0), offer=OfferRule(20.0), service_level_seconds=20.0),
        QueueConfig("support", "Support", wrap_up=WrapUp("timed", 90.0), service_level_seconds=30.0),
    ]
    people = []
    for n in range(agents):
        names = ("sales", "support") if n % 3 == 0 else ("sales",) if n % 3 == 1 else ("support",)
        members = tuple(Membership(name, priority=2 if reverse and name == "support" else 1) for name in names)
        people.append(AgentConfig(f"agent{n:03}", f"Agent {n}", members, skills={"german": 1 + n % 10}))
    return Configured(0.0, queues, people, skills=[SkillConfig("german", "German")])


def a_day(agents: int, contacts: int, start: float, hours: float = 10.0, seed: int = 1) -> Day:
    """Arrivals that peak at noon, handling times about 280 s and 45 s of wrap-up, patience of three minutes; two shifts."""
    rules = msgspec.structs.replace(centre(agents), at=start)
    intervals = int(hours * 2)
    shape = [1.0 + 1.2 * min(i, intervals - i) / intervals for i in range(intervals)]
    share = {"sales": 0.4, "support": 0.6}
    streams = [
        Stream(queue, queue, tuple(contacts * part * s / sum(shape) for s in shape), 1800.0) for queue, part in share.items()
    ]
    manner = Manner(Exponential(180.0), talk=LogNormal(280.0, 240.0), wrap_up=LogNormal(45.0, 30.0), ring=LogNormal(4.0, 3.0))
    day = Day(start, start + hours * 3600, [rules], [], [], streams=streams, manners=dict.fromkeys(share, manner))
    for n, agent in enumerate(rules.agents):
        late = 1800.0 * (n % 3)
        here: list[Event] = [
            events.AgentLoggedIn(start + late, agent.id),
            events.AgentReachable(start + late, agent.id, True),
            events.AgentStateChosen(start + late, agent.id, "available"),
            events.AgentStateChosen(start + late + 4 * 3600, agent.id, "idle"),
            events.AgentStateChosen(start + late + 4 * 3600 + 1800, agent.id, "available"),
            events.AgentLoggedOut(start + late + 9 * 3600, agent.id),
        ]
        day.timeline += here
    return day


def contact_id(name: str, at: float) -> str:
    """A UUIDv7 of this time, always the same of a name."""
    value = (int(at * 1000) & (1 << 48) - 1) << 80 | int.from_bytes(blake2b(name.encode(), digest_size=10).digest(), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return str(UUID(int=value & ~(0x3 << 62) | 0x2 << 62))


def happen(day: Day, see: See, seed: int = 1) -> Simulator:
    """Let the day happen once; `see` is told every event that the engine took, with its effects."""
    simulator = Simulator(Manners(seed, day.manners))
    engine = Tapped()
    engine.see = see
    simulator.engine = engine
    for event in [*day.opening, *sorted(day.timeline, key=lambda e: e.at)]:
        simulator.push(event)
    for stream in day.streams:
        for plan in poisson(stream, seed, day.start):
            simulator.come(msgspec.structs.replace(plan, contact=contact_id(plan.contact, plan.at)))
    simulator.run(day.end + DRAIN)
    return simulator


def rows(day: Day, seed: int = 1) -> Iterator[LogRow]:
    """The same as the exchange's log: each event a record that a house took."""
    house = House(Runner([]), recordings=False)
    taken: list[Event] = []
    happen(day, lambda _, event, __: taken.append(event), seed)
    for number, event in enumerate(taken, 1):
        record = Record(event.at, Routing(event))
        outcome = house.apply(record)
        yield LogRow(1, number, event.at, "exchange", records.encode(record), logged.encode(outcome.decided))
