"""The call model: a call has parties and links; what the bridge must connect follows from them by one pure function."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from media.control.line import CallArrived, CallRecord, Link, PartyKind, PartyRecord, PartyState, Quality, Termination
from sip.linecard.bridge import Connection, Port
from sip.linecard.collecting import TypeAhead
from sip.linecard.playing import Playback
from sip.linecard.recording import Recording

ORDER: dict[PartyState, int] = {"arrived": 0, "dialling": 0, "ringing": 1, "early": 2, "connected": 3, "ended": 4}


class Party:
    """Somebody in a call. The port is there while there is media."""

    kind: PartyKind = "sip"

    def __init__(self, call: Call, party: str, state: PartyState) -> None:
        self.call = call
        self.party = party
        self.state: PartyState = state
        self.port: Port | None = None
        self.muted = False
        self.music: str | None = None
        self.playback: Playback | None = None
        self.collection: Any = None
        self.ahead = TypeAhead()
        self.termination: Termination | None = None
        self.quality: Quality | None = None

    @property
    def alive(self) -> bool:
        return self.state != "ended"

    @property
    def private(self) -> bool:
        """Nothing of the party may be recorded now: it dials something secret."""
        return self.collection is not None and self.collection.secret

    def advances(self, state: PartyState) -> bool:
        """Whether `state` comes after the present one; states never go back."""
        return ORDER[state] > ORDER[self.state]

    def end(self, reason: str, code: int = 0) -> None:
        """Take the party out of the call; in the engine's thread."""
        raise NotImplementedError

    def record(self) -> PartyRecord:
        return PartyRecord(
            self.party,
            self.kind,
            self.state,
            muted=self.muted,
            music=self.music is not None,
            player=self.playback.player if self.playback is not None and self.collection is None else "",
            collect=self.collection.collect if self.collection is not None else "",
            termination=self.termination,
        )


class Call:
    """Parties and who hears whom."""

    def __init__(self, call: str, arrived: CallArrived | None = None) -> None:
        self.call = call
        self.arrived = arrived
        self.started = time.time()
        self.answered = 0.0
        self.parties: dict[str, Party] = {}
        self.links: tuple[Link, ...] = ()
        self.recording: Recording | None = None
        self.ended: Termination | None = None

    @property
    def living(self) -> list[Party]:
        return [party for party in self.parties.values() if party.alive]

    def record(self) -> CallRecord:
        return CallRecord(
            self.call,
            self.arrived,
            self.started,
            self.answered,
            [party.record() for party in self.parties.values()],
            list(self.links),
            recording=self.recording.recording if self.recording is not None else "",
            recording_paused=self.recording.paused if self.recording is not None else False,
            ended=self.ended,
        )


def connections(call: Call, silence: Callable[[], Port], music: Callable[[str], Port | None]) -> set[Connection]:
    """What the bridge must connect for this call as it is now.

    A SIP party always hears silence as well: its RTP must not stop when nobody talks to it.
    """
    ports = {party.party: party.port for party in call.living if party.port is not None and party.port.alive}
    found: set[Connection] = set()
    for link in call.links:
        if link.source in ports and link.listener in ports and not call.parties[link.source].muted:
            found.add((ports[link.source], ports[link.listener]))
    for name, port in ports.items():
        party = call.parties[name]
        if party.kind == "sip":
            found.add((silence(), port))
        if party.playback is not None and party.playback.port is not None:
            found.add((party.playback.port, port))
        if party.music is not None and (tune := music(party.music)) is not None:
            found.add((tune, port))
    if call.recording is not None:
        found |= _recorded(call, call.recording, ports)
    return found


def _recorded(call: Call, recording: Recording, ports: dict[str, Port]) -> set[Connection]:
    """Left hears the one party, right all the others; players and music are on neither side."""
    found: set[Connection] = set()
    if recording.paused:
        return found
    for name, port in ports.items():
        party = call.parties[name]
        if party.muted or party.private:
            continue
        if name == recording.left_party:
            found.add((port, recording.left))
        elif recording.with_right:
            found.add((port, recording.right))
    return found
