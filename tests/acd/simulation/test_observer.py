"""A day that happened is read, and happens again: what people did is kept, what the rules did follows from the rules."""

from __future__ import annotations

import msgspec
import pytest

from acd import effects, events
from acd.events import Event
from acd.model import AgentConfig, Membership, OfferRule, Overflow, QueueConfig, Target, WrapUp
from acd.simulation.arrivals import Stream
from acd.simulation.day import Clipped, Day, Result, manners, run
from acd.simulation.figures import Figures, serving
from acd.simulation.manners import LogNormal, Manner
from acd.simulation.observer import Observer
from acd.simulation.plans import Plan
from acd.simulation.survival import Exponential
from bench.tools import days
from tests.acd.world import World

pytestmark = pytest.mark.unit


class Witness:
    """Reads what an engine does, as the log would tell it."""

    def __init__(self, day: Day) -> None:
        self.observer = Observer()
        self.tally = Clipped(day.start, day.end)
        self.tally.configure(day.rules())
        self.day = day

    def see(self, at: float, event: Event, found: list[effects.Effect]) -> None:
        self.observer.see(at, event, found)
        for effect in found:
            self.tally.see(at, effect)

    def figures(self) -> dict[str, Figures]:
        self.tally.close(self.day.end)
        return self.tally.figures(serving(self.day.rules()))

    def read(self) -> Day:
        plans, _, timeline = self.observer.take()
        opening = [event for event in timeline if isinstance(event, events.Configured)]
        rest = [event for event in timeline if not isinstance(event, events.Configured)]
        return Day(self.day.start, self.day.end, opening, rest, plans, self.observer.habits)


def test_a_day_read_from_its_log_is_the_same_day() -> None:
    """Everything that matters was seen, so that the same rules give the same figures, whatever is drawn."""
    day = days.a_day(20, 700, 1000.0, hours=5)
    witness = Witness(day)
    days.happen(day, witness.see)
    read = witness.read()
    result = run(read, 7, manners(read))
    assert result.figures == witness.figures()
    assert result.figures["sales"].abandoned > 5
    assert result.open == 0


def test_what_is_not_in_the_log_is_drawn_and_paired() -> None:
    """Fewer agents: those who were answered show how patient they are; the same customers are asked each time."""
    day = days.a_day(20, 700, 1000.0, hours=5)
    witness = Witness(day)
    days.happen(day, witness.see)
    read = witness.read()
    rules = read.rules()
    fewer = msgspec.structs.replace(rules, agents=rules.agents[:16])
    here = {agent.id for agent in fewer.agents}
    less = msgspec.structs.replace(read, timeline=[e for e in read.timeline if getattr(e, "agent", "") in here])
    fitted = manners(read)
    one, again, other = run(less, 1, fitted, fewer), run(less, 1, fitted, fewer), run(less, 2, fitted, fewer)
    assert one == again
    assert one.figures != other.figures
    before = witness.figures()[""]
    for result in (one, other):
        after = result.figures[""]
        assert after.offered == before.offered
        assert after.level is not None
        assert before.level is not None
        assert after.level < before.level - 0.1
        assert after.abandoned > before.abandoned * 1.5


def seen(world: World) -> Observer:
    """Reads a table test's floor."""
    observer = Observer()
    original = world.do

    def do(event: Event) -> list[effects.Effect]:
        found = original(event)
        observer.see(event.at, event, found)
        return found

    observer.see(0.0, world.log[0], [])
    world.do = do  # type: ignore[method-assign]
    return observer


def plan_of(observer: Observer, contact: str) -> Plan:
    return next(plan for plan in observer.fresh if plan.contact == contact)


def test_the_parts_of_a_contact() -> None:
    world = World()
    observer = seen(world)
    world.at = 10.0
    world.queue("c1")
    world.wait(5)
    world.available("ann")  # the offer at 15
    world.wait(3)
    world.accept("ann")  # rang for 3 s, waited for 8
    world.wait(60)
    world.do(events.ContactEnded(world.at, "c1", "customer"))
    world.wait(12)
    world.do(events.WrapUpDone(world.at, "c1", "ann", "sold"))
    (stay,) = plan_of(observer, "c1").stays
    assert (stay.seen, stay.patience, stay.ring, stay.talk, stay.wrap_up) == (8.0, None, 3.0, 60.0, 12.0)
    assert stay.ended
    assert observer.watches == {}


def test_who_left_was_known_to_be_that_patient() -> None:
    world = World()
    observer = seen(world)
    world.queue("c1")
    world.wait(33)
    world.do(events.CustomerLeft(world.at, "c1"))
    (stay,) = plan_of(observer, "c1").stays
    assert stay.patience == 33.0
    assert [(wait.seconds, wait.left) for wait in observer.habits["sales"].patience] == [(33.0, True)]


def test_a_transfer_is_a_second_stay() -> None:
    world = World()
    observer = seen(world)
    world.queue("c1")
    world.available("ann")
    world.accept("ann")
    world.wait(40)
    world.available("bob")
    world.do(events.ContactTransferred(world.at, "c1", "ann", Target("queue", "support"), "c1:2"))
    world.do(events.WrapUpDone(world.at, "c1", "ann", "sold"))
    world.accept("bob")
    world.wait(50)
    world.do(events.ContactEnded(world.at, "c1", "customer"))
    first, second = plan_of(observer, "c1").stays
    assert (first.talk, first.places[0].queue, first.transfer) == (40.0, "sales", None)
    assert (second.talk, second.places[0].queue, second.transfer) == (50.0, "support", Target("queue", "support"))


def test_a_callback_is_kept_with_how_long_it_took_to_reach_the_customer() -> None:
    world = World()
    observer = seen(world)
    world.queue("c1")
    world.wait(20)
    world.do(events.CallbackTaken(world.at, "c1", "c1:2"))
    world.do(events.CustomerLeft(world.at, "c1"))
    world.wait(100)
    world.available("ann")
    world.accept("ann")
    world.wait(12)
    world.do(events.CallbackAnswered(world.at, "c1"))
    world.wait(60)
    world.do(events.ContactEnded(world.at, "c1", "agent"))
    world.do(events.WrapUpDone(world.at, "c1", "ann", "sold"))
    (stay,) = plan_of(observer, "c1").stays
    assert (stay.callback, stay.dial, stay.talk, stay.patience) == (20.0, 12.0, 60.0, None)
    plans, _, timeline = observer.take()
    day = Day(0.0, 400.0, [event for event in timeline if event.at == 0.0], timeline[1:], plans, observer.habits)
    result = run(day, 1, manners(day))
    assert not result.refused
    assert result.figures["sales"].answered == 1
    assert result.open == 0


def test_an_agent_of_whom_no_event_told_is_known_by_their_state() -> None:
    """Logged in before the first event that was read."""
    world = World()
    world.available("ann")
    world.do(events.AgentLoggedIn(world.at, "bob"))
    world.wait(10)
    observer = seen(world)
    world.queue("c1")
    world.accept("ann")
    found = [event for event in observer.timeline if not isinstance(event, events.Configured)]
    assert [(events.kind(event), event.at) for event in found] == [
        ("agent-logged-in", 10.0),
        ("agent-reachable", 10.0),
        ("agent-state-chosen", 10.0),
    ]
    assert [events.kind(event) for event in observer.presence.opening(20.0)[1:]] == [events.kind(event) for event in found]


def test_what_the_flow_did_comes_again_after_the_same_time() -> None:
    world = World()
    observer = seen(world)
    world.queue("c1")
    world.wait(120)
    world.do(events.ContactUnqueued(world.at, "c1"))
    world.wait(4)
    world.do(events.ContactQueued(world.at, "c1", "support", 5, "again"))
    first, second = plan_of(observer, "c1").stays
    assert (first.out, first.patience) == (120.0, None)
    assert second.gap == 4.0


def test_an_agent_who_missed_an_offer_was_away() -> None:
    """From the offer until they chose to be back: nobody would have had them then."""
    world = World()
    observer = seen(world)
    world.at = 100.0
    world.available("ann")
    world.queue("c1")
    world.wait(20)
    assert world.state("ann") == "not-responding"
    world.wait(30)
    world.choose("ann")
    changes = [(e.at, e.reachable) for e in observer.timeline if isinstance(e, events.AgentReachable)]
    assert changes == [(100.0, True), (100.0, False), (150.0, True)]


def a_scenario(
    queues: list[QueueConfig], members: dict[str, tuple[str, ...]], arrivals: dict[str, float], patience: float = 90.0
) -> Day:
    agents = [AgentConfig(name, name, tuple(Membership(q) for q in of)) for name, of in members.items()]
    opening: list[Event] = [events.Configured(0.0, queues, agents)]
    for name in members:
        opening += [events.AgentLoggedIn(0.0, name), events.AgentReachable(0.0, name, True)]
        opening.append(events.AgentStateChosen(0.0, name, "available"))
    manner = Manner(Exponential(patience), talk=LogNormal(200.0, 100.0), wrap_up=LogNormal(30.0, 10.0))
    streams = [Stream(queue, queue, (expected,), 7200.0) for queue, expected in arrivals.items()]
    return Day(0.0, 7200.0, opening, [], [], streams=streams, manners={queue.id: manner for queue in queues})


def alone(day: Day, rules: events.Configured | None = None) -> Result:
    return run(day, 3, manners(day), rules)


def test_rules_are_the_engine_s() -> None:
    """Overflow, wrap-up limits, auto-accept: whatever the configuration says, happens."""
    queues = [
        QueueConfig("a", "A", overflow=(Overflow("wait", Target("queue", "b"), over=15.0),), wrap_up=WrapUp("off")),
        QueueConfig("b", "B", offer=OfferRule(10.0, auto_accept=True), wrap_up=WrapUp("timed", 5.0, 0)),
    ]
    day = a_scenario(queues, {"x": ("a",), "y": ("b",), "z": ("b",)}, {"a": 60.0, "b": 5.0})
    result = alone(day)
    assert result.figures["b"].offered > 15  # most of the a's came over
    assert result.figures["a"].flowed_out > 10
    assert not result.refused
    rules = day.rules()
    kept = msgspec.structs.replace(rules, queues=[msgspec.structs.replace(queues[0], overflow=()), queues[1]])
    without = alone(day, kept)
    assert without.figures["a"].flowed_out == 0
    assert without.figures["a"].abandoned > result.figures["a"].abandoned


def test_priorities_are_the_engine_s() -> None:
    day = a_scenario(
        [QueueConfig("a", "A"), QueueConfig("b", "B")], {"x": ("a", "b"), "y": ("a", "b")}, {"a": 30.0, "b": 60.0}, 600.0
    )
    rules = day.rules()
    first = [
        msgspec.structs.replace(agent, queues=(Membership("a", priority=1), Membership("b", priority=2)))
        for agent in rules.agents
    ]
    even, preferred = alone(day), alone(day, msgspec.structs.replace(rules, agents=first))
    assert preferred.figures["a"].asa is not None
    assert even.figures["a"].asa is not None
    assert preferred.figures["a"].asa < 0.5 * even.figures["a"].asa
    assert preferred.figures["b"].abandoned > even.figures["b"].abandoned
