"""How long customers wait before they leave, from waits most of which ended otherwise; and what is drawn from what was seen.

A customer who was answered after 30 s would have waited for at least 30 s: such waits are *censored*. The estimate is
Kaplan and Meier's (1958), because patience is not exponential: people leave at announcements and at full minutes, and an
exponential or Weibull fit smooths that away. Behind the last one who was seen leaving nothing is known but the mean hazard
(leavings by seconds of waiting), with which it goes on exponentially. With fewer than 20 leavings the curve is noise, and
the mean hazard is taken from the beginning.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Protocol

import msgspec

FEW = 20
"""With fewer leavings than this the distribution is the exponential one."""
NEVER = math.inf


class Wait(msgspec.Struct, frozen=True, array_like=True):
    """A wait that ended: the customer left, or somebody or something ended it first (censored)."""

    seconds: float
    left: bool


class Distribution(Protocol):
    """Something that waits are drawn from."""

    def draw(self, chance: float, beyond: float = 0.0) -> float:
        """A time over `beyond`, by a uniform number in (0, 1)."""
        ...


class Survival(msgspec.Struct, frozen=True):
    """Share of those still there, as a step function, with an exponential tail of this hazard (0: they stay for ever)."""

    times: tuple[float, ...] = ()
    left: tuple[float, ...] = ()
    """Share of those who have left at each time; grows."""
    hazard: float = 0.0

    def at(self, seconds: float) -> float:
        """Share of those still there after so many seconds."""
        index = bisect_right(self.times, seconds)
        reached = 1.0 - self.left[index - 1] if index else 1.0
        last = self.times[-1] if self.times else 0.0
        return reached * math.exp(-self.hazard * (seconds - last)) if seconds > last else reached

    def draw(self, chance: float, beyond: float = 0.0) -> float:
        """When a customer leaves who is there after `beyond` seconds."""
        gone = 1.0 - chance * self.at(beyond)
        index = bisect_right(self.left, gone)
        if index < len(self.left) and self.times[index] > beyond:
            return self.times[index]
        if self.hazard <= 0.0:
            return NEVER
        if index < len(self.left):  # rounding only: the step at `beyond` itself
            return beyond - math.log(chance) / self.hazard
        last = self.times[-1] if self.times else 0.0
        rest = 1.0 - self.left[-1] if self.left else 1.0
        if rest <= 0.0:  # everybody has been seen leaving by then: nobody can be here, but if, the mean hazard counts
            return max(last, beyond) - math.log(chance) / self.hazard
        return max(beyond, last + math.log(rest / (1.0 - gone)) / self.hazard)


class Exponential(msgspec.Struct, frozen=True):
    """Without memory."""

    mean: float

    def draw(self, chance: float, beyond: float = 0.0) -> float:
        """A time over `beyond`."""
        return beyond - self.mean * math.log(chance)


class Endless(msgspec.Struct, frozen=True):
    """Who never leaves."""

    def draw(self, chance: float, beyond: float = 0.0) -> float:
        """Infinity."""
        return NEVER


class Seen(msgspec.Struct, frozen=True):
    """Values as they were seen, each as likely as the others (ascending)."""

    values: tuple[float, ...]

    def draw(self, chance: float, beyond: float = 0.0) -> float:
        """One of the values over `beyond`; where there is none, beyond it by one of them."""
        first = bisect_right(self.values, beyond) if beyond > 0.0 else 0
        rest = len(self.values) - first
        if rest:
            return self.values[first + int(chance * rest)]
        return beyond + self.values[int(chance * len(self.values))]


def seen(values: Iterable[float], otherwise: float) -> Seen:
    """The distribution of what was seen; of `otherwise` alone when nothing was."""
    return Seen(tuple(sorted(values)) or (otherwise,))


def fit(waits: Sequence[Wait]) -> Survival:
    """The patience behind these waits (see above); nobody seen leaving gives a hazard of 0."""
    leavings = sum(wait.left for wait in waits)
    exposure = math.fsum(wait.seconds for wait in waits)
    hazard = leavings / exposure if exposure > 0.0 else 0.0
    if leavings < FEW:
        return Survival(hazard=hazard)
    times, left = kaplan_meier(waits)
    return Survival(tuple(times), tuple(left), hazard)


def kaplan_meier(waits: Sequence[Wait]) -> tuple[list[float], list[float]]:
    """Times at which somebody left, and the share that has left by then if nobody else had ended the waits."""
    times, left, there, alive = [], [], len(waits), 1.0
    for seconds, group in groupby(sorted(waits, key=_seconds), key=_seconds):
        at_once = list(group)
        leaving = sum(wait.left for wait in at_once)
        if leaving:
            alive *= 1.0 - leaving / there
            times.append(seconds)
            left.append(1.0 - alive)
        there -= len(at_once)
    return times, left


def _seconds(wait: Wait) -> float:
    return wait.seconds
