"""A scripted exchange behind the real API: its ports in memory, and the application on a real server of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.auth import hash_password, token_hash
from api.channel import WHOLE, Action, ContactNow, Done, Happened, Message, NewContact, Place, Said, Wait
from api.errors import ApiError
from api.models import (
    Activity,
    Contact,
    ContactDetail,
    ContactPage,
    ContactStory,
    Health,
    IceServer,
    Recording,
    RecordingDetail,
    RecordingPage,
    Sentence,
    User,
)
from api.ports import Search, Surface
from api.work import AgentNow, Broadcast, OfferItem, QueueNow, StateChange
from storage.errors import DatabaseAway
from storage.queries import User as Account
from tests.api.scripted_reports import ScriptedReports
from tests.exchange.configuration.office import Office, People

PASSWORD = "correct-horse-7"
HASH = hash_password(PASSWORD)
USERS = {
    "agent1": User(id="a1", name="agent1", display="Agent One", role="agent"),
    "supervisor": User(id="s1", name="supervisor", display="Super Visor", role="supervisor"),
    "admin": User(id="ad", name="admin", display="Admin", role="admin"),
}
CONFIGURED = {
    "skills": {"german": "German"},
    "queues": {"sales": {"name": "Sales"}, "support": {"name": "Support"}},
    "teams": {"first": {"queues": ["sales", "support"]}},
    "agents": {"a1": {"name": "Agent One", "team": "first", "skills": {"german": 5}}},
    "entry_points": {"5000": {"flow": "demo"}},
}
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
SOUND = bytes(range(256)) * 4096
"""1 MiB, so that a download takes several slices."""


def contact(id: str) -> dict[str, Any]:
    names = ["queue", "queue_name", "agent", "agent_name", "answered", "ended", "final", "wrap_up_code"]
    numbers = {"ani": "+4930", "dnis": "5000", "entry_point": "5000", "channel": "voice"}
    return {**dict.fromkeys(names), **numbers, "id": id, "arrived": NOW, "waited": 1.0, "talked": 2.0, "held": 0.0}


def recording(id: str) -> dict[str, Any]:
    nobody = dict.fromkeys(["queue", "queue_name", "agent", "agent_name"])
    quiet = Activity(talk=0, silence=1)
    known = {"kind": "call", "ani": "+4930", "media_type": "audio/ogg", "state": "stored", "started": NOW}
    return {
        **nobody,
        **known,
        "id": id,
        "contact": "c1",
        "seconds": 1.0,
        "size": len(SOUND),
        "left": quiet,
        "right": quiet,
        "overlap": 0.0,
        "paused": [],
    }


class Sound:
    """An open recording that remembers whether it was closed."""

    media_type = "audio/ogg"
    name = "20261122-080000-r1.ogg"

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.closed = asyncio.Event()
        self.reads = 0
        self._data = data

    async def read(self, offset: int, length: int) -> bytes:
        assert not self.closed.is_set()
        self.reads += 1
        await asyncio.sleep(0)
        return self._data[offset : offset + length]

    def close(self) -> None:
        self.closed.set()


class MemoryStore:
    """People, sessions, one contact `c1`, one recording `r1`."""

    def __init__(self) -> None:
        self.away = False
        self.broken = False
        self.sessions: dict[bytes, User] = {}
        self.searches: list[Search] = []
        self.sounds: list[Sound] = []
        self.sound = SOUND
        self.asked_for = 0

    def fault(self) -> None:
        """As `_check`, in the database's own words."""
        if self.away:
            raise DatabaseAway("away")
        self._check()

    def _check(self) -> None:
        if self.away:
            raise ApiError(503, "database-away", "The database does not answer.")
        if self.broken:
            raise RuntimeError("secret inner workings")

    async def user_by_name(self, name: str) -> tuple[User, str] | None:
        self._check()
        self.asked_for += 1
        user = USERS.get(name)
        return (user, HASH) if user is not None else None

    async def open_session(self, token_hash: bytes, user: str, expires: datetime) -> None:
        self._check()
        assert expires > datetime.now(UTC)
        self.sessions[token_hash] = next(u for u in USERS.values() if u.id == user)

    async def user_by_session(self, token_hash: bytes) -> User | None:
        self._check()
        return self.sessions.get(token_hash)

    async def close_session(self, token_hash: bytes) -> None:
        self._check()
        self.sessions.pop(token_hash, None)

    async def contacts(self, search: Search) -> ContactPage:
        self._check()
        self.searches.append(search)
        return ContactPage(items=[Contact(**contact("c1"))])

    async def contact(self, id: str) -> ContactDetail | None:
        self._check()
        return ContactDetail(**contact("c1"), segments=[], legs=[], recordings=["r1"]) if id == "c1" else None

    async def story(self, id: str, zone: tzinfo) -> ContactStory | None:
        self._check()
        said = Sentence(at=NOW, kind="nobody-for", text=f"Nobody got it, at {NOW.astimezone(zone):%H:%M}.")
        return ContactStory(contact="c1", sentences=[said]) if id == "c1" else None

    async def recordings(self, search: Search) -> RecordingPage:
        self._check()
        self.searches.append(search)
        return RecordingPage(items=[Recording(**recording("r1"))])

    async def recording(self, id: str) -> RecordingDetail | None:
        self._check()
        peaks: dict[str, Any] = {"peaks_left": [1], "peaks_right": [2], "peaks_per_second": 10.0}
        return RecordingDetail(**recording("r1"), **peaks) if id == "r1" else None

    async def audio(self, id: str) -> Sound | None:
        self._check()
        if id != "r1":
            return None
        self.sounds.append(Sound(self.sound))
        return self.sounds[-1]


class ScriptedSession:
    """A page's session; what it is asked is kept, what it answers is scripted."""

    def __init__(self, user: str, send: Callable[[dict[str, Any]], None]) -> None:
        self.user = user
        self.send = send
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.closed = asyncio.Event()
        self.meant = False
        self.let_go = asyncio.Event()
        self.came = asyncio.Event()

    async def handle(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((kind, fields))
        self.came.set()
        match kind:
            case "ping":
                return {}
            case "softphone" | "start":
                await self.let_go.wait()
                return {"sdp": "v=0"}
            case "big":
                return {"text": "x" * 60_000}
            case _:
                raise ApiError(409, "refused", "Not now.")

    def close(self, *, meant: bool) -> None:
        self.meant = meant
        self.closed.set()


class ScriptedDesks:
    """Opens a session for agents, refuses everybody else."""

    def __init__(self) -> None:
        self.sessions: list[ScriptedSession] = []
        self.pages: list[str] = []
        self.opened = asyncio.Event()
        self.refusal: ApiError | None = None

    async def open(self, user: User, send: Callable[[dict[str, Any]], None], page: str = "") -> ScriptedSession:
        self.pages.append(page)
        if self.refusal is not None:
            raise self.refusal
        if user.role != "agent":
            raise ApiError(403, "no-agent", "There is no agent with this name. " * 10)
        return self._session(user.id, send)

    def _session(self, user: str, send: Callable[[dict[str, Any]], None]) -> ScriptedSession:
        self.sessions.append(ScriptedSession(user, send))
        self.opened.set()
        send({"type": "desk", "n": 0})
        return self.sessions[-1]


class ScriptedWebCallers(ScriptedDesks):
    """Anybody may call."""

    def open(self, address: str, send: Callable[[dict[str, Any]], None]) -> ScriptedSession:  # type: ignore[override]
        return self._session(address, send)


class ScriptedOperations:
    """Health by order."""

    def __init__(self) -> None:
        self.ok = True

    def health(self) -> Health:
        return Health(ok=self.ok, problems=[] if self.ok else ["No line card is running."], lines_free=1, lines=4)

    def metrics(self) -> bytes:
        return b"switchroom_lines 4\n"

    def ice_servers(self, user: User) -> list[IceServer]:
        return [IceServer(urls=["stun:127.0.0.1"])]


class ScriptedContacts:
    """Keeps what it is asked; refuses by order; tells what the test puts into `items`."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.refusal: ApiError | None = None
        self.items: list[Happened] = []
        self.more = asyncio.Event()
        self.followers: list[tuple[str, Place | None]] = []
        self.left = asyncio.Event()
        self.end: ApiError | None = None

    def _take(self, *asked: Any) -> Done:
        self.asked.append(asked)
        if self.refusal is not None:
            raise self.refusal
        return Done(id="d1")

    async def create(self, by: User, new: NewContact, key: str = "") -> Done:
        return self._take("create", by.id, new, key)

    async def act(self, by: User, contact: str, action: Action, key: str = "") -> Done:
        return self._take(contact, by.id, action, key)

    async def say(self, by: User, contact: str, words: Said, key: str = "") -> Done:
        return self._take(contact, by.id, words, key)

    async def messages(self, by: User, contact: str, after: int = 0) -> list[Message]:
        self._take(contact, by.id, "messages", after)
        return [Message(number=after + 1, author="agent", agent="a1", at=NOW, text="Hello")]

    async def now(self, by: User, contact: str) -> ContactNow | None:
        self._take(contact, by.id, "now")
        if contact != "c1":
            return None
        texts = {"id": "c1", "channel": "chat", "entry_point": "chat", "queue": "sales", "agent": "", "offer": ""}
        wait = Wait(position=1, mean=10.0, p50=8.0, p90=25.0)
        numbers: dict[str, Any] = {"priority": 5, "waited": 1.0, "messages": 0}
        return ContactNow(**texts, **numbers, state="waiting", callback=False, wait=wait, visits=[])

    async def follow(self, by: User, after: Place | None = None) -> AsyncGenerator[Happened, None]:
        self.followers.append((by.id, after))
        told = 0
        try:
            yield Happened(after or Place(1, 0, WHOLE), 0.0, "following", {})
            while True:
                while told < len(self.items):
                    told += 1
                    if after is None or self.items[told - 1].place > after:
                        yield self.items[told - 1]
                if self.end is not None:
                    raise self.end
                await self.more.wait()
                self.more.clear()
        finally:
            self.left.set()


class ScriptedFloor:
    """The same for offers, agents and queues."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.refusal: ApiError | None = None

    def _take(self, *asked: Any) -> Done:
        self.asked.append(asked)
        if self.refusal is not None:
            raise self.refusal
        return Done(id="d1")

    def offers(self, by: User) -> list[OfferItem]:
        self._take("offers", by.id)
        names = {"id": "c1.1", "contact": "c1", "channel": "chat", "agent": "a1", "queue": "sales", "queue_name": "Sales"}
        return [OfferItem(**names, made=NOW, deadline=NOW)]

    async def accept(self, by: User, offer: str, key: str = "") -> Done:
        return self._take("accept", by.id, offer, key)

    async def decline(self, by: User, offer: str, reason: str, key: str = "") -> Done:
        return self._take("decline", by.id, offer, reason, key)

    def agent(self, by: User, id: str) -> AgentNow:
        self._take("agent", by.id, id)
        texts = {"id": id, "name": "Agent One", "state": "idle", "code": "", "next_state": ""}
        return AgentNow(**texts, since=NOW, reachable=True, queues=[], works=[], channels={})

    async def set_state(self, by: User, id: str, change: StateChange, key: str = "") -> Done:
        return self._take("state", by.id, id, change, key)

    def queue(self, id: str) -> QueueNow:
        self._take("queue", id)
        numbers = dict.fromkeys(("waiting", "callbacks", "offered", "open"), 0)
        return QueueNow(id=id, name=id, closed=False, longest_wait=0.0, agents={}, last=None, ended={}, **numbers)

    async def close_queue(self, by: User, id: str, on: bool, key: str = "") -> Done:
        return self._take("close", by.id, id, on, key)

    async def broadcast(self, by: User, words: Broadcast, key: str = "") -> Done:
        return self._take("broadcast", by.id, words, key)


class World:
    """The application with its scripted ports, and clients of it."""

    def __init__(self, *, pages: Path | None = None, secure: bool = False) -> None:
        self.store = MemoryStore()
        self.desks = ScriptedDesks()
        self.web_callers = ScriptedWebCallers()
        self.operations = ScriptedOperations()
        self.reports = ScriptedReports()
        self.contacts = ScriptedContacts()
        self.floor = ScriptedFloor()
        self.office = Office(CONFIGURED, People(self.store.fault))
        self.office.people.known = {u.id: Account(u.id, u.name, u.display, u.role, HASH) for u in USERS.values()}
        ports = (self.store, self.desks, self.operations, self.web_callers, self.contacts, self.floor, self.reports)
        surface = Surface(*ports, self.office.configurator, pages, secure)
        self.app: FastAPI = create_app(surface)

    def client(self, **headers: str) -> httpx2.AsyncClient:
        """A client that talks to the application without a network."""
        transport = httpx2.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url="http://switchroom", headers=headers)

    @contextlib.asynccontextmanager
    async def logged_in(self, name: str = "supervisor") -> AsyncIterator[httpx2.AsyncClient]:
        """A program with a bearer token."""
        self.store.sessions[token_hash(name)] = USERS[name]
        async with self.client(authorization=f"Bearer {name}") as client:
            yield client

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """On a real port, for WebSockets and broken connections; gives HOST:PORT."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            config = uvicorn.Config(
                self.app, log_config=None, lifespan="off", ws_max_size=128 * 1024, timeout_graceful_shutdown=1
            )
            server = _Server(config)
            task = asyncio.create_task(server.serve([listening]), name="uvicorn")
            try:
                while not server.started:
                    await asyncio.sleep(0.005)
                yield f"127.0.0.1:{listening.getsockname()[1]}"
            finally:
                server.should_exit = True
                await task


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


async def token(client: httpx2.AsyncClient, name: str) -> str:
    """Log in; the token. No cookie stays."""
    answer = await client.post("/api/v1/login", json={"name": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    client.cookies.clear()
    return str(answer.json()["token"])
