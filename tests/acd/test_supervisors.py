"""What is done by hand: picked, assigned, forced, requeued, closed, opened, said to all; each with who did it."""

from __future__ import annotations

import pytest

from acd import effects, events
from acd.model import AgentConfig, ChannelCapacity, Membership, Need, ProfileConfig, QueueConfig, SkillNeed, TeamConfig
from tests.acd.world import World, configuration, none, only

pytestmark = pytest.mark.unit

QUEUES = [QueueConfig("sales", "Sales"), QueueConfig("support", "Support")]
AGENTS = [
    AgentConfig("ann", "Ann", (Membership("sales"),), "north"),
    AgentConfig("bob", "Bob", (Membership("support"),), "south"),
    AgentConfig("cyd", "Cyd", (Membership("sales"), Membership("support"))),
]
TEAMS = [TeamConfig("north", "N"), TeamConfig("south", "S")]


def floor(*there: str) -> World:
    world = World(configuration(QUEUES, AGENTS, teams=TEAMS))
    world.available(*there)
    return world


def waiting(*there: str) -> World:
    """c1 waits for a skill that nobody has; these agents are there."""
    world = floor(*there)
    world.come("c1", need=Need((SkillNeed("rare"),)))
    return world


# --- pick and assign ----------------------------------------------------------------------------------------------


def test_an_agent_picks_out_of_turn_whatever_they_serve() -> None:
    world = waiting("bob")
    out = world.do(events.ContactPicked(world.at, "c1", "bob"))
    assigned = only(out, effects.Assigned)
    assert (assigned.agent, assigned.offer, assigned.by) == ("bob", "", "bob")
    assert world.state("bob") == "engaged"


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (lambda w: w.do(events.AgentLoggedOut(w.at, "bob")), "not-logged-in"),
        (lambda w: w.do(events.AgentReachable(w.at, "bob", False)), "unreachable"),
        (lambda w: w.come("c2", "support"), "agent-reserved"),
        (lambda w: (w.come("c2", "support"), w.accept("bob")), "no-capacity"),
        (lambda w: w.do(events.CustomerLeft(w.at, "c1")), "contact-ended"),
        (lambda w: w.do(events.ContactUnqueued(w.at, "c1")), "not-waiting"),
    ],
)
def test_picking_is_refused(prepare: object, code: str) -> None:
    world = waiting("bob")
    prepare(world)  # type: ignore[operator]
    assert world.refused(events.ContactPicked(world.at, "c1", "bob")) == code


def test_picking_ones_own_offer_accepts_it() -> None:
    world = floor("ann")
    world.come("c1")
    out = world.do(events.ContactPicked(world.at, "c1", "ann"))
    assert only(out, effects.OfferWithdrawn).why == "taken"
    assert world.state("ann") == "engaged"


def test_picking_on_a_break_does_not_end_it() -> None:
    world = waiting("bob")
    world.choose("bob", "idle", "break")
    world.do(events.ContactPicked(world.at, "c1", "bob"))
    world.do(events.ContactEnded(world.at, "c1", "agent"))
    world.wait(30.0)
    assert (world.state("bob"), world.agent("bob").code) == ("idle", "break")


def test_assigned_it_is_offered_skills_and_queues_aside() -> None:
    world = waiting("bob")
    out = world.do(events.ContactAssigned(world.at, "c1", "bob", "boss"))
    decision = only(out, effects.OfferMade).decision
    assert (decision.trigger, decision.by) == ("supervisor", "boss")
    world.wait(20.0)
    assert (world.state("bob"), world.engine.position("c1")) == ("not-responding", 1)


def test_assigned_away_from_who_has_an_offer_of_it() -> None:
    world = floor("ann", "cyd")
    world.come("c1")
    out = world.do(events.ContactAssigned(world.at, "c1", "cyd", "boss"))
    assert (only(out, effects.OfferWithdrawn).agent, only(out, effects.OfferMade).agent) == ("ann", "cyd")
    assert world.state("ann") == "available"


@pytest.mark.parametrize("prepare", ["busy", "idle", "offered"])
def test_assigning_to_who_is_not_free_is_refused_and_forcing_is_not(prepare: str) -> None:
    world = waiting("bob")
    if prepare == "idle":
        world.choose("bob", "idle", "break")
    else:
        world.come("c2", "support")
        if prepare == "busy":
            world.accept("bob")
    assert world.refused(events.ContactAssigned(world.at, "c1", "bob", "boss")) == "agent-not-free"
    out = world.do(events.ContactAssigned(world.at, "c1", "bob", "boss", force=True))
    assert only(out, effects.Assigned).by == "boss"
    assert len(world.agent("bob").works) == (2 if prepare == "busy" else 1)
    if prepare == "offered":
        assert only(out, effects.OfferWithdrawn).why == "changed"
        assert world.engine.position("c2") == 1


def test_an_offer_for_which_there_is_room_beside_a_forced_one_stays() -> None:
    profile = ProfileConfig("p", "P", {"voice": ChannelCapacity(1), "chat": ChannelCapacity(3, beside=("voice",))})
    world = World(configuration(QUEUES, [AgentConfig("bob", "B", profile="p")], profiles=[profile]))
    world.available("bob")
    world.come("c2", channel="chat")
    world.come("c1", need=Need((SkillNeed("rare"),)))
    out = world.do(events.ContactAssigned(world.at, "c1", "bob", "boss", force=True))
    assert none(out, effects.OfferWithdrawn)
    world.accept("bob")
    assert len(world.agent("bob").works) == 2


# --- requeue ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("keep_place", "position"), [(True, 1), (False, 2)])
def test_requeued_while_waiting(keep_place: bool, position: int) -> None:
    world = floor()
    world.come("c1")
    world.wait(5.0)
    world.come("c2", "support")
    out = world.do(events.ContactRequeued(world.at, "c1", "boss", "support", "new", keep_place))
    assert (only(out, effects.VisitEnded).reason, only(out, effects.VisitStarted).visit) == ("moved", "new")
    assert world.engine.position("c1") == position


def test_requeued_from_its_agent() -> None:
    world = floor("ann", "bob")
    world.come("c1")
    world.accept("ann")
    world.wait(10.0)
    out = world.do(events.ContactRequeued(world.at, "c1", "boss", "support"))
    assert (only(out, effects.Released).why, only(out, effects.Released).by) == ("requeued", "boss")
    assert only(out, effects.OfferMade).agent == "bob"
    assert world.state("ann") == "wrap-up"
    ended = only(out, effects.VisitEnded)
    assert (ended.how, ended.reason, ended.talked) == ("handled", "moved", 10.0)


def test_requeueing_is_refused() -> None:
    world = waiting()
    world.come("c2")
    world.do(events.QueueClosed(0.0, "support", "boss"))
    assert world.refused(events.ContactRequeued(0.0, "c1", "boss", "support")) == "queue-closed"
    assert world.refused(events.ContactRequeued(0.0, "c1", "boss", "nowhere")) == "unknown-queue"
    assert world.refused(events.ContactRequeued(0.0, "c1", "boss", "", "visit-c2")) == "visit-exists"


# --- agents' states and queues ------------------------------------------------------------------------------------


def test_a_forced_state_says_who_did_it() -> None:
    world = floor("ann")
    out = world.do(events.AgentStateChosen(world.at, "ann", "idle", "break", "boss"))
    assert only(out, effects.AgentChanged).by == "boss"
    out = world.do(events.AgentLoggedOut(world.at, "ann", "boss"))
    assert (only(out, effects.AgentChanged).by, world.state("ann")) == ("boss", "logged-out")


def test_closing_and_opening() -> None:
    world = floor()
    world.come("c1")
    out = world.do(events.QueueClosed(0.0, "sales", "boss"))
    assert (only(out, effects.QueueChanged).why, only(out, effects.QueueChanged).by) == ("supervisor", "boss")
    assert world.refused(events.QueueClosed(0.0, "sales", "boss")) == "closed-already"
    world.do(events.ContactArrived(0.0, "c2"))
    assert world.refused(events.ContactQueued(0.0, "c2", "sales")) == "queue-closed"
    assert only(world.do(events.QueueOpened(0.0, "sales", "boss")), effects.QueueChanged).closed is False
    assert world.refused(events.QueueOpened(0.0, "sales", "boss")) == "not-closed"
    world.do(events.ContactQueued(0.0, "c2", "sales"))


def test_a_closed_queue_stays_closed_over_its_hours_and_a_restart() -> None:
    from acd.engine import Engine

    world = World(configuration([QueueConfig("sales", "S", hours="day")]))
    world.do(events.PeriodChanged(0.0, "day", True))
    world.do(events.QueueClosed(0.0, "sales", "boss"))
    world.do(events.PeriodChanged(0.0, "day", False))
    assert none(world.do(events.PeriodChanged(0.0, "day", True)), effects.QueueChanged)
    world.engine = Engine.restore(world.engine.snapshot())
    assert world.engine.closed("sales")


@pytest.mark.parametrize(
    ("teams", "queues", "agents"),
    [
        ((), (), ("ann", "bob", "cyd")),
        (("north",), (), ("ann",)),
        ((), ("support",), ("bob", "cyd")),
        (("north",), ("support",), ("ann", "bob", "cyd")),
        (("nobody",), (), ()),
    ],
)
def test_broadcast(teams: tuple[str, ...], queues: tuple[str, ...], agents: tuple[str, ...]) -> None:
    world = floor("ann", "bob", "cyd")
    sent = only(world.do(events.BroadcastMade(0.0, "m1", "boss", teams, queues)), effects.BroadcastSent)
    assert (sent.agents, sent.by) == (agents, "boss")
    world.do(events.AgentLoggedOut(0.0, "cyd"))
    sent = only(world.do(events.BroadcastMade(0.0, "m2", "boss", teams, queues)), effects.BroadcastSent)
    assert sent.agents == tuple(agent for agent in agents if agent != "cyd")


# --- an agent anew while at work ----------------------------------------------------------------------------------


def test_an_agent_who_can_more_now_gets_who_waits_for_it() -> None:
    world = waiting("bob")
    able = AgentConfig("bob", "Bob", (Membership("sales"),), skills={"rare": 1})
    out = world.do(events.AgentAmended(world.at, able, "boss"))
    assert (only(out, effects.OfferMade).contact, out[0].by) == ("c1", "boss")  # type: ignore[union-attr]


def test_a_queue_that_is_named_for_the_first_time_is_no_longer_everybodys() -> None:
    agents = [AgentConfig("ann", "Ann"), AgentConfig("bob", "Bob", (Membership("support"),))]
    world = World(configuration(QUEUES, agents))
    world.available("ann", "bob")
    world.do(events.AgentAmended(0.0, AgentConfig("bob", "Bob", (Membership("sales"),))))
    world.go_on()
    assert (world.agent("ann").queues, world.agent("bob").queues) == (("support",), ("sales",))


def test_others_match_too_when_an_agent_is_amended() -> None:
    agents = [AgentConfig("ann", "Ann"), AgentConfig("bob", "Bob", (Membership("support"), Membership("sales")))]
    world = World(configuration(QUEUES, agents))
    world.available("ann")
    world.come("c1", "support")
    assert world.offered_to("c1") is None
    world.do(events.AgentAmended(0.0, AgentConfig("bob", "Bob", (Membership("sales"),))))
    world.go_on()
    assert world.offered_to("c1") == "ann"
