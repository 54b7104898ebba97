"""DESIGN §4.1 to 4.4 over every order of events: random walks that check the invariants after each step and replay at the end.

Hypothesis walks for what it finds and shortens, plain random numbers for the number of steps: more than 10,000 together.
`make machine` goes on to a million.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.acd.walk import Walk
from tests.acd.walks import LENGTH, walk

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
