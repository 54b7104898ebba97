"""A patch: two media processes joined by a local datagram socket, one frame of 20 ms PCM each way at a time."""

from __future__ import annotations

import errno
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

import msgspec

FRAMES_PER_SECOND = 50
RATES = frozenset({8000, 16000, 24000, 32000, 48000})

RESTART = 1
"""Flag: the media time does not follow on from the frames before."""
CONCEALED = 2
"""Flag: the sender made this frame up, because what should be here was lost on its way to it."""

_MAGIC = b"Sp"
_VERSION = 1
_HEADER = struct.Struct("!2sBBIIH")
_LARGEST = _HEADER.size + 48000 // FRAMES_PER_SECOND * 2
_NOT_TAKEN = frozenset({errno.EAGAIN, errno.ENOENT, errno.ECONNREFUSED, errno.ENOBUFS, errno.ECONNRESET, errno.ENOTCONN})


class PatchFrame(msgspec.Struct, frozen=True, gc=False):
    """20 ms of mono s16le PCM; `media_time` counts samples of the source and wraps at 2**32, as `seq` does."""

    seq: int
    media_time: int
    flags: int
    pcm: bytes

    @property
    def rate(self) -> int:
        """Samples a second, as the length of a frame tells."""
        return len(self.pcm) // 2 * FRAMES_PER_SECOND

    def __bytes__(self) -> bytes:
        return _HEADER.pack(_MAGIC, _VERSION, self.flags, self.seq, self.media_time, self.rate) + self.pcm

    @classmethod
    def parse(cls, data: bytes) -> PatchFrame:
        """The frame in one datagram; raises ValueError."""
        if len(data) < _HEADER.size:
            raise ValueError(f"a patch frame of {len(data)} bytes is shorter than its header")
        magic, version, flags, seq, media_time, rate = _HEADER.unpack_from(data)
        if magic != _MAGIC or version != _VERSION:
            raise ValueError("not a patch frame of this version")
        if rate not in RATES:
            raise ValueError(f"no patch has {rate} samples a second")
        if len(data) != _HEADER.size + rate // FRAMES_PER_SECOND * 2:
            raise ValueError(f"{len(data) - _HEADER.size} bytes are not 20 ms at {rate} samples a second")
        return cls(seq, media_time, flags, data[_HEADER.size :])


@dataclass(frozen=True, slots=True)
class PatchStatistics:
    """Counters of one end: `dropped` could not be sent, `bad` was received and is no frame of this patch."""

    sent: int
    dropped: int
    received: int
    bad: int


class PatchSocket:
    """One end of a patch; never blocks, so that a clock's thread may use it."""

    def __init__(self, own: Path, peer: Path, rate: int) -> None:
        if rate not in RATES:
            raise ValueError(f"no patch has {rate} samples a second")
        self.rate = rate
        self.own = own
        self.peer = peer
        self._peer = str(peer)
        self._payload = rate // FRAMES_PER_SECOND * 2
        self._seq = 0
        self._sent = self._dropped = self._received = self._bad = 0
        own.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.bind(str(own))
            os.chmod(own, 0o600)
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> PatchSocket:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def fileno(self) -> int:
        """The descriptor, for a loop's reader; -1 when closed."""
        return self._socket.fileno()

    def send(self, pcm: bytes, media_time: int, flags: int = 0) -> bool:
        """Send one frame; False (and counted) when the other end is not there or does not read."""
        if len(pcm) != self._payload:
            raise ValueError(f"{len(pcm)} bytes are not 20 ms at {self.rate} samples a second")
        seq = self._seq
        self._seq = (seq + 1) & 0xFFFFFFFF
        header = _HEADER.pack(_MAGIC, _VERSION, flags, seq, media_time & 0xFFFFFFFF, self.rate)
        try:
            self._socket.sendto(header + pcm, self._peer)
        except OSError as error:
            if error.errno not in _NOT_TAKEN:
                raise
            self._dropped += 1
            return False
        self._sent += 1
        return True

    def receive(self) -> PatchFrame | None:
        """The next frame that waits, or None; what is not a frame of this patch is counted and skipped."""
        while True:
            try:
                data = self._socket.recv(_LARGEST + 1)
            except BlockingIOError:
                return None
            try:
                frame = PatchFrame.parse(data)
            except ValueError:
                self._bad += 1
                continue
            if len(frame.pcm) != self._payload:
                self._bad += 1
                continue
            self._received += 1
            return frame

    def close(self) -> None:
        """Close and unlink; safe to call again."""
        if self._socket.fileno() < 0:
            return
        self._socket.close()
        self.own.unlink(missing_ok=True)

    def statistics(self) -> PatchStatistics:
        return PatchStatistics(self._sent, self._dropped, self._received, self._bad)
