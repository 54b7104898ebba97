"""A big floor in a house: 10,000 agents, 50 skills, 200 queues, 50,000 contacts waiting, and the records of a busy day."""

from __future__ import annotations

import random
import uuid
from collections import deque
from typing import Any

import acd.effects as decided
import acd.events as routing
from acd.errors import Refused
from acd.model import AgentConfig, Membership, Need, QueueConfig, Relaxation, SkillNeed
from exchange.brain import records
from exchange.brain.house import House, Outcome
from exchange.brain.records import Record
from ivr.runner import Runner

AGENTS = 10_000
WAITING = 50_000
QUEUES = 200
TEAMS = 100
SKILLS = 50
START = 1_790_000_000.0


def queues() -> list[QueueConfig]:
    """Each needs a skill at a level that loosens after a minute."""
    return [
        QueueConfig(
            f"q{n}",
            f"Queue {n}",
            need=Need((SkillNeed(f"s{n % SKILLS}", 3),)),
            relaxation=(Relaxation(60.0, lower=2),),
            ageing_seconds=600.0,
        )
        for n in range(QUEUES)
    ]


def agents(count: int = AGENTS) -> list[AgentConfig]:
    """In groups of a hundred that serve four queues each, with the skills of these queues at some level."""
    found = []
    for n in range(count):
        served = [(4 * (n % TEAMS) + k) % QUEUES for k in range(4)]
        skills = {f"s{queue % SKILLS}": 1 + (n // TEAMS + queue) % 10 for queue in served}
        found.append(AgentConfig(f"a{n}", f"Agent {n}", tuple(Membership(f"q{queue}") for queue in served), skills=skills))
    return found


class BusyHouse:
    """A house in a steady state, and the next record that would come."""

    def __init__(self, agents_count: int = AGENTS, waiting: int = WAITING, start: float = START, over: float = 0.0) -> None:
        """At `start` everybody logs in; those who wait have come one by one in the seconds (`over`) before."""
        self.random = random.Random(7)
        self.house = House(Runner(), recordings=False)
        self.at = start - over
        self.contacts = 0
        self.offers: deque[decided.OfferMade] = deque()
        self.talks: deque[decided.Assigned] = deque()
        self.wrap_ups: deque[tuple[str, str]] = deque()
        self.resting: deque[str] = deque()
        self.waiting: deque[str] = deque()
        self.log: list[tuple[Record, Outcome]] = []
        self.people = people = agents(agents_count)
        self.put(routing.Configured(self.at, queues(), people))
        for n in range(coming := waiting + agents_count // 4):
            self.at = start - over * (1 - n / coming)
            self.tick()
            self.arrive()
        self.at = start
        for n, person in enumerate(people):
            self.put(routing.AgentLoggedIn(self.at, person.id))
            if n % 2:
                self.put(routing.AgentReachable(self.at, person.id, True))
                self.put(routing.AgentStateChosen(self.at, person.id, "available"))
        self.log.clear()

    def put(self, event: Any) -> bool:
        """Whether the engine took it."""
        return self.take(records.Routing(event))

    def take(self, input: records.Input) -> bool:
        record = Record(self.at, input)
        try:
            outcome = self.house.apply(record)
        except Refused:
            return False
        self.log.append((record, outcome))
        for effect in outcome.decided:
            match effect:
                case decided.OfferMade():
                    self.offers.append(effect)
                case decided.Assigned():
                    self.talks.append(effect)
                case decided.AgentChanged(agent, "wrap-up", contact=contact):
                    self.wrap_ups.append((contact, agent))
                case decided.AgentChanged(agent, "not-responding"):
                    self.resting.append(agent)
                case _:
                    pass
        return True

    def tick(self) -> None:
        """The next deadline, if it has come."""
        wake = self.house.next_wake()
        if wake is not None and wake <= self.at:
            self.take(records.Clock())

    def arrive(self) -> None:
        self.contacts += 1
        contact = str(uuid.UUID(int=self.contacts))
        queue = f"q{self.random.randrange(QUEUES)}"
        self.put(routing.ContactArrived(self.at, contact, "chat"))
        self.put(routing.ContactQueued(self.at, contact, queue, self.random.randint(3, 6), f"{contact}:1"))
        self.waiting.append(contact)

    def step(self) -> None:
        """One contact arrives, and about one is accepted, ended and wrapped up, so that the numbers stay as they are."""
        self.at += 0.01
        self.tick()
        self.arrive()
        if self.offers:
            offer = self.offers.popleft()
            self.put(routing.OfferAccepted(self.at, offer.agent, offer.offer))
        if self.talks:
            self.put(routing.ContactEnded(self.at, self.talks.popleft().contact, "customer"))
        if self.wrap_ups:
            contact, agent = self.wrap_ups.popleft()
            self.put(routing.WrapUpDone(self.at, contact, agent))
        if self.resting:
            self.put(routing.AgentStateChosen(self.at, self.resting.popleft(), "available"))
        if self.waiting and self.random.random() < 0.05:
            self.put(routing.CustomerLeft(self.at, self.waiting.popleft()))
