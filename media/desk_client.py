"""The desk's public API as a client sees it: log in by HTTP, then one WebSocket with commands, replies and snapshots."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import secrets
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Any

import httpx2
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

log = structlog.get_logger()

FIRST_RETRY = 0.1
LAST_RETRY = 1.0
PING_SECONDS = 10.0
"""The desk takes a client that says nothing for 40 s for gone."""


class DeskError(Exception):
    """The desk refused something, or cannot be reached; `code` is for machines."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class DeskClient:
    """One logged-in agent. `on_desk` gets every snapshot, `on_link` True and False as the WebSocket comes and goes."""

    def __init__(
        self,
        server: str,
        *,
        on_desk: Callable[[dict[str, Any]], None],
        on_link: Callable[[bool], None] | None = None,
        verify: bool = True,
    ) -> None:
        self.token = ""
        self.ended = ""
        self._server = server.rstrip("/")
        self._on_desk = on_desk
        self._on_link = on_link
        self._tls: ssl.SSLContext | None = None
        if self._server.startswith("https:"):
            self._tls = ssl.create_default_context()
            if not verify:
                self._tls.check_hostname = False
                self._tls.verify_mode = ssl.CERT_NONE
        self._http = httpx2.AsyncClient(base_url=self._server, verify=self._tls or False, timeout=10.0)
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._socket: ClientConnection | None = None
        self._open = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> DeskClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._http.aclose()

    async def log_in(self, name: str, password: str) -> dict[str, Any]:
        """Get a token; the user. Raises DeskError."""
        answer = await self._ask("POST", "/api/v1/login", json={"name": name, "password": password})
        self.token = str(answer["token"])
        user: dict[str, Any] = answer["user"]
        return user

    async def ice_servers(self) -> list[dict[str, Any]]:
        """STUN and TURN servers for the softphone. Raises DeskError."""
        servers: list[dict[str, Any]] = (await self._ask("GET", "/api/v1/ice"))["ice_servers"]
        return servers

    async def start(self, timeout: float = 10.0) -> None:
        """Open the WebSocket, which from now on comes back by itself. Raises DeskError."""
        self._task = asyncio.create_task(self._run(), name="desk socket")
        await self._opened(timeout)

    async def command(self, kind: str, *, timeout: float = 10.0, **fields: Any) -> dict[str, Any]:
        """Send one message and wait for its reply, also across a reconnect; its result. Raises DeskError."""
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise DeskError("timeout", f"the desk did not answer {kind} in {timeout:g} s")
            await self._opened(left)
            try:
                return await self._exchange(kind, fields, left)
            except (WebSocketException, OSError) as error:
                log.info("desk socket broke under a command", kind=kind, error=str(error))

    async def _exchange(self, kind: str, fields: dict[str, Any], timeout: float) -> dict[str, Any]:
        if self._socket is None:
            raise ConnectionResetError("the desk socket is down")
        number = next(self._ids)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            await self._socket.send(json.dumps({"type": kind, "id": number, **fields}))
            reply = await asyncio.wait_for(future, timeout)
        except TimeoutError:
            raise DeskError("timeout", f"the desk did not answer {kind} in {timeout:g} s") from None
        finally:
            self._waiting.pop(number, None)
        if not reply.get("ok"):
            error = reply.get("error") or {}
            raise DeskError(str(error.get("code", "refused")), str(error.get("message", "refused")))
        result: dict[str, Any] = reply.get("result") or {}
        return result

    async def _ask(self, method: str, path: str, **fields: Any) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            answer = await self._http.request(method, path, headers=headers, **fields)
            body = answer.json()
        except httpx2.HTTPError as error:
            raise DeskError("unreachable", f"{self._server} cannot be reached: {error}") from error
        except ValueError as error:
            raise DeskError("bad-answer", f"{self._server}{path} answered something else than JSON") from error
        if answer.status_code >= 400:
            error_body = body.get("error") if isinstance(body, dict) else None
            told = error_body if isinstance(error_body, dict) else {}
            raise DeskError(str(told.get("code", answer.status_code)), str(told.get("message", "refused")))
        found: dict[str, Any] = body
        return found

    async def _opened(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._open.wait()
        except TimeoutError:
            raise DeskError("unreachable", f"{self._server} cannot be reached") from None
        if self.ended:
            raise DeskError("logged-out", self.ended)

    # --- the socket ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        url = f"ws{self._server.removeprefix('http')}/api/v1/desk?page={secrets.token_hex(8)}"
        delay = FIRST_RETRY
        while not self.ended:
            try:
                async with connect(
                    url,
                    additional_headers={"Authorization": f"Bearer {self.token}"},
                    ssl=self._tls,
                    compression=None,
                    open_timeout=5,
                    close_timeout=1,
                ) as socket:
                    delay = FIRST_RETRY
                    await self._serve(socket)
            except InvalidStatus as error:
                if error.response.status_code in (401, 403):
                    self._end("the desk does not take our login any more")
                    return
                log.info("desk socket refused", status=error.response.status_code)
            except (OSError, WebSocketException, TimeoutError) as error:
                log.debug("desk socket down", error=str(error))
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST_RETRY)

    async def _serve(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._open.set()
        self._tell(True)
        pings = asyncio.create_task(self._ping(socket), name="desk pings")
        try:
            async for text in socket:
                self._take(text)
        finally:
            pings.cancel()
            self._socket = None
            self._open.clear()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ConnectionResetError("the desk socket broke"))
            self._tell(False)

    async def _ping(self, socket: ClientConnection) -> None:
        with contextlib.suppress(WebSocketException):
            while True:
                await asyncio.sleep(PING_SECONDS)
                await socket.send(json.dumps({"type": "ping"}))

    def _end(self, reason: str) -> None:
        self.ended = reason
        self._open.set()
        self._tell(False)

    def _tell(self, up: bool) -> None:
        if self._on_link is not None:
            self._on_link(up)

    def _take(self, text: str | bytes) -> None:
        message: Any = None
        with contextlib.suppress(ValueError):
            message = json.loads(text)
        if not isinstance(message, dict):
            log.warning("the desk sent something else than a message")
            return
        if message.get("type") == "reply":
            future = self._waiting.get(message.get("id", 0))
            if future is not None and not future.done():
                future.set_result(message)
        elif message.get("type") == "desk":
            self._on_desk(message)
