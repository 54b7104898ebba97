"""What an HTTP connection may cost: bytes of a request's head, seconds to say and to hear something, places at the door.

uvicorn leaves all of that to a proxy in front of it, and there need not be one.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

Refusal = tuple[HTTPStatus, str, str]

NOT_HTTP: Refusal = (HTTPStatus.BAD_REQUEST, "invalid", "That is not an HTTP request.")
NO_SOCKET: Refusal = (HTTPStatus.BAD_REQUEST, "invalid", "That is not a WebSocket's beginning.")
GOODBYE_BYTES = 512 * 1024
GOODBYE_SECONDS = 1.0
"""In which a refused client may go on sending: closing with something unread would reset the connection before it knows why."""
TOO_SLOW: Refusal = (HTTPStatus.REQUEST_TIMEOUT, "too-slow", "The request took too long to come.")


@dataclass(frozen=True)
class VisitorLimits:
    """What one connection may cost, and how many may stand at the door."""

    head_seconds: float = 10.0
    """From connecting, or from the first byte after an answer, to the end of a request's head."""
    body_seconds: float = 30.0
    """From there to the end of its body (api.app says how long that may be)."""
    unread_seconds: float = 30.0
    """In which a client must read some of what we have for it."""
    head_bytes: int = 32 * 1024
    headers: int = 100
    waiting: int = 1_000
    """Connections without a whole head; one more, and the one that has been silent for longest has to go."""


class Door:
    """Those who have not said yet what they want, in the order in which they came."""

    def __init__(self, limits: VisitorLimits) -> None:
        self.limits = limits
        self._waiting: OrderedDict[Visitor, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, visitor: Visitor) -> None:
        """Wait; whoever means it says so at once, so that the oldest is the one to be let go."""
        if visitor not in self._waiting and len(self._waiting) >= self.limits.waiting:
            self._waiting.popitem(last=False)[0].abort()
        self._waiting[visitor] = None

    def leave(self, visitor: Visitor) -> None:
        self._waiting.pop(visitor, None)


class Patience:
    """A time limit of a connection that is set, lifted and set again."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        return self._timer is not None

    def begin(self, loop: asyncio.AbstractEventLoop, seconds: float, end: Callable[[], None]) -> None:
        self.stop()
        self._timer = loop.call_later(seconds, self._over, end)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _over(self, end: Callable[[], None]) -> None:
        self._timer = None
        end()


class Visitor(HttpToolsProtocol):
    """One HTTP connection."""

    door: ClassVar[Door]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._patience, self._unread = Patience(), Patience()
        self._refusal: Refusal = NOT_HTTP
        self._refused = False
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._settled()
        self._unread.stop()
        super().connection_lost(exc)

    def abort(self) -> None:
        """Let go without a word."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._head_bytes += len(data)
            if self._head_bytes > GOODBYE_BYTES:
                self.abort()
            return
        if not self._patience.running and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.door.limits.head_bytes:
            self._refuse(_too_long(self.door.limits))

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self.door.leave(self)
        self._patience.begin(self.loop, self.door.limits.body_seconds, self._too_slow)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._settled()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread.begin(self.loop, self.door.limits.unread_seconds, self.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread.stop()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for what the parser refuses."""
        self._refuse(self._refusal)

    def handle_websocket_upgrade(self) -> None:
        self._settled()
        super().handle_websocket_upgrade()

    def _expect_head(self) -> None:
        self._in_head, self._head_bytes, self._head_count, self._head_size = True, 0, 0, 0
        self.door.enter(self)
        self._patience.begin(self.loop, self.door.limits.head_seconds, self._too_slow)

    def _settled(self) -> None:
        """Nothing is due from this client."""
        self._in_head = False
        self.door.leave(self)
        self._patience.stop()

    def _count(self, size: int) -> None:
        """Also a head that comes at once may be too long; what is raised here ends the parsing."""
        self._head_count += 1
        self._head_size += size
        limits = self.door.limits
        if self._head_count > limits.headers or self._head_size > limits.head_bytes:
            self._refusal = _too_long(limits)
            raise ValueError("too long a head")

    def _too_slow(self) -> None:
        if self._in_head and not self._head_bytes:
            self.transport.close()  # it never said anything; there is nothing to answer
        else:
            self._refuse(TOO_SLOW)

    def _refuse(self, refusal: Refusal) -> None:
        self._settled()
        self._refused, self._head_bytes = True, 0
        self.transport.write(plain(refusal))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._patience.begin(self.loop, GOODBYE_SECONDS, self.abort)
        else:
            self.transport.close()


class Socket(WebSocketsSansIOProtocol):
    """One WebSocket; `unread_seconds` as a visitor."""

    limits: ClassVar[VisitorLimits]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._unread = Patience()
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unread.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # The whole request came with the upgrade: what has not begun by now never will.
        if not self.handshake_initiated and not self.transport.is_closing():
            self.transport.write(plain(NO_SOCKET))
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread.begin(self.loop, self.limits.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread.stop()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        # Closing waits until everything has been read, and this client may never read again.
        self._unread.begin(self.loop, self.limits.unread_seconds, self.transport.abort)


def protocols(limits: VisitorLimits) -> tuple[type[Visitor], type[Socket]]:
    """Classes of its own for each server: its visitors share one door."""
    return type("Visitor", (Visitor,), {"door": Door(limits)}), type("Socket", (Socket,), {"limits": limits})


def plain(refusal: Refusal) -> bytes:
    """A whole answer in the shape of every error, after which the connection ends."""
    status, code, message = refusal
    body = json.dumps({"error": {"code": code, "message": message}})
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"cache-control: no-store\r\nconnection: close\r\n\r\n{body}"
    ).encode()


def quiet(record: logging.LogRecord) -> bool:
    """Whether uvicorn's line is about us: what strangers send wrong is answered, and would fill the log."""
    return record.levelno >= logging.ERROR and not str(record.msg).startswith("Invalid UTF-8")


def _too_long(limits: VisitorLimits) -> Refusal:
    message = f"A request's head may have {limits.headers} lines and {limits.head_bytes} bytes."
    return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too-large", message
