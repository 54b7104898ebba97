"""The real engine in virtual time against queueing theory: M/M/n is Erlang C, with impatience Erlang A.

Eight independent runs of 1,200 contacts each, the first 200 of them to warm up. The theory must lie within twice the 95 %
range of the runs (about 99.9 %), and the range must be narrow enough to say something.
"""

from __future__ import annotations

import pytest

from acd import events
from acd.model import AgentConfig, OfferRule, QueueConfig, WrapUp
from acd.simulation.arrivals import Stream
from acd.simulation.compare import Range, estimate
from acd.simulation.day import Day, Result, manners, run
from acd.simulation.erlang import Service, erlang_a, erlang_c
from acd.simulation.manners import Manner
from acd.simulation.survival import Endless, Exponential

pytestmark = pytest.mark.unit

HANDLING = 300.0
WITHIN = 20.0
CONTACTS, WARM, RUNS = 1200, 200, 8


def a_day(agents: int, load: float, patience: float | None) -> Day:
    rate = load / HANDLING
    queue = QueueConfig(
        "q", "Q", offer=OfferRule(20.0, auto_accept=True), wrap_up=WrapUp("off"), short_abandon_seconds=0.0,
        service_level_seconds=WITHIN,
    )  # fmt: skip
    names = [f"a{n}" for n in range(agents)]
    opening: list[events.Event] = [events.Configured(0.0, [queue], [AgentConfig(name, name) for name in names])]
    for name in names:
        opening += [
            events.AgentLoggedIn(0.0, name),
            events.AgentReachable(0.0, name, True),
            events.AgentStateChosen(0.0, name, "available"),
        ]
    end = CONTACTS / rate
    patient = Exponential(patience) if patience is not None else Endless()
    return Day(
        0.0,
        end,
        opening,
        [],
        [],
        streams=[Stream("c", "q", (float(CONTACTS),), end)],
        manners={"q": Manner(patience=patient, talk=Exponential(HANDLING))},
        counts_from=WARM / rate,
    )


def range_of(results: list[Result], figure: str) -> Range:
    found = estimate([getattr(result.figures["q"], figure) for result in results])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("agents", "load", "patience", "narrow"),
    [
        pytest.param(1, 0.5, None, 0.20, id="M/M/1 half busy"),
        pytest.param(8, 6.0, None, 0.35, id="M/M/8 three quarters busy"),
        pytest.param(57, 50.0, None, 0.45, id="M/M/57 the glossary's"),
        pytest.param(8, 9.0, 120.0, 0.10, id="M/M/8+M overloaded"),
        pytest.param(30, 28.0, 90.0, 0.30, id="M/M/30+M busy"),
    ],
)
def test_the_engine_agrees_with_erlang(agents: int, load: float, patience: float | None, narrow: float) -> None:
    day = a_day(agents, load, patience)
    fitted = manners(day)
    results = [run(day, seed, fitted) for seed in range(RUNS)]
    theory: Service = (
        erlang_c(load / HANDLING, HANDLING, agents, WITHIN)
        if patience is None
        else erlang_a(load / HANDLING, HANDLING, agents, patience, WITHIN)
    )
    assert not any(result.refused for result in results)
    for figure, truth in (
        ("asa", theory.asa),
        ("level", theory.level),
        ("occupancy", theory.occupancy),
        ("waited", theory.waits),
        ("abandonment", theory.abandoned),
    ):
        found = range_of(results, figure)
        assert abs(found.mean - truth) <= 2 * (found.high - found.mean) + 1e-9, (figure, truth, found)
    asa = range_of(results, "asa")
    assert asa.high - asa.mean < narrow * theory.asa, asa


def test_the_same_seed_is_the_same_day() -> None:
    day = a_day(8, 7.0, 100.0)
    fitted = manners(day)
    first, again, other = (run(day, seed, fitted) for seed in (1, 1, 2))
    assert first == again
    assert first.figures != other.figures
