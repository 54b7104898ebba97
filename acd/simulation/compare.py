"""How sure a figure of several runs is: means with confidence ranges, differences paired by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

import msgspec

_T95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Student's t, two-sided 95 %, for 1 to 30 degrees of freedom."""
_Z95 = 1.960


class Range(msgspec.Struct, frozen=True):
    """A mean over runs, and where the true mean is with 95 % confidence (Student's t)."""

    mean: float
    low: float
    high: float
    runs: int

    def holds(self, value: float) -> bool:
        """Whether a value is inside."""
        return self.low <= value <= self.high


def estimate(values: Sequence[float | None]) -> Range | None:
    """Of one figure of several runs, those without it left out; one run alone has no range."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    mean = fmean(known)
    if len(known) < 2:
        return Range(mean, -math.inf, math.inf, 1)
    spread = student(len(known) - 1) * stdev(known) / math.sqrt(len(known))
    return Range(mean, mean - spread, mean + spread, len(known))


def difference(before: Sequence[float | None], after: Sequence[float | None]) -> Range | None:
    """After minus before, run by run: both ran with the same customers, so that their noise is mostly gone."""
    return estimate([b - a for a, b in zip(before, after, strict=True) if a is not None and b is not None])


def student(freedom: int) -> float:
    """The factor for a two-sided 95 % range."""
    return _T95[freedom - 1] if freedom <= len(_T95) else _Z95 + 2.4 / freedom
