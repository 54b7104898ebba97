"""The ordered collection against a sorted list."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd import ordered
from acd.ordered import Ordered

pytestmark = pytest.mark.unit


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=300))
def test_behaves_like_a_sorted_list(steps: list[tuple[bool, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordered, "_BLOCK", 4)
        model: list[tuple[int]] = []
        found: Ordered[tuple[int]] = Ordered()
        for add, number in steps:
            key = (number,)
            if add == (key in model):
                with pytest.raises(KeyError):
                    (found.add if add else found.remove)(key)
            elif add:
                found.add(key)
                model.insert(bisect_left(model, key), key)
            else:
                found.remove(key)
                model.remove(key)
            assert list(found) == model
            assert len(found) == len(model)
            assert found.first() == (model[0] if model else None)
            assert found.rank(key) == bisect_left(model, key)
            assert (key in found) == (key in model)
            assert found.from_key(key) == next((other for other in model if other >= key), None)
