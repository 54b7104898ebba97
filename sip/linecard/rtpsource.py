"""From whom a leg takes RTP: decided from its SDP, where its signalling comes from, and what has arrived. Pure.

pjmedia follows any source after ten packets in a row from it, at any time, and no setting of the wheel forbids that. So the
kernel drops the packets of everybody else before pjmedia sees them.
"""

from __future__ import annotations

from dataclasses import dataclass

UNHEARD = 1.5
"""Seconds without a packet from where it should come until others are let in: RTP need not come from where it goes to."""
UNHEARD_AGAIN = 5.0
"""The same, once it had come: a pause of a sender that is silent in silence must not let a stranger take its place."""

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may send: these hosts (empty: all), from this port (0: any)."""

    hosts: tuple[str, ...] = ()
    port: int = 0


class Sources:
    """The rule of one leg, and how it changes."""

    def __init__(self, sdp: Address, signalling: str, now: float) -> None:
        self.sdp = sdp
        self.signalling = signalling
        self.rule = self._expected()
        self.settled = False
        self._received = -1
        self._since = now
        self._last: Address | None = None

    def _expected(self) -> Rule:
        hosts = {self.sdp[0], self.signalling} - {""}  # behind NAT the SDP's address is not the one that we see
        return Rule(tuple(sorted(hosts)))

    def moved(self, sdp: Address, now: float) -> bool:
        """The SDP says something new, or the same again; whether the rule is another now."""
        self._since = now
        if sdp == self.sdp:
            return False
        before, self.sdp = self.rule, sdp
        self.rule, self.settled, self._last = self._expected(), False, None
        return self.rule != before

    def look(self, received: int, source: Address | None, now: float, *, paused: bool) -> bool:
        """`received` packets so far, the last from `source`; `paused` while none is due. Whether the rule is another now."""
        before = self.rule
        if received != self._received:
            if self._received >= 0 and not self.settled and source is not None:
                self._settle(source)
            self._received, self._since = received, now
        elif paused:
            self._since = now
        elif now - self._since >= (UNHEARD_AGAIN if self.settled else UNHEARD):
            self.rule, self.settled, self._since = Rule(), False, now
        return self.rule != before

    def _settle(self, source: Address) -> None:
        """Nobody but `source` from now on: at once if the SDP named it, else when it is the same twice."""
        if source in (self.sdp, self._last):
            self.rule, self.settled = Rule((source[0],), source[1]), True
        self._last = source
