"""Predicted waits: the formula, its range against the exact distribution, who counts as an agent, the score of the error."""

from __future__ import annotations

import random

import pytest

from acd import effects, events
from acd.estimates import moments, quantile
from acd.model import AgentConfig, Membership, Need, QueueConfig, Settings, SkillNeed, WrapUp
from tests.acd.world import World, configuration

pytestmark = pytest.mark.unit

MU, THETA = 1 / 300.0, 1 / 600.0
"""Services and abandons a second that are assumed of a queue which has seen nothing yet."""


def exact(ahead: int, rate: float, theta: float, number: int = 20_000) -> list[float]:
    """Waits drawn from the exact distribution: a sum of exponential times with the rates `rate + i * theta`."""
    dice = random.Random(7)
    rates = [rate + i * theta for i in range(ahead + 1)]
    return sorted(sum(dice.expovariate(r) for r in rates) for _ in range(number))


@pytest.mark.parametrize("ahead", [0, 1, 4, 11, 12, 40])
@pytest.mark.parametrize(("rate", "theta"), [(1 / 30.0, 1 / 600.0), (1 / 300.0, 1 / 60.0), (0.5, 1e-9)])
def test_the_range_is_that_of_the_exact_distribution(ahead: int, rate: float, theta: float) -> None:
    """P90 within 3 % of the drawn sums, P50 within 5 % (7 % where they give up five times as fast as they are served)."""
    drawn = exact(ahead, rate, theta, 20_000 if ahead < 20 else 8_000)
    mean, variance = moments(ahead, rate, theta)
    average = sum(drawn) / len(drawn)
    assert mean == pytest.approx(average, rel=0.03)
    assert variance == pytest.approx(sum((wait - average) ** 2 for wait in drawn) / len(drawn), rel=0.08)
    assert quantile(mean, variance, 0.0) == pytest.approx(drawn[len(drawn) // 2], rel=0.05 if theta < rate else 0.07)
    assert quantile(mean, variance, 1.2815515655) == pytest.approx(drawn[len(drawn) * 9 // 10], rel=0.03)


def floor(*agents: AgentConfig, settings: Settings | None = None) -> World:
    queues = [QueueConfig("a", "A", wrap_up=WrapUp("off")), QueueConfig("b", "B", wrap_up=WrapUp("off"))]
    return World(configuration(queues, list(agents), settings=settings))


def predicted(world: World, contact: str) -> tuple[int, float, float | None]:
    found = world.engine.estimate(contact, world.at)
    assert found is not None
    return found.position, found.agents, found.seconds


def test_nobody_works_nothing_is_promised() -> None:
    world = floor(AgentConfig("ann", "A"))
    world.come("c1", "a")
    assert predicted(world, "c1") == (1, 0.0, None)
    world.available("ann")
    world.come("c2", "a")
    world.choose("ann", "idle", "break")
    assert predicted(world, "c2")[1] == 1.0  # still has the offer


def test_agents_who_are_shared_count_in_parts() -> None:
    both = (Membership("a"), Membership("b"))
    world = floor(AgentConfig("ann", "A", (Membership("a"),)), AgentConfig("bob", "B", both), AgentConfig("cyd", "C", both))
    world.available("ann", "bob", "cyd")
    for number in range(4):
        world.come(f"a{number}", "a")
    assert predicted(world, "a3")[1] == 3.0
    world.come("b0", "b")
    assert predicted(world, "a3")[1] == 2.0
    assert predicted(world, "b0")[1] == 1.0


def test_only_those_who_can_have_it_count() -> None:
    world = floor(AgentConfig("ann", "A", skills={"german": 5}), AgentConfig("bob", "B"))
    world.available("ann", "bob")
    for number in range(3):
        world.come(f"c{number}", "a")
    world.come("german", "a", need=Need((SkillNeed("german"),)))
    assert predicted(world, "german")[:2] == (2, 1.0)
    assert predicted(world, "c2")[1] == 2.0


def test_what_was_seen_counts_more_with_time() -> None:
    world = floor(AgentConfig("ann", "A"))
    world.available("ann")
    for number in range(60):
        world.come(f"c{number}", "a")
        world.talk("ann", 60.0)
    world.come("x", "a")
    world.accept("ann")
    world.come("y", "a")
    seconds = predicted(world, "y")[2]
    assert seconds is not None
    assert seconds == pytest.approx(60.0, rel=0.15)


def test_the_visit_says_what_was_predicted_and_nothing_when_answered_at_once() -> None:
    world = floor(AgentConfig("ann", "A"))
    world.available("ann")
    out = world.come("c1", "a") + world.come("c2", "a")
    first, second = (effect for effect in out if isinstance(effect, effects.VisitStarted))
    assert (first.estimate, first.p90) == (None, None)
    assert second.estimate == pytest.approx(1 / MU)
    assert second.p90 == pytest.approx(2.3026 / MU, rel=0.02)


@pytest.mark.parametrize(
    ("wait", "error", "absolute", "within"),
    [(100.0, -200.0, 200.0, 1.0), (600.0, 300.0, 300.0, 1.0), (1000.0, 700.0, 700.0, 0.0)],
)
def test_the_score_of_the_error(wait: float, error: float, absolute: float, within: float) -> None:
    world = floor(AgentConfig("ann", "A"))
    world.available("ann")
    world.come("c1", "a")
    world.accept("ann")
    world.come("c2", "a")
    world.wait(wait)
    world.do(events.ContactEnded(world.at, "c1", "agent"))
    world.accept("ann")
    score = world.engine.score("a")
    assert score.estimates == 1
    assert (score.mean_error, score.mean_absolute_error) == (pytest.approx(error), pytest.approx(absolute))
    assert score.within_p90 == within


def test_a_simulated_queue_keeps_what_it_predicts() -> None:
    """Three agents, exponential talks of 60 s, nobody gives up: 90 % are answered within their P90, the mean error is small."""
    names = ["ann", "bob", "cyd"]
    settings = Settings(default_handling_seconds=60.0, default_patience_seconds=1e9)
    world = floor(*(AgentConfig(name, name) for name in names), settings=settings)
    world.available(*names)
    dice = random.Random(3)
    ends: dict[str, float] = {}
    arrival, number = 0.0, 0
    while number < 2_000:
        moment, who = min([(arrival, ""), *((at, name) for name, at in ends.items())])
        world.at = moment
        if who:
            del ends[who]
            world.do(events.ContactEnded(world.at, world.agent(who).contact, "agent"))
        else:
            number += 1
            world.come(f"c{number}", "a")
            arrival = moment + dice.expovariate(3 / 60.0 * 0.92)
        for name in names:
            if name not in ends and world.agent(name).offer:
                world.accept(name)
                ends[name] = world.at + dice.expovariate(1 / 60.0)
    score = world.engine.score("a")
    waits = [e.waited for e in world.effects if isinstance(e, effects.VisitEnded) and e.waited > 0]
    assert score.estimates > 1_000
    assert abs(score.mean_error) < 0.15 * sum(waits) / len(waits)
    assert 0.86 < score.within_p90 < 0.94
