"""The configuration as one document: everything that an admin decides about routing, and its way into the engine."""

from __future__ import annotations

from typing import Any

import msgspec

from acd import shapes
from acd.errors import BadDocument, Problem
from acd.events import Configured
from acd.model import (
    DEFAULT_PRIORITY,
    AgentConfig,
    Channel,
    Code,
    Need,
    ProfileConfig,
    QueueConfig,
    Settings,
    SkillConfig,
    TeamConfig,
)
from acd.periods import Period


class EntryPointConfig(msgspec.Struct, frozen=True):
    """A number that can be dialled, and the flow that it runs; or an address of a digital channel, and its queue."""

    id: str
    number: str
    flow: str = ""
    web: bool = False
    """Whether anybody with a browser may call it."""
    channel: Channel = "voice"
    queue: str = ""
    priority: int = DEFAULT_PRIORITY
    need: Need = Need()
    """Of the contacts of a digital channel, which have no flow yet."""


Item = SkillConfig | Period | ProfileConfig | QueueConfig | TeamConfig | AgentConfig | EntryPointConfig


class Document(msgspec.Struct, frozen=True):
    """One whole configuration; the things of each section are in the order of their ids, which are all different."""

    settings: Settings = Settings()
    idle_codes: tuple[Code, ...] = ()
    skills: tuple[SkillConfig, ...] = ()
    periods: tuple[Period, ...] = ()
    profiles: tuple[ProfileConfig, ...] = ()
    queues: tuple[QueueConfig, ...] = ()
    teams: tuple[TeamConfig, ...] = ()
    agents: tuple[AgentConfig, ...] = ()
    entry_points: tuple[EntryPointConfig, ...] = ()

    def section(self, name: str) -> tuple[Item, ...]:
        """The things of one section."""
        found: tuple[Item, ...] = getattr(self, name)
        return found

    def find(self, section: str, id: str) -> Item | None:
        """One thing."""
        return next((item for item in self.section(section) if item.id == id), None)

    def put(self, section: str, item: Item) -> Document:
        """The document with this thing anew, or besides the others."""
        others = [other for other in self.section(section) if other.id != item.id]
        return msgspec.structs.replace(self, **{section: in_order([*others, item])})

    def without(self, section: str, id: str) -> Document:
        """The document without this thing."""
        return msgspec.structs.replace(self, **{section: tuple(i for i in self.section(section) if i.id != id)})


SECTIONS: dict[str, type[Item]] = {
    "skills": SkillConfig,
    "periods": Period,
    "profiles": ProfileConfig,
    "queues": QueueConfig,
    "teams": TeamConfig,
    "agents": AgentConfig,
    "entry_points": EntryPointConfig,
}
"""The sections of named things; `settings` and `idle_codes` are besides them."""

NOUNS = {
    "skills": "skill",
    "periods": "period",
    "profiles": "profile",
    "queues": "queue",
    "teams": "team",
    "agents": "agent",
    "entry_points": "entry point",
}


def in_order(items: list[Any]) -> tuple[Any, ...]:
    """As a document keeps a section."""
    return tuple(sorted(items, key=lambda item: item.id))


def parse(data: Any) -> Document:
    """The document that plain data (of YAML or JSON) says; raises BadDocument with all that cannot be read.

    Whether it makes sense, `acd.advice` says.
    """
    reader = shapes.Reader()
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise BadDocument([Problem("bad-value", (), f"A configuration is a mapping with the keys {', '.join(_KEYS)}.")])
    found: dict[str, Any] = {}
    for key, value in data.items():
        if key in SECTIONS:
            found[key] = _section(reader, key, value)
        elif key in _KEYS:
            found[key] = reader.read(shapes.field(Document, key).type, value, (key,))
        else:
            reader.unknown(key, _KEYS, ())
    if reader.problems:
        raise BadDocument(reader.problems)
    return Document(**found)


_KEYS = ("settings", "idle_codes", *SECTIONS)


def _section(reader: shapes.Reader, key: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        if len(set(value)) < len(value):
            reader.wrong("duplicate-id", (key,), f"A {NOUNS[key]} is named twice.")
        value = dict.fromkeys(value)
    if value is None:
        value = {}
    if not isinstance(value, dict):
        reader.wrong("bad-value", (key,), f"{key} must be a mapping of ids to their settings.")
        return ()
    items = [reader.named(SECTIONS[key], str(id), settings, (key, str(id))) for id, settings in value.items()]
    return in_order([item for item in items if item is not shapes.BAD])


def parse_item(section: str, id: str, data: Any) -> Item:
    """One thing of a section, from its plain data without the id; raises BadDocument."""
    reader = shapes.Reader()
    item = reader.named(SECTIONS[section], id, data, (section, id))
    if reader.problems:
        raise BadDocument(reader.problems)
    found: Item = item
    return found


def plain(document: Document) -> dict[str, Any]:
    """The document as plain data in short forms, defaults left out; `parse` makes the same document of it."""
    found: dict[str, Any] = {}
    for key in _KEYS:
        value = getattr(document, key)
        value = {item.id: plain_item(item) for item in value} if key in SECTIONS else shapes.write(value)
        if value:
            found[key] = value
    return found


def plain_item(item: Item) -> Any:
    """One thing in its short form, without its id."""
    return shapes.write_named(item)


def configured(document: Document, at: float = 0.0) -> Configured:
    """What the engine is told of it."""
    return Configured(
        at,
        list(document.queues),
        list(document.agents),
        list(document.idle_codes),
        document.settings,
        list(document.teams),
        list(document.profiles),
        list(document.skills),
    )


def of_configured(event: Configured) -> Document:
    """The document that the engine was told of; periods and entry points, which it does not know, are empty."""
    return Document(
        settings=event.settings,
        idle_codes=tuple(event.idle_codes),
        skills=in_order(event.skills),
        profiles=in_order(event.profiles),
        queues=in_order(event.queues),
        teams=in_order(event.teams),
        agents=in_order(event.agents),
    )
