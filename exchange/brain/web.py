"""The exchange's HTTP server: uvicorn, with TLS on one port that also answers those who come without it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog
import uvicorn

from exchange.brain.visitors import VisitorLimits, protocols, quiet

log = structlog.get_logger()

FIRST_BYTE_SECONDS = 10.0
HANDSHAKE_SECONDS = 10.0
WATCH_SECONDS = 60.0
BREATH = 0.2
"""Seconds to wait when there is no descriptor for another connection."""
MOST_AT_THE_DOOR = 1000
"""Connections that have not shown yet whether they speak TLS: anybody may open them."""
BACKLOG = 2048
TLS_RECORD = 0x16
"""First byte of every TLS connection: a handshake record (RFC 8446 §5.1)."""
LONGEST_HEAD = 8192

_REQUEST = re.compile(rb"(GET|HEAD) (/[\x21-\x7e]{0,2000}) HTTP/1\.[01]\r?\n")
_HOST = re.compile(rb"\r?\nhost:[ \t]*(([A-Za-z0-9.\-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:\d{1,5})?)[ \t]*\r?\n", re.IGNORECASE)


class Tls:
    """A server's context that takes up a certificate which was renewed on disk."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._seen = self._ages()
        self.context.load_cert_chain(certificate, key)

    def _ages(self) -> tuple[int, ...]:
        return tuple(file.stat().st_mtime_ns for file in self._files)

    def look(self) -> bool:
        """Load the files again if they have changed; whether that was so. New connections get the new certificate."""
        try:
            ages = self._ages()
            if ages == self._seen:
                return False
            # First into a context that nobody uses: half of a pair would stay in ours.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*self._files, password=lambda: "")
            self.context.load_cert_chain(*self._files)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            log.warning("renewed certificate cannot be loaded", error=str(error), file=str(self._files[0]))
            return False
        self._seen = ages
        log.info("renewed certificate loaded", file=str(self._files[0]))
        return True

    async def watch(self) -> None:
        """Look once a minute, for ever."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self.look()


class Doors:
    """Listening sockets for HTTPS. A browser that comes by plain HTTP is sent on, a program is told."""

    def __init__(self, sockets: list[socket.socket], tls: ssl.SSLContext, serve: Callable[[], asyncio.Protocol]) -> None:
        self._sockets = sockets
        self._tls = tls
        self._serve = serve
        self._waiting: set[asyncio.Task[None]] = set()
        self._porters = [asyncio.create_task(self._open(one), name="https door") for one in sockets]

    def close(self) -> None:
        """Let nobody in any more; who is in stays."""
        for task in (*self._porters, *self._waiting):
            task.cancel()
        for each in self._sockets:
            each.close()

    async def wait_closed(self) -> None:
        """Until those at the door are gone too."""
        tasks = [*self._porters, *self._waiting]
        if tasks:
            await asyncio.wait(tasks)

    async def _open(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    log.error("no room for another connection", error=str(error))
                await asyncio.sleep(BREATH)
                continue
            if len(self._waiting) >= MOST_AT_THE_DOOR:
                connection.close()
                continue
            task = asyncio.create_task(self._let_in(connection), name="at the https door")
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    async def _let_in(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            async with asyncio.timeout(FIRST_BYTE_SECONDS):
                await _readable(connection)
            first = connection.recv(1, socket.MSG_PEEK)
            if first and first[0] == TLS_RECORD:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await asyncio.get_running_loop().connect_accepted_socket(
                    self._serve, connection, ssl=self._tls, ssl_handshake_timeout=HANDSHAKE_SECONDS
                )
                return
            if first:
                async with asyncio.timeout(FIRST_BYTE_SECONDS):
                    await _explain(connection)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            log.debug("nobody came in", error=str(error))
        except asyncio.CancelledError:
            connection.close()
            raise
        connection.close()


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_reader(connection, came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(connection)


async def _explain(connection: socket.socket) -> None:
    """Answer one plain request."""
    loop = asyncio.get_running_loop()
    head = b""
    while b"\n\r\n" not in head and b"\n\n" not in head and len(head) < LONGEST_HEAD:
        some = await loop.sock_recv(connection, LONGEST_HEAD - len(head))
        if not some:
            break
        head += some
    await loop.sock_sendall(connection, plain_answer(head, connection.getsockname()[:2]))
    # Closing with something unread would reset the connection before the answer is read.
    connection.shutdown(socket.SHUT_WR)
    while await loop.sock_recv(connection, 65536):
        pass


def plain_answer(head: bytes, own: tuple[str, int]) -> bytes:
    """What plain HTTP gets on the HTTPS port: a GET is sent on to the same page by HTTPS, all else is refused."""
    named = _HOST.search(head)
    host = named[1].decode() if named else f"[{own[0]}]:{own[1]}" if ":" in own[0] else f"{own[0]}:{own[1]}"
    request = _REQUEST.match(head)
    path = request[2].decode() if request else ""
    message = f"This port speaks HTTPS: use https://{host}{path}"
    body = json.dumps({"error": {"code": "https-only", "message": message}}).encode()
    lines = [
        "HTTP/1.1 308 Permanent Redirect" if request else "HTTP/1.1 400 Bad Request",
        *([f"location: https://{host}{path}"] if request else []),
        "content-type: application/json",
        f"content-length: {len(body)}",
        "cache-control: no-store",
        "connection: close",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if request and request[1] == b"HEAD" else body)


async def listening(host: str, port: int) -> list[socket.socket]:
    """Sockets on every address of a host; raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = socket.socket(family, kind, protocol)
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.setblocking(False)
            one.bind(address)
            one.listen(BACKLOG)
    except OSError:
        for one in sockets:
            one.close()
        raise
    return sockets


class Web(uvicorn.Server):
    """The HTTP server; signals are the exchange's. With `tls` it is HTTPS."""

    def __init__(self, config: uvicorn.Config, tls: Tls | None = None, limits: VisitorLimits | None = None) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        config.http, config.ws = protocols(limits or VisitorLimits())
        logging.getLogger("uvicorn.error").addFilter(quiet)
        self._context = tls

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._context is None:
            await super().startup(sockets)
        else:
            doors = await listening(self.config.host, self.config.port)
            await super().startup([])
            self.servers.append(Doors(doors, self._context.context, self._protocol))  # type: ignore[arg-type]
        self.listening.set()

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made
