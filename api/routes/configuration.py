"""Queues, skills, teams, profiles, entry points, periods, agents: read by those who may, changed by admins, in force at once.

A thing has a version, which is its ETag. Who changes or deletes it may say which version they have seen, by `If-Match` or, in
the body, by `version`: when it is another one by now, nothing happens and the answer is 412.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from api.auth import needs
from api.errors import ApiError, failures
from api.models import User
from api.ports import Configuration, Surface
from api.routes.records import Anybody, Overseer
from api.things import ITEMS, LISTS, Thing, content

router = APIRouter(prefix="/api/v1", tags=["configuration"])
Admin = Annotated[User, Depends(needs("admin"))]

NOUNS = {section: section.removesuffix("s").replace("_", " ") for section in ITEMS}
READ_ONLY = ("changed", "changed_by", "account")


def configuration(request: Request) -> Configuration:
    surface: Surface = request.app.state.surface
    return surface.configuration


Kept = Annotated[Configuration, Depends(configuration)]


def _answer(thing: Thing, status: int = 200, **headers: str) -> Response:
    return _json(thing, status, etag=f'"{thing.version}"', **headers)


def _json(value: Any, status: int = 200, **headers: str) -> Response:
    return Response(msgspec.json.encode(value), status, headers, "application/json")


async def _body(request: Request) -> dict[str, Any]:
    """The request's JSON object; raises ApiError 422."""
    try:
        data = msgspec.json.decode(await request.body())
    except (ValueError, RecursionError) as error:
        raise ApiError(422, "invalid", "body: This is not JSON.") from error
    if not isinstance(data, dict):
        raise ApiError(422, "invalid", "body: The body must be a JSON object.")
    return {key: value for key, value in data.items() if key not in READ_ONLY}


def _expected(request: Request, version: Any = None) -> int | None:
    """The version that the client has seen; None where it does not care."""
    tag = request.headers.get("if-match", "").strip()
    if tag and tag != "*":
        match = re.fullmatch(r'(?:W/)?"?([0-9]{1,9})"?', tag)
        if match is None:
            raise ApiError(412, "version-mismatch", "If-Match is no version of ours. Please read it again.")
        return int(match[1])
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise ApiError(422, "invalid", "body.version: The version must be a whole number.")
    return version


def _install(section: str) -> None:
    """The five routes of one section."""
    path, noun, item = f"/{section.replace('_', '-')}", NOUNS[section], ITEMS[section]
    person = Anybody if section == "queues" else Overseer
    missing = f"no-such-{noun.replace(' ', '-')}"
    tagged: dict[str, Any] = {**content(item), "headers": {"ETag": {"schema": {"type": "string"}}}}
    match = {"name": "If-Match", "in": "header", "required": False, "schema": {"type": "string"}}
    asked = {"requestBody": {**content(item), "required": True}}

    async def found(kept: Configuration, id: str) -> Thing:
        thing = await kept.thing(section, id)
        if thing is None:
            raise ApiError(404, missing, f"There is no such {noun}.")
        return thing

    async def listing(user: User, kept: Kept) -> Response:
        things = await kept.things(section)
        if user.role == "agent":
            return _json({"items": [{"id": thing.id, "name": getattr(thing, "name", thing.id)} for thing in things]})
        return _json(LISTS[section](things))

    async def read(user: Overseer, kept: Kept, id: str) -> Response:
        return _answer(await found(kept, id))

    async def create(user: Admin, kept: Kept, request: Request) -> Response:
        body = await _body(request)
        body.pop("version", None)
        id = body.pop("id", None)
        if not isinstance(id, str):
            raise ApiError(422, "invalid", "body.id: The id is missing.")
        thing = await kept.put(section, id, body, user.id, None, new=True)
        return _answer(thing, 201, location=f"/api/v1{path}/{id}")

    async def change(user: Admin, kept: Kept, request: Request, id: str) -> Response:
        body = await _body(request)
        expected = _expected(request, body.pop("version", None))
        await found(kept, id)
        return _answer(await kept.put(section, id, body, user.id, expected, new=False))

    async def delete(user: Admin, kept: Kept, request: Request, id: str) -> Response:
        await found(kept, id)
        await kept.remove(section, id, user.id, _expected(request))
        return Response(status_code=204)

    listing.__annotations__["user"] = person

    def add(route: Callable[..., Awaitable[Response]], method: str, where: str, words: str, status: int, **more: Any) -> None:
        name = f"{method.lower()}_{section}{'_one' if '{' in where else ''}"
        router.add_api_route(
            where, route, methods=[method], operation_id=name, name=name, description=words, status_code=status, **more
        )

    plural = f"{noun}s"
    whole = {200: {"description": f"All {plural}", **content(LISTS[section])}, **failures(401, 403, 503)}
    add(listing, "GET", path, f"All {plural}.", 200, responses=whole)
    one = {200: {"description": f"The {noun}", **tagged}, **failures(401, 403, 404, 422, 503)}
    add(read, "GET", f"{path}/{{id}}", f"One {noun}.", 200, responses=one)
    made = {201: {"description": f"The new {noun}", **tagged}, **failures(401, 403, 409, 422, 503)}
    add(create, "POST", path, f"A new {noun}.", 201, responses=made, openapi_extra=asked)
    new = {200: {"description": f"The {noun} as it is now", **tagged}, **failures(401, 403, 404, 409, 412, 422, 503)}
    words = f"The {noun} anew; what the body leaves out gets its default."
    add(change, "PUT", f"{path}/{{id}}", words, 200, responses=new, openapi_extra={**asked, "parameters": [match]})
    gone: dict[int | str, dict[str, Any]] = {**failures(401, 403, 404, 409, 412, 422, 503)}
    words = f"The {noun} is no more; refused while it is in use."
    add(delete, "DELETE", f"{path}/{{id}}", words, 204, responses=gone, openapi_extra={"parameters": [match]})


for _section in ITEMS:
    _install(_section)
