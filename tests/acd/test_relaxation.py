"""Needs that loosen with the time in the queue; the place is kept."""

from __future__ import annotations

import pytest

from acd import effects, events
from acd.model import AgentConfig, Membership, Need, QueueConfig, Relaxation, SkillNeed, TeamConfig
from tests.acd.world import World, configuration, none, only

pytestmark = pytest.mark.unit

GERMAN = SkillNeed("german", 6)
AGENTS = [
    AgentConfig("exp", "Expert", (), "north", {"german": 9}, {"site": "berlin"}),
    AgentConfig("mid", "Middle", (), "south", {"german": 4}, {"site": "ulm"}),
    AgentConfig("new", "New", (), "south", {"billing": 1}, {"site": "ulm"}),
]
TEAMS = [TeamConfig("north", "N"), TeamConfig("south", "S")]


def when(agent: str, need: Need, *steps: Relaxation, of_queue: bool = False) -> float | None:
    """After how many seconds an agent who is free all the time is offered the contact; None: never."""
    queue = QueueConfig("q", "Q", relaxation=steps if of_queue else ())
    world = World(configuration([queue], AGENTS, teams=TEAMS))
    world.available(agent)
    out = world.come("c1", "q", need=need, relaxation=None if of_queue else steps)
    out += world.wait(1000.0)
    offers = [effect for effect in out if isinstance(effect, effects.OfferMade)]
    return offers[0].waited if offers else None


@pytest.mark.parametrize("of_queue", [False, True])
@pytest.mark.parametrize(
    ("need", "steps", "exp", "mid", "new"),
    [
        (Need((GERMAN,)), (), 0, None, None),
        (Need((GERMAN,)), (Relaxation(30.0, lower=2),), 0, 30, None),
        (Need((GERMAN,)), (Relaxation(30.0, lower=1),), 0, None, None),
        (Need((GERMAN,)), (Relaxation(30.0, lower=1), Relaxation(60.0, lower=1)), 0, 60, None),
        (Need((GERMAN,)), (Relaxation(30.0, lower=20), Relaxation(60.0, without=("german",))), 0, 30, 60),
        (Need((GERMAN,)), (Relaxation(20.0, without=("*",)),), 0, 20, 20),
        (Need((GERMAN,)), (Relaxation(20.0, skills=(SkillNeed("billing"),)),), 0, None, 20),
        (Need((GERMAN,), teams=("north",)), (Relaxation(10.0, lower=3), Relaxation(15.0, teams=())), 0, 15, None),
        (Need(where='agent.site == "berlin"'), (Relaxation(10.0, where='agent.site == "ulm"'),), 0, 10, 10),
        (Need(where='agent.site == "berlin"'), (Relaxation(10.0, where=""),), 0, 10, 10),
        (Need(agents=("exp",)), (Relaxation(5.0, agents=("exp", "mid")), Relaxation(8.0, agents=())), 0, 5, 8),
        (Need(teams=("south",)), (Relaxation(7.0, teams=("north",)),), 7, 0, 0),
    ],
)
def test_steps(need: Need, steps: tuple[Relaxation, ...], exp: int, mid: int, new: int, of_queue: bool) -> None:
    assert [when(agent, need, *steps, of_queue=of_queue) for agent in ("exp", "mid", "new")] == [exp, mid, new]


def test_the_place_is_kept_and_who_came_first_goes_first_after_the_step() -> None:
    world = World(configuration([QueueConfig("q", "Q")], AGENTS, teams=TEAMS))
    world.come("picky", "q", need=Need((GERMAN,)), relaxation=(Relaxation(30.0, without=("*",)),))
    world.wait(5.0)
    world.come("easy", "q")
    assert [world.engine.position(c) for c in ("picky", "easy")] == [1, 2]
    world.wait(30.0)
    assert [world.engine.position(c) for c in ("picky", "easy")] == [1, 2]
    assert only(world.available("new"), effects.OfferMade).contact == "picky"


def test_before_the_step_the_later_contact_goes_first() -> None:
    world = World(configuration([QueueConfig("q", "Q")], AGENTS, teams=TEAMS))
    world.come("picky", "q", need=Need((GERMAN,)), relaxation=(Relaxation(30.0, without=("*",)),))
    world.come("easy", "q")
    assert only(world.available("new"), effects.OfferMade).contact == "easy"


def test_a_step_that_falls_during_an_offer_counts_after_it() -> None:
    world = World(configuration([QueueConfig("q", "Q")], AGENTS, teams=TEAMS))
    world.available("exp", "new")
    world.come("c1", "q", need=Need((GERMAN,)), relaxation=(Relaxation(10.0, without=("*",)),))
    assert world.offered_to("c1") == "exp"
    assert none(world.wait(19.0), effects.OfferMade)
    assert only(world.wait(1.0), effects.OfferMade).agent == "new"


def test_another_need_begins_its_steps_by_the_time_that_was_waited() -> None:
    world = World(configuration([QueueConfig("q", "Q")], AGENTS, teams=TEAMS))
    world.available("mid", "new")
    world.come("c1", "q", need=Need((SkillNeed("dutch"),)))
    world.wait(20.0)
    steps = (Relaxation(15.0, lower=2), Relaxation(25.0, without=("*",)))
    assert only(world.do(events.ContactAmended(world.at, "c1", need=Need((GERMAN,)), relaxation=steps)), effects.OfferMade)
    assert world.offered_to("c1") == "mid"


def test_a_new_configuration_counts_its_steps_from_the_beginning() -> None:
    old = QueueConfig("q", "Q", need=Need((GERMAN,)), relaxation=(Relaxation(10.0, without=("*",)),))
    new = QueueConfig("q", "Q", need=Need((GERMAN,)), relaxation=(Relaxation(60.0, without=("*",)),))
    world = World(configuration([old], AGENTS, teams=TEAMS))
    world.come("c1", "q")
    world.wait(20.0)
    world.do(configuration([new], AGENTS, at=world.at, teams=TEAMS))
    assert none(world.available("new"), effects.OfferMade)
    assert only(world.wait(40.0), effects.OfferMade).waited == 60.0


def test_the_delay_of_a_member_is_a_step() -> None:
    agents = [AgentConfig("ann", "Ann", (Membership("q"),)), AgentConfig("bob", "Bob", (Membership("q", delay=12.0),))]
    world = World(configuration([QueueConfig("q", "Q")], agents))
    world.available("bob")
    nobody = only(world.come("c1", "q"), effects.NobodyFor)
    assert nobody.decision.others == {"logged-out": 1, "delay": 1}
    assert world.engine.why_not("c1", "bob") == ("delay", "12 s")
    assert only(world.wait(12.0), effects.OfferMade).agent == "bob"


def test_steps_of_one_instant_go_by_priority() -> None:
    world = World(configuration([QueueConfig("q", "Q")], AGENTS, teams=TEAMS))
    world.available("new")
    steps = (Relaxation(10.0, without=("*",)),)
    world.come("later", "q", need=Need((GERMAN,)), relaxation=steps)
    world.come("first", "q", priority=1, need=Need((GERMAN,)), relaxation=steps)
    assert only(world.wait(10.0), effects.OfferMade).contact == "first"
