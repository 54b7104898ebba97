"""A small floor for table tests: an engine, a clock that is moved by hand, and short words for events."""

from __future__ import annotations

from typing import TypeVar

from acd import effects, events
from acd.engine import Engine
from acd.errors import Refused
from acd.model import AgentConfig, AgentView, Channel, Code, Need, ProfileConfig, QueueConfig, Relaxation, Settings, TeamConfig

T = TypeVar("T")
ANYBODY = Need()

CODES = [Code("break", "Break"), Code("training", "Training")]
WRAP_UP = (Code("sold", "Sold"), Code("complaint", "Complaint"))


def configuration(
    queues: list[QueueConfig] | None = None,
    agents: list[AgentConfig] | None = None,
    at: float = 0.0,
    settings: Settings | None = None,
    teams: list[TeamConfig] | None = None,
    profiles: list[ProfileConfig] | None = None,
) -> events.Configured:
    """Two queues and three agents unless told otherwise."""
    return events.Configured(
        at,
        queues
        if queues is not None
        else [QueueConfig("sales", "Sales", wrap_up_codes=WRAP_UP), QueueConfig("support", "Support")],
        agents if agents is not None else [AgentConfig("ann", "Ann"), AgentConfig("bob", "Bob"), AgentConfig("cyd", "Cyd")],
        CODES,
        settings or Settings(),
        teams or [],
        profiles or [],
    )


class World:
    """An engine under test."""

    def __init__(self, configured: events.Configured | None = None) -> None:
        self.engine = Engine()
        self.at = 0.0
        self.log: list[events.Event] = []
        self.effects: list[effects.Effect] = []
        self.wake: float | None = None
        self.unfinished = False
        self.do(configured or configuration())
        self.go_on()

    def do(self, event: events.Event) -> list[effects.Effect]:
        """Handle one event."""
        out = self.engine.handle(event)
        self.log.append(event)
        self.effects += out
        for effect in out:
            if isinstance(effect, effects.WakeAt):
                self.wake = effect.at
            elif isinstance(effect, effects.GoOn):
                self.unfinished = True
        return out

    def refused(self, event: events.Event) -> str:
        """The code with which an event is refused; fails when it is not, or when it changed anything."""
        before = self.engine.snapshot()
        try:
            self.engine.handle(event)
        except Refused as refused:
            assert self.engine.snapshot() == before
            return refused.code
        raise AssertionError(f"{event} was not refused")

    def wait(self, seconds: float) -> list[effects.Effect]:
        """Let time pass and wake the engine when it asked for it."""
        end = self.at + seconds
        found: list[effects.Effect] = self.go_on()
        while self.wake is not None and self.wake <= end:
            self.at = max(self.at, self.wake)
            self.wake = None
            found += self.do(events.DeadlineReached(self.at))
            found += self.go_on()
        self.at = end
        return found

    def go_on(self) -> list[effects.Effect]:
        """Send the `Continue` events that the engine asked for."""
        found: list[effects.Effect] = []
        while self.unfinished:
            self.unfinished = False
            found += self.do(events.Continue(self.at))
        return found

    def available(self, *agents: str) -> list[effects.Effect]:
        """Log the agents in with their softphones and make them available, in this order."""
        found: list[effects.Effect] = []
        for agent in agents:
            self.do(events.AgentLoggedIn(self.at, agent))
            self.do(events.AgentReachable(self.at, agent, reachable=True))
            found += self.choose(agent)
        return found

    def choose(self, agent: str, state: str = "available", code: str = "") -> list[effects.Effect]:
        """The agent chooses a state."""
        return self.do(events.AgentStateChosen(self.at, agent, "idle" if state == "idle" else "available", code))

    def queue(self, contact: str, queue: str = "sales", priority: int = 5) -> list[effects.Effect]:
        """A contact arrives and is queued at once."""
        self.do(events.ContactArrived(self.at, contact))
        return self.do(events.ContactQueued(self.at, contact, queue, priority, f"visit-{contact}"))

    def come(
        self,
        contact: str,
        queue: str = "sales",
        *,
        priority: int = 5,
        channel: Channel = "voice",
        customer: str = "",
        need: Need = ANYBODY,
        relaxation: tuple[Relaxation, ...] | None = None,
        preferred: str = "",
        patience: float = 0.0,
    ) -> list[effects.Effect]:
        """A contact arrives with all that it may bring and is queued at once."""
        self.do(events.ContactArrived(self.at, contact, channel, "", customer))
        queued = events.ContactQueued(
            self.at, contact, queue, priority, f"visit-{contact}", need, relaxation, preferred, patience
        )
        return self.do(queued) + self.go_on()

    def talk(self, agent: str, seconds: float = 0.0) -> list[effects.Effect]:
        """The agent accepts the offer that is out to them, and after so long the talk is over."""
        found = self.accept(agent) + self.wait(seconds)
        return found + self.do(events.ContactEnded(self.at, self.agent(agent).contact, "agent"))

    def accept(self, agent: str) -> list[effects.Effect]:
        """The agent accepts the offer that is out to them."""
        return self.do(events.OfferAccepted(self.at, agent, self.agent(agent).offer))

    def agent(self, id: str) -> AgentView:
        """The agent's view."""
        view = self.engine.agent(id)
        assert view is not None
        return view

    def state(self, id: str) -> str:
        """The agent's state."""
        view = self.engine.agent(id)
        assert view is not None
        return view.state

    def offered_to(self, contact: str) -> str | None:
        """Who has an offer of this contact."""
        view = self.engine.contact(contact)
        offer = self.engine.offer(view.offer) if view is not None and view.offer else None
        return offer.agent if offer is not None else None


def only(found: list[effects.Effect], kind: type[T]) -> T:
    """The one effect of a kind."""
    matching = [effect for effect in found if isinstance(effect, kind)]
    assert len(matching) == 1, found
    return matching[0]


def none(found: list[effects.Effect], kind: type[object]) -> bool:
    """Whether there is no effect of a kind."""
    return not any(isinstance(effect, kind) for effect in found)
