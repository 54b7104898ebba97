"""One WebRTC audio connection, either side of it: description, secured link, streams both ways, reports."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from aiortc.rtcdtlstransport import RTCCertificate

from media import rtcp
from media.deskcard.contact_surface import IceSettings, SecureLink
from media.deskcard.errors import LinkError, SdpError
from media.deskcard.inbound import Inbound
from media.deskcard.outbound import Outbound
from media.deskcard.sdp import CodecChoice, Description, OwnSide, reverse
from media.patch import PatchFrame

log = structlog.get_logger()

HANDSHAKE_TIMEOUT = 15.0
REPORT_INTERVALS = (1.0, 2.0, 5.0)
"""Seconds before the first report, before the second, and before each later one."""
CODECS = (CodecChoice("opus", 111), CodecChoice("PCMU", 0), CodecChoice("PCMA", 8))


@dataclass(frozen=True, slots=True)
class PeerStatistics:
    """Counters since the connection began; `remote_*` and the round trip are the other side's reports."""

    sent: int
    received: int
    lost: int
    discarded: int
    concealed: int
    jitter_ms: float
    round_trip_ms: float
    remote_lost: int
    remote_jitter_ms: float


class Peer:
    """One side of a connection. `on_lost` is called once with a reason when an established connection breaks."""

    def __init__(
        self,
        settings: IceSettings,
        certificate: RTCCertificate,
        *,
        offering: bool,
        on_lost: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._link = SecureLink(
            settings, certificate, offering=offering, on_rtp=self._on_rtp, on_rtcp=self._on_rtcp, on_lost=on_lost
        )
        self._offering = offering
        self._remote: Description | None = None
        self._active = False
        self._cname = secrets.token_hex(8)
        self._session = secrets.randbits(62)
        self._ssrc = secrets.randbits(32)
        self._wall = time.time() - self._loop.time()
        self.inbound: Inbound | None = None
        self.outbound: Outbound | None = None
        self._next_report = 0.0
        self._reports = 0
        self._reported_sent = 0
        self._last_sender_report: tuple[int, float] = (0, 0.0)
        self._round_trip = 0.0
        self._remote_lost = 0
        self._remote_jitter = 0

    @property
    def codec(self) -> str:
        """Name of the codec agreed on, empty before."""
        return self.inbound.codec.name if self.inbound is not None else ""

    @property
    def sends(self) -> bool:
        """Whether the other side says that it will send."""
        return self._remote is not None and self._remote.direction in ("sendrecv", "sendonly")

    @property
    def undecrypted(self) -> int:
        """Datagrams that were not what SRTP expects."""
        return self._link.undecrypted

    # --- descriptions ----------------------------------------------------------------------------------------------

    async def offer(self, names: tuple[str, ...] = ("opus", "PCMU", "PCMA")) -> str:
        """Our offer of these codecs, in order."""
        codecs = tuple(codec for name in names for codec in CODECS if codec.name.lower() == name.lower())
        transport = await self._link.gather("actpass")
        return str(OwnSide(transport, codecs, self._ssrc, self._cname, self._session))

    def accept(self, text: str) -> None:
        """The answer to our offer; raises SdpError."""
        remote = Description.parse(text)
        if remote.transport.setup == "actpass" or not remote.codecs:
            raise SdpError("not an answer")
        self._active = remote.transport.setup == "passive"
        self._agree(remote, remote.codecs[0])

    async def answer(self, text: str, preferred: tuple[str, ...]) -> str:
        """Our answer to an offer; raises SdpError, LinkError."""
        remote = Description.parse(text)
        codec = remote.choose(preferred)
        self._active = remote.transport.setup != "active"
        transport = await self._link.gather("active" if self._active else "passive")
        self._agree(remote, codec)
        return str(
            OwnSide(
                transport,
                (codec,),
                self._ssrc,
                self._cname,
                self._session,
                remote.mid,
                reverse(remote.direction),
                remote.sections,
            )
        )

    def _agree(self, remote: Description, codec: CodecChoice) -> None:
        self._remote = remote
        self.inbound = Inbound(codec, self._loop.call_later)
        self.outbound = Outbound(codec, self._ssrc)

    async def connect(self) -> None:
        """The handshakes; raises LinkError."""
        if self._remote is None:
            raise LinkError("no description of the other side")
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT):
                await self._link.connect(self._remote.transport, active=self._active)
        except TimeoutError as error:
            raise LinkError("handshake-timeout") from error
        self._next_report = self._loop.time() + REPORT_INTERVALS[0]

    async def close(self) -> None:
        """Release everything; safe to call again."""
        if self.inbound is not None:
            self.inbound.end()
        if self.outbound is not None:
            self.outbound.end()
        await self._link.close()

    # --- packets ---------------------------------------------------------------------------------------------------

    def send(self, frame: PatchFrame) -> bool:
        """Encode a frame and send it at once; False when the link is down."""
        if self.outbound is None:
            return False
        return self._link.send_rtp(self.outbound.packet(frame, self._loop.time()))

    def _on_rtp(self, data: bytes) -> None:
        if self.inbound is not None:
            self.inbound.receive(data, self._loop.time())

    def _on_rtcp(self, data: bytes) -> None:
        try:
            packets = rtcp.parse(data)
        except ValueError as error:
            log.debug("bad RTCP", error=str(error))
            return
        for packet in packets:
            if isinstance(packet, rtcp.Report):
                self._take_report(packet)

    def _take_report(self, report: rtcp.Report) -> None:
        now = self._loop.time()
        if report.sender is not None:
            self._last_sender_report = (rtcp.compact(report.sender.ntp), now)
        for block in report.blocks:
            if block.ssrc == self._ssrc and self.outbound is not None:
                self._remote_lost = max(0, block.lost)
                self._remote_jitter = block.jitter
                seconds = rtcp.round_trip(block, rtcp.ntp(self._wall + now))
                if seconds is not None:
                    self._round_trip = seconds

    # --- reports ---------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Send the reports that are due; call it a few times a second."""
        if now < self._next_report or self.inbound is None or self.outbound is None:
            return
        self._reports += 1
        self._next_report = now + REPORT_INTERVALS[min(self._reports, len(REPORT_INTERVALS) - 1)]
        sender = None
        if self.outbound.sent > self._reported_sent:
            self._reported_sent = self.outbound.sent
            sender = self.outbound.sender_info(now, self._wall + now)
        report = rtcp.Report(self._ssrc, sender, self._blocks(self.inbound, now))
        self._link.send_rtcp(bytes(report) + bytes(rtcp.Description(self._ssrc, self._cname)))

    def _blocks(self, inbound: Inbound, now: float) -> tuple[rtcp.ReportBlock, ...]:
        reception = inbound.reception
        if not reception.received:
            return ()
        last, at = self._last_sender_report
        delay = min(0xFFFFFFFF, int((now - at) * 65536)) if last else 0
        fraction = reception.fraction_lost()
        return (rtcp.ReportBlock(inbound.ssrc, fraction, reception.lost, reception.highest, reception.jitter, last, delay),)

    def statistics(self) -> PeerStatistics:
        inbound, outbound = self.inbound, self.outbound
        if inbound is None or outbound is None:
            return PeerStatistics(0, 0, 0, 0, 0, 0.0, 0.0, 0, 0.0)
        return PeerStatistics(
            sent=outbound.sent,
            received=inbound.received,
            lost=inbound.lost,
            discarded=inbound.discarded,
            concealed=inbound.concealed,
            jitter_ms=inbound.reception.jitter_ms,
            round_trip_ms=self._round_trip * 1000,
            remote_lost=self._remote_lost,
            remote_jitter_ms=self._remote_jitter * 1000 / outbound.codec.clock,
        )
