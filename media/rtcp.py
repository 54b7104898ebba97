"""RTCP (RFC 3550 §6): sender and receiver reports, SDES with a CNAME, BYE; other packets of a compound are skipped."""

from __future__ import annotations

import struct
from dataclasses import dataclass

SENDER_REPORT, RECEIVER_REPORT, SOURCE_DESCRIPTION, GOODBYE = 200, 201, 202, 203
_COMMON = struct.Struct("!BBH")
_SENDER = struct.Struct("!IQIII")
_BLOCK = struct.Struct("!IIIIII")
_NTP_EPOCH = 2_208_988_800


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver says of one stream; `lost` is a signed 24-bit number."""

    ssrc: int
    fraction_lost: int
    lost: int
    highest: int
    jitter: int
    last_report: int
    delay: int

    def __bytes__(self) -> bytes:
        lost = max(-0x800000, min(0x7FFFFF, self.lost)) & 0xFFFFFF
        return _BLOCK.pack(self.ssrc, self.fraction_lost << 24 | lost, self.highest, self.jitter, self.last_report, self.delay)

    @classmethod
    def parse(cls, data: bytes) -> ReportBlock:
        """The block in 24 bytes; raises ValueError."""
        if len(data) != _BLOCK.size:
            raise ValueError("an RTCP report block has another length")
        ssrc, losses, highest, jitter, last_report, delay = _BLOCK.unpack(data)
        lost = losses & 0xFFFFFF
        return cls(ssrc, losses >> 24, lost - 0x1000000 if lost & 0x800000 else lost, highest, jitter, last_report, delay)


@dataclass(frozen=True, slots=True)
class SenderInfo:
    """The sender's clocks and counters; `ntp` is 64 bits (32.32)."""

    ntp: int
    timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class Report:
    """A sender report, or a receiver report where `sender` is None."""

    ssrc: int
    sender: SenderInfo | None
    blocks: tuple[ReportBlock, ...]

    def __bytes__(self) -> bytes:
        blocks = b"".join(bytes(block) for block in self.blocks)
        if self.sender is None:
            return _packet(RECEIVER_REPORT, len(self.blocks), struct.pack("!I", self.ssrc) + blocks)
        info = self.sender
        head = _SENDER.pack(self.ssrc, info.ntp, info.timestamp, info.packets & 0xFFFFFFFF, info.octets & 0xFFFFFFFF)
        return _packet(SENDER_REPORT, len(self.blocks), head + blocks)


@dataclass(frozen=True, slots=True)
class Description:
    """SDES with the CNAME of one source."""

    ssrc: int
    cname: str

    def __bytes__(self) -> bytes:
        name = self.cname.encode()[:255]
        chunk = struct.pack("!IBB", self.ssrc, 1, len(name)) + name + b"\0"
        return _packet(SOURCE_DESCRIPTION, 1, chunk + bytes(-len(chunk) % 4))


@dataclass(frozen=True, slots=True)
class Goodbye:
    """BYE of some sources."""

    sources: tuple[int, ...]

    def __bytes__(self) -> bytes:
        return _packet(GOODBYE, len(self.sources), struct.pack(f"!{len(self.sources)}I", *self.sources))


RtcpPacket = Report | Goodbye


def parse(data: bytes) -> list[RtcpPacket]:
    """Reports and goodbyes of one compound packet, in order; raises ValueError."""
    if not data:
        raise ValueError("an empty RTCP packet")
    found: list[RtcpPacket] = []
    position = 0
    while position < len(data):
        if len(data) - position < _COMMON.size:
            raise ValueError("an RTCP packet is shorter than its header")
        first, kind, words = _COMMON.unpack_from(data, position)
        if first >> 6 != 2:
            raise ValueError("not RTCP version 2")
        end = position + 4 + words * 4
        if end > len(data):
            raise ValueError("an RTCP packet is cut off")
        body = data[position + 4 : end]
        if first & 0x20:
            body = _without_padding(body)
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            found.append(_parse_report(kind, first & 0x1F, body))
        elif kind == GOODBYE:
            found.append(_parse_goodbye(first & 0x1F, body))
        position = end
    return found


def ntp(wall: float) -> int:
    """Seconds since 1970 as NTP time, 32.32 bits."""
    return int((wall + _NTP_EPOCH) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def compact(ntp_time: int) -> int:
    """The middle 32 bits of NTP time, as in LSR: units of 1/65536 s."""
    return ntp_time >> 16 & 0xFFFFFFFF


def round_trip(block: ReportBlock, now: int) -> float | None:
    """Seconds there and back by a block about us (RFC 3550 §6.4.1); None when it cannot be known. `now` is NTP time."""
    if not block.last_report:
        return None
    units = (compact(now) - block.last_report - block.delay) & 0xFFFFFFFF
    # Clocks that tick differently can make a tiny round trip negative.
    return None if 0x80000000 > units > 60 * 65536 else (units / 65536 if units < 0x80000000 else 0.0)


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return _COMMON.pack(0x80 | count, kind, len(body) // 4) + body


def _without_padding(body: bytes) -> bytes:
    if not body or not 0 < body[-1] <= len(body):
        raise ValueError("the RTCP padding is longer than the packet")
    return body[: -body[-1]]


def _parse_report(kind: int, count: int, body: bytes) -> Report:
    start = _SENDER.size if kind == SENDER_REPORT else 4
    if len(body) < start + count * _BLOCK.size:
        raise ValueError("an RTCP report is cut off")
    sender = None
    if kind == SENDER_REPORT:
        ssrc, *rest = _SENDER.unpack_from(body)
        sender = SenderInfo(*rest)
    else:
        (ssrc,) = struct.unpack_from("!I", body)
    blocks = (body[at : at + _BLOCK.size] for at in range(start, start + count * _BLOCK.size, _BLOCK.size))
    return Report(ssrc, sender, tuple(ReportBlock.parse(block) for block in blocks))


def _parse_goodbye(count: int, body: bytes) -> Goodbye:
    if len(body) < count * 4:
        raise ValueError("an RTCP goodbye is cut off")
    return Goodbye(struct.unpack_from(f"!{count}I", body))
