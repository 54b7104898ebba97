"""The agent who is best at what is needed: the sum over the needed skills, low ones counted as good where low is preferred."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acd.model import HIGHEST_PROFICIENCY
from acd.strategies.base import Strategy
from acd.strategies.longest_available import key

if TYPE_CHECKING:
    from acd.lanes import Lane


def tiers(lane: Lane) -> list[tuple[float, int]]:
    """The lane's agents by score, the best first; the number is the score, negative."""
    scores: dict[int, int] = {}
    for seat in lane.roster.seats_of(lane.mask):
        score = 0
        for need in lane.need.skills:
            level = seat.config.skills.get(need.skill, 0)
            score += HIGHEST_PROFICIENCY + 1 - level if need.prefer == "low" else level
        scores[score] = scores.get(score, 0) | seat.bit
    return [(-float(score), scores[score]) for score in sorted(scores, reverse=True)]


STRATEGY = Strategy("best-proficiency", ("proficiency (negative)", "available since", "order"), key, tiers)
