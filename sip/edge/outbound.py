"""Requests of cards on their way out: who may call whom, and by which socket; which server, when a name has several."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from media.control.edge import Trunk
from sip.edge import rewrite
from sip.edge.hops import Way, next_hop, trunk_hop
from sip.edge.hunt import MOST, Hunt, Passing, hunting, place
from sip.edge.lines import Card
from sip.edge.rewrite import CardSide
from sip.edge.rules import Refusal
from sip.edge.softmap import Entry
from sip.edge.sources import trunk_target
from sip.edge.targets import arranged
from sip.edge.trunks import Use, rewritten
from sip.edge.wires import public_side
from sip.message import BadMessage, Head, Request, Response
from sip.uri import SipUri, bracketed, revived

if TYPE_CHECKING:
    from sip.edge.locator import Targets
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
        passing = Passing(arrival, card, taken, target, trunk, first)
        if entry is not None and entry.hunt is not None:
            self._again(passing, entry, entry.hunt)
            return
        if new and trunk is not None and not self._begins(arrival, trunk):
            return
        way = self._parts.ways.by_flow(taken) if taken.flow else None
        if way is not None:
            self._send(passing, [way])
        else:
            self._parts.locator.locate(hop, functools.partial(self._located, passing, hop.host))

    def heard(self, entry: Entry, response: Response, head: Head) -> bool:
        """What a server says to an INVITE; True: nobody needs to know, because another one is tried."""
        hunt = entry.hunt
        if hunt is None:
            return False
        if response.code >= 500:
            self._note(hunt, response.code, response.phrase)
        if response.code != 503:
            self._parts.bench.works(place(hunt.way))
            return False
        number = hunt.number
        if not self._next(entry, hunt):
            return False
        self._parts.orphans.response(hunt.given_up[number], response, head)
        return True

    # --- who may ------------------------------------------------------------------------------------------------------

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

    def _may(self, passing: Passing, way: Way) -> bool:
        parts, peer = self._parts, way.address
        standing = parts.sources.standing(peer[0])
        trunk = passing.trunk or standing.trunk
        if trunk is not None and trunk.tls_required and way.wire.kind != "TLS":
            return False
        if parts.lines.at(peer) is not None or parts.routes.is_inside(peer):
            return False
        return passing.trunk is not None or not passing.first or standing.allowed

    # --- where --------------------------------------------------------------------------------------------------------

    def _located(self, passing: Passing, host: str, targets: Targets) -> None:
        places = arranged(targets, passing.arrival.head.call_id)
        if passing.trunk is not None:
            self._parts.sources.resolved(host.lower(), (each.address[0] for each in places), self._parts.clock())
        found = (self._parts.ways.to(each.address, each.kind, passing.taken.public, passing.trunk) for each in places)
        self._send(passing, [way for way in found if way is not None], host)

    def _send(self, passing: Passing, ways: list[Way], host: str = "") -> None:
        arrival = passing.arrival
        if not ways:
            log.warning("no way there", card=passing.card.name, **{"pii.target": host})
            self._refuse(arrival, Refusal(502))
            return
        allowed = [way for way in ways if self._may(passing, way)][:MOST]
        if not allowed:
            refused = ways[0]
            log.warning(
                "a card may not send there",
                card=passing.card.name,
                transport=refused.wire.kind,
                **{"pii.target": refused.address[0]},
            )
            self._refuse(arrival, Refusal(403))
        elif passing.new:
            self._begin(passing, allowed)
        elif passing.first and arrival.method in ("ACK", "CANCEL"):
            # The edge that sent the INVITE is no more, and nobody knows which server had it: to the others it means nothing.
            for number, way in enumerate(allowed):
                self._pass(passing, way, number)
        else:
            self._pass(passing, allowed[0], 0)

    def _begin(self, passing: Passing, ways: list[Way]) -> None:
        parts, arrival = self._parts, passing.arrival
        known = parts.softmap.branch(str(arrival.branch))
        if known is not None and known.hunt is not None:  # it came again while DNS was asked
            self._again(passing, known, known.hunt)
            return
        head = arrival.head
        entry = Entry(str(arrival.branch), head.call_id, head.from_tag, False, passing.card.name, passing.card.generation)
        entry.hunt = hunting(passing, ways, parts.bench, parts.clock())
        parts.softmap.add(entry)
        self._try(entry, entry.hunt)

    def _try(self, entry: Entry, hunt: Hunt) -> None:
        way = hunt.way
        hunt.since = self._parts.clock()
        entry.request, entry.wire, entry.peer, entry.provisional = None, way.wire, way.address, False
        entry.request = self._rewritten(hunt.passing, way, hunt.number)
        way.send(bytes(entry.request), functools.partial(self._unreachable, entry, hunt, hunt.number))

    def _again(self, passing: Passing, entry: Entry, hunt: Hunt) -> None:
        """More of a transaction that is known: an INVITE's repetition, its CANCEL, the ACK to its refusal."""
        silent = passing.new and entry.state == "pending" and not entry.provisional
        if silent and self._parts.clock() - hunt.since > self._parts.patience:
            self._note(hunt, 0, "no answer")
            if self._next(entry, hunt):
                return
        if passing.arrival.method == "CANCEL":
            hunt.left.clear()
        failed = functools.partial(self._unreachable, entry, hunt, hunt.number) if passing.new else None
        self._pass(passing, hunt.way, hunt.number, failed)

    def _next(self, entry: Entry, hunt: Hunt) -> bool:
        """The server failed: have another one try, if there is one."""
        self._parts.bench.failed(place(hunt.way), self._parts.clock())
        failed = hunt.way.address[0]
        if not hunt.next(entry):
            return False
        self._parts.counters.add("invites.next-target")
        log.info("a call is tried at the next target", **{"pii.failed": failed, "pii.target": hunt.way.address[0]})
        self._try(entry, hunt)
        return True

    def _unreachable(self, entry: Entry, hunt: Hunt, number: int) -> None:
        """No connection came about."""
        if hunt.number != number or entry.state != "pending":
            return
        self._note(hunt, 0, "no connection")
        if not self._next(entry, hunt):
            self._refuse(hunt.passing.arrival, Refusal(503))

    def _note(self, hunt: Hunt, code: int, detail: str) -> None:
        if hunt.passing.trunk is not None:
            self._parts.health.failed(hunt.passing.trunk.name, code, detail)

    def _pass(self, passing: Passing, way: Way, number: int, failed: Callable[[], None] | None = None) -> None:
        sent = self._rewritten(passing, way, number)
        way.send(bytes(sent), failed or functools.partial(self._refuse, passing.arrival, Refusal(503)))

    def _rewritten(self, passing: Passing, way: Way, number: int) -> Request:
        card, taken, target = passing.card, passing.taken, passing.target
        side = CardSide(card.name, card.generation, card.address, self._parts.wires.inside.local)
        public = public_side(way.wire, way.address[0], secure=taken.secure or target.scheme.lower() == "sips")
        return rewrite.request_from_card(passing.arrival.request, side, public, passing.branch(number), target)


def _at_trunk(target: SipUri, trunk: Trunk) -> SipUri:
    """The Request-URI that a trunk gets: its own host, the number as it wants it; raises ValueError."""
    user = None if target.user is None else rewritten(target.user, trunk.numbers_out)
    host, port = trunk_target(trunk)
    parameters = tuple(p for p in target.parameters if not p.lower().startswith("transport="))
    if trunk.transport in ("tcp", "tls"):
        parameters = (*parameters, f"transport={trunk.transport}")
    named = target.host.lower() == trunk.name.lower()
    scheme = target.scheme if trunk.transport in ("tls", "auto") else "sip"
    return SipUri(
        scheme,
        user,
        bracketed(host) if named else target.host,
        (port or None) if named else target.port,
        parameters,
        target.headers,
    )
