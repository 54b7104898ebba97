"""The ways of choosing an agent, one small file each; a new one is a file here and a line in `STRATEGIES`."""

from __future__ import annotations

from acd.strategies import best_proficiency, fewest_contacts, least_occupied, linear, longest_available, round_robin
from acd.strategies.base import Strategy

STRATEGIES: dict[str, Strategy] = {
    module.STRATEGY.name: module.STRATEGY
    for module in (longest_available, least_occupied, fewest_contacts, round_robin, best_proficiency, linear)
}
"""By the name that a queue's configuration gives."""

DEFAULT = longest_available.STRATEGY
