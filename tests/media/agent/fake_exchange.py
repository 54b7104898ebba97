"""The exchange's side of the desk API, as small as the agent needs it, with a real desk card behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from media.control import desk
from media.control.client import ControlClient
from media.control.line import Quality
from tests.media.deskcard.far_ends import Bridge, Events

IDLE: dict[str, Any] = {
    "type": "desk",
    "agent": {"id": "a1", "name": "agent1", "display": "Ada", "state": "logged-out", "code": "", "since": 0, "next": None},
    "softphone": {"state": "none"},
    "offer": None,
    "contact": None,
    "wrap_up": None,
    "idle_codes": [],
    "queues": [],
    "time": 0,
}


class FakeExchange:
    """One agent's desk: a test makes offers and ends contacts, the agent's messages are kept."""

    def __init__(self, run: Path, control: ControlClient, events: Events) -> None:
        self.url = ""
        self.got: list[dict[str, Any]] = []
        self.picture = json.loads(json.dumps(IDLE))
        self.password = "right"
        self.bridges: list[Bridge] = []
        self.refuse: dict[str, str] = {}
        self._run, self._control, self._events = run, control, events
        self._socket: WebSocket | None = None
        self._connection = ""
        self._count = 0
        self._new = asyncio.Event()
        self.app = FastAPI()
        self.app.post("/api/v1/login")(self._login)
        self.app.get("/api/v1/ice")(self._ice)
        self.app.websocket("/api/v1/desk")(self._desk)

    async def _login(self, request: Request) -> JSONResponse:
        asked = await request.json()
        if asked["password"] != self.password:
            return JSONResponse({"error": {"code": "wrong-password", "message": "No."}}, 401)
        return JSONResponse({"token": "t0ken", "user": {"id": "a1"}})

    async def _ice(self) -> dict[str, Any]:
        return {"ice_servers": []}

    async def _desk(self, socket: WebSocket) -> None:
        if socket.headers.get("authorization") != "Bearer t0ken":
            await socket.close(4401)
            return
        await socket.accept()
        self._socket = socket
        await self.show()
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await self._answer(socket, await socket.receive_json())
        if self._socket is socket:
            self._socket = None

    async def _answer(self, socket: WebSocket, message: dict[str, Any]) -> None:
        self.got.append(message)
        self._new.set()
        kind, reply = message["type"], {"type": "reply", "id": message["id"], "ok": True, "result": {}}
        if kind in self.refuse:
            reply = {"type": "reply", "id": message["id"], "ok": False, "error": {"code": self.refuse[kind], "message": "No."}}
        elif kind == "softphone":
            reply["result"] = {"sdp": await self._softphone(message["sdp"])}
        elif kind == "set_state":
            self.picture["agent"]["state"] = message["state"]
        elif kind == "accept":
            await self._talk()
        elif kind == "wrap_up":
            self.picture["wrap_up"] = None
            self.picture["agent"]["state"] = "available"
        await socket.send_json(reply)
        await self.show()

    async def _softphone(self, sdp: str) -> str:
        self._count += 1
        self._connection = f"c{self._count}"
        answer = await self._control.command(desk.Connect(self._connection, "agent1", sdp), desk.Connected)
        self.picture["softphone"]["state"] = "ready"
        return answer.sdp

    async def _talk(self) -> None:
        offer, name = self.picture["offer"], f"p{len(self.bridges)}"
        bridge = Bridge(self._run / f"{name}-l", self._run / f"{name}-d", 16000, 440)
        self.bridges.append(bridge)
        await self._control.command(desk.Patch(self._connection, name, str(bridge.socket.peer), str(bridge.socket.own), 16000))
        self.picture["offer"] = None
        self.picture["contact"] = {"id": offer["contact"], "ani": "+491", "state": "talking", "held": False, "muted": False}

    # --- what a test does ------------------------------------------------------------------------------------------

    async def show(self) -> None:
        """Send the desk as it is."""
        if self._socket is not None:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await self._socket.send_json(self.picture)

    async def offer(self, contact: str) -> None:
        """Present a contact."""
        self.picture["offer"] = {"id": f"offer-{contact}", "contact": contact, "queue": "sales", "ani": "+491"}
        await self.show()

    async def end(self, *, wrap_up: bool = True) -> None:
        """The customer hangs up."""
        contact = self.picture["contact"]["id"]
        await self._control.command(desk.Unpatch(self._connection, f"p{len(self.bridges) - 1}"), Quality)
        self.bridges[-1].close()
        self.picture["contact"] = None
        if wrap_up:
            self.picture["wrap_up"] = {"contact": contact, "deadline": 0, "codes": [{"code": "sold", "name": "Sold"}]}
        await self.show()

    async def cut(self) -> None:
        """Break the WebSocket without a word."""
        if self._socket is not None:
            await self._socket.close(1011)

    async def message(self, kind: str, count: int = 1, timeout: float = 8.0) -> dict[str, Any]:
        """The `count`-th message of this kind."""
        async with asyncio.timeout(timeout):
            while True:
                found = [message for message in self.got if message["type"] == kind]
                if len(found) >= count:
                    return found[count - 1]
                self._new.clear()
                await self._new.wait()


class Log:
    """What the agent reported."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._new = asyncio.Event()

    def __call__(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        self._new.set()

    async def wait(self, wanted: Callable[[dict[str, Any]], bool] | str, timeout: float = 8.0) -> dict[str, Any]:
        """The first event that is wanted."""
        if isinstance(wanted, str):
            name = wanted
            wanted = lambda event: event["event"] == name  # noqa: E731
        async with asyncio.timeout(timeout):
            while True:
                for event in self.events:
                    if wanted(event):
                        return event
                self._new.clear()
                await self._new.wait()

    def names(self) -> list[str]:
        return [event["event"] for event in self.events]


@contextlib.asynccontextmanager
async def serving(exchange: FakeExchange) -> AsyncIterator[FakeExchange]:
    """The fake on a free port."""
    server = uvicorn.Server(uvicorn.Config(exchange.app, "127.0.0.1", 0, log_level="warning", lifespan="off"))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment,method-assign]
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    exchange.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield exchange
    finally:
        server.should_exit = True
        await task
        for bridge in exchange.bridges:
            bridge.close()
