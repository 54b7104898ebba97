"""Which contact an agent who became free gets: priority of the queue, then the longest wait (aged by priority), then weight."""

from __future__ import annotations

import pytest

from acd import effects, events
from acd.model import AgentConfig, Membership, QueueConfig, WrapUp
from tests.acd.world import World, configuration, none, only

pytestmark = pytest.mark.unit


def floor(*members: Membership, ageing: float = 600.0) -> World:
    """One agent in several queues, and others that nobody of the queues can disturb."""
    queues = [QueueConfig(id, id, ageing_seconds=ageing, wrap_up=WrapUp("off")) for id in ("a", "b", "c")]
    return World(configuration(queues, [AgentConfig("ann", "Ann", members)]))


def served(world: World, number: int) -> list[str]:
    """The contacts that the agent gets, one after the other."""
    found = [only(world.available("ann"), effects.OfferMade).contact]
    for _ in range(number - 1):
        found.append(only(world.talk("ann"), effects.OfferMade).contact)
    return found


def test_the_longest_wait_over_all_queues() -> None:
    world = floor(Membership("a"), Membership("b"), Membership("c"))
    for contact, queue in (("1", "b"), ("2", "a"), ("3", "c"), ("4", "a")):
        world.come(contact, queue)
        world.wait(2.0)
    assert served(world, 4) == ["1", "2", "3", "4"]


def test_the_agents_priority_of_the_queue_goes_before_everything() -> None:
    world = floor(Membership("a", 2), Membership("b", 1), Membership("c", 3))
    for contact, queue in (("1", "c"), ("2", "a"), ("3", "b"), ("4", "a")):
        world.come(contact, queue, priority=1 if queue == "c" else 5)
        world.wait(2.0)
    assert served(world, 4) == ["3", "2", "4", "1"]


def test_weight_decides_within_the_same_second() -> None:
    world = floor(Membership("a", 1, 1), Membership("b", 1, 5))
    world.at = 10.2
    world.come("1", "a")
    world.at = 10.7
    world.come("2", "b")
    world.at = 11.1
    world.come("3", "b")
    offer = only(world.available("ann"), effects.OfferMade)
    assert (offer.contact, offer.decision.tie_break) == ("2", "weight of the queue")
    assert [only(world.talk("ann"), effects.OfferMade).contact for _ in range(2)] == ["1", "3"]


def test_the_order_of_being_queued_decides_the_rest() -> None:
    world = floor(Membership("a"), Membership("b"))
    world.come("1", "b")
    world.come("2", "a")
    offer = only(world.available("ann"), effects.OfferMade)
    assert (offer.contact, offer.decision.tie_break) == ("1", "order of being queued")


def test_a_contact_must_have_waited_for_the_delay() -> None:
    world = floor(Membership("a", delay=30.0), Membership("b"))
    world.come("1", "a")
    world.wait(5.0)
    world.come("2", "b")
    assert only(world.available("ann"), effects.OfferMade).contact == "2"
    world.talk("ann", 5.0)
    assert none(world.wait(19.0), effects.OfferMade)
    assert only(world.wait(1.0), effects.OfferMade).contact == "1"


@pytest.mark.parametrize(("later", "first"), [(599.0, "high"), (601.0, "low")])
def test_a_level_of_priority_is_worth_the_ageing_time(later: float, first: str) -> None:
    world = floor(Membership("a"))
    world.come("low", "a", priority=6)
    world.wait(later)
    world.come("high", "a", priority=5)
    assert only(world.available("ann"), effects.OfferMade).contact == first


def test_without_ageing_priority_counts_alone() -> None:
    world = floor(Membership("a"), ageing=0.0)
    world.come("low", "a", priority=6)
    world.wait(100_000.0)
    world.come("high", "a", priority=5)
    assert only(world.available("ann"), effects.OfferMade).contact == "high"


@pytest.mark.parametrize("ageing", [10.0, 60.0])
def test_ageing_is_bounded(ageing: float) -> None:
    """The proof: in a stream of the highest priority that never lets the queue run empty, the lowest is served in time.

    Its place is `arrival + 9 levels * ageing`, so that none of those who come later than that goes before it. The queue holds
    two of priority 1 all the time, each takes 7 s.
    """
    world = floor(Membership("a"), ageing=ageing)
    world.available("ann")
    number = 0

    def come() -> None:
        nonlocal number
        number += 1
        world.come(f"urgent{number}", "a", priority=1)

    come()
    come()
    world.come("low", "a", priority=10)
    come()
    bound = 9 * ageing
    while world.offered_to("low") is None:
        world.talk("ann", 7.0)
        come()
        assert world.at <= bound + 3 * 7.0
    assert world.at >= bound - 3 * 7.0


def test_a_contact_in_two_queues_counts_by_its_better_place() -> None:
    world = floor(Membership("a", 2), Membership("b", 1))
    world.come("x", "a")
    world.wait(1.0)
    world.come("both", "a")
    world.wait(1.0)
    world.do(events.ContactQueued(world.at, "both", "b"))
    world.come("y", "b")
    assert served(world, 3) == ["both", "y", "x"]
