"""The JSON of configured things: the engine's types, with the version and who made it, and their part of OpenAPI."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from acd.document import EntryPointConfig
from acd.model import Membership, ProfileConfig, QueueConfig, SkillConfig, TeamConfig, Value
from acd.periods import Period as PeriodConfig


class Queue(QueueConfig, frozen=True, kw_only=True):
    """A queue and its rules. Times are in seconds; agents see `id` and `name` alone."""

    version: int = 0
    changed_by: str = ""
    changed: datetime | None = None


class Skill(SkillConfig, frozen=True, kw_only=True):
    """A skill that agents can have."""

    version: int = 0
    changed_by: str = ""
    changed: datetime | None = None


class Team(TeamConfig, frozen=True, kw_only=True):
    """Agents under one supervisor."""

    version: int = 0
    changed_by: str = ""
    changed: datetime | None = None


class Profile(ProfileConfig, frozen=True, kw_only=True):
    """A capacity profile."""

    version: int = 0
    changed_by: str = ""
    changed: datetime | None = None


class EntryPoint(EntryPointConfig, frozen=True, kw_only=True):
    """A number that can be dialled, and the flow that it runs."""

    version: int = 0
    changed_by: str = ""
    changed: datetime | None = None


class Period(PeriodConfig, frozen=True, kw_only=True):
    """A named period."""

    version: int = 0
    changed_by: str = ""
    changed: datetime | None = None


class Agent(msgspec.Struct, frozen=True):
    """A person who takes contacts: `name` is the one to log in with, `display` what others see."""

    id: str
    name: str
    display: str
    queues: tuple[Membership, ...] = ()
    team: str = ""
    skills: dict[str, int] = {}
    attributes: dict[str, Value] = {}
    profile: str = ""
    account: bool = False
    """Whether somebody can log in as this agent."""
    version: int = 0
    """0: an account that is no agent (any more)."""
    changed_by: str = ""
    changed: datetime | None = None


class Queues(msgspec.Struct, frozen=True):
    items: list[Queue]


class Skills(msgspec.Struct, frozen=True):
    items: list[Skill]


class Teams(msgspec.Struct, frozen=True):
    items: list[Team]


class Profiles(msgspec.Struct, frozen=True):
    items: list[Profile]


class EntryPoints(msgspec.Struct, frozen=True):
    items: list[EntryPoint]


class Periods(msgspec.Struct, frozen=True):
    items: list[Period]


class Agents(msgspec.Struct, frozen=True):
    items: list[Agent]


Thing = Queue | Skill | Team | Profile | EntryPoint | Period | Agent

ITEMS: dict[str, type[Thing]] = {
    "queues": Queue,
    "skills": Skill,
    "teams": Team,
    "profiles": Profile,
    "entry_points": EntryPoint,
    "periods": Period,
    "agents": Agent,
}
"""By section of the document."""

LISTS: dict[str, Any] = {
    "queues": Queues,
    "skills": Skills,
    "teams": Teams,
    "profiles": Profiles,
    "entry_points": EntryPoints,
    "periods": Periods,
    "agents": Agents,
}

REF = "#/components/schemas/{name}"


def reference(kind: Any) -> dict[str, str]:
    """Where OpenAPI finds a type."""
    return {"$ref": REF.format(name=kind.__name__)}


def content(kind: Any) -> dict[str, Any]:
    """A body of the type, for OpenAPI."""
    return {"content": {"application/json": {"schema": reference(kind)}}}


def schemas() -> dict[str, Any]:
    """The types' schemas for OpenAPI's components."""
    _, components = msgspec.json.schema_components([*ITEMS.values(), *LISTS.values()], ref_template=REF)
    return {name: components[name] for name in sorted(components)}
