"""When flows want to be woken, against a plain dict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.brain.wakes import Wakes

pytestmark = pytest.mark.unit


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.one_of(st.none(), st.integers(0, 9).map(float))), max_size=400))
def test_the_earliest_and_those_whose_time_has_come(steps: list[tuple[str, float | None]]) -> None:
    wakes, model = Wakes(), dict[str, float]()
    for contact, at in steps:
        wakes.put(contact, at)
        model.pop(contact, None)
        if at is not None:
            model[contact] = at
        assert wakes.next() == min(model.values(), default=None)
        for now in (-1.0, 4.0, 9.0):
            assert wakes.due(now) == {contact for contact, at in model.items() if at <= now}
        assert len(wakes._heap) <= 2 * 5 + 64 + 1
