"""Puts the HTTP surface together: routes, errors, security headers, a limit on the size of requests."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response

from api import errors, things
from api.auth import Guard
from api.pages import Pages
from api.ports import Surface
from api.routes import configuration, contacts, desk, floor, operations, records, reports, session, stream

MAX_BODY = 1024 * 1024
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; media-src 'self' blob:; "
    "connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=()",
}

STRICT = "max-age=31536000"
"""A year of HTTPS only (RFC 6797)."""


def create_app(surface: Surface) -> FastAPI:
    """The ASGI application over `surface`."""
    app = FastAPI(
        title="Switchroom",
        version="1",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        description="The public API of a Switchroom contact centre.",
    )
    app.state.surface = surface
    app.state.guard = Guard(surface.store, surface.session_hours)
    errors.install(app)
    headers = HEADERS | ({"strict-transport-security": STRICT} if surface.strict_transport else {})

    @app.middleware("http")
    async def border(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        length = request.headers.get("content-length", "0")
        chunked = "chunked" in request.headers.get("transfer-encoding", "")
        if chunked or not re.fullmatch("[0-9]{1,12}", length) or int(length) > MAX_BODY:
            return errors.answer(413, "too-large", f"A request may have {MAX_BODY} bytes, with Content-Length.")
        response = await call_next(request)
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response

    for router in (
        session.router,
        records.router,
        reports.router,
        configuration.router,
        contacts.router,
        floor.router,
        desk.router,
        stream.router,
        operations.router,
    ):
        app.router.routes.extend(router.routes)  # as they are: include_router makes each of them again, in 0.3 s of a start
    _describe(app)
    # No mount: a known address with a wrong method must stay 405.
    app.router.default = Pages(surface.pages)
    return app


def _describe(app: FastAPI) -> None:
    """OpenAPI with the types of configured things, which are no pydantic models."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = plain()
            known: dict[str, Any] = found["components"]["schemas"]
            ours = things.schemas()
            if known.keys() & ours.keys():
                raise ValueError(f"two types of the API have one name: {sorted(known.keys() & ours.keys())}")
            found["components"]["schemas"] = dict(sorted((known | ours).items()))
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
