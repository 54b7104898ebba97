"""Log in, log out, who am I, and the ICE servers a softphone may use."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.auth import COOKIE, Guard, check_forgery, needs
from api.errors import failures
from api.models import Credentials, IceServers, LoggedIn, User
from api.ports import Surface

router = APIRouter(prefix="/api/v1", tags=["session"])
Anybody = Annotated[User, Depends(needs())]


@router.post("/login", responses=failures(400, 401, 403, 413, 422, 429, 503))
async def log_in(request: Request, response: Response, credentials: Credentials) -> LoggedIn:
    """Start a session."""
    check_forgery(request)
    guard: Guard = request.app.state.guard
    surface: Surface = request.app.state.surface
    client = request.client.host if request.client else ""
    token, user = await guard.log_in(credentials.name, credentials.password, client)
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(surface.session_hours * 3600),
        httponly=True,
        samesite="strict",
        secure=surface.secure_cookies,
        path="/",
    )
    response.headers["cache-control"] = "no-store"
    return LoggedIn(token=token, user=user)


@router.post("/logout", status_code=204, responses=failures(403, 503))
async def log_out(request: Request) -> Response:
    """End the session; without one nothing happens."""
    check_forgery(request)
    guard: Guard = request.app.state.guard
    await guard.log_out(request)
    response = Response(status_code=204)
    surface: Surface = request.app.state.surface
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=surface.secure_cookies)
    return response


@router.get("/me", responses=failures(401, 503))
async def me(user: Anybody) -> User:
    """The user of this session."""
    return user


@router.get("/ice", responses=failures(401, 503))
async def ice(request: Request, user: Anybody) -> IceServers:
    """STUN and TURN servers for a softphone; an empty list means: none needed."""
    surface: Surface = request.app.state.surface
    return IceServers(ice_servers=surface.operations.ice_servers(user))
