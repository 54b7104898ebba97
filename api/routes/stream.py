"""The event stream: every effect of the log with its id, from a place on; who was away resumes there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import structlog
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from api.auth import Guard, same_origin
from api.channel import Happened, Place
from api.errors import ApiError
from api.models import User
from api.ports import Surface
from api.routes.desk import close

log = structlog.get_logger()
router = APIRouter(prefix="/api/v1")
SLOW_SECONDS = 10.0
"""A reader that takes nothing for so long is cut; what it has not had, it gets when it resumes."""
CHECK_SECONDS = 60.0
"""How often the session is looked at again."""

BAD_PLACE, LOGGED_OUT, FOREIGN, GONE, SLOW, AGAIN = 4400, 4401, 4403, 4410, 4429, 1013
CODES = {401: LOGGED_OUT, 403: FOREIGN, 410: GONE, 422: BAD_PLACE}


@router.websocket("/stream")
async def stream(socket: WebSocket) -> None:
    """Supervisors and admins get everything, agents what is about themselves."""
    surface: Surface = socket.app.state.surface
    guard: Guard = socket.app.state.guard
    if not same_origin(socket):
        await socket.close(FOREIGN, "foreign origin")
        return
    await socket.accept()
    try:
        user = await guard.user(socket)
        after = _place(socket.query_params.get("after"))
    except ApiError as error:
        await close(socket, CODES.get(error.status, AGAIN), error.message)
        return
    async with contextlib.aclosing(surface.contacts.follow(user, after)) as items:
        await _converse(socket, guard, user, items)


async def _converse(socket: WebSocket, guard: Guard, user: User, items: AsyncIterator[Happened]) -> None:
    """Send until one side has a reason to end it."""
    jobs = {
        asyncio.create_task(_send(socket, items), name="stream sender"),
        asyncio.create_task(_listen(socket), name="stream listener"),
        asyncio.create_task(_check(socket, guard), name="stream session"),
    }
    try:
        done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        for job in done:
            code, reason = job.result()
            if code:
                log.info("stream ended", user=user.id, code=code)
                await close(socket, code, reason)
                return
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)


async def _send(socket: WebSocket, items: AsyncIterator[Happened]) -> tuple[int, str]:
    try:
        async for item in items:
            try:
                async with asyncio.timeout(SLOW_SECONDS):
                    await socket.send_text(msgspec.json.encode(item.plain()).decode())
            except TimeoutError:
                return SLOW, "you read too slowly: resume after the last id that you had"
    except ApiError as error:
        return CODES.get(error.status, AGAIN), error.message
    except (WebSocketDisconnect, RuntimeError):
        return 0, ""
    return AGAIN, "the exchange is starting anew"


async def _listen(socket: WebSocket) -> tuple[int, str]:
    """What the client says has no meaning here; its end has."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return 0, ""


async def _check(socket: WebSocket, guard: Guard) -> tuple[int, str]:
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        try:
            await guard.user(socket)
        except ApiError as error:
            if error.status == 401:
                return LOGGED_OUT, error.message


def _place(text: str | None) -> Place | None:
    if not text:
        return None
    try:
        return Place.parse(text)
    except ValueError as error:
        raise ApiError(422, "invalid", f"after: {error}.") from error
