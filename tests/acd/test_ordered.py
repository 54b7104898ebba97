"""The collections that keep an order (keys, a queue's lanes, deadlines) against lists that are sorted anew each time."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acd import heads, ordered
from acd.heads import Heads
from acd.ordered import Ordered
from acd.timers import Timers

pytestmark = pytest.mark.unit

Key = tuple[float, int]
NUMBERS = st.sampled_from([0.0, 0.25, 1.0, 1.5, 2.0, 7.0])
KEYS = st.tuples(NUMBERS, st.integers(0, 12))


@given(st.lists(st.tuples(st.booleans(), KEYS), max_size=300), st.sampled_from([0, 3, 1000]))
def test_behaves_like_a_sorted_list(steps: list[tuple[bool, Key]], small: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordered, "BLOCK", 4)
        patch.setattr(ordered, "SMALL", small)
        model: list[Key] = []
        found: Ordered[Key] = Ordered()
        for add, key in steps:
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
        assert list(Ordered.of(model)) == model


class _Lane:
    def __init__(self) -> None:
        self.door = object()


@given(st.lists(st.tuples(st.booleans(), KEYS), max_size=200))
def test_heads_keep_door_and_lane_beside_each_key(steps: list[tuple[bool, Key]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "BLOCK", 4)
        model: dict[Any, Any] = {}
        found = Heads()
        for add, key in steps:
            head = cast(Any, (*key, None))
            if add and head not in model:
                model[head] = cast(Any, _Lane())
                found.add(head, model[head])
            elif not add and head in model:
                found.remove(head, model.pop(head))
            elif not add:
                with pytest.raises(KeyError):
                    found.remove(head, cast(Any, _Lane()))
            ordered = sorted(model)
            for mine in (found, Heads.of([(key, model[key]) for key in ordered])):
                assert all(block.keys for block in mine.blocks)
                assert mine.first == (ordered[0] if ordered else None)
                assert [key for block in mine.blocks for key in block.keys] == ordered
                assert [number for block in mine.blocks for number in block.numbers] == [key[0] for key in ordered]
                assert [lane for block in mine.blocks for lane in block.lanes] == [model[key] for key in ordered]
                assert [door for block in mine.blocks for door in block.doors] == [model[key].door for key in ordered]


TIMES = st.one_of(NUMBERS, st.sampled_from(["clear", "due", 1e13]))


@given(st.lists(st.tuples(st.sampled_from("abcdef"), TIMES), max_size=200))
def test_deadlines_fall_in_their_order(steps: list[tuple[str, float | str]]) -> None:
    timers, model, order = Timers(), dict[str, tuple[float, int]](), 0
    for name, at in steps:
        if at == "clear":
            timers.clear("offer", name)
            model.pop(name, None)
        elif isinstance(at, float):
            timers.set("offer", name, at)
            if name not in model or model[name][0] != at:
                order += 1
                model[name] = (at, order)
        elif model:
            earliest = min(model, key=lambda name: model[name])
            assert timers.due(model[earliest][0] - 0.1) is None
            assert timers.due(model[earliest][0]) == ("offer", earliest)
            del model[earliest]
        assert len(timers) == len(model)
        assert timers.next() == (min(model.values())[0] if model else None)
        assert [(at, order) for at, order, _, _ in timers.save()[0]] == sorted(model.values())
    saved = timers.save()
    timers.restore(*saved)
    assert timers.save() == saved
    for name in sorted(model, key=lambda name: model[name]):
        assert timers.due(1e300) == ("offer", name)
    assert timers.due(1e300) is None


def test_at_one_instant_contacts_take_their_steps_before_agents_become_free() -> None:
    timers = Timers()
    timers.set("agent", "ann", 5.0)
    timers.set("visit", "v1", 5.0)
    timers.set("offer", "o1", 4.0)
    timers.set("visit", "v2", 5.0)
    assert [timers.due(5.0) for _ in range(5)] == [("offer", "o1"), ("visit", "v1"), ("visit", "v2"), ("agent", "ann"), None]
