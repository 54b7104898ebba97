"""A patch's end on the bridge: frames from the socket to the bridge and back, on the bridge's clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pjsua2 as pj
import structlog

from media.jitter import PatchReceiver
from media.patch import FRAMES_PER_SECOND, PatchSocket
from sip.linecard import frames, threadstate
from sip.linecard.guard import failed
from sip.linecard.settings import FRAME_MS

log = structlog.get_logger()

MOST_AT_ONCE = 100
"""Frames taken from the socket at one tick: a peer that floods cannot stop the clock."""


@dataclass(slots=True)
class _Joined:
    """What belongs to one patch: its socket, its jitter buffer, its time line."""

    socket: PatchSocket
    receiver: PatchReceiver
    time: int = 0
    asked: bool = False
    kept: bool = False

    def pull(self) -> bytes:
        for _ in range(MOST_AT_ONCE):
            arrived = self.socket.receive()
            if arrived is None:
                break
            self.receiver.push(arrived)
        return self.receiver.pull()


class PatchPort(pj.AudioMediaPort):  # type: ignore[misc]  # untyped library
    """A port that serves one patch after the other; while it has none, its callbacks do nothing.

    Both callbacks run on the bridge's clock thread; nothing else touches the socket between `join` and `close`. A port is
    never freed: the bridge takes a port off at its next tick only, and until then calls whatever is left of it.
    """

    def __init__(self, name: str, rate: int, access: tuple[frames.Reader, frames.Writer]) -> None:
        super().__init__()
        self._read, self._write = access
        self._rate = rate
        self._samples = rate // FRAMES_PER_SECOND
        self._silence = bytes(2 * self._samples)
        self._now: _Joined | None = None
        self._last: _Joined | None = None
        form = pj.MediaFormatAudio()
        form.init(pj.PJMEDIA_FORMAT_PCM, rate, 1, FRAME_MS * 1000, 16)
        self.createPort(name, form)

    def join(self, own: Path, peer: Path) -> None:
        """Serve this patch from the next tick on; raises OSError."""
        self._now = self._last = _Joined(PatchSocket(own, peer, self._rate), PatchReceiver(self._rate))

    # The two callbacks do without `guarded`: a call more, a hundred times a second for each patch.

    def onFrameRequested(self, frame: Any) -> None:
        """The bridge wants 20 ms from the other end."""
        try:
            joined = self._now
            if joined is None:
                frame.type = frames.NONE
                return
            if not joined.kept:
                joined.kept = threadstate.keep()
            joined.asked = True
            self._write(frame, joined.pull())
        except Exception:
            failed("onFrameRequested")

    def onFrameReceived(self, frame: Any) -> None:
        """The bridge has 20 ms for the other end; without a talker there is no frame, and silence goes out."""
        try:
            joined = self._now
            if joined is None:
                return
            if not joined.kept:
                joined.kept = threadstate.keep()
            if not joined.asked:
                joined.pull()  # nobody listens to this port now; what arrives must not wait to be heard later
            joined.asked = False
            pcm = self._read(frame)
            joined.socket.send(pcm if len(pcm) == len(self._silence) else self._silence, joined.time)
            joined.time = (joined.time + self._samples) & 0xFFFFFFFF
        except Exception:
            failed("onFrameReceived")

    def mute(self) -> None:
        """Stop using the socket; close it when a tick has passed."""
        self._now = None

    def close(self) -> None:
        """Close the socket: the clock comes to it no more."""
        self._now = None
        if self._last is not None:
            self._last.socket.close()

    def counters(self) -> tuple[int, int, int, int]:
        """(sent, received, lost, late) frames of the patch of now, or of the last one."""
        if self._last is None:
            return 0, 0, 0, 0
        wire, buffer = self._last.socket.statistics(), self._last.receiver.statistics()
        return wire.sent, wire.received, buffer.lost, buffer.late


@dataclass
class PatchPorts:
    """All ports for patches of a card: as many as it ever needed at once."""

    rate: int
    access: tuple[frames.Reader, frames.Writer]
    made: int = 0
    _spare: list[PatchPort] = field(default_factory=list)

    def take(self, own: Path, peer: Path) -> PatchPort:
        """A port that has joined this patch; raises OSError, pj.Error."""
        if not self._spare:
            self._spare.append(PatchPort(f"patch {self.made}", self.rate, self.access))
            self.made += 1
        self._spare[-1].join(own, peer)
        return self._spare.pop()

    def give_back(self, port: PatchPort) -> None:
        """The port is off all connections, and muted for a tick at least."""
        port.close()
        self._spare.append(port)
