"""The internal API from another process: `api.ports.Contacts` over HTTP and the event stream."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any

import httpx2
import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from api.channel import Action, Change, ContactNow, Done, Happened, Message, MessageList, NewContact, Place, Said
from api.errors import ApiError
from api.models import LoggedIn, User

log = structlog.get_logger()

FIRST_RETRY = 0.1
LAST_RETRY = 2.0
ENDS = frozenset({4400, 4401, 4403, 4410})
"""Close codes after which coming again is of no use."""


class RemoteContacts:
    """A logged-in user's contacts (api.ports.Contacts); `by` is always that user.

    What the network or a restart of the exchange swallows is asked for again for up to `patience` seconds, if it has a key or
    only reads.
    """

    def __init__(self, server: str, *, verify: bool = True, patience: float = 30.0) -> None:
        self._server = server.rstrip("/")
        self._patience = patience
        self._tls: ssl.SSLContext | None = None
        if self._server.startswith("https:"):
            self._tls = ssl.create_default_context()
            if not verify:
                self._tls.check_hostname = False
                self._tls.verify_mode = ssl.CERT_NONE
        self._http = httpx2.AsyncClient(base_url=self._server, verify=self._tls or False, timeout=10.0)
        self._token = ""

    async def __aenter__(self) -> RemoteContacts:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def log_in(self, name: str, password: str) -> User:
        """The user of all that follows. Raises ApiError."""
        found = LoggedIn.model_validate(await self._ask("POST", "/login", {"name": name, "password": password}))
        self._token = found.token
        self._http.headers["authorization"] = f"Bearer {found.token}"
        return found.user

    async def create(self, by: User, new: NewContact, key: str = "") -> Done:
        return Done.model_validate(await self._ask("POST", "/contacts", new.model_dump(mode="json"), key))

    async def act(self, by: User, contact: str, action: Action, key: str = "") -> Done:
        path, body = f"/contacts/{contact}", action.model_dump(mode="json")
        if isinstance(action, Change):
            return Done.model_validate(await self._ask("PATCH", path, body, key))
        name = type(action).__name__.lower()
        return Done.model_validate(await self._ask("POST", f"{path}/{name}", body or None, key))

    async def say(self, by: User, contact: str, words: Said, key: str = "") -> Done:
        return Done.model_validate(await self._ask("POST", f"/contacts/{contact}/messages", words.model_dump(mode="json"), key))

    async def messages(self, by: User, contact: str, after: int = 0) -> list[Message]:
        return MessageList.model_validate(await self._ask("GET", f"/contacts/{contact}/messages?after={after}")).items

    async def now(self, by: User, contact: str) -> ContactNow | None:
        try:
            return ContactNow.model_validate(await self._ask("GET", f"/contacts/{contact}/now"))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def follow(self, by: User, after: Place | None = None) -> AsyncGenerator[Happened, None]:
        """Connects anew whenever it breaks, after the last item that was given out. Raises ApiError when that is of no use."""
        delay = FIRST_RETRY
        while True:
            url = f"ws{self._server.removeprefix('http')}/api/v1/stream" + (f"?after={after}" if after is not None else "")
            try:
                async with connect(
                    url,
                    additional_headers={"authorization": f"Bearer {self._token}"},
                    ssl=self._tls,
                    open_timeout=5,
                    close_timeout=1,
                ) as socket:
                    async for text in socket:
                        item = _happened(json.loads(text))
                        after, delay = item.place, FIRST_RETRY
                        yield item
                    code, reason = socket.close_code or 0, socket.close_reason or ""
            except ConnectionClosed as closed:
                code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd is not None else (0, "")
            except InvalidStatus as error:
                code, reason = 0, f"HTTP {error.response.status_code}"
            except (OSError, WebSocketException, TimeoutError) as error:
                code, reason = 0, str(error)
            if code in ENDS:
                raise ApiError(code - 4000, "stream-ended", reason)
            log.info("stream down, connecting again", code=code, reason=reason)
            await asyncio.sleep(delay)
            delay = min(LAST_RETRY, delay * 2)

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, key: str = "") -> Any:
        loop = asyncio.get_running_loop()
        deadline, delay = loop.time() + self._patience, FIRST_RETRY
        while True:
            try:
                return await self._once(method, path, body, key)
            except ApiError as error:
                if error.status != 503 or not (key or method == "GET") or loop.time() + delay > deadline:
                    raise
            await asyncio.sleep(delay)
            delay = min(LAST_RETRY, delay * 2)

    async def _once(self, method: str, path: str, body: dict[str, Any] | None, key: str) -> Any:
        headers = {"idempotency-key": key} if key else {}
        try:
            answer = await self._http.request(method, f"/api/v1{path}", json=body, headers=headers)
            found = answer.json()
        except httpx2.HTTPError as error:
            raise ApiError(503, "unreachable", f"{self._server} cannot be reached: {error}.") from error
        except ValueError as error:
            raise ApiError(502, "bad-answer", f"{self._server} answered something else than JSON.") from error
        if answer.status_code >= 400:
            told = found.get("error") if isinstance(found, dict) else None
            told = told if isinstance(told, dict) else {}
            raise ApiError(answer.status_code, str(told.get("code", "refused")), str(told.get("message", "Refused.")))
        return found


def _happened(message: dict[str, Any]) -> Happened:
    place, at, kind = Place.parse(message.pop("id")), message.pop("at"), message.pop("type")
    return Happened(place, at, kind, message)
