"""One agent's or web caller's connection for as long as it lives, and the call that is patched to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from aiortc.rtcdtlstransport import RTCCertificate

from media.control import desk
from media.control.envelope import ControlError
from media.control.line import Quality
from media.deskcard.contact_surface import IceSettings
from media.deskcard.errors import DeskError, LinkError
from media.deskcard.peer import Peer, PeerStatistics
from media.patch import PatchSocket

log = structlog.get_logger()

LOST_AFTER = 2.0
"""Seconds without RTP after which the browser counts as lost: its customer is to hear music within 3 s of silence."""
MOST_AT_ONCE = 16
"""Frames read from a patch for one wake-up."""
NEXT: dict[desk.ConnectionState, frozenset[desk.ConnectionState]] = {
    "connecting": frozenset({"connected", "closed", "failed"}),
    "connected": frozenset({"lost", "closed", "failed"}),
    "lost": frozenset({"connected", "closed", "failed"}),
    "closed": frozenset(),
    "failed": frozenset(),
}


@dataclass
class _Patched:
    """The patch of now, and the counters when it began."""

    name: str
    socket: PatchSocket
    since: float
    before: PeerStatistics
    late_before: int


class Connection:
    """A peer connection of the desk card; `emit` takes the events, `on_end` is called once when it has ended."""

    def __init__(
        self,
        name: str,
        owner: str,
        settings: IceSettings,
        certificate: RTCCertificate,
        *,
        emit: Callable[[Any], None],
        on_end: Callable[[Connection], None],
    ) -> None:
        self.name = name
        self.owner = owner
        self.state: desk.ConnectionState = "connecting"
        self._loop = asyncio.get_running_loop()
        self._emit = emit
        self._on_end = on_end
        self._peer = Peer(settings, certificate, offering=False, on_lost=self._broke)
        self._patched: _Patched | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._connected_at = 0.0
        self._since = time.time()
        self._closed = False

    async def open(self, sdp: str, codecs: tuple[str, ...]) -> str:
        """Our answer to the browser's offer; the handshakes go on by themselves. Raises ControlError."""
        try:
            answer = await self._peer.answer(sdp, codecs)
        except DeskError as error:
            raise ControlError(error.code, str(error)) from error
        self._handshake = asyncio.create_task(self._connect(), name=f"handshake {self.name}")
        return answer

    async def _connect(self) -> None:
        try:
            await self._peer.connect()
        except LinkError as error:
            self._set_state("failed", str(error))
        else:
            self._connected_at = self._loop.time()
            self._set_state("connected")

    def _broke(self, reason: str) -> None:
        self._set_state("closed" if reason == "closed-by-peer" else "failed", reason)

    def _set_state(self, state: desk.ConnectionState, reason: str = "") -> None:
        if state not in NEXT[self.state]:
            return
        log.info("connection changed", connection=self.name, old=self.state, new=state, reason=reason)
        self.state = state
        self._since = time.time()
        if state in ("closed", "failed"):
            self._end_patch()
        self._emit(desk.ConnectionChanged(self.name, self.owner, state, reason))
        if state in ("closed", "failed"):
            self._on_end(self)

    # --- the patch -------------------------------------------------------------------------------------------------

    @property
    def patch_name(self) -> str:
        """The patch of now, or nothing."""
        return self._patched.name if self._patched is not None else ""

    def patch(self, body: desk.Patch) -> None:
        """Join to a call; an earlier patch ends. Raises ControlError."""
        inbound, outbound = self._peer.inbound, self._peer.outbound
        if inbound is None or outbound is None or not NEXT[self.state]:
            raise ControlError("not-connected", f"connection {self.name} is {self.state}")
        if self._patched is not None and self._patched.name == body.patch:
            return
        self._end_patch()
        try:
            socket = PatchSocket(Path(body.own), Path(body.peer), body.rate)
        except (OSError, ValueError) as error:
            raise ControlError("bad-patch", f"the patch cannot be opened: {error}") from error
        before, late = self._peer.statistics(), inbound.late
        try:
            outbound.begin(body.rate)
            inbound.begin(body.rate, socket.send)
        except ValueError as error:
            inbound.end()
            outbound.end()
            socket.close()
            raise ControlError("bad-rate", str(error)) from error
        self._patched = _Patched(body.patch, socket, self._loop.time(), before, late)
        self._loop.add_reader(socket.fileno(), self._forward, socket)
        log.info("patched", connection=self.name, patch=body.patch, rate=body.rate)

    def unpatch(self, patch: str) -> Quality:
        """Leave the call; figures of the stretch (empty ones when that patch is gone already)."""
        if self._patched is None or self._patched.name != patch:
            return Quality()
        return self._end_patch()

    def _forward(self, socket: PatchSocket) -> None:
        for _ in range(MOST_AT_ONCE):
            frame = socket.receive()
            if frame is None:
                return
            self._peer.send(frame)

    def _end_patch(self) -> Quality:
        patched, self._patched = self._patched, None
        if patched is None:
            return Quality()
        self._loop.remove_reader(patched.socket.fileno())
        inbound, outbound = self._peer.inbound, self._peer.outbound
        late = 0
        if inbound is not None and outbound is not None:
            inbound.end()
            outbound.end()
            late = inbound.late - patched.late_before
        patched.socket.close()
        now, before = self._peer.statistics(), patched.before
        quality = Quality(
            codec=self._peer.codec,
            sent=now.sent - before.sent,
            received=now.received - before.received,
            lost=max(0, now.lost - before.lost),
            discarded=now.discarded - before.discarded,
            jitter_ms=round(now.jitter_ms, 2),
            round_trip_ms=round(now.round_trip_ms, 2),
            remote_lost=max(0, now.remote_lost - before.remote_lost),
            remote_jitter_ms=round(now.remote_jitter_ms, 2),
        )
        seconds = self._loop.time() - patched.since
        self._emit(
            desk.LegQuality(
                self.name, self.owner, patched.name, quality, now.concealed - before.concealed, late, round(seconds, 3)
            )
        )
        log.info("unpatched", connection=self.name, patch=patched.name, seconds=round(seconds, 3))
        return quality

    # --- life ------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Judge absence by the arrival of RTP, send reports; called a few times a second."""
        if self.state not in ("connected", "lost"):
            return
        self._peer.tick(now)
        inbound = self._peer.inbound
        if inbound is None or not self._peer.sends:
            return
        silent = now - max(inbound.last_arrival or 0.0, self._connected_at)
        if self.state == "connected" and silent > LOST_AFTER:
            self._set_state("lost", "no-rtp")
        elif self.state == "lost" and silent <= LOST_AFTER:
            self._set_state("connected", "rtp-again")

    async def close(self, reason: str) -> None:
        """Release everything; safe to call again."""
        if self._closed:
            return
        self._closed = True
        self._set_state("closed", reason)
        if self._handshake is not None and not self._handshake.done():
            self._handshake.cancel()
            await asyncio.wait([self._handshake])
        await self._peer.close()

    def record(self) -> desk.ConnectionRecord:
        """Its line of the inventory."""
        return desk.ConnectionRecord(self.name, self.owner, self.state, self._peer.codec, self.patch_name, self._since)

    def statistics(self) -> PeerStatistics:
        return self._peer.statistics()
