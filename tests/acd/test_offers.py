"""Offers: deadlines, misses, declining, withdrawal, what is deferred; and what happens when two want different things."""

from __future__ import annotations

import pytest

from acd import effects, events
from acd.model import AgentConfig, MissRule, OfferRule, QueueConfig, Settings, Target
from tests.acd.world import World, configuration, none, only

pytestmark = pytest.mark.unit


def floor(settings: Settings | None = None, **queue: object) -> World:
    """Two agents; one queue."""
    agents = [AgentConfig("ann", "Ann"), AgentConfig("bob", "Bob")]
    config = QueueConfig("sales", "Sales", **queue)  # type: ignore[arg-type]
    return World(configuration([config, QueueConfig("support", "Support")], agents, settings=settings))


def out_of_rotation(world: World, agent: str = "ann") -> bool:
    return world.state(agent) == "not-responding"


# --- deadlines ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channel", "seconds"), [("voice", 12.0), ("chat", 40.0), ("email", 12.0)])
def test_the_deadline_by_queue_and_channel(channel: str, seconds: float) -> None:
    world = floor(offer=OfferRule(12.0), offer_by_channel={"chat": OfferRule(40.0)})
    world.available("ann")
    assert only(world.come("c1", channel=channel), effects.OfferMade).deadline == seconds  # type: ignore[arg-type]
    assert none(world.wait(seconds - 0.1), effects.OfferWithdrawn)
    assert only(world.wait(0.1), effects.OfferWithdrawn).seconds == seconds


def test_auto_accept() -> None:
    world = floor(offer=OfferRule(auto_accept=True))
    world.available("ann")
    out = world.come("c1")
    assert only(out, effects.OfferMade).auto
    assert only(out, effects.Assigned).agent == "ann"
    assert world.engine.offers() == []
    world.come("c2")
    out = world.do(events.ContactEnded(world.at, "c1", "agent", failed=True))
    assert only(out, effects.Assigned).contact == "c2"


# --- misses -------------------------------------------------------------------------------------------------------


def miss(world: World, number: int = 1) -> None:
    for _ in range(number):
        world.wait(20.0)


def test_out_of_rotation_after_so_many_in_a_row() -> None:
    world = floor(Settings(rona=MissRule(3)))
    world.available("ann")
    world.come("c1")
    miss(world, 2)
    assert world.offered_to("c1") == "ann"
    miss(world)
    assert out_of_rotation(world)
    assert world.agent("ann").until is None


def test_an_accepted_offer_begins_the_count_anew() -> None:
    world = floor(Settings(rona=MissRule(2)))
    world.available("ann")
    world.come("c1")
    miss(world)
    world.accept("ann")
    world.do(events.ContactEnded(world.at, "c1", "agent", failed=True))
    world.come("c2")
    miss(world)
    assert not out_of_rotation(world)
    miss(world)
    assert out_of_rotation(world)


def test_out_of_rotation_for_a_time_and_then_the_count_begins_anew() -> None:
    world = floor(Settings(rona=MissRule(2, 60.0)))
    world.available("ann")
    world.come("c1")
    miss(world, 2)
    assert (out_of_rotation(world), world.agent("ann").until) == (True, world.at + 60.0)
    assert only(world.wait(60.0), effects.OfferMade).agent == "ann"
    miss(world)
    assert not out_of_rotation(world)


def test_below_the_limit_others_go_first() -> None:
    world = floor(Settings(rona=MissRule(5)))
    world.available("ann", "bob")
    world.come("c1")
    miss(world)
    assert world.offered_to("c1") == "bob"
    miss(world)
    assert world.offered_to("c1") == "ann"


def test_below_the_limit_the_agent_gets_who_is_first_now() -> None:
    world = floor(Settings(declined=MissRule(5)))
    world.available("ann")
    world.come("c1")
    world.come("c2", priority=1)
    world.do(events.OfferDeclined(world.at, "ann", world.agent("ann").offer))
    assert (world.offered_to("c2"), world.offered_to("c1")) == ("ann", None)


@pytest.mark.parametrize(
    ("reasons", "out"),
    [
        ([""], True),
        (["other"], True),
        (["busy"], False),
        (["busy", "busy"], True),
        (["lunch", "busy", "lunch"], False),
        (["lunch", "lunch", "lunch"], True),
    ],
)
def test_declining_by_reason(reasons: list[str], out: bool) -> None:
    world = floor(Settings(declined_by_reason={"busy": MissRule(2), "lunch": MissRule(3, 30.0)}))
    world.available("ann")
    world.come("c1")
    for reason in reasons:
        found = world.do(events.OfferDeclined(world.at, "ann", world.agent("ann").offer, reason))
        assert only(found, effects.OfferWithdrawn).reason == reason
    assert out_of_rotation(world) == out
    assert world.engine.position("c1") == 1


# --- withdrawal ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "why", "agent"),
    [
        (events.CustomerLeft(3.0, "c1"), "customer-left", "available"),
        (events.ContactEnded(3.0, "c1", "system", failed=True), "failed", "available"),
        (events.ContactEnded(3.0, "c1", "flow"), "flowed-out", "available"),
        (events.ContactUnqueued(3.0, "c1"), "flowed-out", "available"),
        (events.ContactRequeued(3.0, "c1", "boss", "support"), "taken", "available"),
        (events.AgentReachable(3.0, "ann", False), "unreachable", "available"),
        (events.AgentLost(3.0, "ann"), "agent-left", "logged-out"),
        (events.AgentLoggedOut(3.0, "ann"), "agent-left", "logged-out"),
        (events.ContactPicked(3.0, "c1", "bob"), "taken", "available"),
        (events.ContactAssigned(3.0, "c1", "bob", "boss", force=True), "taken", "available"),
    ],
)
def test_why_an_offer_is_withdrawn(event: events.Event, why: str, agent: str) -> None:
    world = floor()
    world.available("ann")
    world.come("c1")
    world.do(events.AgentLoggedIn(0.0, "bob"))
    world.do(events.AgentReachable(0.0, "bob", True))
    world.at = 3.0
    out = world.do(event)
    assert only(out, effects.OfferWithdrawn).why == why
    assert world.state("ann") in (agent, "reserved" if isinstance(event, events.ContactRequeued) else agent)
    assert world.agent("ann").code == ""


# --- what the agent chose -----------------------------------------------------------------------------------------


def test_a_break_chosen_while_reserved_comes_when_the_offer_goes() -> None:
    world = floor()
    world.available("ann")
    world.come("c1")
    world.choose("ann", "idle", "break")
    world.do(events.CustomerLeft(world.at, "c1"))
    assert (world.state("ann"), world.agent("ann").code) == ("idle", "break")


def test_choosing_available_takes_back_what_was_deferred_in_any_state() -> None:
    world = floor()
    world.available("ann")
    world.choose("ann", "idle", "break")
    world.come("c1")
    world.do(events.ContactPicked(world.at, "c1", "ann"))
    world.do(events.AgentLoggedOut(world.at, "ann"))
    assert world.agent("ann").next_state == "logged-out"
    world.choose("ann")
    assert world.agent("ann").next_state == ""
    world.do(events.ContactEnded(world.at, "c1", "agent", failed=True))
    assert world.state("ann") == "available"


def test_a_break_is_not_ended_by_a_connection_that_failed() -> None:
    world = floor()
    world.available("ann")
    world.choose("ann", "idle", "break")
    world.come("c1")
    world.do(events.ContactPicked(world.at, "c1", "ann"))
    world.do(events.ConnectFailed(world.at, "c1", "ann"))
    assert (world.state("ann"), world.agent("ann").code, world.agent("ann").until) == ("idle", "break", None)
    world.wait(60.0)
    assert world.state("ann") == "idle"


# --- two at once --------------------------------------------------------------------------------------------------


def offered() -> World:
    """c1 is offered to ann; bob is there."""
    world = floor()
    world.available("ann")
    world.come("c1")
    world.do(events.AgentLoggedIn(world.at, "bob"))
    world.do(events.AgentReachable(world.at, "bob", True))
    return world


def test_two_accepts_of_one_offer() -> None:
    world = offered()
    offer = world.agent("ann").offer
    world.do(events.OfferAccepted(world.at, "ann", offer))
    assert world.refused(events.OfferAccepted(world.at, "ann", offer)) == "offer-gone"
    assert world.refused(events.OfferAccepted(world.at, "bob", offer)) == "offer-gone"
    assert world.state("ann") == "engaged"


def test_accepting_what_is_offered_to_somebody_else() -> None:
    world = offered()
    assert world.refused(events.OfferAccepted(world.at, "bob", world.agent("ann").offer)) == "not-your-offer"
    assert world.refused(events.OfferDeclined(world.at, "bob", world.agent("ann").offer)) == "not-your-offer"


@pytest.mark.parametrize(
    ("first", "state"),
    [
        (lambda w: w.do(events.CustomerLeft(w.at, "c1")), "available"),
        (lambda w: w.wait(20.0), "not-responding"),
        (lambda w: w.do(events.OfferDeclined(w.at, "ann", "c1.1")), "not-responding"),
        (lambda w: w.do(events.AgentReachable(w.at, "ann", False)), "available"),
        (lambda w: w.do(events.ContactPicked(w.at, "c1", "bob")), "available"),
        (lambda w: w.do(events.ContactAssigned(w.at, "c1", "bob", "boss", True)), "available"),
        (lambda w: w.do(events.ContactUnqueued(w.at, "c1")), "available"),
    ],
)
def test_accept_after_the_offer_has_gone(first: object, state: str) -> None:
    world = offered()
    first(world)  # type: ignore[operator]
    assert world.refused(events.OfferAccepted(world.at, "ann", "c1.1")) == "offer-gone"
    assert world.state("ann") == state
    assert world.agent("ann").contact == ""


def test_the_customer_leaves_while_the_agent_accepts() -> None:
    world = offered()
    world.accept("ann")
    out = world.do(events.CustomerLeft(world.at, "c1"))
    assert only(out, effects.ContactFinal).final == "handled"
    assert world.refused(events.ConnectFailed(world.at, "c1", "ann")) == "contact-ended"
    assert world.refused(events.ContactEnded(world.at, "c1", "agent")) == "contact-ended"
    assert world.state("ann") == "wrap-up"


def test_a_connection_that_failed_after_the_agent_was_lost() -> None:
    world = offered()
    world.accept("ann")
    world.do(events.AgentLost(world.at, "ann"))
    assert world.refused(events.ConnectFailed(world.at, "c1", "ann")) == "not-engaged"
    assert world.engine.position("c1") == 1


@pytest.mark.parametrize(
    ("supervisor", "agents", "code"),
    [
        (events.ContactAssigned(0.0, "c1", "bob", "boss", True), events.ContactEnded(0.0, "c1", "agent"), ""),
        (
            events.ContactRequeued(0.0, "c1", "boss"),
            events.ContactTransferred(0.0, "c1", "ann", Target("queue", "support")),
            "",
        ),
        (events.AgentLoggedOut(0.0, "ann", "boss"), events.OfferAccepted(0.0, "ann", "c1.1"), "offer-gone"),
    ],
)
def test_a_supervisor_is_first(supervisor: events.Event, agents: events.Event, code: str) -> None:
    world = offered()
    world.do(supervisor)
    if code:
        assert world.refused(agents) == code
    elif isinstance(agents, events.ContactTransferred):
        assert world.refused(agents) == "not-engaged"
    else:
        assert only(world.do(agents), effects.ContactFinal).agent == "bob"


def test_a_supervisor_is_too_late() -> None:
    world = offered()
    world.accept("ann")
    assert world.refused(events.ContactAssigned(0.0, "c1", "bob", "boss")) == "not-waiting"
    assert world.refused(events.ContactAssigned(0.0, "c1", "bob", "boss", True)) == "not-waiting"
    assert world.refused(events.ContactPicked(0.0, "c1", "bob")) == "not-waiting"
    world.do(events.ContactEnded(0.0, "c1", "agent"))
    assert world.refused(events.ContactRequeued(0.0, "c1", "boss")) == "contact-ended"
