"""The document in the database: a row for each thing and version, with who changed it and when."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog

from acd.document import SECTIONS, Document, in_order
from acd.model import Code, Settings
from storage import rows
from storage.queries import Queries
from storage.rows import RowWrite

log = structlog.get_logger()

SINGLE = "all"
"""The id of what there is once."""

Key = tuple[str, str]
"""Section and id."""

_TYPES: dict[str, Any] = {"settings": Settings, "idle_codes": tuple[Code, ...], **SECTIONS}


def kind_of(section: str) -> str:
    """What the rows of a section are called: `queues` are `queue`, `entry_points` are `entry-point`."""
    return section.replace("_", "-") if section in ("settings", "idle_codes") else section.removesuffix("s").replace("_", "-")


KINDS = {kind_of(section): section for section in _TYPES}


class Version(msgspec.Struct, frozen=True):
    """Which version of a thing is in force."""

    number: int
    by: str = ""
    at: float = 0.0
    deleted: bool = False


class Kept(msgspec.Struct, frozen=True):
    """A document with the versions of its things, also of those that were removed."""

    document: Document = Document()
    versions: dict[Key, Version] = {}

    def version(self, section: str, id: str) -> Version | None:
        """The version of a thing that exists."""
        found = self.versions.get((section, id))
        return None if found is None or found.deleted else found


async def load(queries: Queries) -> Kept:
    """The newest versions; what cannot be read is left out and logged."""
    found: dict[str, list[Any]] = {section: [] for section in SECTIONS}
    wanted: dict[str, Any] = {}
    versions: dict[Key, Version] = {}
    for row in await queries.newest_documents(list(KINDS)):
        section = KINDS[row["kind"]]
        versions[section, row["id"]] = Version(row["version"], row["changed_by"], row["created"].timestamp(), row["deleted"])
        if row["deleted"]:
            continue
        try:
            value = msgspec.json.decode(row["body"], type=_TYPES[section])
        except msgspec.DecodeError as error:
            log.error("configuration row cannot be read", kind=row["kind"], id=row["id"], error=str(error))
            continue
        if section in SECTIONS:
            found[section].append(value)
        else:
            wanted[section] = value
    wanted |= {section: in_order(items) for section, items in found.items()}
    return Kept(Document(**wanted), versions)


def renewed(kept: Kept, wanted: Document, by: str, at: float) -> tuple[Kept, list[RowWrite]]:
    """What is kept when another document is in force, and the rows that say so: one for each thing that differs."""
    versions, writes = dict(kept.versions), []
    before, after = things(kept.document), things(wanted)
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) == after.get(key) and (key not in after or key in versions):
            continue
        number = versions[key].number + 1 if key in versions else 1
        body = msgspec.json.encode(after[key]).decode() if key in after else ""
        writes.append(rows.document(kind_of(key[0]), key[1], number, body, by, at, deleted=key not in after))
        versions[key] = Version(number, by, at, key not in after)
    return Kept(wanted, versions), writes


def things(document: Document) -> dict[Key, Any]:
    """Everything in a document that has a version of its own; settings and codes only where they are not the default."""
    found: dict[Key, Any] = {(section, item.id): item for section in SECTIONS for item in document.section(section)}
    for section in ("settings", "idle_codes"):
        value = getattr(document, section)
        if value != getattr(Document(), section):
            found[section, SINGLE] = value
    return found
