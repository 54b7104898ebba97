"""TCP and TLS: a listening socket and the connections of both directions, found again by their peer's address.

Whoever opened a connection, both sides use it: answers go back on the one that brought the request, and requests to a peer
take the one that is there (RFC 3261 §18, RFC 5923). All that a peer may make us hold is bounded, in number, bytes and time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, cast

import structlog

from sip.edge.counters import Counters
from sip.edge.framing import PING, PONG, Framer, FramingError
from sip.edge.limits import StreamLimits
from sip.edge.tasks import Tasks
from sip.edge.transport import Address, Receiver, is_wildcard, local_towards

log = structlog.get_logger()

AT_ONCE = 16
"""Messages of one connection that are served before others have their turn."""

SWEEP_SECONDS = 0.5
"""Between looks for connections that are idle, or whose message does not end."""


class Security(Protocol):
    """The TLS side of a wire."""

    @property
    def server(self) -> ssl.SSLContext: ...

    def client(self, name: str) -> ssl.SSLContext:
        """For connections that we open; with a name, only the bearer of a certificate for it will do."""
        ...


class Connection(asyncio.Protocol):
    """One TCP or TLS connection; the wire owns it."""

    def __init__(self, wire: StreamWire, *, name: str = "", source: str = "") -> None:
        self.peer: Address = ("", 0)
        self.source = source
        """Whose count of connections it is in; empty: we opened it, or it has been taken out."""
        self.name = name
        """The name that was verified; empty: none was."""
        self._opened = not source
        self._wire = wire
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None
        self._served = False
        self._paused = False
        self._since = self._began = asyncio.get_running_loop().time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        found = transport.get_extra_info("peername")
        if not found:  # it has gone already
            self._transport.abort()
            return
        self.peer = (found[0], found[1])
        alive(transport.get_extra_info("socket"))
        self._wire.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._wire.left(self)

    def data_received(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        self._since = now
        if not self._framer.partial:
            self._began = now
        self._framer.feed(data)
        if not self._paused:
            self._serve()

    def eof_received(self) -> bool:
        return False

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def overdue(self, now: float) -> str:
        """Why it has lived long enough, or nothing."""
        limits = self._wire.limits
        if self._framer.partial or not (self._served or self._opened):
            return "slow" if now - self._began > limits.message_seconds else ""
        return "idle" if now - self._since > limits.idle_seconds else ""

    def write(self, data: bytes) -> bool:
        """Send, unless the peer reads nothing or has gone."""
        if self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() > self._wire.limits.unsent_bytes:
            self._wire.ended(self, "unread")
            self._transport.abort()
            return False
        self._transport.write(data)
        return True

    def close(self, why: str = "") -> None:
        if self._transport is not None and not self._transport.is_closing():
            if why:
                self._wire.ended(self, why)
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _serve(self) -> None:
        was_paused, self._paused = self._paused, False
        ponged = False
        for _ in range(AT_ONCE):
            if not self.open:
                return
            try:
                message = self._framer.pull()
            except FramingError as error:
                if error.head:
                    self._wire.deliver(error.head, self.peer)  # it gets its 400 or 513
                self.close("framing")
                return
            if message is None:
                break
            if message is PING:
                if not ponged:
                    ponged = self.write(PONG)
            else:
                self._served = True
                self._wire.deliver(message, self.peer)
            self._began = self._since
        else:
            self._paused = True
            asyncio.get_running_loop().call_soon(self._serve)
        if self._transport is not None and self.open and self._paused != was_paused:
            if self._paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()


@dataclass
class Opening:
    """A connection on its way, and what it shall carry."""

    data: list[bytes] = field(default_factory=list)
    failed: list[Callable[[], None]] = field(default_factory=list)


class StreamWire:
    """A listening TCP socket, with TLS on top or without."""

    inside = False
    reliable = True

    def __init__(
        self,
        host: str,
        port: int,
        label: str,
        counters: Counters,
        tasks: Tasks,
        limits: StreamLimits,
        admits: Callable[[str], bool],
        *,
        public: str = "",
        security: Security | None = None,
    ) -> None:
        self.label = label
        self.kind = "TCP" if security is None else "TLS"
        self.limits = limits
        self.on_left: Callable[[Address], None] = lambda _: None
        self._public = public
        self._counters = counters
        self._tasks = tasks
        self._admits = admits
        self._security = security
        self._receiver: Receiver | None = None
        self._connections: dict[Address, Connection] = {}
        self._opening: dict[tuple[Address, str], Opening] = {}
        self._of_source: Counter[str] = Counter()
        self._running: list[asyncio.Task[None]] = []
        self._closed = False
        self._empty = asyncio.Event()
        self._socket = listening(host, port, limits.backlog)
        self._family = self._socket.family
        name = self._socket.getsockname()
        self.local: Address = (name[0], name[1])

    def __len__(self) -> int:
        return len(self._connections)

    async def open(self, receiver: Receiver) -> None:
        """Begin to accept."""
        self._receiver = receiver
        self._running = [
            self._tasks.start(self._accept(), name=f"accept {self.kind}"),
            self._tasks.start(self._sweep(), name=f"watch {self.kind}"),
        ]

    async def close(self) -> None:
        """Returns when the port is free again."""
        self._closed = True
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._socket.close()
        for connection in list(self._connections.values()):
            connection.close()
        if self._connections:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), 1.0)
        for connection in list(self._connections.values()):
            connection.abort()

    def advertised(self, peer: str) -> Address:
        if self._public:
            return self._public, self.local[1]
        if is_wildcard(self.local[0]):
            return local_towards(peer, self._family == socket.AF_INET6), self.local[1]
        return self.local

    def connected(self, address: Address) -> bool:
        """Whether there is a connection with this peer."""
        return address in self._connections and self._connections[address].open

    def send(
        self,
        data: bytes,
        address: Address,
        otherwise: Address | None = None,
        *,
        name: str = "",
        failed: Callable[[], None] | None = None,
    ) -> None:
        """Send on the peer's connection, or on a new one to `otherwise` (else to `address`); `name` must be verified."""
        for where in (address, otherwise or address):
            known = self._connections.get(where)
            if known is not None and name in ("", known.name) and known.write(data):
                return
        key = (otherwise or address, name)
        opening = self._opening.get(key)
        if opening is None:
            if self._closed or len(self._opening) >= self.limits.connections:
                self._unsent(failed)
                return
            opening = self._opening[key] = Opening()
            self._tasks.start(self._connect(*key, opening), name=f"connect {self.kind}")
        if len(opening.data) >= self.limits.waiting:
            self._unsent(failed)
            return
        if data not in opening.data:  # a repetition: one is enough on a stream
            opening.data.append(data)
        if failed is not None:
            opening.failed.append(failed)

    def _unsent(self, failed: Callable[[], None] | None) -> None:
        self._counters.add("unsent.connect")
        if failed is not None:
            failed()

    # --- called by connections ------------------------------------------------------------------------------------

    def joined(self, connection: Connection) -> None:
        old = self._connections.get(connection.peer)
        if old is not None:  # the peer's port has come round again: the old one is dead
            old.abort()
        self._connections[connection.peer] = connection

    def left(self, connection: Connection) -> None:
        if self._connections.get(connection.peer) is connection:
            del self._connections[connection.peer]
            self.on_left(connection.peer)
        self._release(connection)
        if not self._connections:
            self._empty.set()

    def ended(self, connection: Connection, why: str) -> None:
        self._counters.add(f"connections.{why}")
        log.info("a connection is ended", wire=self.label, why=why, **{"pii.source": connection.peer[0]})

    def deliver(self, data: bytes, peer: Address) -> None:
        if self._receiver is None:
            return
        try:
            self._receiver(data, peer, self)
        except Exception:
            # The border of the process: one message must not end the calls of its connection.
            self._counters.dropped("internal")
            log.exception("a message could not be served", wire=self.label)

    # --- connections in and out -----------------------------------------------------------------------------------

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(self._socket)
            except OSError as error:  # no descriptor left, or a peer that has gone already
                self._counters.add("connections.not-accepted")
                log.warning("cannot accept", wire=self.label, error=str(error))
                await asyncio.sleep(0.1)
                continue
            source = address[0]
            if not self._admits(source):
                accepted.close()
            elif self._of_source[source] >= self.limits.of_source or self._of_source.total() >= self.limits.connections:
                self._counters.add("connections.too-many")
                accepted.close()
            else:
                self._of_source[source] += 1
                self._tasks.start(self._welcome(accepted, source), name=f"accepted {self.kind}")

    async def _welcome(self, accepted: socket.socket, source: str) -> None:
        """Shake hands; a connection counts from here until it is lost."""
        connection = Connection(self, source=source)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=None if self._security is None else self._security.server,
                ssl_handshake_timeout=None if self._security is None else self.limits.handshake_seconds,
            )
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            self._counters.add("connections.no-handshake")
            log.info("no handshake", wire=self.label, error=str(error), **{"pii.source": source})
            accepted.close()
            self._release(connection)
        else:
            self._counters.add("connections.accepted")

    def _release(self, connection: Connection) -> None:
        """Count it no more; a failed handshake may say so twice."""
        source, connection.source = connection.source, ""
        if source:
            self._of_source[source] -= 1
            if self._of_source[source] <= 0:
                del self._of_source[source]

    async def _connect(self, address: Address, name: str, opening: Opening) -> None:
        connection = Connection(self, name=name)
        context = None if self._security is None else self._security.client(name)
        local = None if is_wildcard(self.local[0]) else (self.local[0], 0)
        hostname = None if context is None else name or address[0]
        try:
            async with asyncio.timeout(self.limits.connect_seconds):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection, address[0], address[1], ssl=context, local_addr=local, server_hostname=hostname
                )
        except (OSError, TimeoutError) as error:
            log.warning("cannot connect", wire=self.label, error=str(error), **{"pii.target": f"{address[0]}:{address[1]}"})
            del self._opening[address, name]
            self._counters.add("unsent.connect")
            for failed in opening.failed:
                failed()
        except asyncio.CancelledError:
            self._opening.pop((address, name), None)
            raise
        else:
            del self._opening[address, name]
            self._counters.add("connections.opened")
            for data in opening.data:
                connection.write(data)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = loop.time()
            for connection in list(self._connections.values()):
                why = connection.overdue(now)
                if why:
                    connection.close(why)


def listening(host: str, port: int, backlog: int) -> socket.socket:
    """A bound and listening socket; who connects before it is read waits in the kernel. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setblocking(False)
        found.bind((host, port))
        found.listen(backlog)
    except OSError:
        found.close()
        raise
    return found


def alive(found: socket.socket | None) -> None:
    """Have the kernel ask an idle peer whether it is there: a NAT on the way keeps its entry by it, too."""
    if found is None:
        return
    with contextlib.suppress(OSError):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
