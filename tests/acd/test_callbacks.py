"""Courtesy callbacks: the place, the call, another try, the window, and every way in which nobody calls back."""

from __future__ import annotations

import pytest

from acd import effects, events
from acd.model import AgentConfig, CallbackRule, Overflow, QueueConfig, Target, WrapUp
from tests.acd.world import World, configuration, none, only

pytestmark = pytest.mark.unit


def floor(*rules: Overflow, **queue: object) -> World:
    """Two agents, one queue without after-contact work; another try after a minute, three in all."""
    more = {"callback": CallbackRule(tries=3, retry_seconds=60.0), "wrap_up": WrapUp("off"), "overflow": rules} | queue
    queues = [QueueConfig("sales", "Sales", **more), QueueConfig("other", "O")]  # type: ignore[arg-type]
    return World(configuration(queues, [AgentConfig("ann", "Ann"), AgentConfig("bob", "Bob")]))


def taken(world: World, contact: str = "c1", customer: str = "x", before: float = 0.0, after: float = 0.0) -> None:
    """A contact waits and becomes a callback."""
    world.come(contact, customer=customer)
    world.do(events.CallbackTaken(world.at, contact, f"callback-{contact}", "", before, after))


def dialled(world: World, agent: str = "ann") -> list[effects.Effect]:
    """The agent is there and accepts: the customer is dialled."""
    world.available(agent)
    return world.accept(agent)


def state(world: World, contact: str = "c1") -> str:
    view = world.engine.contact(contact)
    return view.state if view is not None else "ended"


def test_the_place_is_kept() -> None:
    world = floor()
    world.come("c1")
    world.wait(5.0)
    world.come("c2")
    world.wait(5.0)
    out = world.do(events.CallbackTaken(world.at, "c1", "v", by="flow"))
    assert (only(out, effects.VisitEnded).how, only(out, effects.VisitEnded).reason) == ("flowed-out", "callback")
    assert only(out, effects.VisitStarted).kind == "callback"
    assert only(out, effects.CallbackChanged).state == "waiting"
    assert [world.engine.position(c) for c in ("c1", "c2")] == [1, 2]
    assert world.engine.statistics().queues["sales"].callbacks == 1
    offer = only(world.available("ann"), effects.OfferMade)
    assert (offer.contact, offer.callback) == ("c1", True)


def test_the_customer_hangs_up_and_the_callback_goes_on() -> None:
    world = floor()
    taken(world)
    assert none(world.do(events.CustomerLeft(world.at, "c1")), effects.ContactFinal)
    assert none(world.do(events.ContactEnded(world.at, "c1", "customer")), effects.ContactFinal)
    assert world.engine.position("c1") == 1


def test_answered_talked_handled() -> None:
    world = floor()
    taken(world)
    world.wait(30.0)
    out = dialled(world)
    assert only(out, effects.Assigned).callback
    assert only(out, effects.CallbackChanged).state == "dialling"
    world.wait(12.0)
    out = world.do(events.CallbackAnswered(world.at, "c1"))
    assert only(out, effects.CallbackChanged).state == "answered"
    world.wait(100.0)
    out = world.do(events.ContactEnded(world.at, "c1", "customer"))
    final = only(out, effects.ContactFinal)
    assert (final.final, final.waited, final.talked) == ("handled", 30.0, 100.0)


def test_not_there_it_is_tried_again_and_then_given_up() -> None:
    world = floor()
    taken(world)
    world.available("ann")
    for number in (1, 2):
        world.accept("ann")
        out = world.do(events.CallbackFailed(world.at, "c1", "busy"))
        assert only(out, effects.SegmentEnded).how == "not-reached"
        changed = only(out, effects.CallbackChanged)
        assert (changed.state, changed.why, changed.at, changed.tries) == ("scheduled", "busy", world.at + 60.0, number)
        assert (state(world), world.state("ann")) == ("scheduled", "available")
        assert only(world.wait(60.0), effects.OfferMade).contact == "c1"
    world.accept("ann")
    out = world.do(events.CallbackFailed(world.at, "c1"))
    assert only(out, effects.CallbackChanged).state == "over"
    assert only(out, effects.ContactFinal).final == "failed"
    assert (only(out, effects.VisitEnded).reason, only(out, effects.VisitEnded).answered_at) == ("unreachable", None)


def test_while_it_is_scheduled_others_are_served_and_then_it_goes_first() -> None:
    world = floor()
    taken(world)
    dialled(world)
    world.do(events.CallbackFailed(world.at, "c1"))
    world.wait(5.0)
    world.come("c2")
    assert world.offered_to("c2") == "ann"
    world.accept("ann")
    world.come("c3")
    world.wait(55.0)
    assert world.engine.position("c1") == 1
    out = world.do(events.ContactEnded(world.at, "c2", "agent"))
    assert only(out, effects.OfferMade).contact == "c1"


def test_the_window() -> None:
    world = floor()
    world.available("ann")
    world.do(events.ContactArrived(world.at, "c1"))
    assert world.refused(events.CallbackTaken(0.0, "c1", "v", "sales", 50.0, 40.0)) == "bad-window"
    world.do(events.CallbackTaken(world.at, "c1", "v", "sales", 40.0, 100.0))
    assert state(world) == "scheduled"
    assert none(world.wait(39.0), effects.OfferMade)
    assert only(world.wait(1.0), effects.OfferMade).waited == 0.0
    world.do(events.AgentReachable(world.at, "ann", False))
    out = world.wait(60.0)
    assert (only(out, effects.ContactFinal).final, only(out, effects.VisitEnded).reason) == ("flowed-out", "expired")


def test_no_try_beyond_the_window() -> None:
    world = floor()
    taken(world, after=50.0)
    dialled(world)
    out = world.do(events.CallbackFailed(world.at, "c1"))
    assert only(out, effects.ContactFinal).final == "failed"


@pytest.mark.parametrize("how", ["connect-failed", "lost"])
def test_the_window_counts_on_when_the_agent_was_lost_before_the_customer_was_there(how: str) -> None:
    world = floor()
    taken(world, after=50.0)
    dialled(world)
    lost = events.ConnectFailed(0.0, "c1", "ann") if how == "connect-failed" else events.AgentLost(0.0, "ann")
    world.do(lost)
    world.choose("ann", "idle", "break") if how == "connect-failed" else None
    assert state(world) == "waiting"
    out = world.wait(50.0)
    assert only(out, effects.VisitEnded).reason == "expired"


def test_the_customer_calls_in_and_has_the_place() -> None:
    world = floor()
    taken(world)
    world.wait(10.0)
    world.come("c2")
    world.wait(10.0)
    out = world.come("again", customer="x")
    assert only([e for e in out if getattr(e, "contact", "") == "c1"], effects.VisitEnded).reason == "called-in"
    assert [world.engine.position(c) for c in ("again", "c2")] == [1, 2]
    assert state(world) == "ended"


def test_calling_in_while_dialled_or_talking_changes_nothing() -> None:
    world = floor()
    taken(world)
    dialled(world)
    world.come("again", customer="x")
    assert state(world) == "engaged"
    world.do(events.CallbackAnswered(world.at, "c1"))
    world.do(events.AgentLost(world.at, "ann"))
    world.come("and-again", customer="x")
    assert state(world) == "waiting"


@pytest.mark.parametrize("why", ["customer", "supervisor", "called-in"])
def test_cancelled(why: str) -> None:
    world = floor()
    taken(world)
    world.available("ann")
    out = world.do(events.CallbackCancelled(world.at, "c1", why, "boss"))  # type: ignore[arg-type]
    assert only(out, effects.OfferWithdrawn).why == "cancelled"
    assert (only(out, effects.CallbackChanged).why, only(out, effects.CallbackChanged).by) == (why, "boss")
    assert only(out, effects.ContactFinal).final == "flowed-out"
    assert world.state("ann") == "available"


def test_what_is_refused() -> None:
    world = floor()
    world.come("c1")
    assert world.refused(events.CallbackCancelled(0.0, "c1")) == "no-callback"
    assert world.refused(events.CallbackAnswered(0.0, "c1")) == "not-dialling"
    world.do(events.CallbackTaken(0.0, "c1", "v"))
    assert world.refused(events.CallbackTaken(0.0, "c1", "w")) == "callback-exists"
    dialled(world)
    assert world.refused(events.CallbackCancelled(0.0, "c1")) == "already-dialling"
    assert world.refused(events.ContactTransferred(0.0, "c1", "ann", Target("queue", "other"))) == "dialling"
    assert world.refused(events.ContactRequeued(0.0, "c1", "boss")) == "dialling"
    world = floor(callback=CallbackRule(offered=False))
    world.come("c1")
    assert world.refused(events.CallbackTaken(0.0, "c1", "v")) == "no-callbacks"


def test_an_answered_callback_whose_agent_is_lost_waits_as_a_call_and_can_be_abandoned() -> None:
    world = floor()
    taken(world)
    dialled(world)
    world.do(events.CallbackAnswered(world.at, "c1"))
    world.do(events.AgentLost(world.at, "ann"))
    offer = only(world.available("bob"), effects.OfferMade)
    assert (offer.contact, offer.callback) == ("c1", False)
    out = world.do(events.CustomerLeft(world.at, "c1"))
    assert only(out, effects.ContactFinal).final == "abandoned"


def test_the_agent_who_gives_up_while_it_rings_has_not_reached_the_customer() -> None:
    world = floor()
    taken(world)
    dialled(world)
    out = world.do(events.ContactEnded(world.at, "c1", "agent"))
    assert (only(out, effects.Released).why, state(world)) == ("not-reached", "scheduled")


def test_taken_out_of_the_queue_it_is_no_callback_any_more() -> None:
    world = floor()
    taken(world)
    out = world.do(events.ContactUnqueued(world.at, "c1"))
    assert only(out, effects.CallbackChanged).state == "over"
    world.come("again", customer="x")
    assert state(world) == "arrived"
    assert only(world.do(events.CustomerLeft(world.at, "c1")), effects.ContactFinal).final == "flowed-out"


def test_rules_that_need_a_customer_on_the_line_leave_it_where_it_is() -> None:
    world = floor(Overflow("wait", Target("voicemail"), 10.0), Overflow("wait", Target("queue", "other"), 20.0))
    taken(world)
    assert none(world.wait(10.0), effects.Overflowed)
    assert only(world.wait(10.0), effects.Overflowed).to == Target("queue", "other")
    assert world.engine.statistics().queues["other"].callbacks == 1


def test_a_rule_by_size_is_not_asked_of_who_is_in_the_queue_already() -> None:
    world = floor(Overflow("size", Target("queue", "other"), 1.0))
    world.available("ann")
    world.come("c1")
    world.come("c2")
    out = world.do(events.CallbackTaken(world.at, "c1", "v"))
    assert none(out, effects.Overflowed)
    assert only(out, effects.VisitStarted).queue == "sales"


def test_a_callback_survives_a_restart() -> None:
    from acd.engine import Engine

    world = floor()
    taken(world, after=500.0)
    dialled(world)
    world.do(events.CallbackFailed(world.at, "c1"))
    world.engine = Engine.restore(world.engine.snapshot())
    assert only(world.wait(60.0), effects.OfferMade).callback


def test_a_callback_for_later_may_be_taken_while_the_queue_is_closed() -> None:
    world = floor()
    world.do(events.QueueClosed(world.at, "sales", "boss"))
    world.do(events.ContactArrived(world.at, "c1"))
    assert world.refused(events.CallbackTaken(world.at, "c1", "v1", "sales")) == "queue-closed"
    world.do(events.CallbackTaken(world.at, "c1", "v1", "sales", 3600.0))
    assert state(world) == "scheduled"
