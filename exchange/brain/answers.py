"""Requests with an idempotency key: the same again does nothing more, and gets the same answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

import structlog
from pydantic import BaseModel

from api.channel import Done
from api.errors import ApiError
from api.models import User
from storage import rows
from storage.conversations import Answer
from storage.errors import BadSearch, DatabaseAway
from storage.rows import RowWrite

log = structlog.get_logger()

MOST_REMEMBERED = 10_000
KEPT_SECONDS = 86_400.0
"""How long the database keeps keys."""

Keep = Callable[[Done], Sequence[RowWrite]]
"""The rows that must be written with the event that did it, so that both are there or neither."""


class Answers:
    """What was answered, by user and key."""

    def __init__(
        self,
        find: Callable[[str, str], Awaitable[Answer | None]],
        write: Callable[[Sequence[RowWrite]], asyncio.Future[None]],
        now: Callable[[], float],
    ) -> None:
        self._find = find
        self._write = write
        self._now = now
        self._known: OrderedDict[tuple[str, str], Answer] = OrderedDict()
        self._running: dict[tuple[str, str], asyncio.Future[None]] = {}

    async def once(self, by: User, key: str, what: Sequence[str | BaseModel], do: Callable[[Keep], Awaitable[Done]]) -> Done:
        """Do it, or give the answer that `what` with this key has had. Raises ApiError, also the one it raised then."""
        if not key:
            return await do(lambda done: [])
        name, digest = (by.id, key), _digest(what)
        while name in self._running:
            await asyncio.wait([self._running[name]])
        running = self._running[name] = asyncio.get_running_loop().create_future()
        try:
            known = self._known.get(name) or await self._look(name)
            if known is None:
                return await self._do(name, digest, do)
            if known.digest != digest:
                raise ApiError(422, "key-reused", "This idempotency key was used for another request.")
            self._remember(name, known)
        finally:
            del self._running[name]
            running.set_result(None)
        if known.status >= 400:
            raise ApiError(known.status, **known.body)
        return Done.model_validate(known.body)

    async def _do(self, name: tuple[str, str], digest: bytes, do: Callable[[Keep], Awaitable[Done]]) -> Done:
        def keep(done: Done) -> list[RowWrite]:
            return [rows.answer(*name, digest, self._now(), 200, done.model_dump())]

        try:
            done = await do(keep)
        except ApiError as error:
            if error.status in {403, 404, 409, 422}:  # what may be tried again is not kept
                told = {"code": error.code, "message": error.message}
                self._remember(name, Answer(digest, error.status, told))
                await self._write([rows.answer(*name, digest, self._now(), error.status, told)])
            raise
        self._remember(name, Answer(digest, 200, done.model_dump()))
        return done

    async def _look(self, name: tuple[str, str]) -> Answer | None:
        try:
            return await self._find(*name)
        except DatabaseAway as error:
            raise ApiError(503, "database-away", "The database does not answer. Please try again in a moment.") from error
        except BadSearch as error:
            raise ApiError(422, "invalid", "The idempotency key cannot be kept.") from error

    def _remember(self, name: tuple[str, str], answer: Answer) -> None:
        self._known[name] = answer
        self._known.move_to_end(name)
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)


def _digest(what: Sequence[str | BaseModel]) -> bytes:
    found = hashlib.sha256()
    for part in what:
        text = part if isinstance(part, str) else part.model_dump_json()
        found.update(f"{len(text)}:{text}".encode())
    return found.digest()
