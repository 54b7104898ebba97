"""The log as those outside see it: every effect with its id, in order, from any place on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import msgspec
import structlog

from acd.effects import Effect, GoOn, OfferMade, WakeAt
from api.channel import BEGINNING, WHOLE, Happened, Place
from api.errors import ApiError
from api.models import User
from exchange.brain import logged, records
from exchange.brain.records import KIND
from storage.database import Database
from storage.entries import LogRow, Position
from storage.errors import DatabaseAway
from storage.history import History
from storage.reader import Bell, LogReader

log = structlog.get_logger()

INSIDE = (WakeAt, GoOn)
"""Effects that are the exchange's own affair."""


class Stream:
    """Followers of the log, each at their own pace."""

    def __init__(self, database: Database, bell: Bell, now: Callable[[], float]) -> None:
        self._database = database
        self._bell = bell
        self._now = now

    async def follow(self, by: User, after: Place | None) -> AsyncGenerator[Happened, None]:
        """What happens behind `after` (None: from now on), for who may know it (api.ports.Contacts.follow)."""
        place = await self._begin(after)
        yield Happened(place, self._now(), "following", {})
        # Half of an event may be known: it is read again, and what was told of it is left out.
        before = Position(place.epoch, place.offset if place.nth == WHOLE else place.offset - 1)
        async with LogReader(self._database, self._bell, after=before) as reader:
            while True:
                for row in await reader.next():
                    for item in told(row):
                        if item.place > place and concerns(by, item):
                            yield _for(by, item)

    async def _begin(self, after: Place | None) -> Place:
        history = History(self._database)
        try:
            if after is None:
                end = await history.end()
                return Place(end.epoch, end.offset, WHOLE)
            oldest = await history.oldest()
        except DatabaseAway as error:
            raise ApiError(503, "database-away", "The database does not answer. Please try again in a moment.") from error
        if oldest is not None and BEGINNING < after < Place(oldest.epoch, oldest.offset - 1, WHOLE):
            raise ApiError(410, "gone", f"The log is kept from {oldest.epoch}.{oldest.offset} on; what came before is gone.")
        return after


def told(row: LogRow) -> Iterator[Happened]:
    """What one event of the log has to tell."""
    if row.kind != KIND:
        return
    try:
        effects: list[Effect] = logged.decode(row.effects)
        message = _message(row) if not effects else None
    except ValueError as error:
        log.error("an event cannot be told", epoch=row.epoch, offset=row.offset, error=str(error))
        return
    for number, effect in enumerate(effects):
        if not isinstance(effect, INSIDE):
            fields: dict[str, Any] = msgspec.to_builtins(effect)
            yield Happened(Place(row.epoch, row.offset, number), row.at, fields.pop("type"), fields)
    if message is not None:
        fields = msgspec.structs.asdict(message)
        yield Happened(Place(row.epoch, row.offset, len(effects)), row.at, "message-sent", fields)


def _message(row: LogRow) -> records.Message | None:
    found = records.decode(row.body).input
    return found if isinstance(found, records.Message) else None


def concerns(by: User, item: Happened) -> bool:
    """Supervisors and admins know everything, agents what is about themselves."""
    return by.role != "agent" or item.fields.get("agent") == by.id or by.id in item.fields.get("agents", ())


_DECIDED = OfferMade.__struct_config__.tag


def _for(by: User, item: Happened) -> Happened:
    """Why it was this agent and not another one is not the agents' to know."""
    if by.role != "agent" or item.type != _DECIDED:
        return item
    return item._replace(fields={name: value for name, value in item.fields.items() if name != "decision"})
