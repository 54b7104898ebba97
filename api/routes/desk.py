"""The desk WebSocket: snapshots out, an agent's commands in, each answered by its id."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import structlog
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from api.auth import Guard, same_origin
from api.errors import ApiError
from api.ports import DeskSession, Surface

log = structlog.get_logger()
router = APIRouter(prefix="/api/v1")
MOST_UNSENT = 256
IDLE_SECONDS = 40.0
"""A page pings every 10 s; one that is silent for so long is gone."""


class Ask(msgspec.Struct):
    """What a client sends; the other fields belong to the type."""

    type: str
    id: int | str | None = None


class Outbox:
    """What waits to be sent to one client; only the newest snapshot is worth keeping."""

    def __init__(self) -> None:
        self._items: list[dict[str, Any]] = []
        self._some = asyncio.Event()
        self.full = False

    def put(self, item: dict[str, Any]) -> None:
        """Never blocks; `full` is set when the client reads nothing."""
        if item.get("type") == "desk":
            self._items = [i for i in self._items if i.get("type") != "desk"]
        self._items.append(item)
        self.full = len(self._items) > MOST_UNSENT
        self._some.set()

    async def take(self) -> list[dict[str, Any]]:
        await self._some.wait()
        self._some.clear()
        items, self._items = self._items, []
        return items


@router.websocket("/desk")
async def desk(socket: WebSocket) -> None:
    """An agent's desk."""
    guard: Guard = socket.app.state.guard
    surface: Surface = socket.app.state.surface
    if not same_origin(socket):
        await socket.close(4403, "foreign origin")
        return
    try:
        user = await guard.user(socket)
    except ApiError as error:
        await socket.accept()
        await socket.close(4401 if error.status == 401 else 1013, error.message)
        return
    await socket.accept()
    outbox = Outbox()
    try:
        session = await surface.desks.open(user, outbox.put)
    except ApiError as error:
        await socket.close(4403, error.message)
        return
    await converse(socket, session, outbox)


@router.websocket("/web-call")
async def web_call(socket: WebSocket) -> None:
    """A caller in a browser: nobody logs in, so that the origin is checked and calls are few."""
    surface: Surface = socket.app.state.surface
    if not same_origin(socket):
        await socket.close(4403, "foreign origin")
        return
    await socket.accept()
    outbox = Outbox()
    address = socket.client.host if socket.client else ""
    await converse(socket, surface.web_callers.open(address, outbox.put), outbox)


async def converse(socket: WebSocket, session: DeskSession, outbox: Outbox) -> None:
    """Take messages and send what there is, until one side leaves."""
    try:
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(_send(socket, outbox))
            await _receive(socket, session, outbox, group)
            sender.cancel()
    except* (WebSocketDisconnect, RuntimeError) as gone:
        log.debug("page closed", errors=[str(e) for e in gone.exceptions])
    finally:
        session.close()


async def _send(socket: WebSocket, outbox: Outbox) -> None:
    while True:
        for item in await outbox.take():
            await socket.send_text(msgspec.json.encode(item).decode())
        if outbox.full:
            await socket.close(1013, "you read too slowly")
            return


async def _receive(socket: WebSocket, session: DeskSession, outbox: Outbox, group: asyncio.TaskGroup) -> None:
    while True:
        try:
            text = await asyncio.wait_for(socket.receive_text(), IDLE_SECONDS)
        except TimeoutError:
            await socket.close(4408, "no ping for too long")
            return
        except (WebSocketDisconnect, KeyError):
            return
        try:
            ask = msgspec.json.decode(text, type=Ask)
            fields = msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError) as error:
            outbox.put(reply(None, error=ApiError(400, "invalid", f"That is not a message of this protocol: {error}.")))
            continue
        if ask.type in {"softphone", "start"}:
            # The handshake takes its time; the agent's other commands must not wait behind it.
            group.create_task(_handle(session, ask, fields, outbox))
        else:
            await _handle(session, ask, fields, outbox)


async def _handle(session: DeskSession, ask: Ask, fields: dict[str, Any], outbox: Outbox) -> None:
    try:
        outbox.put(reply(ask.id, result=await session.handle(ask.type, fields)))
    except ApiError as error:
        outbox.put(reply(ask.id, error=error))


def reply(id: int | str | None, *, result: dict[str, Any] | None = None, error: ApiError | None = None) -> dict[str, Any]:
    """An answer to one message."""
    if error is not None:
        return {"type": "reply", "id": id, "ok": False, "error": {"code": error.code, "message": error.message}}
    return {"type": "reply", "id": id, "ok": True, "result": result or {}}
