"""The HTTPS port: what it serves, what it says to those who come without TLS, and that a renewed certificate is taken up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from exchange.brain.web import Tls, Web, plain_answer
from exchange.certificates import ensure_certificate

pytestmark = pytest.mark.layer

NAMES = ["localhost", "127.0.0.1"]


async def page(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The smallest application: tells how it was reached."""
    body = f"{scope['scheme']} {scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


class House:
    """A running server."""

    def __init__(self, port: int, tls: Tls, keys: Path) -> None:
        self.port = port
        self.tls = tls
        self.keys = keys

    def trusting(self) -> httpx2.AsyncClient:
        context = ssl.create_default_context(cafile=self.keys / "switchroom.crt")
        return httpx2.AsyncClient(base_url=f"https://localhost:{self.port}", verify=context, timeout=5)


@contextlib.asynccontextmanager
async def serving(keys: Path) -> AsyncIterator[House]:
    tls = Tls(*ensure_certificate(keys, NAMES))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    config = uvicorn.Config(page, host="127.0.0.1", port=port, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    server = Web(config, tls)
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield House(port, tls, keys)
    finally:
        server.should_exit = True
        await task
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
    assert {t.get_name() for t in asyncio.all_tasks()}.isdisjoint({"https door", "at the https door"})


async def test_pages_come_by_https(tmp_path: Path) -> None:
    async with serving(tmp_path) as house, house.trusting() as client:
        assert (await client.get("/health")).text == "https /health"
        assert (await client.get("/again")).text == "https /again"


async def test_plain_http_is_sent_on_to_the_same_page(tmp_path: Path) -> None:
    async with serving(tmp_path) as house, httpx2.AsyncClient(timeout=5) as plain:
        answer = await plain.get(f"http://localhost:{house.port}/desk?a=b")
        assert answer.status_code == 308
        assert answer.headers["location"] == f"https://localhost:{house.port}/desk?a=b"
        assert answer.headers["cache-control"] == "no-store"
        async with house.trusting() as client:
            assert (await client.get(answer.headers["location"])).text == "https /desk"


async def test_a_password_that_came_in_clear_is_refused_with_a_sentence(tmp_path: Path) -> None:
    async with serving(tmp_path) as house, httpx2.AsyncClient(timeout=5) as plain:
        answer = await plain.post(f"http://127.0.0.1:{house.port}/api/v1/login", json={"name": "a", "password": "b" * 100_000})
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "https-only"
        assert f"https://127.0.0.1:{house.port}" in answer.json()["error"]["message"]
        assert "location" not in answer.headers


@pytest.mark.parametrize("first", [b"", b"\x16", b"\x16\x03\x01\x02\x00" + os.urandom(600), b"\x00" * 9000, b"SSH-2.0-x\r\n"])
async def test_garbage_at_the_door_hurts_nobody(tmp_path: Path, first: bytes) -> None:
    async with serving(tmp_path) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(first)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 5)
        writer.close()
        async with house.trusting() as client:
            assert (await client.get("/")).status_code == 200


async def test_somebody_silent_at_the_door_holds_up_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        silent = [await asyncio.open_connection("127.0.0.1", house.port) for _ in range(50)]
        async with house.trusting() as client:
            assert (await client.get("/")).status_code == 200
        for _, writer in silent:
            writer.close()


async def test_a_renewed_certificate_is_shown_to_the_next_visitor(tmp_path: Path) -> None:
    async with serving(tmp_path) as house:
        assert not house.tls.look()
        before = await _shown(house.port)
        ensure_certificate(tmp_path, [*NAMES, "new.example"])
        assert house.tls.look()
        after = await _shown(house.port)
        assert after != before
        assert ssl.DER_cert_to_PEM_cert(after) == (tmp_path / "switchroom.crt").read_text()
        # Half a renewal changes nothing.
        (tmp_path / "switchroom.key").write_text("half")
        assert not house.tls.look()
        assert await _shown(house.port) == after


async def _shown(port: int) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(True)
    writer.close()
    return certificate


@given(st.binary(max_size=300))
def test_any_bytes_get_an_answer_of_one_piece(head: bytes) -> None:
    lines, _, body = plain_answer(head, ("127.0.0.1", 8443)).partition(b"\r\n\r\n")
    assert lines.startswith((b"HTTP/1.1 308 ", b"HTTP/1.1 400 "))
    assert f"content-length: {len(body)}".encode() in lines


@pytest.mark.parametrize("host", ["a b", "evil\u0000", "x/..", "[::1", "a:b", "user@evil"])
def test_a_host_that_is_none_is_not_repeated(host: str) -> None:
    answer = plain_answer(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), ("192.0.2.1", 8443))
    assert b"location: https://192.0.2.1:8443/\r\n" in answer
