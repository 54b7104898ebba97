"""Errors of the HTTP surface: ApiError, which becomes a status and {"error": {code, message}} at the border only."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api.models import Failed


class ApiError(Exception):
    """A request that cannot be served: a sentence for a person, a code for a machine, a status for HTTP."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors that a route may answer with, for OpenAPI."""
    return {status: {"model": Failed} for status in statuses}


def answer(status: int, code: str, message: str) -> JSONResponse:
    """The one shape of every error answer."""
    return JSONResponse({"error": {"code": code, "message": message}}, status)


_CODES = {400: "invalid", 404: "not-found", 405: "method-not-allowed", 413: "too-large"}


def install(app: FastAPI) -> None:
    """Make every error of `app` leave in that shape."""

    async def ours(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, ApiError):
            raise error
        return answer(error.status, error.code, error.message)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, RequestValidationError):
            raise error
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return answer(422, "invalid", f"{where}: {first['msg']}.")

    async def plain(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            raise error
        return answer(error.status_code, _CODES.get(error.status_code, "error"), str(error.detail))

    async def ourselves(request: Request, error: Exception) -> JSONResponse:
        # The server logs the error itself; whoever asked learns no more than that it was not their fault.
        return answer(500, "internal", "Something went wrong here. Please try again, or tell your administrator.")

    app.add_exception_handler(ApiError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, plain)
    app.add_exception_handler(Exception, ourselves)
