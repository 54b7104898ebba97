"""RTP packets and the receiving end's figures (RFC 3550), in a form that costs little for each packet."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_HEADER = struct.Struct("!BBHII")


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One RTP packet; parsing skips contributing sources and header extensions and strips padding (RFC 3550 §5.1)."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    def __bytes__(self) -> bytes:
        second = self.payload_type | (0x80 if self.marker else 0)
        return _HEADER.pack(0x80, second, self.sequence, self.timestamp, self.ssrc) + self.payload

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket:
        """The packet in one datagram; raises ValueError."""
        if len(data) < _HEADER.size:
            raise ValueError("an RTP packet is shorter than its header")
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        if first >> 6 != 2:
            raise ValueError("not RTP version 2")
        start = _HEADER.size + (first & 0x0F) * 4
        if first & 0x10:
            if len(data) < start + 4:
                raise ValueError("an RTP header extension is cut off")
            start += 4 + int.from_bytes(data[start + 2 : start + 4], "big") * 4
        end = len(data)
        if start > end:
            raise ValueError("an RTP packet's header is cut off")
        if first & 0x20:
            padding = data[-1] if end > start else 0
            if not 0 < padding <= end - start:
                raise ValueError("the RTP padding is longer than the payload")
            end -= padding
        return cls(second & 0x7F, sequence, timestamp, ssrc, data[start:end], second > 0x7F)


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram on a shared port is RTCP (RFC 5761 §4)."""
    return len(data) > 1 and 192 <= data[1] <= 223


class Unwrapper:
    """Counters that wrap become ones that do not; each value is taken for the one nearest to the value before."""

    def __init__(self, bits: int) -> None:
        self._size = 1 << bits
        self._last: int | None = None

    def unwrap(self, value: int) -> int:
        """The value without wrapping; may be lower than the one before when packets come out of order."""
        if self._last is None:
            self._last = value
        else:
            half = self._size // 2
            self._last += (value - self._last + half) % self._size - half
        return self._last


class Reception:
    """Figures of one received stream (RFC 3550 §6.4.1, A.3, A.8); `now` is seconds of any steady clock."""

    def __init__(self, clock_rate: int) -> None:
        self.received = 0
        self._clock_rate = clock_rate
        self._sequences = Unwrapper(16)
        self._first: int | None = None
        self._highest = 0
        self._transit: float | None = None
        self._timestamp = -1
        self._jitter = 0.0
        self._expected_before = self._received_before = 0

    def add(self, sequence: int, timestamp: int, now: float) -> int:
        """Count one packet; returns its sequence number, unwrapped."""
        number = self._sequences.unwrap(sequence)
        if self._first is None or number < self._first:
            self._first = number
            self._highest = max(self._highest, number) if self.received else number
        self._highest = max(self._highest, number)
        self.received += 1
        if timestamp != self._timestamp:
            self._timestamp = timestamp
            transit = (now * self._clock_rate - timestamp) % 0x100000000
            if self._transit is not None:
                step = abs((transit - self._transit + 0x80000000) % 0x100000000 - 0x80000000)
                # A jump of a second and more is a new time line, not jitter.
                if step < self._clock_rate:
                    self._jitter += (step - self._jitter) / 16
            self._transit = transit
        return number

    @property
    def expected(self) -> int:
        """Packets from the first to the highest number seen."""
        return 0 if self._first is None else self._highest - self._first + 1

    @property
    def lost(self) -> int:
        """Packets that did not come; duplicates can make it negative on the wire, never here."""
        return max(0, self.expected - self.received)

    @property
    def jitter(self) -> int:
        """Interarrival jitter in units of the RTP clock."""
        return int(self._jitter)

    @property
    def jitter_ms(self) -> float:
        """The same in milliseconds."""
        return self._jitter * 1000 / self._clock_rate

    @property
    def highest(self) -> int:
        """Extended highest sequence number, 32 bits."""
        return self._highest & 0xFFFFFFFF

    def fraction_lost(self) -> int:
        """Share of packets lost since the last call, in 1/256."""
        expected, received = self.expected - self._expected_before, self.received - self._received_before
        self._expected_before, self._received_before = self.expected, self.received
        lost = expected - received
        return 0 if expected <= 0 or lost <= 0 else min(255, lost * 256 // expected)
