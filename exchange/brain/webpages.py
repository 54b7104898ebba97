"""One browser's WebSocket: what a web caller's page may say, and what it is told of its call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from api.errors import ApiError
from exchange.brain.sessions import KEYS, MOST_SDP

if TYPE_CHECKING:
    from exchange.brain.webcalls import WebCall, WebCalls

LONGEST_TOKEN = 200
MOST_PRESSES = 1_000_000


class WebPage:
    """A page (api.ports.DeskSession); its call may outlive it, and be resumed by another one."""

    def __init__(self, calls: WebCalls, address: str, send: Callable[[dict[str, Any]], None]) -> None:
        self.address = address
        self.send = send
        self.call: WebCall | None = None
        self.used = False
        """A page is good for one call."""
        self._calls = calls
        self._admitted = False

    async def handle(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        """One message of the page; raises ApiError."""
        match kind:
            case "ping":
                return {}
            case "ice":
                self._admit()
                return {"ice_servers": self._calls.ice_servers()}
            case "start":
                return await self._start(fields)
            case "resume":
                self._calls.resume(self, _token(fields))
                return {}
            case "digits":
                await self._calls.digits(self, *_digits(fields))
                return {}
            case "hang_up":
                self._calls.hung_up(self)
                return {}
            case _:
                raise ApiError(400, "unknown-type", f"There is no message of the type {kind[:40]!r}.")

    def close(self, *, meant: bool) -> None:
        """The WebSocket is gone: so is a caller who meant it; who did not may come back."""
        self._calls.gate.leave(self.address)
        if meant:
            self._calls.hung_up(self)
        else:
            self._calls.broken(self)

    async def _start(self, fields: dict[str, Any]) -> dict[str, Any]:
        if self.used:
            raise ApiError(409, "already-calling", "This page is calling already.")
        number, sdp, name = fields.get("entry_point"), fields.get("sdp"), fields.get("name", "")
        if not isinstance(number, str) or not isinstance(sdp, str) or not isinstance(name, str) or len(sdp) > MOST_SDP:
            raise ApiError(422, "invalid", "entry_point, sdp and name must be texts, of a sensible length.")
        self._admit()  # before the number is looked up: numbers are not to be tried out
        return await self._calls.start(self, number, sdp, name.strip()[:80])

    def _admit(self) -> None:
        """Count the call once: the servers of `ice` cost as much of the caller's limit as the call itself."""
        if not self._admitted:
            self._calls.gate.admit(self.address)
            self._admitted = True


def _token(fields: dict[str, Any]) -> str:
    token = fields.get("token")
    if not isinstance(token, str) or not 0 < len(token) <= LONGEST_TOKEN:
        raise ApiError(422, "invalid", "token: the text that came with the answer to start.")
    return token


def _digits(fields: dict[str, Any]) -> tuple[str, int | None]:
    """Keys, and the number that the page gives to this press of them."""
    digits, press = fields.get("digits"), fields.get("press")
    if not isinstance(digits, str) or not 0 < len(digits) <= 32 or set(digits) - KEYS:
        raise ApiError(422, "invalid", "digits: 0 to 9, *, #, A to D.")
    if press is not None and (not isinstance(press, int) or isinstance(press, bool) or not 0 <= press <= MOST_PRESSES):
        raise ApiError(422, "invalid", f"press: a number from 0 to {MOST_PRESSES}, or nothing.")
    return digits, press
