"""DESIGN §4.1 to 4.4 over every order of events: random walks that check the invariants after each step and replay at the end.

Hypothesis walks for what it finds and shortens, plain random numbers for the number of steps: more than 10,000 together.
`make machine` goes on to a million.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from acd import events
from acd.engine import Engine
from acd.model import Overflow, QueueConfig, Target
from tests.acd.walk import Walk
from tests.acd.walks import LENGTH, walk
from tests.acd.world import World, configuration

pytestmark = pytest.mark.unit

WALKS = 70


class TestMachine(Walk.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(
        max_examples=40, stateful_step_count=75, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )


def test_walks() -> None:
    """The same seeds each time; a failure names its seed."""
    assert WALKS * LENGTH > 8_000
    refused = accepted = 0
    for seed in range(WALKS):
        walked = walk(seed)
        refused += walked.refused
        accepted += len(walked.log)
    assert accepted > 6_000
    assert refused > 1_000


def test_a_configuration_after_a_restart_sets_deadlines_in_the_same_order() -> None:
    """Found by seed 300141: the visits of a restored engine stand by contact, those of a living one by when they began."""
    rule = Overflow("wait", Target("voicemail"), 50.0)
    plain, ruled = ([QueueConfig("a", "A", overflow=rules), QueueConfig("b", "B")] for rules in ((), (rule,)))
    world = World(configuration(plain))
    for contact in ("c1", "c2"):
        world.do(events.ContactArrived(0.0, contact))
    for contact in ("c2", "c1"):
        world.do(events.ContactQueued(0.0, contact, "a"))
    restored = Engine.restore(world.engine.snapshot())
    for event in (configuration(ruled), events.DeadlineReached(50.0)):
        assert restored.handle(event) == world.engine.handle(event)
        assert restored.snapshot() == world.engine.snapshot()
