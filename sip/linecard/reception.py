"""What a SIP leg receives: whether RTP still comes, and that it comes from the other side and from nobody else."""

from __future__ import annotations

import time

import pjsua2 as pj
import structlog

from sip.linecard.engine import Engine, Timer
from sip.linecard.legs import Leg
from sip.linecard.rtpfilter import Sockets
from sip.linecard.rtpsource import Rule, Sources

log = structlog.get_logger()

QUICK = 0.25
"""Seconds between two looks until it is known from where RTP comes; then the card's watch is enough."""
QUICK_LOOKS = 20


class Reception:
    """One leg's; in the engine's thread. `signalling` is the host that its SIP comes from, if known."""

    def __init__(self, engine: Engine, call: str) -> None:
        self.signalling = ""
        self.connected = False
        self.held = False
        self._engine = engine
        self._call = call
        self._leg: Leg | None = None
        self._index = -1
        self._sockets: Sockets | None = None
        self._sources: Sources | None = None
        self._timer: Timer | None = None
        self._quick = 0
        self._counted = -1
        self._heard_at = time.monotonic()

    def media(self, leg: Leg, index: int) -> None:
        """Media was made, or made anew, or changed direction."""
        self._leg, self._index = leg, index
        now = self._heard_at = time.monotonic()
        sdp = leg.media_target(index)
        if sdp is None:
            return
        if self._sources is None:
            self._sockets = Sockets.of_call(leg.getId(), index)
            self._sources = Sources(sdp, self.signalling, now)
            self._admit(self._sources.rule)
        elif self._sources.moved(sdp, now):
            self._admit(self._sources.rule)
        self._quick = QUICK_LOOKS
        self._look_again()

    def stream_gone(self) -> None:
        """The counts begin anew with the next stream."""
        self._counted = -1

    def answered(self) -> None:
        self.connected = True
        self._heard_at = time.monotonic()

    def close(self) -> None:
        """The leg has ended."""
        self._leg = None
        if self._timer is not None:
            self._timer.cancel()

    def silent_for(self, now: float) -> float:
        """Look at what came; seconds since RTP came last, 0.0 while none is due."""
        count = self._received()
        if count is None or not self.connected:
            return 0.0
        if count != self._counted or self.held:
            self._counted = count
            self._heard_at = now
        self._follow(count, now)
        return now - self._heard_at

    def _received(self) -> int | None:
        if self._leg is None or self._index < 0:
            return None
        try:
            return self._leg.received(self._index)
        except pj.Error:
            return None  # media is being made anew

    def _follow(self, count: int, now: float) -> None:
        sources, leg = self._sources, self._leg
        if sources is None or leg is None or self._sockets is None:
            return
        source = None if sources.settled else leg.media_source(self._index)
        if sources.look(count, source, now, paused=self.held or not self.connected):
            if sources.settled and source != sources.sdp:
                log.info("RTP comes from another address than the SDP says", call=self._call, **{"pii.source": source})
            elif not sources.settled:
                log.info("no RTP from where it was expected: others are let in", call=self._call)
            self._admit(sources.rule)

    def _look_again(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._engine.later(QUICK, self._look) if self._quick > 0 else None

    def _look(self) -> None:
        self._quick -= 1
        count = self._received()
        if count is not None:
            self._follow(count, time.monotonic())
        if self._sources is not None and not self._sources.settled:
            self._look_again()

    def _admit(self, rule: Rule) -> None:
        if self._sockets is not None and not self._sockets.admit(rule):
            self._sockets = None
