"""How the customers and agents of a queue behave where a plan does not say: distributions, seen in a log or assumed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

import msgspec

from acd.simulation.draws import uniform
from acd.simulation.plans import Habits
from acd.simulation.survival import NEVER, Distribution, Endless, Exponential, Seen, Wait, fit, seen

ASSUMED_RING = 3.0
"""Until an agent accepts, s; where none was seen."""
ASSUMED_DIAL = 15.0
_NORMAL = NormalDist()


class LogNormal(msgspec.Struct, frozen=True):
    """As talks often are (Brown et al. 2005): mean and standard deviation of the times themselves."""

    mean: float
    deviation: float

    def draw(self, chance: float, beyond: float = 0.0) -> float:
        """A time over `beyond`."""
        variance = math.log(1.0 + (self.deviation / self.mean) ** 2)
        centre, spread = math.log(self.mean) - variance / 2, math.sqrt(variance)
        below = _NORMAL.cdf((math.log(beyond) - centre) / spread) if beyond > 0.0 else 0.0
        share = min(below + chance * (1.0 - below), 1.0 - 1e-12)
        return max(beyond, math.exp(centre + spread * _NORMAL.inv_cdf(share)))


class Manner(msgspec.Struct, frozen=True):
    """Of one queue."""

    patience: Distribution = Endless()
    out: Distribution = Endless()
    """Until the flow takes a waiting contact out."""
    ring: Distribution = Seen((ASSUMED_RING,))
    talk: Distribution = Exponential(300.0)
    wrap_up: Distribution = Seen((0.0,))
    dial: Distribution = Seen((ASSUMED_DIAL,))


def manner_of(habits: Habits, talk: float = 300.0) -> Manner:
    """What was seen in a queue; `talk` is assumed where nobody talked."""
    return Manner(
        patience=fit(habits.patience),
        out=fit(habits.out) if any(wait.left for wait in habits.out) else Endless(),
        ring=seen(habits.rings, ASSUMED_RING),
        talk=seen(habits.talks, talk),
        wrap_up=seen(habits.wrap_ups, 0.0),
        dial=seen(habits.dials, ASSUMED_DIAL),
    )


def pooled(habits: Mapping[str, Habits]) -> Habits:
    """All queues together: for those in which nothing was seen."""
    every = Habits()
    for one in habits.values():
        every.patience += one.patience
        every.rings += one.rings
        every.talks += one.talks
        every.wrap_ups += one.wrap_ups
        every.dials += one.dials
    return every


class Manners:
    """The manners of all queues, and the seed: a time for each contact and purpose."""

    def __init__(self, seed: int, by_queue: Mapping[str, Manner], otherwise: Manner | None = None) -> None:
        self.seed = seed
        self._by_queue = dict(by_queue)
        self._otherwise = otherwise or Manner()

    @classmethod
    def seen(cls, seed: int, habits: Mapping[str, Habits]) -> Manners:
        """Those of a log."""
        return cls(seed, {queue: manner_of(one) for queue, one in habits.items()}, manner_of(pooled(habits)))

    def learn(self, queue: str, manner: Manner) -> None:
        """More is known of a queue."""
        self._by_queue[queue] = manner

    def of(self, queue: str) -> Manner:
        """A queue's manner."""
        return self._by_queue.get(queue, self._otherwise)

    def patience(self, contact: str, stay: int, queue: str, beyond: float) -> float:
        """Seconds until the customer leaves, over `beyond`."""
        patience = self.of(queue).patience
        return NEVER if isinstance(patience, Endless) else patience.draw(uniform(self.seed, contact, f"patience{stay}"), beyond)

    def out(self, contact: str, stay: int, queue: str, beyond: float) -> float:
        """Seconds until the flow takes the contact out."""
        out = self.of(queue).out
        return NEVER if isinstance(out, Endless) else out.draw(uniform(self.seed, contact, f"out{stay}"), beyond)

    def ring(self, contact: str, stay: int, queue: str, beyond: float) -> float:
        """Seconds until the agent accepts, over `beyond`."""
        return self.of(queue).ring.draw(uniform(self.seed, contact, f"ring{stay}"), beyond)

    def talk(self, contact: str, stay: int, queue: str, beyond: float = 0.0) -> float:
        """Seconds of talk."""
        return self.of(queue).talk.draw(uniform(self.seed, contact, f"talk{stay}"), beyond)

    def wrap_up(self, contact: str, stay: int, queue: str) -> float:
        """Seconds of after-contact work."""
        return self.of(queue).wrap_up.draw(uniform(self.seed, contact, f"wrap-up{stay}"))

    def dial(self, contact: str, stay: int, queue: str) -> float:
        """Seconds until the customer of a callback answers."""
        return self.of(queue).dial.draw(uniform(self.seed, contact, f"dial{stay}"))


__all__ = ["LogNormal", "Manner", "Manners", "Wait", "manner_of", "pooled"]
