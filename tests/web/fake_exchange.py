"""An exchange for developing and testing the pages: their HTTP and WebSocket interface, softphones answered by aiortc.

It is a development tool and no part of the product: its agents and calls are scripted. `python tests/web/fake_exchange.py
--port 8080` serves `web/dist`, and the API for `npm run dev` as well; log in as agent1, supervisor or admin with any password
but `wrong`; an available agent is offered a call after a few seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fractions
import itertools
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import uvicorn
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from fake_records import QUEUES, RATE, USERS, contacts, peaks, recordings, write_ogg
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, JSONResponse, Response

DIST = Path(__file__).parents[2] / "web" / "dist"
CSP = "default-src 'self'; style-src 'self' 'unsafe-inline'; media-src 'self' blob:; connect-src 'self' ws: wss:"
COOKIE = "switchroom"
IDLE_CODES = [{"code": "break", "name": "Break"}, {"code": "training", "name": "Training"}, {"code": "lunch", "name": "Lunch"}]
WRAP_UP_CODES = [
    {"code": "order", "name": "Order"},
    {"code": "question", "name": "Question answered"},
    {"code": "complaint", "name": "Complaint"},
]


class ToneTrack(MediaStreamTrack):
    """A steady tone, paced by the wall clock."""

    kind = "audio"

    def __init__(self, frequency: float) -> None:
        super().__init__()
        self._frequency = frequency
        self._samples = 0
        self._started = 0.0

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        if self._samples == 0:
            self._started = loop.time()
        await asyncio.sleep(max(0.0, self._started + self._samples / RATE - loop.time()))
        times = (np.arange(960) + self._samples) / RATE
        pcm = (0.25 * 32767 * np.sin(2 * np.pi * self._frequency * times)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = self._samples
        frame.time_base = fractions.Fraction(1, RATE)
        self._samples += 960
        return frame


@dataclass
class Tab:
    """One page of an agent: its WebSocket and its softphone."""

    socket: WebSocket
    softphone: str = "none"
    connection: RTCPeerConnection | None = None


@dataclass
class FakeDesk:
    """One agent's desk: the snapshot without its softphone and time, and the pages that show it."""

    picture: dict[str, Any]
    tabs: list[Tab] = field(default_factory=list)
    commands: list[dict[str, Any]] = field(default_factory=list)
    digits: str = ""
    heard: bytearray = field(default_factory=bytearray)

    def microphone_tone(self) -> float:
        """Hz of the strongest tone in the last half second that came from the browser; 0 for silence or too little sound."""
        pcm = np.frombuffer(bytes(self.heard[-RATE:]), dtype=np.int16).astype(float)
        if len(pcm) < RATE // 2 or np.sqrt(np.mean(pcm**2)) < 50:
            return 0.0
        return float(np.argmax(np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))) * RATE / len(pcm))


class Refusal(Exception):
    """A command that is not done."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class FakeExchange:
    """Scripted desks and lists behind the real pages."""

    def __init__(self, folder: Path, tone: float = 440.0) -> None:
        self.desks: dict[str, FakeDesk] = {}
        self.changed = asyncio.Condition()
        self.tone = tone
        self.refuse: set[str] = set()
        self.unhappy_lists = False
        self._sessions: dict[str, dict[str, Any]] = {}
        self._ids = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self.audio = folder / "recording.ogg"
        self.recordings = recordings()
        self.contacts = contacts()
        self.app = self._routes()

    # --- for tests and for the script ---------------------------------------------------------------------------

    async def wait(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until something that a page does has made the condition true."""
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(condition)

    def desk(self, name: str) -> FakeDesk:
        user = USERS[name]
        if name not in self.desks:
            agent = {k: user[k] for k in ("id", "name", "display")} | {"state": "idle", "code": "break", "since": time.time()}
            self.desks[name] = FakeDesk(
                {
                    "type": "desk",
                    "agent": agent | {"next": None},
                    "offer": None,
                    "contact": None,
                    "wrap_up": None,
                    "conversations": [],
                    "broadcasts": [],
                    "idle_codes": IDLE_CODES,
                    "queues": [QUEUES[0] | {"waiting": 3}, QUEUES[1] | {"waiting": 0}],
                }
            )
        return self.desks[name]

    async def change(self, name: str, **changes: Any) -> None:
        """Change parts of an agent's picture and show it; `state` is the agent's."""
        desk = self.desk(name)
        state = changes.pop("state", None)
        if state is not None:
            desk.picture["agent"] = desk.picture["agent"] | {
                "state": state,
                "code": changes.pop("code", None),
                "since": time.time(),
            }
        desk.picture.update(changes)
        await self.show(desk)

    async def offer(self, name: str, seconds: float = 20.0) -> None:
        number = next(self._ids)
        offer = {"id": f"o{number}", "contact": f"c{number}", "queue": "q-sales", "queue_name": "Sales", "ani": "+49 30 901820"}
        await self.change(
            name, state="reserved", offer=offer | {"waited": 42, "deadline": time.time() + seconds, "channel": "voice"}
        )

    async def hang_up(self, name: str) -> None:
        contact = self.desk(name).picture["contact"]
        wrap_up = {"contact": contact["id"], "deadline": time.time() + 60, "codes": WRAP_UP_CODES, "extensions": 0}
        await self.change(name, state="wrap-up", contact=contact | {"state": "ended"}, wrap_up=wrap_up)

    async def show(self, desk: FakeDesk) -> None:
        for tab in list(desk.tabs):
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await tab.socket.send_json(desk.picture | {"softphone": {"state": tab.softphone}, "time": time.time()})
        async with self.changed:
            self.changed.notify_all()

    def end_sessions(self) -> None:
        self._sessions.clear()

    async def cut(self, name: str) -> None:
        """Close the WebSockets of an agent's pages, as a dying exchange would."""
        for tab in list(self.desk(name).tabs):
            await tab.socket.close(1012)

    async def close(self) -> None:
        for desk in self.desks.values():
            for tab in desk.tabs:
                if tab.connection is not None:
                    await tab.connection.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- the desk's WebSocket -----------------------------------------------------------------------------------

    async def _desk_socket(self, socket: WebSocket) -> None:
        user = self._sessions.get(socket.cookies.get(COOKIE, ""))
        if user is None or "desk" in self.refuse:
            await socket.close(4401)
            return
        await socket.accept()
        desk = self.desk(user["name"])
        tab = Tab(socket)
        desk.tabs.append(tab)
        await self.show(desk)
        try:
            while True:
                await self._command(desk, tab, await socket.receive_json())
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            desk.tabs.remove(tab)
            if tab.connection is not None:
                await tab.connection.close()
            async with self.changed:
                self.changed.notify_all()

    async def _command(self, desk: FakeDesk, tab: Tab, message: dict[str, Any]) -> None:
        desk.commands.append(message)
        reply: dict[str, Any] = {"type": "reply", "id": message["id"]}
        try:
            if message["type"] in self.refuse:
                raise Refusal("refused", f"The exchange refuses {message['type']} now.")
            result = await self._do(desk, tab, message)
            reply |= {"ok": True, "result": result or {}}
        except Refusal as refusal:
            reply |= {"ok": False, "error": {"code": refusal.code, "message": str(refusal)}}
        await tab.socket.send_json(reply)
        if message["type"] != "ping":
            await self.show(desk)

    async def _do(self, desk: FakeDesk, tab: Tab, message: dict[str, Any]) -> dict[str, Any] | None:
        picture = desk.picture
        name = picture["agent"]["name"]
        contact = picture["contact"]
        match message["type"]:
            case "softphone":
                return await self._softphone(desk, tab, message["sdp"])
            case "set_state":
                if contact is not None or picture["wrap_up"] is not None:
                    picture["agent"] |= {"next": {"state": message["state"], "code": message.get("code")}}
                else:
                    await self.change(name, state=message["state"], code=message.get("code"))
            case "accept":
                offer = picture["offer"]
                if offer is None or offer["id"] != message["offer"]:
                    raise Refusal("offer-gone", "This offer is no longer yours.")
                contact = {k: offer[k] for k in ("ani", "queue", "queue_name")} | {"id": offer["contact"], "dnis": "5000"}
                contact |= {"state": "talking", "since": time.time(), "held": False, "muted": False, "recording": "on"}
                await self.change(
                    name, state="engaged", offer=None, contact=contact | {"cad": {"menu": "sales", "language": "en"}}
                )
            case "decline":
                await self.change(name, state="idle", code="break", offer=None)
            case "hold":
                picture["contact"] = contact | {"held": message["on"]}
            case "mute":
                picture["contact"] = contact | {"muted": message["on"]}
            case "record":
                picture["contact"] = contact | {"recording": "on" if message["on"] else "paused"}
            case "digits":
                desk.digits += message["digits"]
            case "hang_up":
                await self.hang_up(name)
            case "wrap_up":
                await self.change(name, state="available", wrap_up=None, contact=None)
            case "log_out":
                await self.change(name, state="logged-out")
        return None

    async def _softphone(self, desk: FakeDesk, tab: Tab, sdp: str) -> dict[str, Any]:
        for other in desk.tabs:
            if other is not tab and other.connection is not None:
                await other.connection.close()
                other.connection, other.softphone = None, "replaced"
        if tab.connection is not None:
            await tab.connection.close()
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        tab.connection, tab.softphone = connection, "connecting"

        @connection.on("track")
        def _track(track: MediaStreamTrack) -> None:
            task = asyncio.get_running_loop().create_task(self._listen(desk, track))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        @connection.on("connectionstatechange")
        async def _state() -> None:
            if connection is tab.connection and connection.connectionState == "connected":
                tab.softphone = "ready"
                await self.show(desk)

        await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        connection.addTrack(ToneTrack(self.tone))
        await connection.setLocalDescription(await connection.createAnswer())
        return {"sdp": connection.localDescription.sdp}

    async def _listen(self, desk: FakeDesk, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                desk.heard += frame.to_ndarray().reshape(-1)[:: len(frame.layout.channels)].tobytes()
                del desk.heard[: -RATE * 4]
                if self.changed.locked():
                    continue
                async with self.changed:
                    self.changed.notify_all()

    # --- HTTP ---------------------------------------------------------------------------------------------------

    def _routes(self) -> FastAPI:
        app = FastAPI(openapi_url=None)

        @app.middleware("http")
        async def secure(request: Request, call_next: Any) -> Response:
            path = request.url.path
            guarded = path.startswith("/api/") and path != "/api/v1/login"
            if guarded and request.cookies.get(COOKIE, "") not in self._sessions:
                return _error(401, "not-logged-in", "Please log in.")
            if request.method != "GET" and request.headers.get("x-requested-with") != "switchroom":
                return _error(403, "forged", "This request did not come from a page of ours.")
            response: Response = await call_next(request)
            response.headers["Content-Security-Policy"] = CSP
            return response

        app.post("/api/v1/login")(self._login)
        app.post("/api/v1/logout")(self._logout)

        @app.get("/api/v1/me")
        async def me(request: Request) -> Any:
            return self._sessions[request.cookies[COOKIE]]

        @app.get("/api/v1/ice")
        async def ice() -> Any:
            return {"ice_servers": []}

        @app.get("/api/v1/queues")
        async def queues() -> Any:
            return {"items": QUEUES}

        @app.get("/api/v1/agents")
        async def agents() -> Any:
            return {"items": [{k: USERS[n][k] for k in ("id", "name", "display")} for n in ("agent1", "agent2")]}

        @app.get("/api/v1/contacts")
        async def list_contacts(request: Request) -> Any:
            return self._page(request, self.contacts, "arrived")

        @app.get("/api/v1/recordings")
        async def list_recordings(request: Request) -> Any:
            return self._page(request, self.recordings, "started")

        @app.get("/api/v1/recordings/{id}")
        async def one_recording(id: str) -> Any:
            item = next((r for r in self.recordings if r["id"] == id), None)
            if item is None:
                return _error(404, "no-recording", "There is no such recording.")
            return item | peaks(item["seconds"], item["paused"])

        @app.get("/api/v1/recordings/{id}/audio")
        async def audio(id: str, download: int = 0) -> Response:
            await asyncio.to_thread(write_ogg, self.audio)
            return FileResponse(self.audio, media_type="audio/ogg", filename=f"{id}.ogg" if download else None)

        app.websocket("/api/v1/desk")(self._desk_socket)

        @app.get("/{path:path}")
        async def page(path: str) -> Response:
            file = (DIST / path).resolve()
            if path and file.is_file() and file.is_relative_to(DIST):
                return FileResponse(file)
            return FileResponse(DIST / "index.html")

        return app

    async def _login(self, request: Request) -> Response:
        body = await request.json()
        user = USERS.get(body["name"])
        if user is None or body["password"] == "wrong":
            return _error(401, "bad-password", "Name or password is wrong.")
        token = secrets.token_hex(16)
        self._sessions[token] = user
        response = JSONResponse({"token": token, "user": user})
        response.set_cookie(COOKIE, token, httponly=True, samesite="strict")
        return response

    async def _logout(self, request: Request) -> Response:
        self._sessions.pop(request.cookies[COOKIE])
        return Response(status_code=204)

    def _page(self, request: Request, items: list[dict[str, Any]], when: str) -> Any:
        if self.unhappy_lists:
            return _error(500, "broken", "The database does not answer.")
        asked = request.query_params
        found = [
            item
            for item in items
            if all(item[name] == asked[name] for name in ("agent", "queue", "final") if name in asked and name in item)
            and asked.get("number", "").replace(" ", "") in (item["ani"] or "").replace(" ", "")
            and asked.get("from", "") <= item[when] <= asked.get("to", "9")
            and item[when] < asked.get("before", "9")
        ]
        limit = int(asked.get("limit", 50))
        return {"items": found[:limit], "next": found[limit - 1][when] if len(found) > limit else None}


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)


@contextlib.asynccontextmanager
async def served(exchange: FakeExchange, port: int = 0) -> AsyncIterator[str]:
    """Serve it on loopback; gives the pages' address."""
    config = uvicorn.Config(
        exchange.app, host="127.0.0.1", port=port, log_level="warning", lifespan="off", ws="websockets-sansio"
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.get_running_loop().create_task(server.serve())
    while not server.started:
        if task.done():
            task.result()
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await task
        await exchange.close()


async def _script(exchange: FakeExchange) -> None:
    """Offer a call to each agent who has been available for four seconds; withdraw it when its time is over."""
    while True:
        await asyncio.sleep(1)
        for name, desk in list(exchange.desks.items()):
            agent, offer = desk.picture["agent"], desk.picture["offer"]
            if agent["state"] == "available" and time.time() - agent["since"] > 4:
                await exchange.offer(name)
            elif offer is not None and time.time() > offer["deadline"]:
                await exchange.change(name, state="not-responding", offer=None)


async def _main(port: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        exchange = FakeExchange(Path(folder))
        async with served(exchange, port) as address:
            print(f"The pages with a scripted exchange: {address}")
            await _script(exchange)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A scripted exchange for developing the pages.")
    parser.add_argument("--port", type=int, default=8080)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(parser.parse_args().port))
