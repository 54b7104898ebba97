"""The configuration in force: queues, agents, idle codes, entry points and flows, from their documents in the database."""

from __future__ import annotations

import msgspec
import structlog

from acd.events import Configured
from acd.model import AgentConfig, Code, ProfileConfig, QueueConfig
from exchange import demo
from exchange.brain import flows
from exchange.brain.shell import EntryPoint
from ivr.document import Flow
from storage.queries import Queries

log = structlog.get_logger()


class Configuration(msgspec.Struct):
    """What the documents say."""

    engine: Configured
    entry_points: dict[str, EntryPoint]
    flows: list[Flow]
    addresses: dict[str, demo.EntryPointConfig] = {}
    """Entry points of digital channels, by id; they have no flows yet."""


async def load(queries: Queries) -> Configuration:
    """Read the newest versions (of flows all: callers stay in the version they began)."""
    queues = [msgspec.json.decode(body, type=QueueConfig) for body in await _newest(queries, demo.KIND_QUEUE)]
    agents = [msgspec.json.decode(body, type=AgentConfig) for body in await _newest(queries, demo.KIND_AGENT)]
    codes = [c for body in await _newest(queries, demo.KIND_IDLE_CODES) for c in msgspec.json.decode(body, type=list[Code])]
    profiles = [msgspec.json.decode(body, type=ProfileConfig) for body in await _newest(queries, demo.KIND_PROFILE)]
    entry_points, addresses = {}, {}
    for body in await _newest(queries, demo.KIND_ENTRY_POINT):
        config = msgspec.json.decode(body, type=demo.EntryPointConfig)
        if config.channel != "voice":
            addresses[config.id] = config
        else:
            entry_points[config.number] = EntryPoint(config.id, config.flow, config.web)
    found = await flows.load(queries)
    known = {flow.flow for flow in found}
    for number, entry in list(entry_points.items()):
        if entry.flow not in known:
            log.error("entry point without a usable flow", entry_point=entry.id, flow=entry.flow)
            del entry_points[number]
    return Configuration(Configured(0, queues, agents, codes, profiles=profiles), entry_points, found, addresses)


async def _newest(queries: Queries, kind: str) -> list[str]:
    newest: dict[str, str] = {}
    for id, _, body in await queries.documents(kind):
        newest[id] = body
    return list(newest.values())
