"""The only place that uses what aiortc and aioice do not promise (names with an underscore): their versions are pinned.

`SecureLink` is one ICE connection with DTLS-SRTP on it. Packets go in and out without tasks or queues between: aioice's
sockets hand media straight to `on_rtp` and `on_rtcp`, already decrypted, and sending is a plain call.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aioice import Candidate, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import Connection, ConnectionClosed, StunProtocol, server_reflexive_candidate
from aiortc.rtcdtlstransport import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
)
from aiortc.rtcicetransport import parse_stun_turn_uri
from pylibsrtp import Error as SrtpError

from media.deskcard.errors import LinkError
from media.deskcard.sdp import Transport
from media.rtp import is_rtcp

log = structlog.get_logger()

GATHER_TIMEOUT = 2.0
"""Seconds that STUN and TURN servers have to answer."""
MOST_EARLY = 64
"""DTLS datagrams that wait for the handshake at most: anybody may send them."""
LOOPBACK = "127.0.0.1"

_parse_stun = stun.parse_message


def parse_stun(data: bytes) -> stun.Message:
    """aioice's own, but for an attribute of the wrong size: that is no struct.error out of a socket's reader any more."""
    try:
        return _parse_stun(data)
    except struct.error as error:
        raise ValueError("a STUN attribute has the wrong size") from error


stun.parse_message = parse_stun


@dataclass(frozen=True)
class IceSettings:
    """How a link reaches the world: ports to bind (none: any), the address announced behind NAT, STUN and TURN servers."""

    ports: range | None = None
    public: str = ""
    servers: tuple[IceServerUrl, ...] = ()


@dataclass(frozen=True)
class IceServerUrl:
    """One STUN or TURN URL with its credentials."""

    url: str
    username: str = ""
    credential: str = ""


def server_options(servers: Sequence[IceServerUrl]) -> dict[str, Any]:
    """The first usable STUN and TURN server as aioice's arguments; raises ValueError for a URL that is none."""
    options: dict[str, Any] = {}
    for server in servers:
        parsed = parse_stun_turn_uri(server.url)
        if parsed["scheme"] == "stun":
            options.setdefault("stun_server", (parsed["host"], parsed["port"]))
        elif parsed["scheme"] in ("turn", "turns") and "turn_server" not in options:
            options["turn_server"] = (parsed["host"], parsed["port"])
            options["turn_ssl"] = parsed["scheme"] == "turns"
            options["turn_transport"] = parsed["transport"]
            options["turn_username"] = server.username
            options["turn_password"] = server.credential
    return options


class _Ice(Connection):
    """aioice with a port range, and a short way for media."""

    def __init__(self, settings: IceSettings, *, controlling: bool, on_media: Callable[[bytes], None]) -> None:
        super().__init__(ice_controlling=controlling, **server_options(settings.servers))
        self._settings = settings
        self._on_media: Callable[[bytes], None] | None = on_media

    def data_received(self, data: bytes, component: int) -> None:
        """What a socket received and is not STUN, sorted by its first byte (RFC 7983)."""
        if not data:
            return
        if 127 < data[0] < 192:
            if self._on_media is not None:
                self._on_media(data)
        elif 19 < data[0] < 64 and self._queue.qsize() < MOST_EARLY:
            super().data_received(data, component)

    async def get_component_candidates(self, component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:
        """Host candidates on ports of the range, server-reflexive ones of them, and a relayed one."""
        if self._settings.public == LOOPBACK or not addresses:
            addresses = [LOOPBACK]
        protocols = [protocol for address in addresses if (protocol := await self._bind(component, address)) is not None]
        self._protocols += protocols
        found = [protocol.local_candidate for protocol in protocols]
        tasks = [asyncio.create_task(super().get_component_candidates(component, [], int(GATHER_TIMEOUT)))]
        if self.stun_server:
            tasks += [
                asyncio.create_task(_reflexive(protocol, self.stun_server))
                for protocol in protocols
                if ":" not in protocol.local_candidate.host
            ]
        done, late = await asyncio.wait(tasks, timeout=GATHER_TIMEOUT + 0.5)
        for task in late:
            task.cancel()
        for task in done:
            if task.exception() is None:
                found += task.result()
            else:
                log.warning("an ICE server does not help", error=str(task.exception()))
        return found

    async def _bind(self, component: int, address: str) -> StunProtocol | None:
        loop = asyncio.get_running_loop()
        for port in _ports_to_try(self._settings.ports):
            try:
                _, protocol = await loop.create_datagram_endpoint(lambda: StunProtocol(self), local_addr=(address, port))
            except OSError as error:
                refused = error
                continue
            host, bound = protocol.transport.get_extra_info("sockname")[:2]
            protocol.local_candidate = Candidate(
                foundation=candidate_foundation("host", "udp", host),
                component=component,
                transport="udp",
                priority=candidate_priority(component, "host"),
                host=host,
                port=bound,
                type="host",
            )
            return protocol
        log.warning("no port for media", address=address, error=str(refused))
        return None

    def path(self) -> tuple[Any, tuple[str, int]] | None:
        """The socket and address of the nominated pair."""
        pair = self._nominated.get(1)
        return None if pair is None else (pair.protocol.transport, pair.remote_addr)

    @property
    def closing(self) -> bool:
        """Whether ICE has ended, by us or for lack of consent."""
        return self._closing

    def deaf(self) -> None:
        """No more media."""
        self._on_media = None


async def _reflexive(protocol: StunProtocol, server: tuple[str, int]) -> list[Candidate]:
    candidate, _ = await server_reflexive_candidate(protocol, server)
    return [candidate]


def _ports_to_try(ports: range | None) -> list[int]:
    if ports is None:
        return [0]
    start = random.randrange(len(ports))
    return [*ports[start:], *ports[:start]]


class _DtlsCarrier:
    """What aiortc's DTLS wants of an ICE transport."""

    def __init__(self, ice: _Ice) -> None:
        self._recv = ice.recv
        self._send = ice.send
        self._ice = ice

    @property
    def role(self) -> str:
        return "controlling" if self._ice.ice_controlling else "controlled"


class SecureLink:
    """One peer's secured path. `on_lost` is called once with a reason when an established link breaks."""

    def __init__(
        self,
        settings: IceSettings,
        certificate: RTCCertificate,
        *,
        offering: bool,
        on_rtp: Callable[[bytes], None],
        on_rtcp: Callable[[bytes], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self.undecrypted = 0
        self._settings = settings
        self._certificate = certificate
        self._ice = _Ice(settings, controlling=offering, on_media=self._media)
        self._dtls = RTCDtlsTransport(_DtlsCarrier(self._ice), [certificate])  # type: ignore[arg-type]
        self._on_rtp, self._on_rtcp, self._on_lost = on_rtp, on_rtcp, on_lost
        self._receiving: Any = None
        self._sending: Any = None
        self._watch: asyncio.Task[None] | None = None
        self._closed = False

    async def gather(self, setup: str) -> Transport:
        """Bind sockets, ask the servers; what to tell the other side."""
        await self._ice.gather_candidates()
        if self._closed:
            # Sockets that were bound after close() looked for them.
            await self._ice.close()
            raise LinkError("closed")
        candidates = list(self._ice.local_candidates)
        if not candidates:
            raise LinkError("no address or port for media")
        digest = next(item for item in self._certificate.getFingerprints() if item.algorithm == "sha-256")
        return Transport(
            self._ice.local_username,
            self._ice.local_password,
            (("sha-256", digest.value),),
            setup,
            tuple(candidate.to_sdp() for candidate in _announced(candidates, self._settings.public)),
        )

    async def connect(self, remote: Transport, *, active: bool) -> None:
        """ICE, then DTLS; raises LinkError. Time limits are the caller's."""
        self._ice.remote_is_lite = remote.lite
        self._ice.remote_username = remote.ufrag
        self._ice.remote_password = remote.password
        for text in remote.candidates:
            await self._add(text)
        try:
            await self._ice.connect()
        except ConnectionError as error:
            raise LinkError("ice-failed") from error
        self._dtls._set_role("client" if active else "server")
        await self._dtls.start(RTCDtlsParameters([RTCDtlsFingerprint(a, v) for a, v in remote.fingerprints]))
        if self._dtls.state != "connected":
            raise LinkError("dtls-failed")
        self._receiving, self._sending = self._dtls._rx_srtp, self._dtls._tx_srtp
        self._dtls.on("statechange", self._dtls_changed)
        self._watch = asyncio.create_task(self._watch_consent())

    async def _add(self, text: str) -> None:
        try:
            candidate = Candidate.from_sdp(text)
        except (ValueError, IndexError, AssertionError):
            log.info("a candidate cannot be read")
            return
        # A name of mDNS would be looked up in our network. The browser that hides behind it finds us anyway.
        if candidate.transport.lower() == "udp" and not candidate.host.endswith(".local"):
            await self._ice.add_remote_candidate(candidate)

    def send_rtp(self, packet: bytes) -> bool:
        """Encrypt and send; False when the link is down."""
        return self._sending is not None and self._send(self._sending.protect(packet))

    def send_rtcp(self, packet: bytes) -> bool:
        """As send_rtp, for RTCP."""
        return self._sending is not None and self._send(self._sending.protect_rtcp(packet))

    def _send(self, data: bytes) -> bool:
        path = self._ice.path()
        if path is None:
            return False
        path[0].sendto(data, path[1])
        return True

    def _media(self, data: bytes) -> None:
        if self._receiving is None:
            return
        try:
            if is_rtcp(data):
                self._on_rtcp(self._receiving.unprotect_rtcp(data))
            else:
                self._on_rtp(self._receiving.unprotect(data))
        except SrtpError:
            self.undecrypted += 1

    def _dtls_changed(self) -> None:
        # DTLS ends with a goodbye of the other side, or because ICE ended under it.
        if self._dtls.state in ("closed", "failed"):
            self._lose("consent-lost" if self._ice.closing else "closed-by-peer")

    async def _watch_consent(self) -> None:
        event = await self._ice.get_event()
        if isinstance(event, ConnectionClosed):
            self._lose("consent-lost")

    def _lose(self, reason: str) -> None:
        if self._sending is None:
            return
        self._sending = self._receiving = None
        self._on_lost(reason)

    async def close(self) -> None:
        """Say goodbye, release sockets and tasks; safe to call again."""
        if self._closed:
            return
        self._closed = True
        self._sending = self._receiving = None
        self._ice.deaf()
        pump = self._dtls._task
        await self._dtls.stop()
        if pump is not None:
            await asyncio.wait([pump])
        await self._ice.close()
        if self._watch is not None:
            await asyncio.wait([self._watch])
        self._dtls.remove_all_listeners()


def _announced(candidates: list[Candidate], public: str) -> list[Candidate]:
    """The candidates, and first the public address at which a NAT sends on to their ports."""
    if not public or any(candidate.host == public for candidate in candidates):
        return candidates
    outside = [
        Candidate(
            foundation=candidate_foundation("srflx", "udp", candidate.host),
            component=candidate.component,
            transport="udp",
            priority=candidate_priority(candidate.component, "srflx"),
            host=public,
            port=candidate.port,
            type="srflx",
            related_address=candidate.host,
            related_port=candidate.port,
        )
        for candidate in candidates
        if candidate.type == "host" and (":" in candidate.host) == (":" in public)
    ]
    return outside + candidates


def make_certificate() -> RTCCertificate:
    """A key and a self-signed certificate for DTLS; one does for all links of a process."""
    return RTCCertificate.generateCertificate()
