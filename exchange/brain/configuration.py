"""The configuration in force: what the routing engine is told, entry points and flows, from their documents in the database."""

from __future__ import annotations

import msgspec
import structlog

from acd import document
from acd.document import Document, EntryPointConfig
from acd.events import Configured
from exchange.brain import flows
from exchange.brain.shell import EntryPoint
from exchange.configuration import kept
from exchange.configuration.kept import Kept
from ivr.document import Flow
from storage.queries import Queries

log = structlog.get_logger()


class Configuration(msgspec.Struct):
    """What the documents say; `entry_points` are by their numbers."""

    kept: Kept
    entry_points: dict[str, EntryPoint]
    flows: list[Flow]
    addresses: dict[str, EntryPointConfig] = {}
    """Entry points of all channels, by id."""

    @property
    def engine(self) -> Configured:
        """What the engine is told."""
        return document.configured(self.kept.document)

    def take(self, wanted: Document) -> None:
        """Another document is in force."""
        self.entry_points = entry_points(wanted, self.flows)
        self.addresses = addresses(wanted)


async def load(queries: Queries) -> Configuration:
    """Read the newest versions (of flows all: callers stay in the version they began)."""
    usable = await flows.load(queries)
    found = await kept.load(queries)
    return Configuration(found, entry_points(found.document, usable), usable, addresses(found.document))


def entry_points(wanted: Document, usable: list[Flow]) -> dict[str, EntryPoint]:
    """Numbers that can be dialled: those whose flow can be used."""
    known = {flow.flow for flow in usable}
    found = {}
    for entry in wanted.entry_points:
        if entry.channel == "voice" and entry.flow in known:
            found[entry.number] = EntryPoint(entry.id, entry.flow, entry.web)
        elif entry.channel == "voice":
            log.error("entry point without a usable flow", entry_point=entry.id, flow=entry.flow)
    return found


def addresses(wanted: Document) -> dict[str, EntryPointConfig]:
    """Entry points of all channels, by id."""
    return {entry.id: entry for entry in wanted.entry_points}


def differs(told: Configured, wanted: Document) -> bool:
    """Whether the engine was told something else than the document says."""
    known = msgspec.structs.replace(wanted, periods=(), entry_points=())
    return document.of_configured(told) != known
