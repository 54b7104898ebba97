"""The desk WebSocket: snapshots out, an agent's commands in, each answered by its id."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
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
CLOSE_SECONDS = 1.0
"""A client that reads nothing does not see our goodbye either."""
MOST_HANDSHAKES = 4
"""Of one client at once; each may take seconds of a desk card's time."""
MEANT = frozenset({1000, 1001})
"""Close codes of a client that is done, or whose page is left (RFC 6455 §7.4.1)."""
LONGEST_PAGE = 64
"""Characters of a page's own name that count."""
LONGEST_REASON = 123
"""Bytes in a close frame (RFC 6455 §5.5)."""


class Ask(msgspec.Struct):
    """What a client sends; the other fields belong to the type."""

    type: str
    id: int | str | None = None


class Ending(msgspec.Struct, frozen=True):
    """Why a conversation is over: with a close code it is we who end it."""

    code: int = 0
    reason: str = ""
    meant: bool = False
    """The other side ended it, and did so in words; a connection that broke says nothing."""


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
        await close(socket, 4401 if error.status == 401 else 1013, error.message)
        return
    await socket.accept()
    outbox = Outbox()
    try:
        session = await surface.desks.open(user, outbox.put, socket.query_params.get("page", "")[:LONGEST_PAGE])
    except ApiError as error:
        await close(socket, 4403 if error.status == 403 else 1013, error.message)
        return

    async def logged_in() -> None:
        await guard.user(socket)

    await converse(socket, session, outbox, logged_in)


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
    try:
        session = surface.web_callers.open(address, outbox.put)
    except ApiError as error:
        await close(socket, 1013, error.message)
        return
    await converse(socket, session, outbox)


async def converse(
    socket: WebSocket, session: DeskSession, outbox: Outbox, allowed: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Take messages and send what there is, until one side leaves; `allowed` raises ApiError when the session has ended."""
    end = Ending()
    try:
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(_send(socket, outbox))
            try:
                end = await _receive(socket, session, outbox, group, allowed)
            finally:
                session.close(meant=end.meant)  # now: a handshake that is still going on may take its time
                sender.cancel()
            if end.code:
                await close(socket, end.code, end.reason)
    except* (WebSocketDisconnect, RuntimeError) as gone:
        log.debug("page closed", errors=[str(e) for e in gone.exceptions])


async def close(socket: WebSocket, code: int, reason: str) -> None:
    """Say why it is over; a client that reads nothing does not hold us up."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await socket.close(code, reason.encode()[:LONGEST_REASON].decode(errors="ignore"))


async def _send(socket: WebSocket, outbox: Outbox) -> None:
    while True:
        for item in await outbox.take():
            await socket.send_text(msgspec.json.encode(item).decode())


async def _receive(
    socket: WebSocket,
    session: DeskSession,
    outbox: Outbox,
    group: asyncio.TaskGroup,
    allowed: Callable[[], Awaitable[None]] | None,
) -> Ending:
    """Until there is a reason to close, or the client has closed."""
    handshakes: set[asyncio.Task[None]] = set()
    while True:
        try:
            message = await asyncio.wait_for(socket.receive(), IDLE_SECONDS)
        except TimeoutError:
            return Ending(4408, "no ping for too long")
        if message["type"] == "websocket.disconnect":
            return Ending(meant=message.get("code") in MEANT)
        text = message.get("text")
        if text is None:
            return Ending(1003, "messages are JSON texts")
        if allowed is not None:
            try:
                await allowed()
            except ApiError as error:
                if error.status == 401:
                    return Ending(4401, error.message)
        if outbox.full:
            return Ending(1013, "you read too slowly")
        try:
            ask = msgspec.json.decode(text, type=Ask)
            fields = msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError) as error:
            outbox.put(reply(None, error=ApiError(400, "invalid", f"That is not a message of this protocol: {error}.")))
            continue
        if ask.type not in {"softphone", "start"}:
            await _handle(session, ask, fields, outbox)
        elif len(handshakes) >= MOST_HANDSHAKES:
            outbox.put(reply(ask.id, error=ApiError(429, "too-many-handshakes", "Wait for the answers that are due first.")))
        else:
            # The handshake takes its time; the agent's other commands must not wait behind it.
            task = group.create_task(_handle(session, ask, fields, outbox))
            handshakes.add(task)
            task.add_done_callback(handshakes.discard)


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
