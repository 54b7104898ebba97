"""What a card does on its own when no exchange commands it: callers are never left in silence or ringing for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import structlog

from media.control.line import Configure
from sip.linecard.bridge import Bridge
from sip.linecard.calls import Call, Party
from sip.linecard.engine import Engine
from sip.linecard.parties import PatchParty, SipParty
from sip.linecard.playing import FilesPlayback

log = structlog.get_logger()


class Host(Protocol):
    """What this needs of the card."""

    bridge: Bridge
    engine: Engine
    calls: dict[str, Call]
    configuration: Configure
    counters: dict[str, float]

    def relink(self, party: Party) -> None: ...


class Unattended:
    """Watches for a missing commander; in the engine's thread."""

    def __init__(self, host: Host, commanded: Callable[[], bool], *, ring: float, patience: float) -> None:
        self._host = host
        self._ring = ring
        self._patience = patience
        self._commanded = commanded
        self._alone_since: float | None = time.monotonic()
        self._excused: set[str] = set()

    def arrived(self, party: SipParty) -> None:
        """An INVITE came: ring at once if nobody is there to say so, and look again later."""
        if not self._commanded():
            party.answer(180)
            party.claimed = False
        self._host.engine.later(self._ring, lambda: self._unclaimed(party))

    def watch(self) -> None:
        """Once a second."""
        now = time.monotonic()
        if self._commanded():
            self._alone_since = None
            return
        if self._alone_since is None:
            self._alone_since = now
        if now - self._alone_since < self._patience:
            return
        for call in list(self._host.calls.values()):
            talking = [party for party in call.living if party.state == "connected"]
            callers = [party for party in talking if isinstance(party, SipParty)]
            if len(talking) >= 2 and callers:
                continue  # a talk goes on
            for party in talking:
                if isinstance(party, PatchParty):
                    party.end("unavailable")
            for caller in callers:
                self._apologise(caller)

    def _unclaimed(self, party: SipParty) -> None:
        if party.claimed or not party.alive:
            return
        if self._commanded():
            self._host.engine.later(1.0, lambda: self._unclaimed(party))
            return
        log.warning("a call that nobody claimed gets the apology", call=party.call.call)
        self._host.counters["unattended"] += 1
        if not self._host.configuration.apology:
            party.end("unavailable", 480)
            return
        party.answer(200)
        self._apologise(party)

    def _apologise(self, party: SipParty) -> None:
        if party.party in self._excused:
            return
        self._excused.add(party.party)
        if party.collection is not None:
            party.collection.stop("stopped")
        if party.playback is not None:
            party.playback.stop("stopped")
        party.music = None
        files = [self._host.configuration.apology] if self._host.configuration.apology else []

        def ended(_why: str) -> None:
            party.playback = None
            self._excused.discard(party.party)
            party.end("apology")

        playback = FilesPlayback(
            self._host.bridge,
            self._host.engine,
            player="apology",
            files=files,
            loop=False,
            barge_in=False,
            changed=lambda: self._host.relink(party),
            ended=ended,
        )
        party.playback = playback
        playback.start()
