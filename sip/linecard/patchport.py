"""A patch's end on the bridge: frames from the socket to the bridge and back, on the bridge's clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pjsua2 as pj
import structlog

from media.jitter import PatchReceiver
from media.patch import FRAMES_PER_SECOND, PatchSocket
from sip.linecard import frames
from sip.linecard.guard import guarded
from sip.linecard.settings import FRAME_MS

log = structlog.get_logger()

MOST_AT_ONCE = 100
"""Frames taken from the socket at one tick: a peer that floods cannot stop the clock."""


class PatchPort(pj.AudioMediaPort):  # type: ignore[misc]  # untyped library
    """Both callbacks run on the bridge's clock thread; nothing else touches the socket between `__init__` and `close`."""

    def __init__(self, name: str, own: Path, peer: Path, rate: int, access: tuple[frames.Reader, frames.Writer]) -> None:
        super().__init__()
        self._read, self._write = access
        self._samples = rate // FRAMES_PER_SECOND
        self._silence = bytes(2 * self._samples)
        self._time = 0
        self._closed = self._asked = False
        self._socket = PatchSocket(own, peer, rate)
        self._receiver = PatchReceiver(rate)
        form = pj.MediaFormatAudio()
        form.init(pj.PJMEDIA_FORMAT_PCM, rate, 1, FRAME_MS * 1000, 16)
        try:
            self.createPort(name, form)
        except pj.Error:
            self._socket.close()
            raise

    @guarded
    def onFrameRequested(self, frame: Any) -> None:
        """The bridge wants 20 ms from the other end."""
        if self._closed:
            frame.type = pj.PJMEDIA_FRAME_TYPE_NONE
            return
        self._asked = True
        self._write(frame, self._pull())
        frame.type = pj.PJMEDIA_FRAME_TYPE_AUDIO

    @guarded
    def onFrameReceived(self, frame: Any) -> None:
        """The bridge has 20 ms for the other end; without a talker there is no frame, and silence goes out."""
        if self._closed:
            return
        if not self._asked:
            self._pull()  # nobody listens to this port now; what arrives must not wait to be heard later
        self._asked = False
        pcm = self._read(frame) if frame.type == pj.PJMEDIA_FRAME_TYPE_AUDIO else b""
        self._socket.send(pcm if len(pcm) == len(self._silence) else self._silence, self._time)
        self._time = (self._time + self._samples) & 0xFFFFFFFF

    def mute(self) -> None:
        """Stop using the socket; it is closed when the bridge has let the port go."""
        self._closed = True

    def close(self) -> None:
        """Close the socket: the clock comes here no more."""
        self._closed = True
        self._socket.close()

    def _pull(self) -> bytes:
        for _ in range(MOST_AT_ONCE):
            arrived = self._socket.receive()
            if arrived is None:
                break
            self._receiver.push(arrived)
        return self._receiver.pull()

    def counters(self) -> tuple[int, int, int, int]:
        """(sent, received, lost, late) frames."""
        wire, buffer = self._socket.statistics(), self._receiver.statistics()
        return wire.sent, wire.received, buffer.lost, buffer.late
