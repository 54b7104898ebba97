"""Requests of cards on their way out: who may call whom, and by which socket."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from media.control.edge import Trunk
from sip.edge import rewrite
from sip.edge.hops import Hop, next_hop, trunk_hop
from sip.edge.lines import Card
from sip.edge.rewrite import CardSide
from sip.edge.routes import Taken
from sip.edge.rules import Refusal
from sip.edge.softmap import Entry
from sip.edge.sources import trunk_target
from sip.edge.trunks import Use, rewritten
from sip.edge.wires import public_side
from sip.message import BadMessage
from sip.uri import SipUri, bracketed, revived

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
            trunk = self._parts.sources.trunk_for(target.host) if first and not taken.rest else None
            if trunk is not None:
                target = _at_trunk(target, trunk)
            hop = next_hop(target, taken.rest, taken.kind) if trunk is None else trunk_hop(trunk)
        except ValueError as error:
            raise BadMessage(str(error), headers=arrival.request.headers) from error
        if new and entry is None and trunk is not None and not self._begins(arrival, trunk):
            return
        send = functools.partial(self._send, arrival, card, taken, target, hop, trunk is not None or not first)
        way = self._parts.ways.by_flow(taken) if taken.flow else None
        if way is not None:
            send(way.address[0])
        else:
            self._parts.resolver.resolve(hop.host, send)

    def _begins(self, arrival: Arrival, trunk: Trunk) -> bool:
        """Whether the trunk has room for one more call, which then counts."""
        now = self._parts.clock()
        if self._parts.calls.knows(False, arrival.head.call_id):
            return True  # the answer to a challenge, or a retransmission through a new edge
        refusal = self._parts.admission.limit(trunk, now)
        if refusal is not None:
            self._refuse(arrival, refusal)
            return False
        host = SipUri.parse(arrival.request.target).host
        self._parts.calls.begin(Use(False, arrival.head.call_id, host), now)
        return True

    def _leased(self, arrival: Arrival, card: Card) -> bool:
        head = arrival.head
        lease = arrival.request.headers.get(rewrite.LEASE) or ""
        if self._parts.lines.redeem(lease, card, head.call_id, self._parts.clock()):
            self._parts.recount(card.name)  # an answer without ringing tells nobody that the party is no patch
            return True
        # Leases die with an edge; a leg whose INVITE had passed is known from the card's inventory.
        known = self._parts.softmap.dialog(False, head.call_id, head.from_tag)
        return known is not None and (known.card, known.generation) == (card.name, card.generation)

    def _send(
        self, arrival: Arrival, card: Card, taken: Taken, target: SipUri, hop: Hop, trusted: bool, address: str | None
    ) -> None:
        parts = self._parts
        way = parts.ways.by_flow(taken) if taken.flow else None
        if way is None and address is not None:
            way = parts.ways.to((address, hop.port), hop.kind, taken.public)
        if way is None:
            log.warning("no way there", card=card.name, transport=hop.kind, **{"pii.target": hop.host})
            self._refuse(arrival, Refusal(502))
            return
        wire, peer = way.wire, way.address
        standing = parts.sources.standing(peer[0])
        insecure = standing.trunk is not None and standing.trunk.tls_required and wire.kind != "TLS"
        if parts.lines.at(peer) is not None or parts.routes.is_inside(peer) or insecure or not (trusted or standing.allowed):
            log.warning("a card may not send there", card=card.name, transport=wire.kind, **{"pii.target": peer[0]})
            self._refuse(arrival, Refusal(403))
            return
        side = CardSide(card.name, card.generation, card.address, parts.wires.inside.local)
        public = public_side(wire, peer[0], secure=taken.secure or target.scheme.lower() == "sips")
        branch = str(arrival.branch)
        sent = rewrite.request_from_card(arrival.request, side, public, branch, target)
        if arrival.method == "INVITE" and not arrival.head.to_tag and parts.softmap.branch(branch) is None:
            entry = Entry(branch, arrival.head.call_id, arrival.head.from_tag, False, card.name, card.generation)
            entry.request, entry.wire, entry.peer = sent, wire, peer
            parts.softmap.add(entry)
        if wire.reliable:
            way.send(bytes(sent), functools.partial(self._refuse, arrival, Refusal(503)))
        else:
            wire.send(bytes(sent), peer)


def _at_trunk(target: SipUri, trunk: Trunk) -> SipUri:
    """The Request-URI that a trunk gets: its own host, the number as it wants it; raises ValueError."""
    user = None if target.user is None else rewritten(target.user, trunk.numbers_out)
    host, port = trunk_target(trunk)
    parameters = tuple(p for p in target.parameters if not p.lower().startswith("transport="))
    if trunk.transport != "udp":
        parameters = (*parameters, f"transport={trunk.transport}")
    named = target.host.lower() == trunk.name.lower()
    scheme = target.scheme if trunk.transport == "tls" else "sip"
    return SipUri(
        scheme, user, bracketed(host) if named else target.host, port if named else target.port, parameters, target.headers
    )
