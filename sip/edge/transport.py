"""How messages come and go: what a wire is, and the one for UDP (TCP and TLS are in `streams`)."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable
from typing import Protocol, cast

import psutil
import structlog

from sip.edge.counters import Counters

log = structlog.get_logger()

Address = tuple[str, int]

BUFFER = 4 * 1024 * 1024
"""Bytes the kernel may hold for us: what comes while we start, or in a burst."""

INSIDE = "127.0.0.1"


class Wire(Protocol):
    """One listening point."""

    label: str
    """Names it in branches, the same after a restart: `0` for UDP, `t0` for TCP, `s0` for TLS, `c` towards cards."""
    kind: str
    """As in a Via: UDP, TCP, TLS."""
    inside: bool
    reliable: bool
    """Whether it has connections, and nothing needs to be repeated."""

    @property
    def local(self) -> Address: ...

    async def open(self, receiver: Receiver) -> None: ...

    async def close(self) -> None: ...

    def advertised(self, peer: str) -> Address:
        """What we call ourselves towards this peer."""
        ...

    def connected(self, address: Address) -> bool:
        """Whether a connection with this peer is up."""
        ...

    def send(
        self,
        data: bytes,
        address: Address,
        otherwise: Address | None = None,
        *,
        name: str = "",
        failed: Callable[[], None] | None = None,
    ) -> None:
        """Send to a peer; a stream without a connection opens one to `otherwise` (else to `address`).

        `name` is what the peer's certificate must be for; `failed` is called if no connection comes about.
        """
        ...


Receiver = Callable[[bytes, Address, Wire], None]


class UdpWire(asyncio.DatagramProtocol):
    """A UDP socket: bound when made, read when `open`ed; what comes in between waits in the kernel."""

    kind = "UDP"
    reliable = False

    def __init__(self, host: str, port: int, label: str, counters: Counters, *, inside: bool = False, public: str = "") -> None:
        self.label = label
        self.inside = inside
        self._public = public
        self._counters = counters
        self._receiver: Receiver | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._closed = asyncio.Event()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            self._socket.setblocking(False)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        name = self._socket.getsockname()
        self.local: Address = (name[0], name[1])
        self._wildcard = is_wildcard(name[0])

    async def open(self, receiver: Receiver) -> None:
        """Begin to read."""
        self._receiver = receiver
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=self._socket)

    async def close(self) -> None:
        """Returns when the port is free again."""
        if self._transport is not None:
            self._transport.close()
            await self._closed.wait()
        self._socket.close()

    def release(self) -> None:
        """Give the port back before it was ever read."""
        self._socket.close()

    def advertised(self, peer: str) -> Address:
        if self._public and not self.inside:
            return self._public, self.local[1]
        if self._wildcard:
            return local_towards(peer, self._socket.family == socket.AF_INET6), self.local[1]
        return self.local

    def connected(self, address: Address) -> bool:
        return False

    def send(
        self,
        data: bytes,
        address: Address,
        otherwise: Address | None = None,
        *,
        name: str = "",
        failed: Callable[[], None] | None = None,
    ) -> None:
        if self._transport is not None and self._transport.is_closing():
            self._counters.add("unsent.closed")
            return
        try:
            if self._transport is None:  # another socket is being read already
                self._socket.sendto(data, address)
            else:
                self._transport.sendto(data, address)
        except (OSError, ValueError) as error:  # a family that does not fit, no route
            self._counters.add("unsent.error")
            log.warning("cannot send", wire=self.label, error=str(error))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()

    def datagram_received(self, data: bytes, address: tuple[str, int] | tuple[str, int, int, int]) -> None:
        if self._receiver is None:
            return
        try:
            self._receiver(data, (address[0], address[1]), self)
        except Exception:
            # The border of the process: uvloop closes a socket whose reader raises, and one message must not end all calls.
            self._counters.dropped("internal")
            log.exception("a message could not be served", wire=self.label)

    def error_received(self, exc: Exception) -> None:
        self._counters.add("unsent.icmp")


def is_wildcard(host: str) -> bool:
    return host in ("0.0.0.0", "::")  # noqa: S104  compared, not bound


@functools.lru_cache(maxsize=1_024)
def local_towards(peer: str, ipv6: bool) -> str:
    """Our address on the way to a peer: what a wildcard socket is called there."""
    with socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer, 9))
        except OSError:
            return "::1" if ipv6 else INSIDE
        return str(probe.getsockname()[0])


def own_hosts() -> frozenset[str]:
    """The addresses of this machine: what a Route of ours may be called when a socket is bound to all of them."""
    found = psutil.net_if_addrs().values()
    families = (socket.AF_INET, socket.AF_INET6)
    return frozenset(a.address.partition("%")[0] for each in found for a in each if a.family in families)
