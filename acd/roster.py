"""All agents at a glance: who is free for what, who has which skill; sets of agents are the bits of one int.

An agent's bit is their place in the configuration. Everything here follows from configuration and the agents' states; no
snapshot holds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from acd.capacity import Capacity
from acd.errors import BadExpression
from acd.expressions import Expression, compile
from acd.heads import Door
from acd.model import HIGHEST_PROFICIENCY, AgentConfig, Membership, Need, SkillNeed
from acd.ordered import Ordered
from acd.people import Agent
from acd.strategies.base import Strategy

if TYPE_CHECKING:
    from acd.lanes import Lane
    from acd.state import Queue

REASONS = ("engaged", "wrap-up", "reserved", "available", "idle", "logged-out", "not-responding", "unreachable")
"""Why somebody may be no candidate, the most frequent first; an agent has exactly one. `available` without a free slot of the
channel is `full`."""

WORKING = frozenset({"available", "unreachable", "reserved", "engaged", "wrap-up"})

_SOMEBODY = re.compile(rb"[^\0]", re.DOTALL)
_BITS_OF = [tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256)]

OrderKey = tuple[float, ...]
"""A strategy's key, and the agent's bit to tell them apart."""


class Seat:
    """An agent with what follows from configuration and state."""

    __slots__ = ("agent", "bit", "by_queue", "capacity", "config", "keys", "open", "reason", "serves", "slot")

    def __init__(self, slot: int, agent: Agent, config: AgentConfig, capacity: Capacity) -> None:
        self.slot = slot
        self.bit = 1 << slot
        self.agent = agent
        self.config = config
        self.capacity = capacity
        self.serves: list[tuple[Queue, Membership]] = []
        self.by_queue: dict[str, Membership] = {}
        self.open = 0
        """Channels on which they can be offered something now, as bits."""
        self.reason = "logged-out"
        self.keys: dict[str, OrderKey] = {}
        """Their places in the orders, while they are free for anything."""


class Roster:
    """The seats, and sets of them."""

    def __init__(self) -> None:
        self.seats: list[Seat] = []
        self.by_id: dict[str, Seat] = {}
        self.all = 0
        self.logged_in = 0
        """Whoever is there in any state."""
        self.working = 0
        """Who takes contacts: busy or about to be."""
        self.free: dict[int, int] = {}
        """By channel bit: who can be offered one now."""
        self.reasons: dict[str, int] = dict.fromkeys(REASONS, 0)
        self.teams: dict[str, int] = {}
        self._orders: dict[str, Ordered[OrderKey]] = {}
        self._newly_free: dict[int, Seat] = {}
        """Whose places in the orders are not made yet: most are busy again before anybody looks."""
        self._strategies: list[Strategy] = []
        self._levels: dict[str, list[int]] = {}
        """By skill: who has which proficiency, from 0 (not used) to 10."""
        self._skills: dict[SkillNeed, int] = {}
        """Ranges of proficiency that were asked for."""
        self._wheres: dict[str, tuple[Expression, int]] = {}
        self.masks: dict[Lane, int] = {}
        """Who may have the contacts of lanes that were asked last."""
        self._doors: dict[tuple[int, str, int, bool], Door] = {}

    def use(self, strategies: list[Strategy]) -> None:
        """Keep orders for these strategies; those of the seats that are there already are made anew."""
        self._strategies = strategies
        self._orders = {strategy.name: Ordered() for strategy in strategies}
        for seat in self.seats:
            seat.keys = {}
        self._newly_free = {seat.slot: seat for seat in self.seats if seat.open}

    def add(self, seat: Seat) -> None:
        """A new agent, logged out until `put` says otherwise; bits of skills and the like are up to date after."""
        self.seats.append(seat)
        self.by_id[seat.agent.id] = seat
        self.all |= seat.bit
        self.reasons["logged-out"] |= seat.bit
        self._wheres.clear()
        self._sort_in(seat)

    def describe(self, seat: Seat, config: AgentConfig) -> None:
        """Sort the agent into the sets of skills, expressions and teams, by a new configuration."""
        seat.config = config
        bit = seat.bit
        for skill, masks in self._levels.items():
            self._levels[skill] = [mask & ~bit for mask in masks]
        for team in self.teams:
            self.teams[team] &= ~bit
        self._sort_in(seat)
        for text, (expression, mask) in self._wheres.items():
            self._wheres[text] = (expression, mask | bit if self._holds(expression, seat) else mask & ~bit)

    def _sort_in(self, seat: Seat) -> None:
        """Into the sets of skills and teams, of which the agent is in none."""
        self.masks.clear()
        self._skills.clear()
        for skill, level in seat.config.skills.items():
            masks = self._levels.get(skill)
            if masks is None:
                masks = self._levels[skill] = [0] * (HIGHEST_PROFICIENCY + 1)
            masks[level] |= seat.bit
        if seat.config.team:
            self.teams[seat.config.team] = self.teams.get(seat.config.team, 0) | seat.bit

    def door(self, bit: int, need: Need, *, whole: bool) -> Door:
        """Of lanes of this channel with this need; `whole` is whether there is no more to ask than what the need says."""
        whole = whole and not need.where and not need.teams and len(need.skills) < 2
        skill, least = "", 0
        if need.skills:
            hardest = need.skills[0] if len(need.skills) == 1 else max(need.skills, key=_how_rare)
            skill, least = hardest.skill, max(1, hardest.least)
            whole = whole and hardest.most >= HIGHEST_PROFICIENCY
        known = self._doors.get((bit, skill, least, whole))
        if known is None:
            known = self._doors[bit, skill, least, whole] = Door(bit, skill, least, whole=whole)
        return known

    def with_skill(self, need: SkillNeed) -> int:
        """Who has the skill as needed."""
        mask = self._skills.get(need)
        if mask is None:
            mask = 0
            masks = self._levels.get(need.skill)
            if masks is not None:
                for level in range(max(1, need.least), min(HIGHEST_PROFICIENCY, need.most) + 1):
                    mask |= masks[level]
            self._skills[need] = mask
        return mask

    def levels(self, skill: str) -> list[int]:
        """Who has the skill, by proficiency; at 0 there is nobody."""
        return self._levels.get(skill, [])

    def where(self, text: str) -> int:
        """Of whom the expression holds."""
        found = self._wheres.get(text)
        if found is None:
            try:
                expression = compile(text)
            except BadExpression:
                return 0  # each part was checked when it came; joined they are too long
            mask = 0
            for seat in self.seats:
                if self._holds(expression, seat):
                    mask |= seat.bit
            found = self._wheres[text] = (expression, mask)
        return found[1]

    def _holds(self, expression: Expression, seat: Seat) -> bool:
        return expression.holds(seat.config.attributes, seat.config.skills, seat.config.team)

    def seats_of(self, mask: int) -> Iterator[Seat]:
        """The agents of a set, in the order of the configuration."""
        seats = self.seats
        body = mask.to_bytes(len(seats) // 8 + 1, "little")
        for found in _SOMEBODY.finditer(body):
            base = found.start() * 8
            for bit in _BITS_OF[body[found.start()]]:
                yield seats[base + bit]

    # --- changes --------------------------------------------------------------------------------------------------

    def put(self, seat: Seat, reason: str, open: int) -> None:
        """The agent's reason and the channels they are free for; orders follow, also when only a key is new."""
        bit = seat.bit
        if reason != seat.reason:
            self.reasons[seat.reason] ^= bit
            self.reasons[reason] ^= bit
            if (reason in WORKING) != (seat.reason in WORKING):
                self.working ^= bit
            if "logged-out" in (reason, seat.reason):
                self.logged_in ^= bit
            seat.reason = reason
        changed = open ^ seat.open
        if changed:
            free = self.free
            while changed:
                low = changed & -changed
                free[low] = free.get(low, 0) ^ bit
                changed ^= low
        seat.open = open
        if seat.keys:
            self._leave(seat, staying=bool(open))
        if open:
            self._newly_free[seat.slot] = seat
        else:
            self._newly_free.pop(seat.slot, None)

    def order(self, strategy: str) -> Ordered[OrderKey] | None:
        """Who is free for anything, first one first, if that is kept for the strategy."""
        for seat in self._newly_free.values():
            for each in self._strategies:
                if each.name not in seat.keys:
                    key = seat.keys[each.name] = (*each.key(seat), seat.slot)
                    self._orders[each.name].add(key)
        self._newly_free = {}
        return self._orders.get(strategy)

    def _leave(self, seat: Seat, *, staying: bool) -> None:
        """Out of the orders; who stays keeps the places that have not changed."""
        for strategy in self._strategies:
            key = seat.keys.get(strategy.name)
            if key is not None and (not staying or key[:-1] != strategy.key(seat)):
                self._orders[strategy.name].remove(key)
                del seat.keys[strategy.name]


def _how_rare(need: SkillNeed) -> tuple[int, str]:
    return need.least, need.skill
