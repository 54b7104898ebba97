"""The figures of random stories on the real engine: they add up, they are the engine's own, and a fold may stop anywhere."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acd import effects
from acd.figures import live
from acd.figures.definitions import figures_of
from acd.figures.fold import Fold
from acd.figures.measures import Quarter, VisitFigures, WorkFigures, instant, merge, quarter_of
from acd.figures.sums import Group, fields, queue_measures, states_by, visits_by, work_by
from tests.acd.figures.story import Story, busy, told

pytestmark = pytest.mark.unit

steps = st.lists(
    st.tuples(st.integers(0, 9_999), st.sampled_from((0.0, 0.0004, 2.0, 3.3, 3.3, 25.0, 170.0, 901.0))), max_size=80
)
ENDED = ("handled", "abandoned", "short_abandoned", "flowed_out", "rejected", "failed")


def folded(story: Story) -> tuple[Fold, list[Quarter]]:
    """The story's figures: all quarters, the running one last and with the agents' times up to now."""
    fold = Fold()
    for said in story.said:
        said.feed(fold)
    fold.advance(story.at)
    fold.settle()
    return fold, [*fold.take_closed(), fold.state.quarter]


def check_sums(before: dict[tuple[str, str, str], int], quarter: Quarter) -> None:
    """Open before and offered are ended and open after."""
    for key in {*before, *quarter.visits}:
        f = quarter.visits.get(key, VisitFigures())
        assert before.get(key, 0) + f.offered == sum(getattr(f, name) for name in ENDED) + f.open, key


@given(steps)
@settings(max_examples=50, deadline=None)
def test_at_every_instant_offered_is_the_sum_of_all_ends_and_what_is_open(given: list[tuple[int, float]]) -> None:
    story = told(given)
    fold = Fold()
    before: dict[tuple[str, str, str], int] = {}
    for said in story.said:
        said.feed(fold)
        for closed in fold.take_closed():
            check_sums(before, closed)
            before = {key: f.open for key, f in closed.visits.items()}
        check_sums(before, fold.state.quarter)


@given(steps)
@settings(max_examples=50, deadline=None)
def test_the_figures_are_the_engines_own(given: list[tuple[int, float]]) -> None:
    story = told(given)
    fold, quarters = folded(story)
    total = visits_by(quarters, lambda key: (key[0],))
    for id, counted in story.engine.statistics().queues.items():
        f = total.get((id,), VisitFigures())
        ours = {name.replace("_", "-"): count for name in ENDED if (count := getattr(f, name))}
        assert (f.offered, f.open, ours) == (counted.offered, counted.open, counted.ended), id
    now = live.now(fold, story.at)
    views = {view.id: view for view in story.engine.agents() if view.state != "logged-out"}
    assert {id: (a.state, a.contacts) for id, a in now.agents.items()} == {
        id: (v.state, len(v.works)) for id, v in views.items()
    }
    for id in story.engine.queues():
        parts = [part for key, part in now.queues.items() if key[0] == id]
        states = [c.state for c in story.engine.contacts() for v in c.visits if v.queue == id]
        assert sum(part.waiting for part in parts) == sum(state in ("waiting", "offered") for state in states)
        assert sum(part.scheduled for part in parts) == states.count("scheduled")
        if "offered" not in states:
            longest = max((part.longest_ms for part in parts), default=0) / 1000
            assert longest == pytest.approx(story.engine.longest_wait(id, story.at), abs=0.01)


@given(steps, st.data())
@settings(max_examples=50, deadline=None)
def test_a_fold_that_was_stopped_and_stored_anywhere_gives_the_same_figures(
    given: list[tuple[int, float]], data: st.DataObject
) -> None:
    story = told(given)
    _, whole = folded(story)
    stops = set(data.draw(st.lists(st.integers(0, len(story.said)), max_size=6)))
    fold, stored = Fold(), dict[int, Quarter]()
    for number, said in enumerate(story.said):
        if number in stops:
            if number % 2:
                fold.settle()
            keep(stored, fold)
            fold = Fold.thaw(fold.freeze())
        said.feed(fold)
    fold.advance(story.at)
    fold.settle()
    keep(stored, fold)
    assert [stored[quarter.start] for quarter in whole if not quarter.empty()] == [q for q in whole if not q.empty()]


def keep(stored: dict[int, Quarter], fold: Fold) -> None:
    """As the tables do: present values replace older ones."""
    for quarter in (*fold.take_closed(), fold.take_changes()):
        kept = stored.setdefault(quarter.start, Quarter(quarter.start))
        copy = msgspec.msgpack.decode(msgspec.msgpack.encode(quarter), type=Quarter)
        for name in ("visits", "ends", "work", "states"):
            getattr(kept, name).update(getattr(copy, name))


@pytest.mark.parametrize("seed", range(2))
def test_the_figures_of_a_day_are_those_counted_by_hand(seed: int) -> None:
    story = busy(seed, 900)
    _, quarters = folded(story)
    assert len(quarters) > 10
    before: dict[tuple[str, str, str], int] = {}
    for quarter in quarters:
        check_sums(before, quarter)
        before = {key: f.open for key, f in quarter.visits.items()}
    visits = [e for _, e in story.decided if isinstance(e, effects.VisitEnded)]
    handled = [e for e in visits if e.how == "handled"]
    left = [e for e in visits if e.how in ("abandoned", "short-abandoned")]
    parts = [e for _, e in story.decided if isinstance(e, effects.SegmentEnded)]
    done = work_by(quarters, lambda key: ())[()]
    measures = queue_measures(fields(visits_by(quarters, lambda key: ())[()]), fields(done))
    told = {figure.id: figure.value(measures) for figure in figures_of("queues")}
    within = sum(e.within for e in handled)
    expected = {
        "service_level_answered": 100 * within / len(handled),
        "service_level": 100 * within / (len(handled) + len(left)),
        "service_level_without_short": 100 * within / (len(handled) + sum(e.how == "abandoned" for e in left)),
        "service_level_without_within": 100 * within / (len(handled) + sum(not e.within for e in left)),
        "service_level_abandons_good": 100 * (within + sum(e.within for e in left)) / (len(handled) + len(left)),
        "abandonment": 100 * len(left) / sum(isinstance(e, effects.VisitStarted) for _, e in story.decided),
        "asa": sum(e.waited for e in handled) / len(handled),
        "mean_wait": sum(e.waited for e in visits) / len(visits),
        "longest_wait": max(e.waited for e in visits),
        "mean_time_to_abandon": sum(e.waited for e in left) / len(left),
        "aht": sum(e.talk + e.wrap_up for e in parts) / len(handled),
        "rona": sum(isinstance(e, effects.OfferWithdrawn) and e.why == "rona" for _, e in story.decided),
        "transferred": sum(e.how == "transferred" for e in parts),
        "offers": sum(isinstance(e, effects.OfferMade) for _, e in story.decided),
    }
    assert {id: told[id] for id in expected} == pytest.approx(expected, abs=0.01)
    assert len(left) > 5
    assert done.offers == done.accepted + done.rona + done.declined + done.withdrawn + len(story.engine.offers())
    assert done.hold_ms / 1000 == pytest.approx(story.hold_seconds, abs=0.1)
    assert done.hold_ms > 100_000


def test_times_of_states_are_divided_at_the_borders_and_add_up_to_the_whole() -> None:
    story = busy(5, 400)
    _, quarters = folded(story)
    since: dict[str, tuple[str, float]] = {}
    spent: dict[Group, float] = {}
    for at, effect in story.decided:
        if isinstance(effect, effects.AgentChanged):
            state, began = since.get(effect.agent, ("logged-out", at))
            spent[effect.agent, state] = spent.get((effect.agent, state), 0.0) + at - began
            since[effect.agent] = (effect.state, at)
    for agent, (state, began) in since.items():
        spent[agent, state] = spent.get((agent, state), 0.0) + story.at - began
    ours: dict[Group, float] = {}
    for agent, states in states_by(quarters).items():
        for (state, _), ms in states.items():
            ours[agent, state] = ours.get((agent, state), 0.0) + ms / 1000
    wanted = {key: seconds for key, seconds in spent.items() if key[1] != "logged-out" and seconds > 0}
    assert ours == pytest.approx(wanted, abs=0.2)
    for quarter in quarters:
        assert all(0 < sum(states.values()) <= 900_000 for states in states_by([quarter]).values())


def test_what_is_shown_of_a_moment_is_what_a_fold_gives_that_has_come_there() -> None:
    story = busy(6, 300)
    fold = Fold()
    for said in story.said:
        said.feed(fold)
    frozen = fold.freeze()
    for seconds in (0.0, 10.0, 1_000.0, 10_000.0):
        there = Fold.thaw(frozen)
        there.take_closed()
        there.advance(story.at + seconds)
        there.settle()
        fold.take_closed()
        found = live.quarters(fold, story.at + seconds)
        assert [q for q in found if not q.empty()] == [q for q in (*there.take_closed(), there.state.quarter) if not q.empty()]
    assert fold.take_changes().start == quarter_of(instant(story.said[-1].at)), "looking changes nothing"


def test_a_sum_of_quarters_has_the_last_ones_open_visits() -> None:
    one, other, key = Quarter(0), Quarter(900), ("q", "voice", "direct")
    one.visits[key] = VisitFigures(offered=3, handled=1, open=2, longest_ms=7)
    other.visits[key] = VisitFigures(offered=1, handled=1, open=2, longest_ms=5)
    merge(one, other)
    assert one.visits[key] == VisitFigures(offered=4, handled=2, open=2, longest_ms=7)
    merge(one, Quarter(1800, work={("a", *key): WorkFigures(offers=1)}))
    assert (one.visits[key].open, one.work["a", "q", "voice", "direct"].offers) == (0, 1)


def test_a_state_of_another_program_is_refused() -> None:
    for data in (b"", b"\x00", Fold().freeze()[:-1], msgspec.msgpack.encode({"quarter": 5})):
        with pytest.raises(ValueError, match="not a state of the figures"):
            Fold.thaw(data)
