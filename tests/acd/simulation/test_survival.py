"""Patience is found again from waits most of which ended otherwise, and drawing from it gives it back."""

from __future__ import annotations

import math
from statistics import fmean

import pytest

from acd.simulation.draws import exponential, uniform
from acd.simulation.manners import LogNormal
from acd.simulation.survival import NEVER, Survival, Wait, fit, kaplan_meier, seen

pytestmark = pytest.mark.unit


def test_kaplan_meier_by_hand() -> None:
    """Six waits: 1 and 3 left of 6 and 4 who were there; at 4 one of three, the last was answered at 9."""
    waits = [Wait(3.0, True), Wait(1.0, True), Wait(2.0, False), Wait(4.0, True), Wait(4.0, False), Wait(9.0, False)]
    times, left = kaplan_meier(waits)
    assert times == [1.0, 3.0, 4.0]
    assert [1 - share for share in left] == pytest.approx([5 / 6, 5 / 6 * 3 / 4, 5 / 6 * 3 / 4 * 2 / 3])


def test_who_was_answered_counts_as_patient() -> None:
    """Of customers with a mean patience of 100 s most are answered before; the mean of those who left is far too small."""
    truth = [exponential(1, f"c{n}", "patience", 100.0) for n in range(4000)]
    answered = [exponential(1, f"c{n}", "answer", 50.0) for n in range(4000)]
    waits = [Wait(min(p, a), p <= a) for p, a in zip(truth, answered, strict=True)]
    naive = fmean(wait.seconds for wait in waits if wait.left)
    found = fit(waits)
    assert naive < 40.0
    for seconds in (20.0, 60.0, 120.0):
        assert found.at(seconds) == pytest.approx(math.exp(-seconds / 100.0), abs=0.03)
    drawn = [found.draw(uniform(2, f"d{n}", "x")) for n in range(4000)]
    assert fmean(drawn) == pytest.approx(100.0, rel=0.08)


def test_a_step_stays_a_step() -> None:
    """A flow that takes everybody out after 120 s does so in the simulation, too."""
    found = fit([Wait(30.0, False)] * 50 + [Wait(120.0, True)] * 50)
    assert {found.draw(uniform(3, f"c{n}", "x"), beyond=10.0) for n in range(100)} == {120.0}


def test_draws_are_beyond_what_is_known() -> None:
    curve = fit([Wait(float(n), n % 2 == 0) for n in range(1, 101)])
    for n in range(200):
        chance = uniform(4, f"c{n}", "x")
        assert curve.draw(chance, 70.0) > 70.0
        assert curve.draw(chance, 500.0) > 500.0
        assert LogNormal(200.0, 150.0).draw(chance, 300.0) >= 300.0
        assert seen([5.0, 50.0, 80.0], 1.0).draw(chance, 60.0) == 80.0
        assert seen([5.0, 50.0, 80.0], 1.0).draw(chance, 90.0) > 90.0


def test_few_leavings_are_no_curve_and_none_is_for_ever() -> None:
    few = fit([Wait(10.0, True)] * 5 + [Wait(95.0, False)] * 10)
    assert few == Survival(hazard=5 / 1000.0)
    assert fit([Wait(10.0, False)] * 5).draw(0.5) == NEVER
    assert fit([]).draw(0.5, 3.0) == NEVER


def test_lognormal_has_its_mean() -> None:
    drawn = [LogNormal(300.0, 240.0).draw(uniform(5, f"c{n}", "x")) for n in range(6000)]
    assert fmean(drawn) == pytest.approx(300.0, rel=0.04)


def test_numbers_are_the_contact_s_own() -> None:
    assert uniform(1, "c", "talk0") == uniform(1, "c", "talk0")
    assert len({uniform(1, "c", "talk0"), uniform(2, "c", "talk0"), uniform(1, "d", "talk0"), uniform(1, "c", "ring0")}) == 4
    assert fmean(uniform(9, f"c{n}", "x") for n in range(5000)) == pytest.approx(0.5, abs=0.02)
