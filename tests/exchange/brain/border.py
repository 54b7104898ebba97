"""The real exchange inside, behind the real HTTP interface, without a network between."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx2
import msgspec
from fastapi import FastAPI

from acd.model import AgentConfig, ChannelCapacity, ProfileConfig
from api.app import create_app
from api.auth import token_hash
from api.models import User
from api.ports import Configuration, Operations, Reports, Surface
from tests.api.surface import MemoryStore, ScriptedOperations
from tests.exchange.brain.floor import Floor, Page, running_floor
from tests.exchange.brain.story import AGENTS, CONFIGURED

BLENDED = ProfileConfig(
    "blended",
    "A call and two chats",
    {"voice": ChannelCapacity(1, beside=("chat",)), "chat": ChannelCapacity(2, beside=("voice",))},
)
CONFIGURATION = msgspec.structs.replace(
    CONFIGURED, profiles=[BLENDED], agents=[AgentConfig(id, id.title(), profile="blended") for id in AGENTS]
)
CHAT: dict[str, Any] = {"channel": "chat", "entry_point": "chat", "customer": "jo@example.org", "name": "Jo"}


class Border:
    """A floor, and clients of its interface."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self._store = MemoryStore()
        self._apps: dict[int, FastAPI] = {}
        roles = {"agent1": "agent", "agent2": "agent", "supervisor": "supervisor", "other": "supervisor"}
        for name, role in roles.items():
            user = User.model_validate({"id": name, "name": name, "display": name.title(), "role": role})
            self._store.sessions[token_hash(name)] = user

    def user(self, name: str) -> User:
        return self._store.sessions[token_hash(name)]

    def _app(self) -> FastAPI:
        """Over the exchange of the moment."""
        floor = self.floor
        if id(floor.doors) not in self._apps:
            operations = cast(Operations, ScriptedOperations())
            surface = Surface(
                store=self._store,
                desks=floor.exchange.desks,
                operations=operations,
                web_callers=floor.web_calls,
                contacts=floor.doors.contacts,
                floor=floor.doors.floor,
                reports=cast(Reports, None),
                configuration=cast(Configuration, None),
                pages=None,
                secure_cookies=False,
            )
            self._apps = {id(floor.doors): create_app(surface)}
        return self._apps[id(floor.doors)]

    async def ask(self, method: str, path: str, body: Any = None, *, by: str = "supervisor", key: str = "") -> tuple[int, Any]:
        """Status and body; for an error its code and sentence."""
        headers = {"authorization": f"Bearer {by}", **({"idempotency-key": key} if key else {})}
        transport = httpx2.ASGITransport(self._app(), raise_app_exceptions=True)
        async with httpx2.AsyncClient(transport=transport, base_url="http://switchroom", headers=headers) as client:
            answer = await client.request(method, f"/api/v1{path}", json=body)
        found = answer.json()
        return answer.status_code, found["error"]["code"] if answer.status_code >= 400 else found

    async def post(self, path: str, body: Any = None, **rest: str) -> tuple[int, Any]:
        return await self.ask("POST", path, body, **rest)

    async def chat(self, **fields: Any) -> str:
        """A new contact of the channel chat; its id."""
        status, body = await self.post("/contacts", {**CHAT, **fields})
        assert status == 201, body
        return str(body["id"])

    async def now(self, contact: str) -> dict[str, Any]:
        status, body = await self.ask("GET", f"/contacts/{contact}/now")
        assert status == 200, body
        return dict(body)

    async def state(self, contact: str) -> str:
        return str((await self.now(contact))["state"])

    def final(self, contact: str) -> str | None:
        """How it ended."""
        rows = [row for row in self.floor.log.written("contact_ended") if row[0] == contact]
        assert len(rows) < 2
        return str(rows[0][2]) if rows else None

    async def page(self, agent: str = "agent1") -> Page:
        """An agent's page, available for what needs no softphone."""
        page = await self.floor.page(agent)
        await page.say("set_state", state="available")
        return page

    async def offered(self, page: Page) -> str:
        await page.until(lambda: page.now["offer"])
        return str(page.now["offer"]["id"])

    async def chatting(self, page: Page) -> str:
        """A contact that this agent has."""
        contact = await self.chat()
        offer = await self.offered(page)
        assert (await self.post(f"/offers/{offer}/accept", by=page.agent))[0] == 200
        await page.until(lambda: any(c["contact"] == contact for c in page.now["conversations"]))
        return contact


@contextlib.asynccontextmanager
async def running_border(**settings: Any) -> AsyncIterator[Border]:
    async with running_floor(configured=CONFIGURATION, **settings) as floor:
        yield Border(floor)
