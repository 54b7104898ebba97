"""The agent who is best at what is needed: the sum over the needed skills, low ones counted as good where low is preferred."""

from __future__ import annotations

from typing import TYPE_CHECKING

from acd.model import HIGHEST_PROFICIENCY, SkillNeed
from acd.strategies.base import Strategy
from acd.strategies.longest_available import key

if TYPE_CHECKING:
    from acd.lanes import Lane


def tiers(lane: Lane, mask: int) -> list[tuple[float, int]]:
    """The agents by score, the best first; the number is the score, negative."""
    skills, roster = lane.need.skills, lane.roster
    if mask.bit_count() == 1:
        known = roster.seats[mask.bit_length() - 1].config.skills
        return [(-float(sum(_worth(need, known.get(need.skill, 0)) for need in skills)), mask)]
    scores = {0: mask}
    for need in skills:
        split: dict[int, int] = {}
        for score, left in scores.items():
            for level, having in enumerate(roster.levels(need.skill)):
                both = left & having
                if both:
                    worth = score + _worth(need, level)
                    split[worth] = split.get(worth, 0) | both
                    left ^= both
            if left:  # named agents, who need not have it
                worth = score + _worth(need, 0)
                split[worth] = split.get(worth, 0) | left
        scores = split
    return [(-float(score), scores[score]) for score in sorted(scores, reverse=True)]


def _worth(need: SkillNeed, level: int) -> int:
    return HIGHEST_PROFICIENCY + 1 - level if need.prefer == "low" else level


STRATEGY = Strategy("best-proficiency", ("proficiency (negative)", "available since", "order"), key, tiers)
