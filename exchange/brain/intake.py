"""The ledger's door for those outside: refusals become the API's errors, an answer waits until what it says is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import acd.events as routing
from acd.errors import Refused
from api.errors import ApiError
from exchange.brain import records
from exchange.brain.ledger import BrokenHouse
from exchange.brain.records import Input, Source
from storage.rows import RowWrite


class Act(Protocol):
    """Ledger.put."""

    def __call__(self, input: Input, source: Source | None = None, rows: Sequence[RowWrite] = ()) -> asyncio.Future[None]: ...


class Intake:
    """Takes inputs and engine events."""

    def __init__(self, act: Act) -> None:
        self._act = act

    def put(self, input: Input, rows: Sequence[RowWrite] = ()) -> asyncio.Future[None]:
        """Decide at once; the future is done when it is durable. Raises ApiError 409 with the engine's code, 503."""
        try:
            return self._act(input, None, rows)
        except Refused as error:
            status = 503 if error.code == "restarting" else 409
            raise ApiError(status, error.code, _sentence(error.message)) from error
        except BrokenHouse as error:
            raise restarting() from error

    async def route(self, event: routing.Event, rows: Sequence[RowWrite] = ()) -> None:
        """An event of the engine, until it is durable. Raises ApiError."""
        await settled(self.put(records.Routing(event), rows))


async def settled(durable: asyncio.Future[None]) -> None:
    """Wait; raises ApiError 503 when this exchange will not let it out any more."""
    await asyncio.wait([durable])
    if durable.cancelled():
        raise restarting()
    durable.result()


def restarting() -> ApiError:
    """What is answered while an exchange leaves."""
    return ApiError(503, "restarting", "The exchange is starting anew. Please try again in a moment.")


def _sentence(text: str) -> str:
    """The engine's messages are halves of sentences; people get whole ones."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."
