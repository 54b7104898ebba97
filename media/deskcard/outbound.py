"""What the browser hears: frames of a patch encoded and sent as RTP the moment they arrive; their clock is the patch's."""

from __future__ import annotations

import secrets
import struct

from media.deskcard.sdp import CodecChoice
from media.g711 import G711, Downsampler
from media.opus import OpusEncoder
from media.patch import FRAMES_PER_SECOND, RESTART, PatchFrame
from media.rtcp import SenderInfo, ntp
from media.rtp import Unwrapper

_HEADER = struct.Struct("!BBHII")
LONGEST_JUMP = 2
"""Seconds by which media time and the steady clock may differ in one step before the time line counts as new."""


class _OpusEncoding:
    def __init__(self, rate: int) -> None:
        self._encoder = OpusEncoder(rate)

    def encode(self, pcm: bytes) -> bytes:
        return self._encoder.encode(pcm)


class _G711Encoding:
    def __init__(self, name: str, rate: int) -> None:
        if rate not in (8000, 16000):
            raise ValueError(f"G.711 is not made from {rate} samples a second")
        self._g711 = G711(name)
        self._downsampler = Downsampler() if rate == 16000 else None

    def encode(self, pcm: bytes) -> bytes:
        return self._g711.encode(self._downsampler.convert(pcm) if self._downsampler else pcm)


class Outbound:
    """One connection's sent stream: sequence numbers and timestamps go on from one patch to the next."""

    def __init__(self, codec: CodecChoice, ssrc: int) -> None:
        self.codec = codec
        self.ssrc = ssrc
        self.sent = 0
        self.octets = 0
        # The lower half only: a sequence number that wraps before the other side knows the stream breaks SRTP.
        self._sequence = secrets.randbits(15)
        self._timestamp = secrets.randbits(31)
        self._sent_at: float | None = None
        self._encoding: _OpusEncoding | _G711Encoding | None = None
        self._step = 0
        self._rate = 0
        self._times = Unwrapper(32)
        self._base: tuple[int, int] | None = None

    def begin(self, rate: int) -> None:
        """Frames of a new patch follow; raises ValueError for a rate that the codec cannot take."""
        self._encoding = _OpusEncoding(rate) if self.codec.name == "opus" else _G711Encoding(self.codec.name, rate)
        self._rate = rate
        self._step = self.codec.clock // FRAMES_PER_SECOND
        self._base = None

    def end(self) -> None:
        """Release the encoder."""
        self._encoding = None

    def packet(self, frame: PatchFrame, now: float) -> bytes:
        """The RTP packet for a frame of the patch."""
        if self._encoding is None:
            raise ValueError("no patch has begun")
        timestamp, fresh = self._place(frame, now)
        payload = self._encoding.encode(frame.pcm)
        second = self.codec.payload_type | (0x80 if fresh else 0)
        header = _HEADER.pack(0x80, second, self._sequence, timestamp & 0xFFFFFFFF, self.ssrc)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = timestamp
        self._sent_at = now
        self.sent += 1
        self.octets += len(payload)
        return header + payload

    def _place(self, frame: PatchFrame, now: float) -> tuple[int, bool]:
        """The frame's RTP timestamp, and whether it begins a stretch of talk."""
        clock = self.codec.clock
        steady = self._timestamp
        if self._sent_at is not None:
            steady += max(self._step, round((now - self._sent_at) * clock))
        if self._base is not None and not frame.flags & RESTART:
            media, timestamp = self._base
            timestamp += (self._times.unwrap(frame.media_time) - media) * clock // self._rate
            if abs(timestamp - steady) < LONGEST_JUMP * clock:
                return timestamp, False
        self._times = Unwrapper(32)
        self._base = (self._times.unwrap(frame.media_time), steady)
        return steady, True

    def sender_info(self, now: float, wall: float) -> SenderInfo:
        """Clocks and counters for a sender report (RFC 3550 §6.4.1)."""
        elapsed = round((now - self._sent_at) * self.codec.clock) if self._sent_at is not None else 0
        return SenderInfo(ntp(wall), (self._timestamp + elapsed) & 0xFFFFFFFF, self.sent, self.octets)
