"""Predicted wait from the present state (GLOSSARY: EWT), not from past waits; and how good the predictions were.

With q contacts in front, n effective agents, service rate mu and impatience theta, the wait is the sum of q + 1 exponential
times with the rates n·mu + i·theta, i = 0..q. Mean and variance are sums over 1/rate and 1/rate²; the quantiles are those of
the gamma distribution with this mean and variance, by the approximation of Wilson and Hilferty.
"""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING

from acd.cases import Contact, Visit
from acd.lanes import Lane, lane_of
from acd.model import Estimate, Score

if TYPE_CHECKING:
    from acd.state import Floor, Queue

_EXACT = 12
"""Terms of the sums that are added one by one; an integral (Euler and Maclaurin) stands for the rest."""

_Z50, _Z90 = 0.0, 1.2815515655446004


def effective_agents(floor: Floor, lane: Lane) -> float:
    """Agents at work who can have the lane's contacts, each divided among those of their queues in which somebody waits."""
    working = floor.roster.working & lane.mask
    if not working:
        return 0.0
    if lane.aside:
        return float(working.bit_count())
    total, asked = 0.0, 0 if lane.queue.waiting.length else 1
    for pool in lane.queue.pools:
        number = (working & pool.mask).bit_count()
        if number:
            total += number / (pool.wanted + asked)
    return total


def predict(floor: Floor, lane: Lane, ahead: int) -> Estimate:
    """Position and predicted remaining wait of whoever has `ahead` contacts in front."""
    agents = effective_agents(floor, lane)
    if not agents:
        return Estimate(ahead + 1, None, 0.0)
    rate, impatience = _rates(floor, lane.queue, agents)
    mean, variance = moments(ahead, rate, impatience)
    return Estimate(ahead + 1, mean, agents, quantile(mean, variance, _Z50), quantile(mean, variance, _Z90))


def estimate(floor: Floor, contact: Contact) -> Estimate | None:
    """Of a contact that waits, in the first of its queues."""
    if not contact.visits:
        return None
    visit = contact.visits[0]
    lane = lane_of(floor, visit)
    return predict(floor, lane, lane.queue.waiting.rank(visit.key))


def _rates(floor: Floor, queue: Queue, agents: float) -> tuple[float, float]:
    """Services a second of all effective agents together, and abandons a second of one who waits."""
    history, settings = queue.history, floor.settings
    mean_handling = (history.handling + settings.default_handling_seconds) / (history.handled + 1)
    impatience = (history.abandoned + 1) / (history.waited + settings.default_patience_seconds)
    return agents / max(mean_handling, 1.0), impatience


def moments(ahead: int, rate: float, impatience: float) -> tuple[float, float]:
    """Mean and variance of the time until the contact with `ahead` before it is served."""
    mean = variance = 0.0
    summed = min(ahead + 1, _EXACT)
    for i in range(summed):
        mine = 1.0 / (rate + i * impatience)
        mean += mine
        variance += mine * mine
    if ahead + 1 > summed:
        low, high = rate + (summed - 0.5) * impatience, rate + (ahead + 0.5) * impatience
        if impatience * (ahead + 1 - summed) < 1e-9 * rate:
            mean += (ahead + 1 - summed) / rate
            variance += (ahead + 1 - summed) / rate**2
        else:
            mean += log(high / low) / impatience
            variance += (1.0 / low - 1.0 / high) / impatience
    return mean, variance


def expected_wait(ahead: int, rate: float, impatience: float) -> float:
    """Seconds until the contact with `ahead` before it is served, at `rate` services a second and theta abandons a second."""
    return moments(ahead, rate, impatience)[0]


def quantile(mean: float, variance: float, z: float) -> float:
    """Of a gamma distribution with this mean and variance; `z` is the normal quantile."""
    shape = mean * mean / variance
    return mean * max(0.0, 1 - 1 / (9 * shape) + z / (3 * sqrt(shape))) ** 3


# --- the score ----------------------------------------------------------------------------------------------------


def keep_score(queue: Queue, visit: Visit) -> None:
    """An agent has the contact: compare what was predicted with what it waited."""
    if visit.estimate is None or visit.p90 is None:
        return
    history = queue.history
    error = visit.waited - visit.estimate
    history.estimates += 1
    history.error += error
    history.absolute_error += abs(error)
    history.within_p90 += visit.waited <= visit.p90


def score(queue: Queue) -> Score:
    """How good the queue's predictions were."""
    history = queue.history
    number = max(1, history.estimates)
    return Score(history.estimates, history.error / number, history.absolute_error / number, history.within_p90 / number)
