"""Contacts and recordings."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response, StreamingResponse

from api.auth import needs
from api.errors import ApiError, answer, failures
from api.models import ContactDetail, ContactPage, ContactStory, RecordingDetail, RecordingPage, User
from api.ports import Audio, Search, Surface

router = APIRouter(prefix="/api/v1", tags=["records"], responses=failures(401, 403, 422, 503))
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


@router.get("/contacts/{id}", responses=failures(404))
async def contact(user: Overseer, parts: Parts, id: str) -> ContactDetail:
    """One contact with its segments, visits to queues, legs and recordings; while it is open with how it is now."""
    found = await parts.store.contact(id)
    if found is None:
        raise ApiError(404, "no-such-contact", "There is no such contact.")
    found.now = await parts.contacts.now(user, found.id)
    return found


@router.get("/contacts/{id}/decisions", responses=failures(404))
async def decisions(user: Overseer, parts: Parts, id: str, zone: Annotated[str, Query(max_length=64)] = "UTC") -> ContactStory:
    """What happened to a contact and why, in sentences and as data; the times in the sentences are of the zone."""
    try:
        here = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ApiError(422, "invalid", "query.zone: say a time zone like Europe/Berlin.") from error
    found = await parts.store.story(id, here)
    if found is None:
        raise ApiError(404, "no-such-contact", "There is no such contact.")
    return found


@router.get("/recordings")
async def recordings(user: Overseer, parts: Parts, by: Searched) -> RecordingPage:
    """Recordings, newest first."""
    return await parts.store.recordings(by)


@router.get("/recordings/{id}", responses=failures(404))
async def recording(user: Overseer, parts: Parts, id: str) -> RecordingDetail:
    """One recording with its waveform."""
    found = await parts.store.recording(id)
    if found is None:
        raise ApiError(404, "no-such-recording", "There is no such recording.")
    return found


_sound: dict[str, Any] = {"content": {"audio/ogg": {"schema": {"type": "string", "format": "binary"}}}}
_audio: dict[int | str, dict[str, Any]] = {
    200: _sound,
    206: {**_sound, "description": "The part that a Range header asked for"},
    **failures(404, 416),
}


@router.get("/recordings/{id}/audio", responses=_audio, response_class=Response)
async def audio(request: Request, user: Overseer, parts: Parts, id: str, download: bool = False) -> Response:
    """The sound, decrypted on the way: left is the customer, right everybody else. Ranges are served."""
    found = await parts.store.audio(id)
    if found is None:
        raise ApiError(404, "no-such-recording", "There is no such recording, or it is not filed yet.")
    headers = {"accept-ranges": "bytes", "cache-control": "no-store"}
    if download:
        headers["content-disposition"] = f'attachment; filename="{found.name}"'
    try:
        wanted = byte_range(request.headers.get("range"), found.size)
    except ApiError as error:
        found.close()
        refused = answer(error.status, error.code, error.message)
        refused.headers["content-range"] = f"bytes */{found.size}"
        return refused
    first, last = wanted or (0, found.size - 1)
    status = 200
    if wanted is not None:
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
    """First and last byte wanted by a Range header (RFC 9110 §14.1.2, one range); raises ApiError 416 when there are none.

    None: the whole; so is what is no range or not one range, which a server may pass over (§14.2).
    """
    match = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", header.strip()) if header else None
    if match is None or match.group(0) == "bytes=-":
        return None
    start, end = match.groups()
    if start and end and int(end) < int(start):
        return None
    first, last = (max(0, size - int(end)), size - 1) if not start else (int(start), min(int(end or size - 1), size - 1))
    if first > last:
        raise ApiError(416, "no-such-range", f"There are only {size} bytes.")
    return first, last
