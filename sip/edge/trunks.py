"""Calls on trunks: who has how many, and how numbers are written there. Pure: time comes with each question.

The cards' inventories are the truth, as for lines: after a restart the count is what they hold, plus INVITEs on their way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from media.control import line
from media.control.edge import Trunk
from sip.edge.sources import Sources
from sip.message import Headers
from sip.uri import NameAddress, SipUri, split_host_port, split_list

PENDING_SECONDS = 32.0
"""How long an INVITE on its way counts; then a card has reported it or it is dead."""

MAX_PENDING = 20_000


@dataclass(frozen=True)
class Use:
    """A call that a trunk may have: an address it came from, or a host it was sent to."""

    inbound: bool
    call_id: str
    host: str


class TrunkCalls:
    """The book of calls."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._pending: dict[tuple[bool, str], tuple[Use, float]] = {}
        self._held: dict[str, dict[tuple[str, str], Use]] = {}

    def begin(self, use: Use, now: float) -> None:
        """An INVITE passes."""
        if len(self._pending) >= MAX_PENDING:
            self._pending = {key: each for key, each in self._pending.items() if each[1] > now}
        self._pending[use.inbound, use.call_id] = (use, now + PENDING_SECONDS)

    def knows(self, inbound: bool, call_id: str) -> bool:
        """Whether this call counts already."""
        if (inbound, call_id) in self._pending:
            return True
        return any((use.inbound, use.call_id) == (inbound, call_id) for held in self._held.values() for use in held.values())

    def refused(self, inbound: bool, call_id: str) -> None:
        """It was refused, on its way or by whom it was for."""
        self._pending.pop((inbound, call_id), None)

    def found(self, inventory: line.Inventory) -> None:
        """A card's inventory: the truth about its calls."""
        held: dict[tuple[str, str], Use] = {}
        for call in inventory.calls:
            for party in call.parties:
                if party.kind != "sip" or party.state == "ended" or call.ended is not None:
                    continue
                inbound = call.arrived is not None and call.arrived.party == party.party
                host = _host_of(call.arrived.source) if inbound and call.arrived is not None else _uri_host(party.peer)
                use = Use(inbound, party.sip_call_id, host)
                waiting = self._pending.pop((inbound, party.sip_call_id), None)
                held[call.call, party.party] = use if waiting is None else waiting[0]
        self._held[inventory.card] = held

    def event(self, card: str, body: line.LineEvent) -> None:
        held = self._held.setdefault(card, {})
        match body:
            case line.CallArrived():
                waiting = self._pending.pop((True, body.sip_call_id), None)
                use = Use(True, body.sip_call_id, _host_of(body.source))
                held[body.call, body.party] = use if waiting is None else waiting[0]
            case line.PartyChanged(state="ended"):
                held.pop((body.call, body.party), None)
            case line.CallEnded():
                self._held[card] = {key: use for key, use in held.items() if key[0] != body.call}

    def lost(self, card: str) -> None:
        self._held.pop(card, None)

    def count(self, trunk: Trunk, now: float) -> int:
        """Calls of a trunk, both ways."""
        uses = [use for use, expires in self._pending.values() if expires > now]
        uses += [use for held in self._held.values() for use in held.values()]
        return sum(1 for use in uses if self._of(use) is trunk)

    def _of(self, use: Use) -> Trunk | None:
        return self._sources.trunk_of(use.host) if use.inbound else self._sources.trunk_for(use.host)


def rewritten(number: str, rules: Mapping[str, str]) -> str:
    """The number with its longest beginning that has a rule replaced; the empty beginning fits every number."""
    for length in range(len(number), -1, -1):
        found = rules.get(number[:length])
        if found is not None:
            return found + number[length:]
    return number


def dialled(trunk: Trunk, target: str, headers: Headers) -> str | None:
    """The number that a trunk's request is for, in our format; raises ValueError.

    A carrier that we register with calls our Contact: then the number stands in To.
    """
    number = SipUri.parse(target).number
    if trunk.register and number == trunk.username:
        number = NameAddress.parse(headers["To"]).uri.number or number
    return None if number is None else rewritten(number, trunk.numbers_in)


def calling(trunk: Trunk, headers: Headers) -> str:
    """The caller's number in our format; raises ValueError."""
    asserted = [item for value in headers.getlist("P-Asserted-Identity") for item in split_list(value)]
    number = NameAddress.parse(asserted[0] if asserted else headers["From"]).uri.number
    return rewritten(number or "", trunk.numbers_in)


def _host_of(source: str) -> str:
    try:
        return split_host_port(source)[0]
    except ValueError:
        return ""


def _uri_host(text: str) -> str:
    try:
        return NameAddress.parse(text).uri.host
    except ValueError:
        return ""
