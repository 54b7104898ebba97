"""DESIGN §4.1 to 4.4 over every order of events: a random walk that checks the invariants after each step and replays."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from acd import effects, events
from acd.engine import Engine
from acd.errors import Refused
from acd.model import AgentConfig, Code, Membership, OfferRule, QueueConfig, Settings, WrapUp

pytestmark = pytest.mark.unit

QUEUES = ("q1", "q2", "q3")
AGENTS = ("a1", "a2", "a3", "a4")
agents = st.sampled_from(AGENTS)
numbers = st.integers(0, 30)


def serves(*queues: str) -> tuple[Membership, ...]:
    return tuple(Membership(queue) for queue in queues)


CONFIGURATIONS = [
    events.Configured(
        0.0,
        [
            QueueConfig("q1", "1", offer=OfferRule(10.0), wrap_up=WrapUp("timed", 5.0), wrap_up_codes=(Code("w", "W"),)),
            QueueConfig("q2", "2", offer=OfferRule(20.0), wrap_up=WrapUp("off"), max_waiting=4),
            QueueConfig("q3", "3"),
        ],
        [
            AgentConfig("a1", "1", serves("q1", "q2", "q3")),
            AgentConfig("a2", "2", serves("q1")),
            AgentConfig("a3", "3", serves("q1", "q2")),
            AgentConfig("a4", "4", serves("q1", "q2", "q3")),
        ],
        [Code("b", "B")],
    ),
    events.Configured(
        0.0,
        [QueueConfig("q1", "1", short_abandon_seconds=0.0), QueueConfig("q2", "2"), QueueConfig("q3", "3")],
        [
            AgentConfig("a1", "1", serves("q3")),
            AgentConfig("a2", "2", serves("q1", "q2", "q3")),
            AgentConfig("a3", "3", serves("q2")),
            AgentConfig("a4", "4", serves("q1", "q3")),
        ],
        [Code("b", "B"), Code("c", "C")],
        Settings(connect_retry_seconds=2.0),
    ),
]


class Machine(RuleBasedStateMachine):
    """Commands and failures in any order, refused ones included."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine()
        self.at = 0.0
        self.log: list[events.Event] = []
        self.effects: list[list[effects.Effect]] = []
        self.snapshot: tuple[int, bytes] = (0, self.engine.snapshot())
        self.finals: dict[str, str] = {}
        self.arrived = 0
        self.segments: Counter[tuple[str, int]] = Counter()
        self.open_segments: set[tuple[str, int]] = set()
        self.visits_ended: set[str] = set()
        self.holds: dict[str, str] = {}
        self.wake: float | None = None
        self.unfinished = False

    def do(self, event: events.Event) -> None:
        before = self.engine.snapshot()
        try:
            out = self.engine.handle(event)
        except Refused:
            assert self.engine.snapshot() == before
            return
        self.log.append(event)
        self.effects.append(out)
        for effect in out:
            self.see(effect)
        assert sum(isinstance(effect, effects.WakeAt) for effect in out) <= 1

    def see(self, effect: effects.Effect) -> None:
        """Follow the effects as a receiver would, and check that they make sense in their order."""
        if isinstance(effect, effects.OfferMade | effects.Assigned):
            assert effect.contact not in self.finals
        if isinstance(effect, effects.Assigned):
            assert effect.contact not in self.holds
            assert effect.agent not in self.holds.values()
            self.holds[effect.contact] = effect.agent
        elif isinstance(effect, effects.Released):
            assert self.holds.pop(effect.contact) == effect.agent
        elif isinstance(effect, effects.ContactFinal):
            assert effect.contact not in self.finals
            assert effect.waited >= 0
            assert effect.talked >= 0
            self.finals[effect.contact] = effect.final
        elif isinstance(effect, effects.SegmentStarted):
            key = (effect.contact, effect.number)
            assert key not in self.segments
            self.segments[key] += 1
            self.open_segments.add(key)
        elif isinstance(effect, effects.SegmentEnded):
            assert effect.started + effect.talk + effect.wrap_up <= effect.ended + 1e-6
            self.open_segments.remove((effect.contact, effect.number))
        elif isinstance(effect, effects.VisitEnded):
            assert effect.visit not in self.visits_ended
            self.visits_ended.add(effect.visit)
        elif isinstance(effect, effects.WakeAt):
            self.wake = effect.at
        elif isinstance(effect, effects.GoOn):
            self.unfinished = True

    @initialize()
    def start(self) -> None:
        self.do(CONFIGURATIONS[0])

    @rule(which=st.integers(0, 1))
    def configure(self, which: int) -> None:
        self.do(msgspec.structs.replace(CONFIGURATIONS[which], at=self.at))

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 5.0, 10.0, 20.0]))
    def wait(self, seconds: float) -> None:
        end = self.at + seconds
        while self.wake is not None and self.wake <= end:
            self.at, self.wake = max(self.at, self.wake), None
            self.do(events.DeadlineReached(self.at))
        self.at = end
        while self.unfinished:
            self.unfinished = False
            self.do(events.Continue(self.at))

    @rule(agent=agents)
    def log_in(self, agent: str) -> None:
        self.do(events.AgentLoggedIn(self.at, agent))

    @rule(agent=agents)
    def log_out(self, agent: str) -> None:
        self.do(events.AgentLoggedOut(self.at, agent))

    @rule(agent=agents, code=st.sampled_from(["b", "c", ""]))
    def choose_idle(self, agent: str, code: str) -> None:
        self.do(events.AgentStateChosen(self.at, agent, "idle", code))

    @rule(agent=agents)
    def choose_available(self, agent: str) -> None:
        self.do(events.AgentStateChosen(self.at, agent, "available"))

    @rule(agent=agents)
    def come_available(self, agent: str) -> None:
        self.do(events.AgentLoggedIn(self.at, agent))
        self.do(events.AgentReachable(self.at, agent, reachable=True))
        self.do(events.AgentStateChosen(self.at, agent, "available"))

    @rule(agent=agents, reachable=st.booleans())
    def reach(self, agent: str, reachable: bool) -> None:
        self.do(events.AgentReachable(self.at, agent, reachable))

    @rule(agent=agents)
    def lose(self, agent: str) -> None:
        self.do(events.AgentLost(self.at, agent))

    @rule(queue=st.sampled_from(QUEUES), priority=st.integers(3, 5))
    def arrive_and_queue(self, queue: str, priority: int) -> None:
        self.arrived += 1
        contact = f"c{self.arrived}"
        self.do(events.ContactArrived(self.at, contact))
        self.do(events.ContactQueued(self.at, contact, queue, priority))

    @rule(number=numbers, queue=st.sampled_from(QUEUES))
    def queue_again(self, number: int, queue: str) -> None:
        self.do(events.ContactQueued(self.at, self.some_contact(number), queue))

    @rule(number=numbers)
    def unqueue(self, number: int) -> None:
        self.do(events.ContactUnqueued(self.at, self.some_contact(number)))

    @rule(number=numbers)
    def customer_leaves(self, number: int) -> None:
        self.do(events.CustomerLeft(self.at, self.some_contact(number)))

    @rule(
        number=numbers,
        by=st.sampled_from(["agent", "customer", "system", "flow"]),
        how=st.sampled_from(["", "failed", "rejected"]),
    )
    def end(self, number: int, by: str, how: str) -> None:
        self.do(events.ContactEnded(self.at, self.some_contact(number), by, how == "failed", how == "rejected"))  # type: ignore[arg-type]

    @rule(agent=agents)
    def accept(self, agent: str) -> None:
        self.do(events.OfferAccepted(self.at, agent, self.offer_of(agent)))

    @rule(agent=agents, other=agents)
    def decline(self, agent: str, other: str) -> None:
        self.do(events.OfferDeclined(self.at, agent, self.offer_of(other)))

    @rule(agent=agents)
    def connect_fails(self, agent: str) -> None:
        self.do(events.ConnectFailed(self.at, self.contact_of(agent), agent))

    @rule(agent=agents)
    def talk_ends(self, agent: str) -> None:
        self.do(events.ContactEnded(self.at, self.contact_of(agent), "agent"))

    @rule(agent=agents, code=st.sampled_from(["", "w", "x"]))
    def wrap_up_done(self, agent: str, code: str) -> None:
        self.do(events.WrapUpDone(self.at, self.contact_of(agent), agent, code))

    @rule(agent=agents)
    def extend_wrap_up(self, agent: str) -> None:
        self.do(events.WrapUpExtended(self.at, self.contact_of(agent), agent))

    @rule(gap=st.sampled_from([0.0, 7.0, 60.0]))
    def recover(self, gap: float) -> None:
        self.at += gap
        self.do(events.Recovered(self.at, gap))

    @rule()
    def spurious_wake(self) -> None:
        self.do(events.DeadlineReached(self.at))

    @rule()
    def restart(self) -> None:
        """Go on from a snapshot; the walk's later steps prove that nothing was lost."""
        body = self.engine.snapshot()
        self.engine = Engine.restore(body)
        assert self.engine.snapshot() == body
        self.snapshot = (len(self.log), body)

    def some_contact(self, number: int) -> str:
        contacts = self.engine.contacts()
        return contacts[number % len(contacts)].id if contacts and number else f"c{number}"

    def offer_of(self, agent: str) -> str:
        view = self.engine.agent(agent)
        return view.offer if view is not None else ""

    def contact_of(self, agent: str) -> str:
        view = self.engine.agent(agent)
        return view.contact if view is not None else ""

    @invariant()
    def one_agent_one_contact(self) -> None:
        """§4.1: at most one agent for a contact, one contact for an agent, and both sides agree."""
        contacts = {view.id: view for view in self.engine.contacts()}
        for agent in self.engine.agents():
            if agent.state == "engaged":
                assert contacts[agent.contact].agent == agent.id
                assert self.holds[agent.contact] == agent.id
            elif agent.state == "reserved":
                assert contacts[agent.contact].offer == agent.offer
            else:
                assert agent.offer == ""
                assert (agent.contact != "") == (agent.state == "wrap-up")
        engaged = [view.agent for view in contacts.values() if view.state == "engaged"]
        assert sorted(engaged) == sorted(agent.id for agent in self.engine.agents() if agent.state == "engaged")
        assert sorted(self.holds) == sorted(view.id for view in contacts.values() if view.state == "engaged")

    @invariant()
    def everything_adds_up(self) -> None:
        """§4.2: arrived is open plus the final states, for contacts and for each queue's visits."""
        statistics = self.engine.statistics()
        assert statistics.contacts == statistics.open + sum(statistics.ended.values())
        assert Counter(self.finals.values()) == Counter(statistics.ended)
        for queue in statistics.queues.values():
            assert queue.offered == queue.open + sum(queue.ended.values())
        assert sum(statistics.agents.values()) == len(self.engine.agents())

    @invariant()
    def nobody_waits_for_a_free_agent(self) -> None:
        """§4.3: a contact waits only while nobody who is available and reachable serves its queue."""
        if self.unfinished:
            return
        for queue in self.engine.queues():
            if self.engine.waiting(queue):
                assert not self.engine.agents_in(queue).get("available")

    @invariant()
    def first_come_first_served(self) -> None:
        """§4.3: a queue's order is priority, aged by the time of being queued."""
        places: dict[str, list[tuple[int, float]]] = {}
        for view in self.engine.contacts():
            position = self.engine.position(view.id)
            if view.state == "waiting" and position is not None:
                places.setdefault(view.queue, []).append((position, view.visits[0].place))
        for found in places.values():
            found.sort()
            assert [place[0] for place in found] == list(range(1, len(found) + 1))
            assert found == sorted(found, key=lambda place: place[1])

    @invariant()
    def every_timed_state_has_its_deadline(self) -> None:
        """§4.4: what ends by time will be woken for."""
        ends = [agent.until for agent in self.engine.agents() if agent.until is not None]
        for agent in self.engine.agents():
            assert (agent.until is not None) or agent.state not in ("reserved", "wrap-up")
        if ends:
            assert self.wake is not None
            assert self.wake <= min(ends)

    def teardown(self) -> None:
        """Replaying the log gives the same effects, from the start and from a snapshot; at the end all is drained."""
        fresh = Engine()
        assert [fresh.handle(event) for event in self.log] == self.effects
        assert fresh.snapshot() == self.engine.snapshot()
        count, body = self.snapshot
        middle = Engine.restore(body)
        decoded = [events.decode(events.encode(event)) for event in self.log[count:]]
        assert [middle.handle(event) for event in decoded] == self.effects[count:]
        for contact in self.engine.contacts():
            self.do(events.CustomerLeft(self.at, contact.id))
        self.wait(1000.0)
        assert self.engine.statistics().open == 0
        assert not self.open_segments
        for agent in self.engine.agents():
            assert agent.state in ("logged-out", "idle", "available", "not-responding")


class TestMachine(Machine.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(max_examples=150, stateful_step_count=70, deadline=None)
