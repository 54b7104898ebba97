"""The collector looks at what is young, freezes what stays, and looks at everything when it is quiet."""

from __future__ import annotations

import gc
import weakref

import pytest

from exchange.brain import garbage
from exchange.brain.garbage import Garbage

pytestmark = pytest.mark.unit


class Knot:
    """In a cycle with itself: only the collector ends it."""

    def __init__(self) -> None:
        self.self = self


def test_rounds_look_at_the_young_and_a_quiet_time_at_everything() -> None:
    now, inputs = 0.0, 0
    before = gc.get_threshold()
    with Garbage(lambda: inputs, lambda: now) as found:
        young, old = Knot(), Knot()
        young_is, old_is = weakref.ref(young), weakref.ref(old)
        del young
        found.round()
        assert young_is() is None, "garbage when it was young"
        frozen = found.statistics().frozen
        assert frozen > 1_000
        del old
        for _ in range(3):
            now, inputs = now + 1_000, inputs + 1
            found.round()
        assert old_is() is not None, "it became garbage when it was frozen, and there was no quiet time"
        now += garbage.QUIET_SECONDS
        found.round()
        assert old_is() is None
        statistics = found.statistics()
        assert (statistics.looks, statistics.whole) == (4, 1)
        assert 0 < statistics.longest < statistics.longest_whole < statistics.seconds
        late = Knot()
        late_is = weakref.ref(late)
        found.round()
        del late
        now, inputs = now + garbage.DAY_SECONDS, inputs + 1
        found.round()
        assert late_is() is None, "a floor that is never quiet has a whole look a day"
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
