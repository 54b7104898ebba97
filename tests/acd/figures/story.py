"""A random day on a small floor with the real engine; what happens is chosen by numbers, so that a property can shrink it."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from acd import effects, events
from acd.engine import Engine
from acd.errors import Refused
from acd.figures.fold import Fold
from acd.model import (
    AgentConfig,
    CallbackRule,
    ChannelCapacity,
    Code,
    Overflow,
    ProfileConfig,
    QueueConfig,
    Target,
    WrapUp,
)

START = 1_795_300_000.0
"""Not at a border of a quarter."""
QUEUES = [
    QueueConfig("sales", "Sales", service_level_seconds=20, short_abandon_seconds=5, wrap_up=WrapUp(seconds=60)),
    QueueConfig(
        "support",
        "Support",
        wrap_up=WrapUp("off"),
        overflow=(Overflow("wait", Target("queue", "sales"), over=300), Overflow("size", Target("voicemail"), over=6)),
        callback=CallbackRule(tries=2, retry_seconds=600),
    ),
    QueueConfig(
        "mail",
        "Mail",
        channels=("email",),
        short_abandon_seconds=0,
        overflow=(Overflow("size", Target("agent", "ann"), over=3),),
    ),
]
AGENTS = [AgentConfig(id, id.title(), profile="blended") for id in ("ann", "bob", "cyd")]
PROFILES = [
    ProfileConfig(
        "blended", "Blended", {"voice": ChannelCapacity(1, beside=("email",)), "email": ChannelCapacity(2, beside=("voice",))}
    )
]
CODES = [Code("break", "Break"), Code("training", "Training")]


Move = tuple[Callable[[Any], Any], Any]


class Said:
    """An event, what was decided on it, or a hold that the house was asked for."""

    def __init__(self, at: float, decided: Sequence[effects.Effect] = (), hold: tuple[str, bool] | None = None) -> None:
        self.at, self.decided, self.hold = at, decided, hold

    def feed(self, fold: Fold) -> None:
        if self.hold is not None:
            fold.hold(self.at, *self.hold)
        for effect in self.decided:
            fold.take(self.at, effect)


class Held:
    """How long an agent has had the customer on hold; nobody talks where no connection is made, and nobody holds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.since: float | None = None


class Story:
    """Everything that happened, in order."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.at = START
        self.said: list[Said] = []
        self.log: list[events.Event] = []
        self.contacts = 0
        self.held: dict[str, Held] = {}
        self.hold_seconds = 0.0
        self.wake: float | None = None
        self.unfinished = False
        self.left_over: list[str] = []
        self.do(events.Configured(self.at, QUEUES, AGENTS, CODES, profiles=PROFILES))

    @property
    def decided(self) -> Iterator[tuple[float, effects.Effect]]:
        for said in self.said:
            for effect in said.decided:
                yield said.at, effect

    def do(self, event: Any) -> bool:
        """An event now; False when the engine refuses it."""
        try:
            decided = self.engine.handle(event)
        except Refused:
            return False
        self.log.append(event)
        self.said.append(Said(self.at, decided))
        for effect in decided:
            match effect:
                case effects.WakeAt(at):
                    self.wake = at
                case effects.Overflowed(contact, to=Target("voicemail")):
                    self.left_over.append(contact)
                case effects.GoOn():
                    self.unfinished = True
                case effects.Released(contact, why=why):
                    part = self.held.pop(contact, None)
                    if part is not None and why != "connect-failed":
                        self.hold_seconds += part.seconds + (self.at - part.since if part.since is not None else 0.0)
                case _:
                    pass
        while self.unfinished:
            self.unfinished = False
            self.do(events.Continue(self.at))
        while self.left_over:
            self.do(events.CustomerLeft(self.at, self.left_over.pop()))
        return True

    def wait(self, seconds: float) -> None:
        """Time passes, with the engine's deadlines at their times."""
        end = self.at + seconds
        while self.wake is not None and self.wake <= end:
            self.at, self.wake = max(self.at, self.wake), None
            self.do(events.DeadlineReached(self.at))
        self.at = end

    def hold(self, contact: str) -> None:
        """On hold, or back."""
        part = self.held.setdefault(contact, Held())
        on = part.since is None
        if part.since is None:
            part.since = self.at
        else:
            part.seconds += self.at - part.since
            part.since = None
        self.said.append(Said(self.at, hold=(contact, on)))

    def arrive(self, queue: str) -> None:
        """Somebody comes and is queued."""
        self.contacts += 1
        contact = str(uuid.UUID(int=self.contacts))
        channel = "email" if queue == "mail" else "voice"
        self.do(events.ContactArrived(self.at, contact, channel, "main"))  # type: ignore[arg-type]
        self.do(events.ContactQueued(self.at, contact, queue, 3 + self.contacts % 4, f"{contact}:1"))

    def possible(self) -> list[list[Move]]:
        """What may happen next, by groups; the same story gives the same lists."""
        at = self.at
        arrivals: list[Move] = [(self.arrive, queue.id) for queue in QUEUES]
        agents: list[Move] = []
        answers: list[Move] = []
        wrapped: list[Move] = []
        for agent in self.engine.agents():
            if agent.state == "logged-out" or not agent.reachable:
                agents.append((self.do, events.AgentLoggedIn(at, agent.id)))
                agents.append((self.do, events.AgentReachable(at, agent.id, True)))
            elif agent.state in ("idle", "not-responding"):
                agents.append((self.do, events.AgentStateChosen(at, agent.id, "available")))
            wrapped += [(self.do, events.WrapUpDone(at, w.contact, agent.id)) for w in agent.works if w.state == "wrap-up"]
        for offer in self.engine.offers():
            answers += [(self.do, events.OfferAccepted(at, offer.agent, offer.id))] * 5
            answers.append((self.do, events.OfferDeclined(at, offer.agent, offer.id, "busy")))
        contacts = self.engine.contacts()
        talks = [move for c in contacts if c.agent for move in self._talk(c.id, c.agent, c.state)]
        ends = [move for c in contacts if c.agent for move in self._end_of_talk(c.id)]
        waits = [move for c in contacts if not c.agent for move in self._wait(c.id)]
        whims: list[Move] = [
            (self.do, event)
            for id in ("ann", "bob", "cyd")
            for event in (
                events.AgentStateChosen(at, id, "idle", "break"),
                events.AgentLoggedOut(at, id),
                events.AgentLost(at, id),
            )
        ]
        weighed = [arrivals] * 3 + [answers] * 6 + [agents] * 4 + [wrapped] * 2 + [talks] * 2 + [ends] * 2 + [waits, whims]
        return [group for group in weighed if group]

    def _talk(self, id: str, agent: str, state: str) -> list[Move]:
        at = self.at
        if state == "parked":
            return [(self.do, events.ContactResumed(at, id))]
        found = self.engine.contact(id)
        holds: list[Move] = [] if found is None or found.callback else [(self.hold, id), (self.hold, id)]
        return [
            *holds,
            (self.do, events.CallbackAnswered(at, id)),
            (self.do, events.CallbackFailed(at, id)),
            (self.do, events.ConnectFailed(at, id, agent)),
            (self.do, events.ContactParked(at, id, agent)),
            (self.do, events.ContactTransferred(at, id, agent, Target("queue", "sales"))),
            (self.do, events.ContactTransferred(at, id, agent, Target("agent", "bob"))),
            (self.do, events.ContactRequeued(at, id, "boss")),
        ]

    def _end_of_talk(self, id: str) -> list[Move]:
        failed = events.ContactEnded(self.at, id, "system", failed=True)
        return [
            (self.do, events.CustomerLeft(self.at, id)),
            (self.do, events.ContactEnded(self.at, id, "agent")),
            (self.do, failed),
        ]

    def _wait(self, id: str) -> list[Move]:
        at = self.at
        return [
            *[(self.do, events.CustomerLeft(at, id))] * 2,
            (self.do, events.CallbackTaken(at, id, f"{id}:c{len(self.log)}")),
            (self.do, events.CallbackTaken(at, id, f"{id}:c{len(self.log)}", not_before=at + 1000)),
            (self.do, events.CallbackCancelled(at, id)),
            (self.do, events.ContactUnqueued(at, id)),
            (self.do, events.ContactQueued(at, id, "support")),
            (self.do, events.ContactPicked(at, id, "cyd")),
            (self.do, events.ContactAssigned(at, id, "ann", "boss", force=True)),
            (self.do, events.ContactEnded(at, id, "flow", rejected=True)),
        ]

    def step(self, choice: int, seconds: float) -> None:
        """One thing happens so many seconds later."""
        self.wait(seconds)
        groups = self.possible()
        group = groups[choice % len(groups)]
        action, argument = group[choice // len(groups) % len(group)]
        action(argument)


def told(steps: Sequence[tuple[int, float]]) -> Story:
    """A story of choices and the seconds before each."""
    story = Story()
    for agent in ("ann", "bob"):
        for event in (
            events.AgentLoggedIn(story.at, agent),
            events.AgentReachable(story.at, agent, True),
            events.AgentStateChosen(story.at, agent, "available"),
        ):
            story.do(event)
    for choice, seconds in steps:
        story.step(choice, seconds)
    return story


def busy(seed: int, steps: int) -> Story:
    """A long story."""
    chance = random.Random(seed)
    return told(
        [
            (chance.randrange(10_000), chance.choice((0.0, 1.5, 1.5, 3.0, 3.0, 7.25, 7.25, 7.25, 31.0, 140.0)))
            for _ in range(steps)
        ]
    )
