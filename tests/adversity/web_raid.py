"""Raids on the HTTP port and its WebSockets: garbage, endless heads, connections that say nothing, messages by the thousand."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.adversity.pacing import paced

Address = tuple[str, int]
DESK, WEB_CALL = "/api/v1/desk", "/api/v1/web-call"
MEGABYTE = 2**20
LOGIN = b"POST /api/v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
DEEP = b"[" * 100_000
BAD_REQUESTS = {
    b"\xff" * 100 + b"\r\n\r\n": 400,
    b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n": 400,
    b"GET / HTTP/7.0\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5_000 + b"\r\n": 431,
    b"GET / HTTP/1.1\r\na: " + b"b" * 100_000: 431,
    LOGIN + b"content-length: -5\r\n\r\n": 400,
    LOGIN + b"content-length: 2000000\r\n\r\n": 413,
    LOGIN + b"transfer-encoding: chunked\r\n\r\nffffffff\r\n": 413,
    LOGIN + b"content-length: 100000\r\n\r\n" + DEEP: 400,
    LOGIN + b"content-length: 4\r\n\r\n\xff\xfe\xfd\xfc": 422,
    LOGIN + b"content-length: 2\r\n\r\n[]": 422,
    b"GET /api/v1/recordings HTTP/1.1\r\nhost: x\r\nauthorization: bearer \xe9\xff\r\n\r\n": 401,
    b"GET /api/v1/desk HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\ncontent-length: 3\r\n\r\nabc": 400,
}
"""What is sent, and the status that it gets."""

ODD_TEXTS = (
    *(
        "",
        "null",
        "7",
        '"x"',
        "[]",
        "{}",
        "not JSON",
        '{"type": 5}',
        '{"type": "ping", "id": {}}',
        "[" * 60_000,
        '{"a":' * 20_000,
    ),
    *(
        '{"type": "\\ud800"}',
        '{"type": "ping", "id": 1e999}',
        '{"type": "' + "x" * 100_000 + '"}',
        '{"type": "__class__", "id": 1}',
    ),
    *('{"type": "softphone", "id": 2}', '{"type": "softphone", "sdp": "v=0"}', '{"type": "set_state", "state": ["available"]}'),
    *('{"type": "digits", "digits": "%s"}' % ("9" * 5_000), '{"type": "hold", "on": "yes"}', '{"type": "accept", "offer": 0}'),
    *(
        '{"type": "start"}',
        '{"type": "start", "entry_point": "5000", "sdp": 5}',
        '{"type": "start", "entry_point": {}, "sdp": "x"}',
    ),
)
"""None of them may have an effect; each must have an answer."""


async def bad_requests(to: Address) -> dict[bytes, tuple[int, str]]:
    """Send each of BAD_REQUESTS; what was answered, status and code."""
    answers = {}
    for sent in BAD_REQUESTS:
        reader, writer = await asyncio.open_connection(*to)
        writer.write(sent)
        async with asyncio.timeout(30):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            body = await reader.readexactly(length)
        writer.close()
        answers[sent] = int(head.split()[1]), str(json.loads(body)["error"]["code"])
    return answers


class Crowd:
    """Connections that say nothing, or a little now and then; `turned_away` are those that were ended."""

    def __init__(self, to: Address, first: bytes = b"", drip: bytes = b"") -> None:
        self.turned_away = 0
        self._to = to
        self._first, self._drip = first, drip
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def gather(self, count: int, rate: float) -> None:
        """Come."""
        async for _ in paced(count, rate):
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(*self._to)
                self._tasks.append(asyncio.create_task(self._stay(reader, writer)))

    async def all_gone(self) -> None:
        """Wait until everybody has been turned away."""
        await asyncio.gather(*self._tasks)

    async def _stay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dripping = asyncio.create_task(self._talk(writer))
        try:
            with contextlib.suppress(ConnectionError):
                await reader.read()
            self.turned_away += 1
        finally:
            dripping.cancel()
            writer.close()

    async def _talk(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(self._first)
            while self._drip:
                await asyncio.sleep(0.5)
                writer.write(self._drip)


async def endless_head(to: Address, megabytes: int) -> int:
    """One header without an end; the bytes that were taken before we were turned away."""
    _, writer = await asyncio.open_connection(*to)
    writer.write(b"GET / HTTP/1.1\r\nx: ")
    taken = 0
    with contextlib.suppress(ConnectionError):
        for _ in range(16 * megabytes):
            writer.write(b"a" * (MEGABYTE // 16))
            await writer.drain()
            taken += MEGABYTE // 16
    writer.close()
    return taken


class Sockets:
    """WebSockets of one kind, with a token or without one."""

    def __init__(self, to: Address, path: str, token: str = "") -> None:
        self.url = f"ws://{to[0]}:{to[1]}{path}"
        self.closed: Counter[int] = Counter()
        """By close code."""
        self.errors: Counter[str] = Counter()
        """By error code in a reply."""
        self._headers = {"authorization": f"Bearer {token}"} if token else {}

    @contextlib.asynccontextmanager
    async def many(self, count: int) -> Any:
        """Open so many and hold them; the ones that were let stay."""
        async with contextlib.AsyncExitStack() as stack:
            opened = [await stack.enter_async_context(self._open()) for _ in range(count)]
            kept = []
            for socket in opened:
                try:
                    async with asyncio.timeout(30):
                        await socket.send('{"type": "ping", "id": "here"}')
                        await self._reply(socket, "here")
                    kept.append(socket)
                except ConnectionClosed:
                    self.closed[socket.close_code or 0] += 1
            yield kept

    async def odd(self) -> None:
        """Say every odd thing, one after the other, and see that each is answered."""
        async with self._open() as socket:
            for text in ODD_TEXTS:
                await socket.send(text)
            await socket.send('{"type": "ping", "id": "last"}')
            async with asyncio.timeout(60):
                replies = [await self._reply(socket) for _ in range(len(ODD_TEXTS) + 1)]
            # Not in order: a softphone's handshake may take its time.
            assert [reply["id"] for reply in replies if reply["ok"]] == ["last"]
            self.errors.update(reply["error"]["code"] for reply in replies if not reply["ok"])

    async def thrown_out(self, *frames: str | bytes) -> None:
        """Say each of these on a connection of its own, none of which may outlive it."""
        for frame in frames:
            async with self._open() as socket:
                with contextlib.suppress(ConnectionClosed):
                    await socket.send(frame)
                    async with asyncio.timeout(30):
                        while True:
                            await socket.recv()
                self.closed[socket.close_code or 0] += 1

    async def rush(self, asks: Sequence[dict[str, Any]], count: int, rate: float) -> int:
        """Ask so often, reading what comes; the number of replies."""
        async with self._open() as socket:
            replies = 0

            async def read() -> None:
                nonlocal replies
                while replies < count:
                    reply = await self._reply(socket)
                    replies += 1
                    if not reply["ok"]:
                        self.errors[reply["error"]["code"]] += 1

            reading = asyncio.create_task(read())
            async for number in paced(count, rate):
                await socket.send(json.dumps({**asks[number % len(asks)], "id": number}))
            async with asyncio.timeout(30):
                await reading
            return replies

    def _open(self) -> connect:
        return connect(self.url, additional_headers=self._headers, close_timeout=1, max_size=None, compression=None)

    @staticmethod
    async def _reply(socket: ClientConnection, id: str = "") -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["type"] == "reply" and (not id or message["id"] == id):
                return message


def random_frames(chance: random.Random, count: int) -> list[bytes]:
    """Bytes after the handshake that are no frames, or frames with what must not be."""
    starts = (
        b"\x83",
        b"\x8f",
        b"\xf1",
        b"\x81\x05hello",
        b"\x89\xfe\x01\x00",
        b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x80\x80",
    )
    return [chance.choice(starts) + chance.randbytes(chance.randrange(0, 60)) for _ in range(count)]


async def raw_frames(to: Address, path: str, frames: Sequence[bytes]) -> int:
    """Send such bytes, each on a socket of its own; the number of those that were ended for it."""
    head = (
        f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
    ended = 0
    for frame in frames:
        reader, writer = await asyncio.open_connection(*to)
        writer.write(head)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame)
        writer.write_eof()
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                await reader.read()
            ended += 1
        writer.close()
    return ended
