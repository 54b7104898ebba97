"""Contacts, recordings, and the lists that searches choose from."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse

from api.auth import needs
from api.errors import ApiError
from api.models import AgentList, ContactDetail, ContactPage, Failed, NamedList, RecordingDetail, RecordingPage, User
from api.ports import Audio, Search, Surface

errors: dict[int | str, dict[str, Any]] = {code: {"model": Failed} for code in (401, 403, 422, 503)}
missing: dict[int | str, dict[str, Any]] = {404: {"model": Failed}}
router = APIRouter(prefix="/api/v1", tags=["records"], responses=errors)
Overseer = Annotated[User, Depends(needs("supervisor", "admin"))]
Anybody = Annotated[User, Depends(needs())]
Text = Annotated[str | None, Query(max_length=200)]
SLICE = 256 * 1024


def surface(request: Request) -> Surface:
    found: Surface = request.app.state.surface
    return found


Parts = Annotated[Surface, Depends(surface)]


def search(
    since: Annotated[datetime | None, Query(alias="from")] = None,
    until: Annotated[datetime | None, Query(alias="to")] = None,
    number: Text = None,
    agent: Text = None,
    queue: Text = None,
    final: Text = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Text = None,
) -> Search:
    """Times are ISO 8601; `before` is the `next` of the page before."""
    for name, moment in (("from", since), ("to", until)):
        if moment is not None and moment.tzinfo is None:
            raise ApiError(422, "invalid", f"query.{name}: the time needs a zone, for example 2026-11-22T08:00:00Z.")
    return Search(since, until, number or None, agent or None, queue or None, final or None, limit, before or None)


Searched = Annotated[Search, Depends(search)]


@router.get("/contacts")
async def contacts(user: Overseer, parts: Parts, by: Searched) -> ContactPage:
    """Contacts, newest first."""
    return await parts.store.contacts(by)


@router.get("/contacts/{id}", responses=missing)
async def contact(user: Overseer, parts: Parts, id: str) -> ContactDetail:
    """One contact with its segments, legs and recordings."""
    found = await parts.store.contact(id)
    if found is None:
        raise ApiError(404, "no-such-contact", "There is no such contact.")
    return found


@router.get("/recordings")
async def recordings(user: Overseer, parts: Parts, by: Searched) -> RecordingPage:
    """Recordings, newest first."""
    return await parts.store.recordings(by)


@router.get("/recordings/{id}", responses=missing)
async def recording(user: Overseer, parts: Parts, id: str) -> RecordingDetail:
    """One recording with its waveform."""
    found = await parts.store.recording(id)
    if found is None:
        raise ApiError(404, "no-such-recording", "There is no such recording.")
    return found


@router.get("/recordings/{id}/audio", responses={**missing, 200: {"content": {"audio/ogg": {}}}}, response_class=Response)
async def audio(request: Request, user: Overseer, parts: Parts, id: str, download: bool = False) -> Response:
    """The sound, decrypted on the way: left is the customer, right everybody else. Ranges are served."""
    found = await parts.store.audio(id)
    if found is None:
        raise ApiError(404, "no-such-recording", "There is no such recording, or it is not filed yet.")
    headers = {"accept-ranges": "bytes", "cache-control": "no-store"}
    if download:
        headers["content-disposition"] = f'attachment; filename="{found.name}"'
    wanted = byte_range(request.headers.get("range"), found.size)
    if wanted is None:
        found.close()
        return Response(status_code=416, headers={"content-range": f"bytes */{found.size}"})
    first, last = wanted
    status = 200
    if request.headers.get("range"):
        status = 206
        headers["content-range"] = f"bytes {first}-{last}/{found.size}"
    headers["content-length"] = str(last - first + 1)
    return StreamingResponse(_slices(found, first, last), status, headers, found.media_type)


async def _slices(found: Audio, first: int, last: int) -> AsyncIterator[bytes]:
    try:
        while first <= last:
            data = await found.read(first, min(SLICE, last - first + 1))
            if not data:
                return
            first += len(data)
            yield data
    finally:
        found.close()


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte wanted by a Range header (RFC 9110 §14.2, one range); None: it cannot be satisfied."""
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip()) if header else None
    if match is None or match.group(0) == "bytes=-":
        return 0, size - 1
    start, end = match.groups()
    first, last = (max(0, size - int(end)), size - 1) if not start else (int(start), min(int(end or size - 1), size - 1))
    return (first, last) if first <= last else None


@router.get("/queues")
async def queues(user: Anybody, parts: Parts) -> NamedList:
    """All queues."""
    return NamedList(items=await parts.store.queues())


@router.get("/agents")
async def agents(user: Overseer, parts: Parts) -> AgentList:
    """All agents."""
    return AgentList(items=await parts.store.agents())
