"""DESIGN §4.1 to 4.4 over every order of events: a random walk that checks the invariants after each step and replays.

`make machine` walks for a million steps (SWITCHROOM_MACHINE_STEPS); the suite for ten thousand.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.acd.walk import Walk

pytestmark = pytest.mark.unit

STEPS = int(os.environ.get("SWITCHROOM_MACHINE_STEPS", "10000"))
LENGTH = 80


class TestMachine(Walk.TestCase):  # type: ignore[name-defined, misc]
    settings = settings(
        max_examples=max(1, -(-STEPS // LENGTH)),
        stateful_step_count=LENGTH,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
