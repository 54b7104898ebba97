"""Who keeps the configuration in force: the one place where it is read, checked and changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog

from acd import advice, document
from acd.document import NOUNS, SECTIONS, Document, Item
from acd.errors import BadDocument, Problem, Refused
from acd.events import AgentAmended
from exchange.brain import records
from exchange.brain.house import House
from exchange.configuration import calendars, changes
from exchange.configuration.changes import Change
from exchange.configuration.kept import Kept, Version, renewed
from ivr.activities.queue import Queue
from ivr.document import Flow
from storage.rows import RowWrite

log = structlog.get_logger()

Put = Callable[[records.Input, records.Source | None, Sequence[RowWrite]], "asyncio.Future[None]"]
"""exchange.brain.ledger.Ledger.put."""


class Plan(msgspec.Struct, frozen=True):
    """What would change, and what is to be said about it."""

    changes: list[Change]
    problems: list[Problem]

    @property
    def blocked(self) -> bool:
        """Whether it cannot be done, or not now."""
        return any(problem.blocks for problem in self.problems) or any(change.refused for change in self.changes)


class Changed(Exception):
    """Somebody else has changed the thing since it was read."""


class Keeper:
    """The document in force; changes take effect in the engine, in the log and in the database together."""

    def __init__(
        self, kept: Kept, house: House, put: Put, flows: Callable[[], list[Flow]], taken: Callable[[Document], None]
    ) -> None:
        self.kept = kept
        self._house = house
        self._put = put
        self._flows = flows
        self._taken = taken
        self._turn = asyncio.Lock()

    @property
    def document(self) -> Document:
        """The document in force."""
        return self.kept.document

    # --- whole documents ------------------------------------------------------------------------------------------

    async def plan(self, data: Any) -> Plan:
        """What a document (plain data) would change; raises BadDocument when it cannot be read."""
        wanted = await asyncio.to_thread(document.parse, data)
        return await self._planned(wanted)

    async def apply(self, data: Any, by: str) -> Plan:
        """Take a document, all or nothing; with a plan that is blocked nothing has happened.

        Raises BadDocument when it cannot be read, and Refused when the engine does not allow it.
        """
        async with self._turn:
            wanted = await asyncio.to_thread(document.parse, data)
            plan = await self._planned(wanted)
            if plan.changes and not plan.blocked:
                await self._take(wanted, by)
        return plan

    async def _planned(self, wanted: Document) -> Plan:
        problems = await asyncio.to_thread(check, wanted, self._flows())
        return Plan(changes.between(self.document, wanted, self._house.engine), problems)

    # --- single things --------------------------------------------------------------------------------------------

    async def put(self, section: str, item: Item, by: str, *, expected: int | None = None, new: bool = False) -> Version:
        """One thing anew. `expected` is the version that it must have; `new`: it must not exist.

        Raises Changed, BadDocument (also for what it would break elsewhere), and Refused.
        """
        async with self._turn:
            known = self.kept.version(section, item.id)
            if new and known is not None:
                raise Refused("exists", f"There is a {NOUNS[section]} '{item.id}' already.")
            if expected is not None and (known is None or known.number != expected):
                raise Changed
            wanted = self.document.put(section, item)
            if wanted != self.document or known is None:
                await self._check(wanted)
                await self._take(wanted, by)
            return self.kept.versions[section, item.id]

    async def remove(self, section: str, id: str, by: str, *, expected: int | None = None) -> None:
        """One thing less; raises Changed, BadDocument for what still names it, and Refused while it is in use."""
        async with self._turn:
            known = self.kept.version(section, id)
            if expected is not None and (known is None or known.number != expected):
                raise Changed
            users = used_by(self.document, section, id)
            if users:
                raise Refused("in-use", f"The {NOUNS[section]} '{id}' is named by {_listed(users)}: take it out there first.")
            wanted = self.document.without(section, id)
            refused = next((c.refused for c in changes.between(self.document, wanted, self._house.engine) if c.refused), "")
            if refused:
                raise Refused("in-use", refused)
            await self._take(wanted, by)

    async def _check(self, wanted: Document) -> None:
        problems = [problem for problem in await asyncio.to_thread(check, wanted, self._flows()) if problem.blocks]
        if problems:
            raise BadDocument(problems)

    # --- taking ---------------------------------------------------------------------------------------------------

    async def _take(self, wanted: Document, by: str) -> None:
        """Into the engine and the log, with the rows that say so; done when it is durable. Raises Refused."""
        before = self.kept
        kept, rows = renewed(before, wanted, by, time.time())
        done = self._put(records.Routing(self._event(before.document, wanted, by)), None, rows)
        self.kept = kept
        log.info("configuration changed", by=by, things=len(rows))
        self._taken(wanted)
        await asyncio.shield(done)

    @staticmethod
    def _event(before: Document, wanted: Document, by: str) -> Any:
        """One agent anew where only that is new; else the whole."""
        known = {agent.id: agent for agent in before.agents}
        differing = [agent for agent in wanted.agents if known.get(agent.id) != agent]
        same = msgspec.structs.replace(before, agents=wanted.agents) == wanted and known.keys() <= {a.id for a in wanted.agents}
        if same and len(differing) == 1:
            return AgentAmended(0, differing[0], by)
        return document.configured(wanted)


def check(wanted: Document, flows: list[Flow] | None) -> list[Problem]:
    """Everything that is to be said about a document, calendars and flows included; `flows` None: any may exist."""
    known: set[str] | None = None
    priorities: dict[str, set[int]] | None = None
    if flows is not None:
        known, priorities = {flow.flow for flow in flows}, {}
        for flow in flows:
            for activity in flow.activities.values():
                if isinstance(activity, Queue):
                    priorities.setdefault(activity.queue, set()).add(activity.priority)
    found = advice.check(wanted, known, priorities)
    found += [problem for period in wanted.periods for problem in calendars.faults(period)]
    return sorted(found, key=lambda problem: not problem.blocks)


def used_by(wanted: Document, section: str, id: str) -> list[str]:
    """The things that name this one, in words."""
    without = wanted.without(section, id)
    code = f"unknown-{NOUNS[section].replace(' ', '-')}"
    places = [problem.place[:2] for problem in advice.check(without) if problem.code == code]
    return list(dict.fromkeys(f"{NOUNS[place[0]]} '{place[1]}'" for place in places if place[0] in SECTIONS))


def _listed(words: list[str]) -> str:
    shown = words[:5] + ([f"{len(words) - 5} others"] if len(words) > 5 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
