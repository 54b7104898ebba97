"""Queues: limits, hours, rules for those they cannot serve, several at once, places that are kept or had again."""

from __future__ import annotations

import pytest

from acd import effects, events
from acd.model import AgentConfig, Membership, Need, Overflow, QueueConfig, Relaxation, SkillNeed, Target, TeamConfig
from tests.acd.world import World, configuration, none, only

pytestmark = pytest.mark.unit

TEAMS = [TeamConfig("team", "Team")]
AGENTS = [
    AgentConfig("ann", "Ann", (Membership("sales"),)),
    AgentConfig("bob", "Bob", (Membership("other"),), "team"),
    AgentConfig("cyd", "Cyd", (Membership("sales"), Membership("other")), skills={"german": 5}),
]


def ruled(*rules: Overflow, **more: object) -> World:
    """A queue with rules, and another one."""
    sales = QueueConfig("sales", "Sales", overflow=rules, **more)  # type: ignore[arg-type]
    return World(configuration([sales, QueueConfig("other", "Other")], AGENTS, teams=TEAMS))


def where(world: World, contact: str) -> tuple[str, list[str]]:
    """The contact's state and queues."""
    view = world.engine.contact(contact)
    assert view is not None
    return view.state, [visit.queue for visit in view.visits]


# --- each rule ----------------------------------------------------------------------------------------------------

OTHER = Target("queue", "other")


def make_full(world: World) -> None:
    world.come("x1")
    world.come("x2")


def make_slow(world: World) -> None:
    world.available("ann")
    world.come("x1")
    world.come("x2")


def close(world: World) -> None:
    world.do(events.QueueClosed(world.at, "sales", "boss"))


def night(world: World) -> None:
    world.do(events.PeriodChanged(world.at, "night", True))


def come_ann(world: World) -> None:
    world.available("ann")


def nothing(world: World) -> None:
    pass


@pytest.mark.parametrize(
    ("rule", "before", "need", "applies"),
    [
        (Overflow("size", OTHER, 2.0), make_full, Need(), True),
        (Overflow("size", OTHER, 3.0), make_full, Need(), False),
        (Overflow("ewt", OTHER, 300.0), make_slow, Need(), True),
        (Overflow("ewt", OTHER, 3000.0), make_slow, Need(), False),
        (Overflow("ewt", OTHER, 0.0), nothing, Need(), False),
        (Overflow("closed", OTHER), close, Need(), True),
        (Overflow("closed", OTHER), nothing, Need(), False),
        (Overflow("nobody-logged-in", OTHER), nothing, Need(), True),
        (Overflow("nobody-logged-in", OTHER), come_ann, Need(), False),
        (Overflow("nobody-with-the-skill", OTHER), come_ann, Need((SkillNeed("german"),)), True),
        (Overflow("nobody-with-the-skill", OTHER), come_ann, Need(), False),
        (Overflow("period", OTHER, during="night"), night, Need(), True),
        (Overflow("period", OTHER, during="night"), nothing, Need(), False),
        (Overflow("size", OTHER, 2.0, during="night"), make_full, Need(), False),
    ],
)
def test_rules_at_the_door(rule: Overflow, before: object, need: Need, applies: bool) -> None:
    world = ruled(rule)
    before(world)  # type: ignore[operator]
    out = world.come("c1", need=need)
    assert where(world, "c1")[1] == ["other" if applies else "sales"]
    if applies:
        assert only(out, effects.Overflowed).why == rule.when
        assert (only(out, effects.VisitEnded).how, only(out, effects.VisitEnded).to) == ("flowed-out", OTHER)


def test_a_step_that_leaves_nobody_is_noticed_while_the_preferred_agent_is_waited_for() -> None:
    world = ruled(Overflow("nobody-with-the-skill", OTHER))
    world.available("ann")
    world.choose("ann", "idle", "break")
    steps = (Relaxation(10.0, teams=("team",)),)
    world.come("c1", relaxation=steps, preferred="ann", patience=60.0)
    world.wait(9.0)
    assert where(world, "c1")[1] == ["sales"]
    out = world.wait(1.0)
    assert where(world, "c1")[1] == ["other"]
    assert only(out, effects.Overflowed).why == "nobody-with-the-skill"


def test_the_last_with_the_skill_goes_while_a_preferred_agent_is_waited_for() -> None:
    world = ruled(Overflow("nobody-with-the-skill", OTHER))
    world.available("ann", "cyd")
    for agent in ("ann", "cyd"):
        world.choose(agent, "idle", "break")
    world.come("c1", need=Need((SkillNeed("german"),)), preferred="ann", patience=60.0)
    world.wait(1.0)
    assert where(world, "c1")[1] == ["sales"]
    world.do(events.AgentLoggedOut(world.at, "cyd"))
    world.go_on()
    assert where(world, "c1")[1] == ["other"]


@pytest.mark.parametrize(
    ("rule", "then"),
    [
        (Overflow("closed", OTHER), lambda world: close(world)),
        (Overflow("period", OTHER, during="night"), lambda world: night(world)),
        (Overflow("nobody-logged-in", OTHER), lambda world: world.do(events.AgentLoggedOut(world.at, "ann"))),
        (Overflow("nobody-with-the-skill", OTHER), lambda world: world.do(events.AgentLoggedOut(world.at, "ann"))),
        (Overflow("nobody-logged-in", OTHER), lambda world: world.do(events.AgentLost(world.at, "ann"))),
        (
            Overflow("nobody-logged-in", OTHER),
            lambda world: world.do(events.AgentAmended(world.at, AgentConfig("ann", "Ann", (Membership("other"),)))),
        ),
    ],
)
def test_rules_that_begin_to_hold_take_those_who_wait(rule: Overflow, then: object) -> None:
    world = ruled(rule)
    world.available("ann")
    for contact in ("c1", "c2"):
        world.come(contact)
    world.accept("ann")
    assert where(world, "c2") == ("waiting", ["sales"])
    world.do(events.ContactTransferred(world.at, "c1", "ann", Target("voicemail")))
    world.do(events.AgentStateChosen(world.at, "ann", "idle", "break"))
    then(world)  # type: ignore[operator]
    world.go_on()
    assert where(world, "c2")[1] == ["other"]


def test_a_rule_is_asked_again_of_a_contact_that_comes_back_from_an_offer() -> None:
    world = ruled(Overflow("closed", OTHER))
    world.available("ann")
    world.come("c1")
    close(world)
    world.go_on()
    assert where(world, "c1") == ("offered", ["sales"])
    world.wait(20.0)
    assert where(world, "c1") == ("waiting", ["other"])


def test_a_contact_of_an_agent_who_is_lost_goes_where_the_rules_send_it() -> None:
    world = ruled(Overflow("nobody-logged-in", Target("voicemail")))
    world.available("ann")
    world.come("c1")
    world.accept("ann")
    out = world.do(events.AgentLost(world.at, "ann"))
    assert only(out, effects.Overflowed).to == Target("voicemail")
    assert where(world, "c1") == ("arrived", [])


def test_rules_by_waiting_time_in_their_turn() -> None:
    world = ruled(Overflow("wait", Target("team", "team"), 30.0), Overflow("wait", Target("voicemail"), 60.0))
    world.come("c1")
    out = world.wait(30.0)
    assert (only(out, effects.Overflowed).to, where(world, "c1")) == (Target("team", "team"), ("waiting", ["sales"]))
    assert only(world.available("bob"), effects.OfferMade).contact == "c1"
    world.do(events.OfferDeclined(world.at, "bob", world.agent("bob").offer))
    out = world.wait(30.0)
    assert (only(out, effects.Overflowed).to, where(world, "c1")) == (Target("voicemail"), ("arrived", []))


def test_a_waiting_time_that_is_over_during_an_offer_counts_after_it() -> None:
    world = ruled(Overflow("wait", OTHER, 15.0))
    world.come("c1")
    world.wait(10.0)
    world.available("ann")
    assert where(world, "c1")[0] == "offered"
    out = world.wait(10.0)
    assert [type(effect) for effect in out if not isinstance(effect, effects.WakeAt)] == []
    out = world.wait(10.0)
    assert only(out, effects.Overflowed).why == "wait"
    assert where(world, "c1") == ("waiting", ["other"])


def test_a_rule_by_waiting_time_of_a_period_takes_those_who_have_waited_when_it_begins() -> None:
    world = ruled(Overflow("wait", OTHER, 15.0, during="night"))
    world.come("c1")
    world.wait(20.0)
    world.come("c2")
    night(world)
    world.go_on()
    assert (where(world, "c1")[1], where(world, "c2")[1]) == (["other"], ["sales"])
    world.wait(15.0)
    assert where(world, "c2")[1] == ["other"]


@pytest.mark.parametrize("kind", ["voicemail", "number", "flow"])
def test_out_of_the_queues(kind: str) -> None:
    to = Target(kind, "x")  # type: ignore[arg-type]
    world = ruled(Overflow("size", to, 0.0))
    out = world.come("c1")
    assert only(out, effects.Overflowed).to == to
    assert where(world, "c1") == ("arrived", [])


def test_an_agent_by_rule_needs_neither_queue_nor_skill() -> None:
    world = ruled(Overflow("wait", Target("agent", "bob", priority=1), 5.0), need=Need((SkillNeed("german"),)))
    world.available("bob")
    world.come("c1")
    assert only(world.wait(5.0), effects.OfferMade).agent == "bob"


def test_what_was_asked_for_is_kept_beyond_a_team() -> None:
    world = ruled(Overflow("wait", Target("team", "team"), 5.0), Overflow("wait", OTHER, 10.0))
    world.come("c1", need=Need((SkillNeed("german"),)))
    world.wait(10.0)
    assert where(world, "c1") == ("waiting", ["other"])
    assert none(world.available("bob"), effects.OfferMade)
    assert only(world.available("cyd"), effects.OfferMade).contact == "c1"


@pytest.mark.parametrize(("keep_place", "first"), [(True, "c1"), (False, "c2")])
def test_the_place_over_an_overflow(keep_place: bool, first: str) -> None:
    world = ruled(Overflow("wait", Target("queue", "other", keep_place), 10.0))
    world.come("c1")
    world.wait(5.0)
    world.come("c2", "other")
    world.wait(10.0)
    assert world.engine.position(first) == 1
    assert only(world.available("bob"), effects.OfferMade).contact == first


def test_a_circle_of_rules_ends_at_the_flow() -> None:
    sales = QueueConfig("sales", "S", overflow=(Overflow("size", Target("queue", "other"), 0.0),))
    other = QueueConfig("other", "O", overflow=(Overflow("size", Target("queue", "sales"), 0.0),))
    world = World(configuration([sales, other], AGENTS, teams=TEAMS))
    out = world.come("c1")
    assert where(world, "c1") == ("arrived", [])
    assert [effect.to for effect in out if isinstance(effect, effects.Overflowed)][-1] is None
    statistics = world.engine.statistics().queues
    assert all(queue.offered == sum(queue.ended.values()) for queue in statistics.values())


def test_a_rule_to_its_own_queue_is_refused() -> None:
    sales = QueueConfig("sales", "S", overflow=(Overflow("wait", Target("queue", "sales"), 5.0),))
    assert World().refused(configuration([sales])) == "bad-target"


# --- limits and hours ---------------------------------------------------------------------------------------------


def test_the_limit_counts_those_who_wait() -> None:
    world = ruled(max_waiting=1)
    world.available("ann")
    world.come("c1")
    world.come("c2")
    world.do(events.ContactArrived(world.at, "c3"))
    assert world.refused(events.ContactQueued(world.at, "c3", "sales")) == "queue-full"


def test_hours() -> None:
    world = ruled(hours="day")
    world.do(events.ContactArrived(0.0, "c1"))
    assert world.refused(events.ContactQueued(0.0, "c1", "sales")) == "queue-closed"
    assert only(world.do(events.PeriodChanged(0.0, "day", True)), effects.QueueChanged).closed is False
    world.do(events.ContactQueued(0.0, "c1", "sales"))
    out = world.do(events.PeriodChanged(0.0, "day", False))
    assert (only(out, effects.QueueChanged).closed, only(out, effects.QueueChanged).why) == (True, "hours")
    assert only(world.available("ann"), effects.OfferMade).contact == "c1"


@pytest.mark.parametrize(("when_closed", "state"), [("keep", "waiting"), ("leave", "arrived")])
def test_those_who_wait_when_it_closes(when_closed: str, state: str) -> None:
    world = ruled(when_closed=when_closed)
    world.come("c1")
    close(world)
    out = world.go_on()
    assert where(world, "c1")[0] == state
    assert none(out, effects.Overflowed) == (when_closed == "keep")


def test_a_queue_that_closes_is_left_alone_when_the_contact_waits_in_another_too() -> None:
    world = ruled(when_closed="leave")
    world.come("c1")
    world.do(events.ContactQueued(world.at, "c1", "other"))
    close(world)
    world.go_on()
    assert where(world, "c1") == ("waiting", ["other"])


# --- several queues -----------------------------------------------------------------------------------------------


def test_the_first_match_ends_the_other_visits() -> None:
    world = ruled()
    world.come("c1")
    world.do(events.ContactQueued(world.at, "c1", "other"))
    assert only(world.available("bob"), effects.OfferMade).queue == "other"
    out = world.accept("bob")
    ended = only(out, effects.VisitEnded)
    assert (ended.queue, ended.how, ended.reason) == ("sales", "flowed-out", "elsewhere")
    assert where(world, "c1") == ("engaged", ["other"])


def test_both_places_are_kept_over_a_missed_offer() -> None:
    world = ruled()
    world.come("c1")
    world.wait(1.0)
    world.do(events.ContactQueued(world.at, "c1", "other"))
    world.come("c2")
    world.available("bob")
    world.wait(20.0)
    assert [world.engine.position(c) for c in ("c1", "c2")] == [1, 2]
    assert only(world.available("ann"), effects.OfferMade).contact == "c1"


def test_out_of_one_queue_the_offer_of_the_other_stays() -> None:
    world = ruled()
    world.come("c1")
    world.do(events.ContactQueued(world.at, "c1", "other"))
    world.available("bob")
    out = world.do(events.ContactUnqueued(world.at, "c1", queue="sales"))
    assert none(out, effects.OfferWithdrawn)
    out = world.do(events.ContactUnqueued(world.at, "c1", queue="other"))
    assert only(out, effects.OfferWithdrawn).why == "flowed-out"
    assert where(world, "c1") == ("arrived", [])


# --- places -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("away", "first"), [(29.0, "again"), (31.0, "other")])
def test_who_calls_again_in_time_has_the_old_place(away: float, first: str) -> None:
    world = ruled(reclaim_seconds=30.0)
    world.come("once", customer="x")
    world.wait(10.0)
    world.come("other")
    world.do(events.CustomerLeft(world.at, "once"))
    world.wait(away)
    world.come("again", customer="x")
    assert world.engine.position(first) == 1
    assert only(world.available("ann"), effects.OfferMade).contact == first


def test_a_reclaimed_place_counts_once() -> None:
    world = ruled(reclaim_seconds=30.0)
    world.come("once", customer="x")
    world.wait(10.0)
    world.come("other")
    world.do(events.CustomerLeft(world.at, "once"))
    world.come("again", customer="x")
    world.come("twice", customer="x")
    assert [world.engine.position(c) for c in ("again", "other", "twice")] == [1, 2, 3]


def test_priority_changed_while_waiting() -> None:
    world = ruled()
    for contact in ("c1", "c2", "c3"):
        world.come(contact)
        world.wait(1.0)
    world.do(events.ContactAmended(world.at, "c3", priority=4, by="boss"))
    assert [world.engine.position(c) for c in ("c1", "c2", "c3")] == [2, 3, 1]
    assert world.refused(events.ContactAmended(world.at, "c3", priority=11)) == "bad-priority"


def test_need_changed_while_offered_looks_for_somebody_else() -> None:
    world = ruled()
    world.available("ann", "cyd")
    world.come("c1")
    out = world.do(events.ContactAmended(world.at, "c1", need=Need((SkillNeed("german"),))))
    assert only(out, effects.OfferWithdrawn).why == "changed"
    assert only(out, effects.OfferMade).agent == "cyd"
    assert world.state("ann") == "available"


@pytest.mark.parametrize(("keep_place", "first"), [(True, "c1"), (False, "c2")])
def test_a_transfer_keeps_the_place_where_the_queue_says_so(keep_place: bool, first: str) -> None:
    queues = [QueueConfig("sales", "S"), QueueConfig("other", "O", keep_place=keep_place)]
    world = World(configuration(queues, AGENTS, teams=TEAMS))
    world.available("ann")
    world.come("c1")
    world.accept("ann")
    world.wait(5.0)
    world.come("c2", "other")
    world.wait(5.0)
    world.do(events.ContactTransferred(world.at, "c1", "ann", Target("queue", "other")))
    assert world.engine.position(first) == 1


def test_a_transfer_names_a_visit_that_is_new() -> None:
    world = ruled()
    world.available("ann")
    world.come("c1")
    world.accept("ann")
    world.come("c2")
    to = Target("queue", "other")
    assert world.refused(events.ContactTransferred(world.at, "c1", "ann", to, "visit-c2")) == "visit-exists"
    assert world.refused(events.ContactTransferred(world.at, "c1", "ann", Target("queue", "gone"))) == "unknown-queue"
    assert world.refused(events.ContactTransferred(world.at, "c1", "ann", Target("team", "gone"))) == "unknown-team"
    assert world.refused(events.ContactTransferred(world.at, "c1", "ann", Target("agent", "ann"))) == "same-agent"
