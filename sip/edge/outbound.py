"""Requests of cards on their way out: who may call whom, and by which socket."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from sip.edge import rewrite
from sip.edge.lines import Card
from sip.edge.rewrite import CardSide
from sip.edge.routes import Taken
from sip.edge.rules import Refusal
from sip.edge.softmap import Entry
from sip.edge.wires import public_side
from sip.message import BadMessage
from sip.uri import NameAddress, SipUri, bracketed, revived, split_host_port

if TYPE_CHECKING:
    from sip.edge.proxy import Arrival, Parts

log = structlog.get_logger()


class Outbound:
    """A new leg needs a lease and goes to a trunk or to an allowed address; what is in a dialog goes where the dialog says."""

    def __init__(self, parts: Parts, refuse: Callable[[Arrival, Refusal], None]) -> None:
        self._parts = parts
        self._refuse = refuse

    def request(self, arrival: Arrival, card: Card) -> None:
        """Send a card's request on."""
        taken = self._parts.routes.from_card(arrival.request.headers.getlist("Route"))
        arrival.request.headers.setlist("Route", taken.rest)
        entry = self._parts.softmap.branch(str(arrival.branch))
        if entry is not None and entry.refusal:
            if arrival.method == "INVITE":
                arrival.wire.send(entry.refusal, arrival.reply_to)
            elif arrival.method == "CANCEL":
                self._refuse(arrival, Refusal(481))
            return
        new = arrival.method == "INVITE" and not arrival.head.to_tag
        if new and entry is None and not self._leased(arrival, card):
            log.warning("a leg without a lease is refused", card=card.name)
            self._refuse(arrival, Refusal(403))
            return
        # An ACK to a refusal carries the route set of its INVITE, which names no public socket of ours (RFC 3261 §17.1.1.3).
        first = taken.public is None and (not arrival.head.to_tag or arrival.method == "ACK")
        try:
            target = revived(SipUri.parse(arrival.request.target))
            target, hop, trusted = self._hop(target, taken, first)
        except ValueError as error:
            raise BadMessage(str(error), headers=arrival.request.headers) from error
        self._parts.resolver.resolve(
            hop[0], lambda ip: self._send(arrival, card, taken, target, None if ip is None else (ip, hop[1]), trusted)
        )

    def _leased(self, arrival: Arrival, card: Card) -> bool:
        head = arrival.head
        lease = arrival.request.headers.get(rewrite.LEASE) or ""
        if self._parts.lines.redeem(lease, card, head.call_id, self._parts.clock()):
            self._parts.recount(card.name)  # an answer without ringing tells nobody that the party is no patch
            return True
        # Leases die with an edge; a leg whose INVITE had passed is known from the card's inventory.
        known = self._parts.softmap.dialog(False, head.call_id, head.from_tag)
        return known is not None and (known.card, known.generation) == (card.name, card.generation)

    def _hop(self, target: SipUri, taken: Taken, first: bool) -> tuple[SipUri, tuple[str, int], bool]:
        """The Request-URI that leaves, the next hop, and whether it needs no further leave."""
        if taken.rest:
            return target, revived(NameAddress.parse(taken.rest[0]).uri).address, not first
        if not first:
            return target, target.address, True
        trunk = self._parts.sources.trunk_for(target.host)
        if trunk is None:
            return target, target.address, False
        host, port = split_host_port(trunk.target)
        if target.host.lower() == trunk.name.lower():
            target = dataclasses.replace(target, host=bracketed(host), port=port)
        return target, (host, port), True

    def _send(
        self, arrival: Arrival, card: Card, taken: Taken, target: SipUri, hop: tuple[str, int] | None, trusted: bool
    ) -> None:
        parts = self._parts
        if hop is None:
            self._refuse(arrival, Refusal(502))
            return
        if parts.lines.at(hop) is not None or parts.routes.is_inside(hop) or not (trusted or parts.sources.allows(hop[0])):
            log.warning("a card may not send there", card=card.name, **{"pii.target": hop[0]})
            self._refuse(arrival, Refusal(403))
            return
        wire = parts.wires.towards(hop[0], taken.public)
        side = CardSide(card.name, card.generation, card.address, parts.wires.inside.local)
        branch = str(arrival.branch)
        sent = rewrite.request_from_card(arrival.request, side, public_side(wire, hop[0]), branch, target)
        if arrival.method == "INVITE" and not arrival.head.to_tag and parts.softmap.branch(branch) is None:
            entry = Entry(branch, arrival.head.call_id, arrival.head.from_tag, False, card.name, card.generation)
            entry.request, entry.wire, entry.peer = sent, wire, hop
            parts.softmap.add(entry)
        wire.send(bytes(sent), hop)
