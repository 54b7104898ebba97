"""The ways of choosing an agent, each with its order and its ties."""

from __future__ import annotations

from typing import Literal

import pytest

from acd import effects, events
from acd.model import AgentConfig, Membership, Need, QueueConfig, SkillNeed, WrapUp
from acd.strategies import STRATEGIES, best_proficiency
from tests.acd.world import World, configuration, only

pytestmark = pytest.mark.unit

NONE = WrapUp("off")


def floor(strategy: str, *agents: AgentConfig) -> World:
    """One queue without after-contact work."""
    chosen = list(agents) or [AgentConfig(id, id) for id in ("ann", "bob", "cyd")]
    return World(configuration([QueueConfig("sales", "Sales", strategy=strategy, wrap_up=NONE)], chosen))


def order(world: World, number: int, need: Need | None = None, queue: str = "sales") -> list[str]:
    """Who is offered the next contacts, each left out there."""
    return [only(world.come(f"order{index}", queue, need=need or Need()), effects.OfferMade).agent for index in range(number)]


def test_all_strategies_are_here() -> None:
    assert set(STRATEGIES) == {
        "longest-available",
        "least-occupied",
        "fewest-contacts",
        "round-robin",
        "best-proficiency",
        "linear",
    }
    assert World().refused(configuration([QueueConfig("sales", "S", strategy="by-name")])) == "unknown-strategy"


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_tie_goes_to_who_became_available_first_or_stands_first(strategy: str) -> None:
    world = floor(strategy)
    world.available("cyd", "ann", "bob")
    expected = ["ann", "bob", "cyd"] if strategy == "linear" else ["cyd", "ann", "bob"]
    offer = only(world.come("c"), effects.OfferMade)
    assert offer.agent == expected[0]
    assert offer.decision.tie_break == STRATEGIES[strategy].tie_break
    assert order(world, 2) == expected[1:]


def test_longest_available() -> None:
    world = floor("longest-available")
    world.available("ann")
    world.wait(5.0)
    world.available("bob", "cyd")
    world.come("c1")
    world.talk("ann", 10.0)
    assert order(world, 3) == ["bob", "cyd", "ann"]


def test_least_occupied() -> None:
    world = floor("least-occupied")
    world.available("ann", "bob", "cyd")
    world.wait(10.0)
    for contact, agent, seconds in (("c1", "ann", 30.0), ("c2", "bob", 10.0)):
        world.do(events.ContactArrived(world.at, contact))
        world.do(events.ContactQueued(world.at, contact, "sales", need=Need(agents=(agent,))))
        world.talk(agent, seconds)
    # ann worked 30 of 40 s, bob 10 of 50 s (30 of them while ann talked), cyd never
    assert order(world, 3) == ["cyd", "bob", "ann"]


def test_fewest_contacts_now_then_since_logging_in() -> None:
    world = floor("fewest-contacts")
    world.available("ann", "bob", "cyd")
    for number, agent in enumerate(("ann", "ann", "bob")):
        world.come(f"c{number}", need=Need(agents=(agent,)))
        world.talk(agent, 1.0)
    assert order(world, 3) == ["cyd", "bob", "ann"]


def test_round_robin_goes_by_offers_whoever_took_them() -> None:
    world = floor("round-robin")
    world.available("ann", "bob", "cyd")
    world.come("c1")
    assert world.agent("ann").offer
    world.do(events.CustomerLeft(world.at, "c1"))
    world.come("c2")
    world.talk("bob", 5.0)
    assert order(world, 3) == ["cyd", "ann", "bob"]


def test_best_proficiency_is_the_sum_over_the_needed_skills() -> None:
    world = floor(
        "best-proficiency",
        AgentConfig("ann", "A", skills={"german": 9, "billing": 1, "dutch": 10}),
        AgentConfig("bob", "B", skills={"german": 5, "billing": 8}),
        AgentConfig("cyd", "C", skills={"german": 4, "billing": 5}),
    )
    world.available("cyd", "ann", "bob")
    both = Need((SkillNeed("german"), SkillNeed("billing")))
    offer = only(world.come("c1", need=both), effects.OfferMade)
    assert (offer.agent, offer.decision.agent and offer.decision.agent.key[0]) == ("bob", -13.0)
    assert order(world, 2, both) == ["ann", "cyd"]


def test_low_proficiency_preferred_keeps_the_experts_free() -> None:
    world = floor(
        "best-proficiency",
        AgentConfig("ann", "A", skills={"german": 9}),
        AgentConfig("bob", "B", skills={"german": 5}),
        AgentConfig("cyd", "C", skills={"german": 3}),
    )
    world.available("ann", "bob", "cyd")
    assert order(world, 3, Need((SkillNeed("german", prefer="low"),))) == ["cyd", "bob", "ann"]


@pytest.mark.parametrize("agents", [(), ("ann", "bob")])
@pytest.mark.parametrize("prefer", ["", "low"])
def test_a_score_is_the_same_alone_and_among_others(prefer: Literal["", "low"], agents: tuple[str, ...]) -> None:
    skills = {"ann": {"german": 9}, "bob": {"german": 5, "billing": 8}, "cyd": {"german": 5, "billing": 2}}
    world = floor("best-proficiency", *(AgentConfig(id, id, skills=known) for id, known in skills.items()))
    need = Need((SkillNeed("german", prefer=prefer), SkillNeed("billing")), agents=agents)
    world.come("c1", need=need)
    found = world.engine._floor
    lane = found.standing["visit-c1"]
    among = dict(best_proficiency.tiers(lane, lane.mask))
    for seat in found.roster.seats_of(lane.mask):
        assert [best_proficiency.tiers(lane, seat.bit)] == [[(s, seat.bit)] for s, mask in among.items() if mask & seat.bit]
        known = skills[seat.agent.id]
        german = 11 - known["german"] if prefer == "low" else known["german"]
        assert among.get(-float(german + known.get("billing", 0)), 0) & seat.bit


def test_linear_goes_by_level_and_then_by_the_configuration() -> None:
    def at(level: int) -> tuple[Membership, ...]:
        return (Membership("sales", level=level),)

    world = floor(
        "linear",
        AgentConfig("ann", "A", at(2)),
        AgentConfig("bob", "B", at(1)),
        AgentConfig("cyd", "C", at(1)),
        AgentConfig("dan", "D", at(3)),
    )
    world.available("dan", "cyd", "ann", "bob")
    assert order(world, 4) == ["bob", "cyd", "ann", "dan"]


def test_linear_comes_back_to_the_first_at_once() -> None:
    world = floor("linear")
    world.available("ann", "bob", "cyd")
    world.come("c1")
    world.talk("ann", 5.0)
    assert order(world, 1) == ["ann"]


def test_a_large_team_is_chosen_from_as_a_small_one() -> None:
    agents = [AgentConfig(f"a{n}", "A", skills={"german": 1 + n % 7}) for n in range(200)]
    for strategy in sorted(STRATEGIES):
        world = floor(strategy, *agents)
        world.available(*(agent.id for agent in reversed(agents)))
        need = Need((SkillNeed("german", 3),))
        able = [agent.id for agent in agents if agent.skills["german"] >= 3]
        expected = able if strategy == "linear" else able[::-1]
        if strategy == "best-proficiency":
            expected = sorted(expected, key=lambda id: -agents[int(id[1:])].skills["german"])
        assert order(world, 100, need) == expected[:100]
