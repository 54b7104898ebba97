"""The first routing rules, one situation each."""

from __future__ import annotations

import pytest

from acd import effects, events
from acd.model import AgentConfig, Membership, QueueConfig
from tests.acd.world import World, configuration, none, only

pytestmark = pytest.mark.unit


def test_longest_available_agent_gets_the_contact() -> None:
    world = World()
    world.available("bob")
    world.at = 1.0
    world.available("ann", "cyd")
    offer = only(world.queue("c1"), effects.OfferMade)
    assert offer.agent == "bob"
    assert offer.deadline == 21.0
    assert [other.agent for other in offer.decision.agents] == ["ann", "cyd"]
    assert offer.decision.tie_break == ""
    second = only(world.queue("c2"), effects.OfferMade)
    assert (second.agent, second.decision.tie_break) == ("ann", "order of becoming available")
    assert second.decision.others == {"reserved": 1}


def test_priority_then_first_come_first_served_across_queues() -> None:
    world = World()
    world.queue("late-in-mind", "support")
    world.at = 1.0
    world.queue("second")
    world.at = 2.0
    world.queue("urgent", priority=1)
    world.queue("slow", priority=9)
    order = []
    for agent in ("ann", "bob", "cyd"):
        offer = only(world.available(agent), effects.OfferMade)
        order.append(offer.contact)
    assert order == ["urgent", "late-in-mind", "second"]
    assert offer.decision.rule == "priority-then-longest-wait"
    assert [other.contact for other in offer.decision.contacts] == ["slow"]


def test_an_agent_gets_only_contacts_of_their_queues() -> None:
    queues = [QueueConfig("sales", "Sales"), QueueConfig("support", "Support")]
    agents = [
        AgentConfig("ann", "Ann", (Membership("sales"),)),
        AgentConfig("bob", "Bob", (Membership("support"),)),
        AgentConfig("cyd", "Cyd", (Membership("support"),)),
    ]
    world = World(configuration(queues, agents))
    world.available("cyd", "bob")
    assert only(world.queue("c1", "sales"), effects.NobodyFor).why == "nobody-logged-in"
    assert only(world.queue("c2", "support"), effects.OfferMade).agent == "cyd"
    assert only(world.available("ann"), effects.OfferMade).contact == "c1"


def test_nobody_is_said_with_the_reasons() -> None:
    world = World()
    assert not world.engine.staffed("sales")
    assert only(world.queue("c1"), effects.NobodyFor).why == "nobody-logged-in"
    world.available("ann")
    assert world.engine.staffed("sales")
    nobody = only(world.queue("c2"), effects.NobodyFor)
    assert nobody.why == "nobody-available"
    assert nobody.decision.others == {"reserved": 1, "logged-out": 2}
    assert nobody.decision.agent is None


def test_rona_keeps_the_place_and_takes_the_agent_out_of_rotation() -> None:
    world = World()
    world.available("ann")
    world.queue("c1")
    world.at = 5.0
    world.queue("c2")
    found = world.wait(20.0)
    assert only(found, effects.OfferWithdrawn).why == "rona"
    assert world.agent("ann").state == "not-responding"
    assert world.agent("ann").code == "rona"
    assert world.engine.position("c1") == 1
    assert world.engine.position("c2") == 2
    assert only(world.available("bob"), effects.OfferMade).contact == "c1"
    assert only(world.choose("ann"), effects.OfferMade).contact == "c2"


def test_a_missed_contact_goes_to_the_next_available_agent_at_once() -> None:
    world = World()
    world.available("ann", "bob")
    world.queue("c1")
    found = world.wait(20.0)
    assert only(found, effects.OfferMade).agent == "bob"
    assert only(found, effects.OfferMade).waited == 20.0


def test_declining_takes_the_agent_out_of_rotation() -> None:
    world = World()
    world.available("ann")
    world.queue("c1")
    found = world.do(events.OfferDeclined(world.at, "ann", world.agent("ann").offer, "busy"))
    assert only(found, effects.OfferWithdrawn).why == "declined"
    assert (world.agent("ann").state, world.agent("ann").code) == ("not-responding", "declined")
    assert none(found, effects.OfferMade)


def test_talk_and_wrap_up_with_code() -> None:
    world = World()
    world.available("ann")
    world.at = 10.0
    world.queue("c1")
    world.at = 12.0
    found = world.accept("ann")
    assert only(found, effects.Assigned).agent == "ann"
    assert only(found, effects.SegmentStarted).number == 1
    world.at = 72.0
    found = world.do(events.ContactEnded(world.at, "c1", "customer"))
    assert only(found, effects.Released).why == "customer"
    final = only(found, effects.ContactFinal)
    assert (final.final, final.waited, final.talked, final.agent, final.queue) == ("handled", 2.0, 60.0, "ann", "sales")
    visit = only(found, effects.VisitEnded)
    assert (visit.visit, visit.how, visit.within) == ("visit-c1", "handled", True)
    assert world.agent("ann").state == "wrap-up"
    assert world.agent("ann").until == 102.0
    world.at = 80.0
    assert world.refused(events.WrapUpDone(world.at, "c1", "ann", "nonsense")) == "unknown-code"
    assert world.refused(events.WrapUpDone(world.at, "c2", "ann", "sold")) == "not-in-wrap-up"
    segment = only(world.do(events.WrapUpDone(world.at, "c1", "ann", "sold")), effects.SegmentEnded)
    assert (segment.talk, segment.wrap_up, segment.code, segment.how) == (60.0, 8.0, "sold", "handled")
    assert world.state("ann") == "available"
    assert world.agent("ann").since == 80.0


def test_wrap_up_ends_at_its_limit_and_can_be_extended_twice() -> None:
    world = World()
    world.available("ann")
    world.queue("c1")
    world.accept("ann")
    world.do(events.ContactEnded(world.at, "c1", "agent"))
    for _ in range(2):
        world.do(events.WrapUpExtended(world.at, "c1", "ann"))
    assert world.refused(events.WrapUpExtended(world.at, "c1", "ann")) == "no-more-extensions"
    assert none(world.wait(89.0), effects.AgentChanged)
    assert world.state("ann") == "wrap-up"
    assert only(world.wait(1.0), effects.SegmentEnded).wrap_up == 90.0
    assert world.state("ann") == "available"


@pytest.mark.parametrize(("seconds", "final"), [(4.9, "short-abandoned"), (5.0, "abandoned")])
def test_abandon(seconds: float, final: str) -> None:
    world = World()
    world.queue("c1")
    world.wait(seconds)
    assert only(world.do(events.CustomerLeft(world.at, "c1")), effects.ContactFinal).final == final
    assert world.refused(events.CustomerLeft(world.at, "c1")) == "contact-ended"
    assert world.engine.waiting("sales") == 0


def test_leaving_while_offered_withdraws_and_the_agent_keeps_their_place() -> None:
    world = World()
    world.available("ann")
    world.at = 3.0
    world.available("bob")
    world.queue("c1")
    world.at = 9.0
    found = world.do(events.CustomerLeft(world.at, "c1"))
    assert only(found, effects.OfferWithdrawn).why == "customer-left"
    assert only(found, effects.ContactFinal).final == "abandoned"
    assert (world.agent("ann").state, world.agent("ann").since) == ("available", 0.0)
    assert only(world.queue("c2"), effects.OfferMade).agent == "ann"


def test_a_choice_during_a_talk_is_deferred_and_never_overwritten() -> None:
    world = World()
    world.available("ann")
    world.queue("c1")
    world.choose("ann", "idle", "break")
    assert (world.agent("ann").state, world.agent("ann").next_state) == ("reserved", "idle")
    world.accept("ann")
    world.do(events.ContactEnded(world.at, "c1", "agent"))
    assert (world.agent("ann").state, world.agent("ann").next_code) == ("wrap-up", "break")
    world.wait(30.0)
    assert (world.agent("ann").state, world.agent("ann").code) == ("idle", "break")
    assert world.agent("ann").next_state == ""


def test_a_choice_during_an_offer_survives_the_rona() -> None:
    world = World()
    world.available("ann")
    world.queue("c1")
    world.choose("ann", "idle", "training")
    world.wait(20.0)
    assert (world.agent("ann").state, world.agent("ann").code) == ("idle", "training")


def test_choosing_available_takes_a_deferred_break_back() -> None:
    world = World()
    world.available("ann")
    world.queue("c1")
    world.choose("ann", "idle", "break")
    world.choose("ann")
    world.accept("ann")
    world.do(events.ContactEnded(world.at, "c1", "agent"))
    world.wait(30.0)
    assert world.state("ann") == "available"


def test_logging_out_during_a_talk_waits_for_its_end() -> None:
    world = World()
    world.available("ann")
    world.queue("c1")
    world.accept("ann")
    world.do(events.AgentLoggedOut(world.at, "ann"))
    assert (world.agent("ann").state, world.agent("ann").next_state) == ("engaged", "logged-out")
    world.do(events.ContactEnded(world.at, "c1", "customer"))
    found = world.do(events.AgentLoggedOut(world.at, "ann"))
    assert only(found, effects.SegmentEnded).code == ""
    assert world.state("ann") == "logged-out"


def test_logging_out_with_an_offer_gives_it_back() -> None:
    world = World()
    world.available("ann", "bob")
    world.queue("c1")
    found = world.do(events.AgentLoggedOut(world.at, "ann"))
    assert only(found, effects.OfferWithdrawn).why == "agent-left"
    assert only(found, effects.OfferMade).agent == "bob"


def test_an_unreachable_agent_gets_nothing_and_is_not_blamed() -> None:
    world = World()
    world.available("ann")
    world.queue("c1")
    found = world.do(events.AgentReachable(world.at, "ann", reachable=False, why="no softphone"))
    assert only(found, effects.OfferWithdrawn).why == "unreachable"
    assert world.state("ann") == "available"
    assert world.engine.agents_in("sales") == {"logged-out": 2, "unreachable": 1}
    assert world.engine.position("c1") == 1
    world.at = 2.0
    found = world.do(events.AgentReachable(world.at, "ann", reachable=True))
    assert only(found, effects.OfferMade).contact == "c1"


def test_a_failed_connection_puts_the_contact_back_and_pauses_the_agent() -> None:
    world = World()
    world.available("ann")
    world.queue("c1")
    world.at = 1.0
    world.queue("c2")
    world.accept("ann")
    found = world.do(events.ConnectFailed(world.at, "c1", "ann", "card-gone"))
    assert only(found, effects.SegmentEnded).how == "connect-failed"
    assert (world.agent("ann").state, world.agent("ann").code) == ("idle", "connect-failed")
    assert world.engine.position("c1") == 1
    found = world.wait(5.0)
    assert only(found, effects.OfferMade).contact == "c1"


def test_a_lost_agent_gives_the_contact_back_to_the_front() -> None:
    world = World()
    world.available("ann")
    world.queue("c1")
    world.accept("ann")
    world.at = 30.0
    world.queue("c2")
    found = world.do(events.AgentLost(world.at, "ann"))
    assert only(found, effects.Released).why == "agent-lost"
    assert only(found, effects.SegmentEnded).talk == 30.0
    assert world.state("ann") == "logged-out"
    assert not world.agent("ann").reachable
    assert world.engine.position("c1") == 1
    assert only(world.available("bob"), effects.OfferMade).contact == "c1"
    world.accept("bob")
    world.at = 40.0
    final = only(world.do(events.ContactEnded(world.at, "c1", "agent")), effects.ContactFinal)
    assert (final.final, final.talked, final.waited, final.agent) == ("handled", 40.0, 0.0, "bob")


def test_a_talk_that_failed_frees_the_agent_without_wrap_up() -> None:
    world = World()
    world.available("ann")
    world.queue("c1")
    world.accept("ann")
    found = world.do(events.ContactEnded(world.at, "c1", "system", failed=True))
    assert only(found, effects.ContactFinal).final == "failed"
    assert only(found, effects.SegmentEnded).how == "failed"
    assert world.state("ann") == "available"


def test_flow_takes_the_contact_out_and_ends_it() -> None:
    world = World()
    world.queue("c1")
    world.wait(8.0)
    found = world.do(events.ContactUnqueued(world.at, "c1"))
    assert (only(found, effects.VisitEnded).how, only(found, effects.VisitEnded).waited) == ("flowed-out", 8.0)
    assert world.refused(events.ContactUnqueued(world.at, "c1")) == "not-waiting"
    found = world.do(events.ContactEnded(world.at, "c1", "flow"))
    assert (only(found, effects.ContactFinal).final, only(found, effects.ContactFinal).waited) == ("flowed-out", 8.0)
    assert none(found, effects.VisitEnded)


@pytest.mark.parametrize(
    ("event", "final"),
    [
        (events.CustomerLeft(1.0, "c1"), "flowed-out"),
        (events.ContactEnded(1.0, "c1", "flow"), "flowed-out"),
        (events.ContactEnded(1.0, "c1", "system", rejected=True), "rejected"),
        (events.ContactEnded(1.0, "c1", "system", failed=True), "failed"),
    ],
)
def test_ends_with_the_flow(event: events.Event, final: str) -> None:
    world = World()
    world.do(events.ContactArrived(0.0, "c1"))
    assert only(world.do(event), effects.ContactFinal).final == final


def test_what_is_not_allowed_is_refused_with_a_code() -> None:
    world = World(configuration([QueueConfig("sales", "Sales", max_waiting=1)]))
    at = world.at
    assert world.refused(events.AgentLoggedIn(at, "zoe")) == "unknown-agent"
    assert world.refused(events.AgentStateChosen(at, "ann", "available")) == "not-logged-in"
    assert world.refused(events.CustomerLeft(at, "c9")) == "unknown-contact"
    assert world.refused(events.OfferAccepted(at, "ann", "c9.1")) == "offer-gone"
    world.queue("c1")
    assert world.refused(events.ContactArrived(at, "c1")) == "contact-exists"
    assert world.refused(events.ContactQueued(at, "c1", "sales")) == "already-queued"
    assert world.refused(events.ContactEnded(at, "c1", "agent")) == "not-engaged"
    world.do(events.ContactArrived(at, "c2"))
    assert world.refused(events.ContactQueued(at, "c2", "nowhere")) == "unknown-queue"
    assert world.refused(events.ContactQueued(at, "c2", "sales", 11)) == "bad-priority"
    assert world.refused(events.ContactQueued(at, "c2", "sales")) == "queue-full"
    world.available("ann", "bob")
    assert world.refused(events.AgentLoggedIn(at, "ann")) == "already-logged-in"
    assert world.refused(events.AgentStateChosen(at, "bob", "idle", "holiday")) == "unknown-code"
    assert world.refused(events.OfferAccepted(at, "bob", world.agent("ann").offer)) == "not-your-offer"
    assert world.refused(events.ConnectFailed(at, "c1", "ann")) == "not-engaged"
    assert world.refused(events.Recovered(at, -1.0)) == "bad-gap"
    assert world.refused(configuration([], [AgentConfig("ann", "Ann"), AgentConfig("bob", "Bob")])) == "queue-in-use"
    assert world.refused(configuration(agents=[AgentConfig("ann", "Ann")])) == "agent-in-use"
    assert world.refused(configuration([QueueConfig("sales", "S"), QueueConfig("sales", "S")])) == "duplicate-id"


def test_accept_after_the_deadline_but_before_it_was_dealt_with_counts() -> None:
    world = World()
    world.available("ann")
    world.queue("c1")
    world.at = 20.0
    assert only(world.accept("ann"), effects.Assigned).contact == "c1"
    assert none(world.do(events.DeadlineReached(world.at)), effects.OfferWithdrawn)


def test_an_outage_makes_nobody_not_responding() -> None:
    world = World()
    world.available("ann", "bob")
    world.queue("c1")
    world.queue("c2")
    world.accept("bob")
    world.do(events.ContactEnded(world.at, "c2", "agent"))
    world.at = 600.0
    found = world.do(events.Recovered(world.at, 600.0))
    assert only(found, effects.WakeAt).at == 620.0
    assert world.agent("ann").until == 620.0
    assert world.agent("bob").until == 630.0
    assert none(world.do(events.DeadlineReached(world.at)), effects.OfferWithdrawn)
    world.at = 610.0
    assert only(world.accept("ann"), effects.Assigned).contact == "c1"


def test_a_clock_that_steps_back_does_not_move_the_engine_back() -> None:
    world = World()
    world.at = 100.0
    world.queue("c1")
    world.at = 50.0
    world.queue("c2")
    assert world.engine.at == 100.0
    assert [world.engine.position(c) for c in ("c1", "c2")] == [1, 2]


def test_a_new_configuration_matches_who_now_fits_and_goes_on_in_later_events() -> None:
    agents = [AgentConfig(f"a{n}", "A", (Membership("support"),)) for n in range(300)]
    world = World(configuration(agents=agents))
    world.available(*(agent.id for agent in agents))
    for n in range(300):
        world.queue(f"c{n}")
    found = world.do(configuration(agents=[AgentConfig(agent.id, "A", (Membership("sales"),)) for agent in agents]))
    assert only(found, effects.GoOn)
    found = world.do(events.Continue(world.at))
    assert sum(isinstance(effect, effects.OfferMade) for effect in found) == 256
    assert only(found, effects.GoOn)
    found = world.do(events.Continue(world.at))
    assert none(found, effects.GoOn)
    assert sum(isinstance(effect, effects.OfferMade) for effect in found) == 44
    assert [world.offered_to(f"c{n}") for n in range(300)] == [agent.id for agent in agents]


def test_queries() -> None:
    world = World()
    world.queue("c1", priority=9)
    world.at = 7.0
    world.queue("c2")
    world.at = 10.0
    assert world.engine.waiting("sales") == 2
    assert world.engine.longest_wait("sales", world.at) == 10.0
    assert world.engine.longest_wait("support", world.at) == 0.0
    assert [world.engine.position(c) for c in ("c2", "c1", "c9")] == [1, 2, None]
    estimate = world.engine.estimate("c1", world.at)
    assert estimate is not None
    assert (estimate.position, estimate.seconds) == (2, None)


def test_estimate_is_the_formula_of_the_glossary() -> None:
    world = World()
    world.available("ann", "bob")
    for n in range(5):
        world.queue(f"c{n}")
    estimate = world.engine.estimate("c4", world.at)
    assert estimate is not None
    mu, theta = 1 / 300.0, 1 / 600.0
    assert (estimate.position, estimate.agents) == (3, 2.0)
    assert estimate.seconds == pytest.approx(sum(1 / (2 * mu + i * theta) for i in range(3)))


def test_estimate_of_a_very_long_queue_is_close_to_the_sum() -> None:
    from acd.estimates import expected_wait

    exact = sum(1 / (0.2 + i * 0.001) for i in range(20_001))
    assert expected_wait(20_000, 0.2, 0.001) == pytest.approx(exact, rel=1e-5)
