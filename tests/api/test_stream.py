"""The event stream's WebSocket: who may, where it begins, and how it ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from api.channel import WHOLE, Happened, Place
from api.errors import ApiError
from api.routes import stream
from tests.api.surface import World
from tests.api.test_sockets import closing, opened, said, with_sessions

pytestmark = pytest.mark.layer

STREAM = "/api/v1/stream"


def item(number: int, **fields: Any) -> Happened:
    return Happened(Place(2, number, 0), 1.5, "assigned", {"contact": "c1", **fields})


async def test_what_happens_is_told_as_it_happens_and_from_any_place() -> None:
    world = with_sessions()
    world.contacts.items = [item(1), item(2)]
    async with world.served() as address:
        async with opened(address, "supervisor", STREAM) as socket:
            assert await said(socket) == {"id": "1.0", "at": 0.0, "type": "following"}
            assert await said(socket) == {"id": "2.1.0", "at": 1.5, "type": "assigned", "contact": "c1"}
            assert (await said(socket))["id"] == "2.2.0"
            world.contacts.items.append(item(3))
            world.contacts.more.set()
            assert (await said(socket))["id"] == "2.3.0"
        await asyncio.wait_for(world.contacts.left.wait(), 5)
        for after, first in (("2.1.0", "2.2.0"), ("2.2", "2.3.0"), ("0.0", "2.1.0")):
            async with opened(address, "agent1", f"{STREAM}?after={after}") as socket:
                assert (await said(socket), (await said(socket))["id"]) == (
                    {"id": after, "at": 0.0, "type": "following"},
                    first,
                )
    places = [place for _, place in world.contacts.followers]
    assert places == [None, Place(2, 1, 0), Place(2, 2, WHOLE), Place(0, 0, WHOLE)]
    assert [user for user, _ in world.contacts.followers] == ["s1", "a1", "a1", "a1"]


@pytest.mark.parametrize(
    ("name", "query", "code"),
    [
        ("unknown", "", 4401),
        ("supervisor", "?after=x", 4400),
        ("supervisor", "?after=-1.2", 4400),
        ("admin", "?after=1.2.3.4", 4400),
    ],
)
async def test_who_cannot_be_served_is_told_why(name: str, query: str, code: int) -> None:
    world = with_sessions()
    async with world.served() as address, opened(address, name, STREAM + query) as socket:
        got, reason = await closing(socket)
        assert (got, bool(reason)) == (code, True)
    assert world.contacts.followers == []


@pytest.mark.parametrize(("error", "code"), [((410, "gone"), 4410), ((503, "database-away"), 1013)])
async def test_the_end_of_the_log_s_story_has_a_code(error: tuple[int, str], code: int) -> None:
    world = with_sessions()
    world.contacts.end = ApiError(*error, "Too bad.")
    async with world.served() as address, opened(address, "supervisor", STREAM) as socket:
        assert await closing(socket) == (code, "Too bad.")


async def test_another_site_gets_no_stream() -> None:
    world = with_sessions()
    async with world.served() as address:
        with pytest.raises(InvalidStatus):
            async with opened(address, "supervisor", STREAM, origin="https://evil.example"):
                pass


async def test_the_stream_ends_with_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHECK_SECONDS", 0.05)
    world = with_sessions()
    async with world.served() as address, opened(address, "supervisor", STREAM) as socket:
        await said(socket)
        world.store.sessions.clear()
        world.app.state.guard._cache.clear()
        assert (await closing(socket))[0] == 4401


async def test_who_reads_nothing_is_cut_and_resumes_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SLOW_SECONDS", 0.3)
    world: World = with_sessions()
    world.contacts.items = [item(number, filler="x" * 60_000) for number in range(1, 401)]
    async with world.served() as address:
        headers = {"authorization": "Bearer supervisor"}
        async with connect(f"ws://{address}{STREAM}", additional_headers=headers, compression=None, close_timeout=1) as socket:
            socket.transport.pause_reading()
            await asyncio.wait_for(world.contacts.left.wait(), 20)
            socket.transport.resume_reading()
            had = await _read(socket)
        assert socket.close_code in {4429, 1006, None}
        assert 0 < len(had) < 400
        async with opened(address, "supervisor", f"{STREAM}?after={had[-1]}") as socket:
            while len(had) < 400:
                message = await said(socket)
                if message["type"] != "following":
                    had.append(message["id"])
    assert had == [f"2.{number}.0" for number in range(1, 401)]


async def _read(socket: ClientConnection) -> list[str]:
    """The ids that can be had."""
    found: list[str] = []
    try:
        async with asyncio.timeout(10):
            async for text in socket:
                message = json.loads(text)
                if message["type"] != "following":
                    found.append(message["id"])
    except Exception:
        return found
    return found
