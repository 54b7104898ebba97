"""The formulas against the numbers of GLOSSARY.md and against each other."""

from __future__ import annotations

import pytest

from acd.simulation.erlang import agents_for, erlang_a, erlang_b, erlang_c

pytestmark = pytest.mark.unit

HOURLY = 600 / 3600


def test_the_glossary_s_example() -> None:
    found = erlang_c(HOURLY, 300.0, 57, within=20.0)
    assert found.level == pytest.approx(0.845, abs=0.0005)
    assert found.asa == pytest.approx(10.6, abs=0.05)
    assert agents_for(HOURLY, 300.0, 0.8) == 57
    assert agents_for(HOURLY, 300.0, 0.845) == 57
    assert agents_for(HOURLY, 300.0, 0.846) == 58


def test_known_values() -> None:
    assert erlang_b(1, 1.0) == pytest.approx(0.5)
    assert erlang_b(10, 5.0) == pytest.approx(0.018385, abs=1e-6)
    one = erlang_c(0.5, 1.0, 1, within=1.0)  # M/M/1: a wait with probability ρ, and of ρ/(μ−λ) on average
    assert (one.waits, one.asa) == pytest.approx((0.5, 1.0))


def test_too_much_work_is_said() -> None:
    with pytest.raises(ValueError, match="too much for 50 agents"):
        erlang_c(HOURLY, 300.0, 50)


@pytest.mark.parametrize(("agents", "load"), [(1, 0.7), (5, 3.5), (57, 50.0), (400, 385.0)])
def test_endless_patience_is_erlang_c(agents: int, load: float) -> None:
    patient, c = erlang_a(load / 300.0, 300.0, agents, 1e9), erlang_c(load / 300.0, 300.0, agents)
    assert (patient.waits, patient.asa, patient.level) == pytest.approx((c.waits, c.asa, c.level), rel=1e-3)
    assert patient.abandoned == pytest.approx(0.0, abs=1e-4)


def test_patience_like_handling_is_an_infinite_server() -> None:
    """With θ = μ the number in the system is Poisson(R), whatever n is (Palm)."""
    found = erlang_a(10.0 / 60.0, 60.0, 10, 60.0)
    assert found.waits == pytest.approx(0.5420703, abs=1e-6)  # P(Poisson(10) >= 10)
    assert found.occupancy == pytest.approx((1 - found.abandoned) * 1.0)


def test_more_agents_than_floats_hold() -> None:
    assert 0.0 < erlang_a(2000.0 / 300.0, 300.0, 1950, 120.0).abandoned < 0.1
