"""Connections that cost more than they may: too long, too slow, too many, or never reading what they asked for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import uvicorn

from exchange.brain.visitors import VisitorLimits
from exchange.brain.web import Web

pytestmark = pytest.mark.layer

SHORT = VisitorLimits(head_seconds=0.3, body_seconds=0.3, unread_seconds=0.3)
LONG = VisitorLimits()
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
BYE = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
UPGRADE = b"GET /%s HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n%s\r\n"
KEY = b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n"
HUGE = 64 * 2**20


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Says how long the body was, sends a huge answer to /huge, and has a WebSocket that says nothing, or a lot to /huge."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        with contextlib.suppress(Exception):
            while scope["path"] == "/huge":
                await send({"type": "websocket.send", "bytes": bytes(65536)})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = bytes(HUGE) if scope["path"] == "/huge" else f"{size} bytes".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def serving(limits: VisitorLimits) -> AsyncIterator[tuple[int, Web]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_config=None, lifespan="off", timeout_keep_alive=60, timeout_graceful_shutdown=1
    )
    server = Web(config, limits=limits)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield port, server
    finally:
        server.should_exit = True
        await task


async def said(port: int, *parts: bytes, gap: float = 0.05) -> bytes:
    """What comes back, to the connection's end, while these parts are sent one after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def speak() -> None:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(gap)

    speaking = asyncio.create_task(speak())
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        speaking.cancel()
        writer.close()


def code(answer: bytes) -> tuple[int, str]:
    """Status and error code."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), str(json.loads(body)["error"]["code"])


async def test_a_head_without_end_is_431() -> None:
    endless: dict[str, tuple[bytes, ...]] = {
        "one value": (b"GET / HTTP/1.1\r\nx: ", *[b"a" * 16_000] * 4),
        "at once": (b"GET / HTTP/1.1\r\nx: " + b"a" * 40_000 + b"\r\n\r\n",),
        "path": (b"GET /" + b"a" * 40_000,),
        "lines": (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",),
        "lines, one by one": (b"GET / HTTP/1.1\r\n", *[b"a: b\r\n"] * 150),
        "upgrade": (UPGRADE % (b"", KEY + b"x: y\r\n" * 150),),
    }
    async with serving(LONG) as (port, _):
        for what, parts in endless.items():
            assert code(await said(port, *parts, gap=0.0)) == (431, "too-large"), what
        assert (await said(port, BYE)).endswith(b"0 bytes")


async def test_what_is_no_request_is_400_and_not_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    heads = [b"\xff" * 50, b"GET / HTTP/9.9\r\n\r\n", b"CONNECT x HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", b"{}\r\n\r\n"]
    # These the parser passes, and the library behind it would leave the connection open without a word.
    for more in (b"x: " + b"y" * 9_000 + b"\r\n", b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n"):
        heads.append(UPGRADE % (b"", KEY + more))
    async with serving(LONG) as (port, _):
        with caplog.at_level(logging.WARNING):
            for head in heads:
                assert code(await said(port, head)) == (400, "invalid"), head
            answer = await said(port, UPGRADE % (b"", KEY), b"\x81\x82\x00\x00\x00\x00\xff\xfe")
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert (1007).to_bytes(2, "big") in answer
    assert not caplog.records


async def test_who_drips_gets_408_and_who_is_silent_nothing(caplog: pytest.LogCaptureFixture) -> None:
    dripping: dict[str, tuple[bytes, ...]] = {
        "head": (b"GET / HTTP/1.1\r\n", *[b"a: b\r\n"] * 20),
        "body": (b"POST / HTTP/1.1\r\ncontent-length: 100\r\n\r\n", *[b"x"] * 20),
        "no body": (b"POST / HTTP/1.1\r\ncontent-length: 100\r\n\r\n",),
        "chunks": (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    }
    async with serving(SHORT) as (port, server):
        with caplog.at_level(logging.WARNING):
            answers = await asyncio.gather(said(port), *(said(port, *parts) for parts in dripping.values()))
            await empty(server)
    assert answers[0] == b""
    for what, answer in zip(dripping, answers[1:], strict=True):
        assert code(answer) == (408, "too-slow"), what
    assert not caplog.records


async def test_a_connection_serves_many_requests_and_its_next_head_is_due_too() -> None:
    async with serving(SHORT) as (port, _):
        answer = await said(port, GET + GET, b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nhel", b"lo", GET, b"\r\n", b"GET")
        assert answer.count(b"HTTP/1.1 200 OK") == 4
        assert b"5 bytes" in answer
        assert b"HTTP/1.1 408 " in answer


async def test_at_a_full_door_who_was_silent_for_longest_makes_room() -> None:
    async with serving(replace(LONG, waiting=20)) as (port, server):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]
        async with asyncio.timeout(5):
            assert await silent[0][0].read() == b""  # let go
        assert (await said(port, BYE)).endswith(b"0 bytes")
        silent[-1][1].write(GET)
        assert await asyncio.wait_for(silent[-1][0].readline(), 5) == b"HTTP/1.1 200 OK\r\n"
        assert len(server.server_state.connections) <= 21
        for _, writer in silent:
            writer.close()


async def test_who_never_reads_is_let_go() -> None:
    async with serving(SHORT) as (port, server):
        for head in (b"GET /huge HTTP/1.1\r\nhost: x\r\n\r\n", UPGRADE % (b"huge", KEY)):
            with socket.create_connection(("127.0.0.1", port)) as deaf:
                deaf.sendall(head)
                await somebody(server)
                await empty(server)


async def test_a_websocket_that_answers_no_ping_does_not_stay_for_what_it_will_never_read() -> None:
    async with serving(SHORT) as (port, server):
        server.config.ws_ping_interval = server.config.ws_ping_timeout = 0.1
        with socket.create_connection(("127.0.0.1", port)) as deaf:
            deaf.sendall(UPGRADE % (b"", KEY))
            transport = (await somebody(server)).transport
            while not transport.get_write_buffer_size():
                transport.write(bytes(4096))
            await empty(server)


async def somebody(server: Web) -> Any:
    """Wait for a connection."""
    async with asyncio.timeout(10):
        while not server.server_state.connections:
            await asyncio.sleep(0.01)
    return next(iter(server.server_state.connections))


async def empty(server: Web) -> None:
    """Wait until nobody is connected."""
    async with asyncio.timeout(10):
        while server.server_state.connections:
            await asyncio.sleep(0.01)
