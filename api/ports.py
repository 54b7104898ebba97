"""What the API needs of the rest, as Protocols; the exchange brings the real ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Protocol

import msgspec

from api.channel import Action, ContactNow, Done, Happened, Message, NewContact, Place, Said
from api.models import (
    ContactDetail,
    ContactPage,
    ContactStory,
    Health,
    IceServer,
    RecordingDetail,
    RecordingPage,
    User,
)
from api.report_models import AgentReport, BehindPage, Interval, QueueReport, Realtime, Report
from api.things import Thing
from api.work import AgentNow, Broadcast, OfferItem, QueueNow, StateChange


class Search(msgspec.Struct, frozen=True):
    """What contacts and recordings are searched by; None means any."""

    since: datetime | None = None
    until: datetime | None = None
    number: str | None = None
    agent: str | None = None
    queue: str | None = None
    final: str | None = None
    limit: int = 50
    before: str | None = None


class Store(Protocol):
    """The records. Every method may raise ApiError(503, "database-away")."""

    async def user_by_name(self, name: str) -> tuple[User, str] | None:
        """The user and the password's hash."""

    async def open_session(self, token_hash: bytes, user: str, expires: datetime) -> None: ...

    async def user_by_session(self, token_hash: bytes) -> User | None: ...

    async def close_session(self, token_hash: bytes) -> None: ...

    async def contacts(self, search: Search) -> ContactPage: ...

    async def contact(self, id: str) -> ContactDetail | None: ...

    async def story(self, id: str, zone: tzinfo) -> ContactStory | None:
        """What happened to the contact and why; times in the sentences are of this zone."""
        ...

    async def recordings(self, search: Search) -> RecordingPage: ...

    async def recording(self, id: str) -> RecordingDetail | None: ...

    async def audio(self, id: str) -> Audio | None: ...


class ReportSearch(msgspec.Struct, frozen=True):
    """What a report is of; None means any. Times without a zone are in the report's."""

    since: datetime | None = None
    until: datetime | None = None
    interval: Interval = "total"
    time_zone: str | None = None
    queue: str | None = None
    channel: str | None = None
    kind: str | None = None
    agent: str | None = None
    by: tuple[str, ...] = ()
    """What it is split by: `queue`, `channel`, `kind`; agents' reports always by agent."""


class Reports(Protocol):
    """The figures. Every method may raise ApiError 422 for what cannot be reported, and 503."""

    async def queues(self, search: ReportSearch) -> QueueReport: ...

    async def agents(self, search: ReportSearch) -> AgentReport: ...

    async def realtime(self, search: ReportSearch) -> Realtime:
        """Of its fields only queue, channel, kind, agent and by count."""

    async def behind(self, report: Report, figure: str, search: ReportSearch, limit: int, before: str | None) -> BehindPage:
        """Also raises ApiError 404 `no-such-figure` and 422 `not-listed`."""


class Audio(Protocol):
    """A decrypted recording, read in slices; close it after."""

    size: int
    media_type: str
    name: str

    async def read(self, offset: int, length: int) -> bytes: ...

    def close(self) -> None: ...


class Configuration(Protocol):
    """What is configured, by section of the document; every method may raise ApiError."""

    async def things(self, section: str) -> list[Thing]: ...

    async def thing(self, section: str, id: str) -> Thing | None: ...

    async def put(self, section: str, id: str, data: dict[str, Any], by: str, expected: int | None, *, new: bool) -> Thing:
        """A thing anew; 409 when it exists and should be `new`, 412 when its version is not the one that was expected."""

    async def remove(self, section: str, id: str, by: str, expected: int | None) -> None: ...


class DeskSession(Protocol):
    """One browser (or program) at an agent's desk."""

    async def handle(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Do what the agent asks; raises ApiError."""

    def close(self, *, meant: bool) -> None:
        """The WebSocket is gone; `meant`: the browser closed it, it did not break."""


class Desks(Protocol):
    async def open(self, user: User, send: Callable[[dict[str, Any]], None], page: str = "") -> DeskSession:
        """Seat `user` at a desk; `send` gets a snapshot now and at each change. A `page` that comes again is the same one."""


class WebCallers(Protocol):
    def open(self, address: str, send: Callable[[dict[str, Any]], None]) -> DeskSession:
        """A page from which somebody may call; `send` gets what happens to the call."""


class Contacts(Protocol):
    """The internal API for all channels (docs/channels.md), and the public one behind `/api/v1/contacts`.

    Methods raise ApiError: 403, 404 `no-such-contact`, 409 with the engine's code, 422, 503. The same `key` of the same user
    with the same content does nothing again and gives the first answer.
    """

    async def create(self, by: User, new: NewContact, key: str = "") -> Done:
        """A contact begins and is queued; its id."""

    async def act(self, by: User, contact: str, action: Action, key: str = "") -> Done:
        """Change, end, transfer, park, resume, assign, pick, requeue or call back."""

    async def say(self, by: User, contact: str, words: Said, key: str = "") -> Done:
        """A message; its number as the id."""

    async def messages(self, by: User, contact: str, after: int = 0) -> list[Message]:
        """The messages with greater numbers, at most 500."""

    async def now(self, by: User, contact: str) -> ContactNow | None:
        """An open contact as it is; None when it is over."""

    def follow(self, by: User, after: Place | None = None) -> AsyncGenerator[Happened, None]:
        """What happens after that place, without end; None: from now on. An agent is told what is about themselves.

        The first item is of the type `following`: it tells the place after which the others come.
        """


class Floor(Protocol):
    """Offers, agents and queues as they are, and what supervisors do with them. Raises ApiError as Contacts does."""

    def offers(self, by: User) -> list[OfferItem]:
        """Those that are out; an agent sees their own."""

    async def accept(self, by: User, offer: str, key: str = "") -> Done: ...

    async def decline(self, by: User, offer: str, reason: str, key: str = "") -> Done: ...

    def agent(self, by: User, id: str) -> AgentNow: ...

    async def set_state(self, by: User, id: str, change: StateChange, key: str = "") -> Done: ...

    def queue(self, id: str) -> QueueNow: ...

    async def close_queue(self, by: User, id: str, on: bool, key: str = "") -> Done:
        """Close it whatever its hours say, or let its hours count again."""

    async def broadcast(self, by: User, words: Broadcast, key: str = "") -> Done: ...


class Operations(Protocol):
    def health(self) -> Health: ...

    def metrics(self) -> bytes: ...

    def ice_servers(self, user: User) -> list[IceServer]: ...


class Surface(msgspec.Struct, frozen=True):
    """All that the application is made of."""

    store: Store
    desks: Desks
    operations: Operations
    web_callers: WebCallers
    contacts: Contacts
    floor: Floor
    reports: Reports
    configuration: Configuration
    pages: Path | None
    secure_cookies: bool
    session_hours: float = 12.0
    strict_transport: bool = False
    """Whether browsers are told to come by HTTPS only, from now on."""
