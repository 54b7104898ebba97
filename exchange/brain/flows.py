"""The published flows, from their documents: all versions, since callers stay in the version they began."""

from __future__ import annotations

import structlog

from ivr.document import Flow, parse
from ivr.errors import FlowError
from storage.queries import Queries

log = structlog.get_logger()

KIND_FLOW = "flow"


async def load(queries: Queries) -> list[Flow]:
    """All that can be used, oldest versions first; the others are logged. Raises DatabaseAway."""
    found: list[Flow] = []
    for id, version, body in await queries.documents(KIND_FLOW):
        try:
            found.append(parse(body))
        except FlowError as error:
            log.error("flow is not usable", flow=id, version=version, problems=[str(p) for p in error.problems])
    return found
