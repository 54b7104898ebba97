"""The WebSockets of agents' desks and of web callers: who may open one, what may be said, and how each ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from api.auth import token_hash
from api.errors import ApiError
from api.routes import desk
from tests.api.surface import USERS, ScriptedSession, World

pytestmark = pytest.mark.layer

DESK = "/api/v1/desk"
WEB_CALL = "/api/v1/web-call"


@contextlib.asynccontextmanager
async def opened(address: str, name: str = "agent1", path: str = DESK, **headers: str) -> AsyncIterator[ClientConnection]:
    headers.setdefault("authorization", f"Bearer {name}")
    async with connect(f"ws://{address}{path}", additional_headers=headers, close_timeout=1) as socket:
        yield socket


def with_sessions() -> World:
    world = World()
    world.store.sessions = {token_hash(name): user for name, user in USERS.items()}
    return world


async def said(socket: ClientConnection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 5))
    return found


async def closing(socket: ClientConnection) -> tuple[int, str]:
    """The close code and reason, whatever is sent before it."""
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.recv()
        await socket.wait_closed()
    return socket.close_code or 0, socket.close_reason or ""


async def over(session: ScriptedSession) -> None:
    await asyncio.wait_for(session.closed.wait(), 5)


async def test_a_page_may_have_a_name() -> None:
    world = with_sessions()
    async with world.served() as address:
        for path in (DESK, f"{DESK}?page=a1b2", f"{DESK}?page={'x' * 5000}"):
            async with opened(address, path=path) as socket:
                await said(socket)
    assert world.desks.pages == ["", "a1b2", "x" * 64]


async def test_a_desk_opens_answers_and_ends() -> None:
    world = with_sessions()
    async with world.served() as address:
        async with opened(address) as socket:
            assert await said(socket) == {"type": "desk", "n": 0}
            await socket.send('{"type": "ping", "id": "p-1"}')
            assert await said(socket) == {"type": "reply", "id": "p-1", "ok": True, "result": {}}
            await socket.send('{"type": "hold", "id": 2, "on": true}')
            refused = {"code": "refused", "message": "Not now."}
            assert await said(socket) == {"type": "reply", "id": 2, "ok": False, "error": refused}
        await over(world.desks.sessions[0])
    assert world.desks.sessions[0].asked == [
        ("ping", {"type": "ping", "id": "p-1"}),
        ("hold", {"type": "hold", "id": 2, "on": True}),
    ]


@pytest.mark.parametrize(("name", "code"), [("unknown", 4401), ("supervisor", 4403)])
async def test_who_has_no_desk_is_told_so(name: str, code: int) -> None:
    world = with_sessions()
    async with world.served() as address, opened(address, name) as socket:
        got, reason = await closing(socket)
        assert (got, bool(reason)) == (code, True)
    assert world.desks.sessions == []


async def test_an_exchange_that_starts_anew_asks_to_come_again() -> None:
    world = with_sessions()
    world.desks.refusal = ApiError(409, "restarting", "Please try again in a moment.")
    async with world.served() as address, opened(address) as socket:
        assert (await closing(socket))[0] == 1013
        world.store.away = True
    async with world.served() as address, opened(address, "unknown") as socket:
        assert (await closing(socket))[0] == 1013


@pytest.mark.parametrize("path", [DESK, WEB_CALL])
async def test_another_site_gets_no_socket(path: str) -> None:
    world = with_sessions()
    async with world.served() as address:
        for origin in ("https://evil.example", "null", "http://["):
            with pytest.raises(InvalidStatus):
                async with opened(address, path=path, origin=origin):
                    pass
        async with opened(address, path=path, origin=f"http://{address}") as socket:
            assert (await said(socket))["type"] == "desk"


async def test_an_unknown_socket_is_refused() -> None:
    async with World().served() as address:
        with pytest.raises(InvalidStatus):
            async with opened(address, path="/api/v1/none"):
                pass


async def test_anybody_may_call_from_the_web() -> None:
    world = World()
    async with world.served() as address, opened(address, "", WEB_CALL) as socket:
        await socket.send('{"type": "ping", "id": 1}')
        assert (await said(socket))["type"] == "desk"
        assert (await said(socket))["ok"]
        assert world.web_callers.sessions[0].user == "127.0.0.1"
    assert world.desks.sessions == []


async def test_who_closes_a_socket_means_it_and_who_loses_it_does_not() -> None:
    world = World()
    async with world.served() as address:
        for code, meant in ((1000, True), (1001, True), (1006, False), (3000, False)):
            async with opened(address, "", WEB_CALL) as socket:
                await said(socket)
                if code == 1006:
                    socket.transport.abort()
                else:
                    await socket.close(code)
            session = world.web_callers.sessions[-1]
            await over(session)
            assert session.meant is meant, code


async def test_a_handshake_holds_nothing_up_and_many_are_refused() -> None:
    world = with_sessions()
    async with world.served() as address, opened(address) as socket:
        await said(socket)
        for n in range(desk.MOST_HANDSHAKES + 1):
            await socket.send(json.dumps({"type": "softphone", "id": n, "sdp": "v=0"}))
        refused = await said(socket)
        assert (refused["id"], refused["error"]["code"]) == (desk.MOST_HANDSHAKES, "too-many-handshakes")
        await socket.send('{"type": "ping", "id": "p"}')
        assert (await said(socket))["id"] == "p"
        world.desks.sessions[0].let_go.set()
        assert {(await said(socket))["id"] for _ in range(desk.MOST_HANDSHAKES)} == set(range(desk.MOST_HANDSHAKES))
        await socket.send(json.dumps({"type": "softphone", "id": "again", "sdp": "v=0"}))
        assert (await said(socket))["ok"]


async def test_a_page_that_leaves_in_its_handshake_is_gone_at_once() -> None:
    world = with_sessions()
    async with world.served() as address:
        async with opened(address) as socket:
            await socket.send('{"type": "softphone", "id": 1, "sdp": "v=0"}')
            await said(socket)
            session = world.desks.sessions[0]
            await session.came.wait()
        await over(session)
        session.let_go.set()


async def test_a_silent_page_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "IDLE_SECONDS", 0.05)
    world = with_sessions()
    async with world.served() as address, opened(address) as socket:
        assert await closing(socket) == (4408, "no ping for too long")
        await over(world.desks.sessions[0])


async def test_bytes_are_not_our_language() -> None:
    world = with_sessions()
    async with world.served() as address, opened(address) as socket:
        await socket.send(b'{"type": "ping", "id": 1}')
        assert (await closing(socket))[0] == 1003
        await over(world.desks.sessions[0])


async def test_a_message_over_the_limit_ends_the_socket() -> None:
    world = with_sessions()
    async with world.served() as address, opened(address) as socket:
        await socket.send("x" * (129 * 1024))
        assert (await closing(socket))[0] == 1009
        await over(world.desks.sessions[0])


async def test_the_socket_ends_with_the_session() -> None:
    world = with_sessions()
    async with world.served() as address, opened(address) as socket:
        await said(socket)
        async with world.client(authorization="Bearer agent1") as client:
            assert (await client.post("/api/v1/logout")).status_code == 204
        await socket.send('{"type": "ping", "id": 1}')
        assert (await closing(socket))[0] == 4401
        await over(world.desks.sessions[0])


async def test_a_database_that_is_away_ends_no_desk() -> None:
    world = with_sessions()
    async with world.served() as address, opened(address) as socket:
        await said(socket)
        world.store.away = True
        world.app.state.guard._cache.clear()
        await socket.send('{"type": "ping", "id": 1}')
        assert (await said(socket))["ok"]


async def test_an_accident_in_one_desk_is_no_other_desks_matter() -> None:
    world = with_sessions()
    async with world.served() as address, opened(address) as first, opened(address) as second:
        await said(first)
        await said(second)

        async def broken(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
            raise KeyError(kind)

        world.desks.sessions[0].handle = broken  # type: ignore[method-assign]
        await first.send('{"type": "ping", "id": 1}')
        await over(world.desks.sessions[0])
        await second.send('{"type": "ping", "id": 2}')
        assert (await said(second))["ok"]


async def test_who_reads_nothing_is_cut_off_and_costs_little() -> None:
    """Answers of 60 kB are asked for until the socket is full, and on."""
    world = with_sessions()
    async with world.served() as address:
        host, port = address.split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(
            f"GET {DESK} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer agent1\r\nupgrade: websocket\r\n"
            "connection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        await world.desks.opened.wait()
        session = world.desks.sessions[0]
        text = b'{"type":"big","id":1}'
        frame = bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text  # masked with zeros
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(10):
                while not session.closed.is_set():
                    writer.write(frame * 20)
                    await writer.drain()
                    await asyncio.sleep(0.001)
        await over(session)
        assert desk.MOST_UNSENT < len(session.asked) < 4 * desk.MOST_UNSENT
        writer.transport.abort()
        del reader


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)
STRANGE = [
    "",
    "null",
    "[]",
    "[" * 20_000,
    '{"type": "\\ud800", "id": 1}',
    '{"type": "x", "id": "\\udfff"}',
    '{"type":"x","type":1}',
    '{"type": "x", "id": 123456789012345678901234567890}',
    "\0",
]
FIELDS = st.dictionaries(st.text(max_size=5), JSON, max_size=3)
NEARLY = st.builds(lambda kind, id, rest: json.dumps({**rest, "type": kind, "id": id}), JSON, JSON, FIELDS)
MESSAGES = st.one_of(st.text(max_size=80), JSON.map(json.dumps), NEARLY, st.sampled_from(STRANGE))


@settings(max_examples=12, deadline=None)
@given(st.lists(MESSAGES, min_size=20, max_size=60))
async def test_nothing_that_is_said_breaks_the_desk(messages: list[str]) -> None:
    world = with_sessions()
    async with world.served() as address, opened(address) as socket:
        await said(socket)
        for text in messages:
            await socket.send(text)
            answer = await said(socket)
            assert answer["type"] == "reply"
            assert answer["ok"] or answer["error"]["code"] in {"invalid", "refused"}
        await socket.send('{"type": "ping", "id": "still here"}')
        assert await said(socket) == {"type": "reply", "id": "still here", "ok": True, "result": {}}
