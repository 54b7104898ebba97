"""Predicted wait from the present state (GLOSSARY: EWT), not from past waits."""

from __future__ import annotations

from math import log

from acd.model import Estimate
from acd.state import Contact, Floor, Queue

_SUMMED = 1000
"""Terms of the sum that are added one by one; an integral stands for the rest."""

_WORKING = ("available", "reserved", "engaged", "wrap-up")


def effective_agents(queue: Queue) -> float:
    """Agents who work, each divided among those of their queues in which somebody waits."""
    total = 0.0
    for pool in queue.pools:
        working = sum(pool.counts[state] for state in _WORKING)
        if working:
            wanted = sum(1 for served in pool.queues if served is queue or len(served.waiting))
            total += working / wanted
    return total


def estimate(floor: Floor, contact: Contact) -> Estimate:
    """Position and predicted remaining wait: sum over i = 0..q of 1 / (n·mu + i·theta)."""
    queue = floor.queues[contact.queue]
    ahead = queue.waiting.rank(contact.key)
    agents = effective_agents(queue)
    if not agents:
        return Estimate(ahead + 1, None, 0.0)
    history, settings = queue.history, floor.settings
    mean_handling = (history.handling + settings.default_handling_seconds) / (history.handled + 1)
    rate = agents / max(mean_handling, 1.0)
    impatience = (history.abandoned + 1) / (history.waited + settings.default_patience_seconds)
    return Estimate(ahead + 1, expected_wait(ahead, rate, impatience), agents)


def expected_wait(ahead: int, rate: float, impatience: float) -> float:
    """Seconds until the contact with `ahead` before it is served, at `rate` services a second and theta abandons a second."""
    summed = min(ahead, _SUMMED)
    total = sum(1.0 / (rate + i * impatience) for i in range(summed + 1))
    if ahead > summed:
        total += log((rate + (ahead + 0.5) * impatience) / (rate + (summed + 0.5) * impatience)) / impatience
    return total
