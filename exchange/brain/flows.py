"""The published flows, from their documents: all versions, since callers stay in the version they began."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from exchange.brain.records import Arrived, Record
from ivr.document import Flow, parse
from ivr.errors import FlowError
from ivr.runner import Runner
from storage.queries import Queries

log = structlog.get_logger()

KIND_FLOW = "flow"


async def know(runner: Runner, record: Record, published: Callable[[], Awaitable[list[Flow]]]) -> None:
    """A flow that was published since the log is followed: its document was there before the first caller was in it."""
    match record.input:
        case Arrived(flow=flow, version=version) if version and not runner.knows(flow, version):
            for each in await published():
                runner.add(each)
        case _:
            pass


async def load(queries: Queries) -> list[Flow]:
    """All that can be used, oldest versions first; the others are logged. Raises DatabaseAway."""
    found: list[Flow] = []
    for id, version, body in await queries.documents(KIND_FLOW):
        try:
            found.append(parse(body))
        except FlowError as error:
            log.error("flow is not usable", flow=id, version=version, problems=[str(p) for p in error.problems])
    return found
