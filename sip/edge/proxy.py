"""The proxy: each datagram is judged, rewritten and sent on, by what it says itself and by the soft map (RFC 3261 §16).

What comes from outside goes to cards only, and what comes from cards goes outside only. There is no transaction state: a
retransmission takes the way of the first, also through an edge that was restarted in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from media.control.edge import Trunk
from sip.edge import outbound, rewrite, rules
from sip.edge.admission import UNAVAILABLE, Admission
from sip.edge.branch import Branch, derive, is_client, tag
from sip.edge.counters import Counters
from sip.edge.flows import Flow, Flows
from sip.edge.health import Health
from sip.edge.hops import Ways
from sip.edge.lines import Card, Lines, NoLineError
from sip.edge.locator import Locator
from sip.edge.orphans import Orphans
from sip.edge.rewrite import CardSide
from sip.edge.routes import OwnRoutes
from sip.edge.rules import Refusal
from sip.edge.softmap import Entry, SoftMap
from sip.edge.sources import Sources
from sip.edge.targets import Bench
from sip.edge.transport import Address, Wire
from sip.edge.trunks import TrunkCalls, Use, calling, dialled
from sip.edge.wires import Wires, public_side
from sip.message import BadMessage, Head, Request, Response, TopVia, parse, read_head, response_to
from sip.uri import host_port

log = structlog.get_logger()

REMEMBERED_STRANGERS = 1_024
"""Sources without service that are logged once each; then the log is silent about new ones, the counter goes on."""


@dataclass(frozen=True)
class Parts:
    """What the proxy works with."""

    wires: Wires
    ways: Ways
    flows: Flows
    routes: OwnRoutes
    lines: Lines
    softmap: SoftMap
    sources: Sources
    calls: TrunkCalls
    admission: Admission
    locator: Locator
    bench: Bench
    health: Health
    orphans: Orphans
    counters: Counters
    clock: Callable[[], float]
    later: Callable[[float, Callable[[], None]], object]
    card_limit: int
    patience: float
    """Seconds without a word from a server until an INVITE is tried at the next one."""
    unread: float
    """Seconds after which a card that has said nothing at all to a call did not understand it."""
    recount: Callable[[str], None]
    """Told the name of a card whose lines should be counted again: it refused a call that it was given, or places a leg."""
    answered: Callable[[str, Response], bool]
    """Told of responses to requests of our own; whether it was one that a registration waits for."""


@dataclass(frozen=True)
class Arrival:
    """A request on its way through: as it came (our stamp in its Via), and what was read from it."""

    request: Request
    head: Head
    branch: Branch
    wire: Wire
    peer: Address
    reply_to: Address
    otherwise: Address | None = None
    """Where answers go by a new connection, when the one to `reply_to` is gone."""
    trunk: Trunk | None = None

    def answer(self, data: bytes) -> None:
        self.wire.send(data, self.reply_to, self.otherwise)

    @property
    def method(self) -> str:
        return self.request.method


class Proxy:
    """Receives datagrams of every socket."""

    def __init__(self, parts: Parts) -> None:
        self.draining = False
        self._parts = parts
        self._counters = parts.counters
        self._lines = parts.lines
        self._map = parts.softmap
        self._strangers: set[str] = set()
        self._outbound = outbound.Outbound(parts, self._refuse)

    def receive(self, data: bytes, peer: Address, wire: Wire) -> None:
        """One datagram."""
        card: Card | None = None
        trunk: Trunk | None = None
        if wire.inside:
            card = self._lines.at(peer)
            if card is None:
                self._counters.dropped("not-a-card")
                return
            card.heard = self._parts.clock()
        else:
            standing = self._parts.sources.standing(peer[0])
            if not standing.allowed:
                self._stranger(peer[0])
                return
            trunk = standing.trunk
        if not data.strip(b"\r\n\0 "):
            return  # a keep-alive (RFC 5626 §3.5.1)
        try:
            message = parse(data)
            if wire.reliable and "Content-Length" not in message.headers:
                refuse = message.headers if isinstance(message, Request) else None
                raise BadMessage("a stream needs Content-Length", headers=refuse)
            head = read_head(message)
            if isinstance(message, Response):
                self._response(message, head, wire, card)
            else:
                self._request(self._arrival(message, head, peer, wire, trunk), card)
        except BadMessage as error:
            self._bad(error, peer, wire)

    def admits(self, source: str) -> bool:
        """Whether a connection from there is taken at all."""
        if self._parts.sources.allows(source):
            return True
        self._stranger(source)
        return False

    # --- requests -------------------------------------------------------------------------------------------------

    def _arrival(self, request: Request, head: Head, peer: Address, wire: Wire, trunk: Trunk | None) -> Arrival:
        stamped = head.via.stamped(*peer, force=wire.reliable)
        request.headers.setlist("Via", [stamped, *request.headers.getlist("Via")[1:]])
        try:
            via = TopVia.parse(stamped)
            reply_to = via.reply_to
        except ValueError as error:
            raise BadMessage(str(error)) from error
        otherwise = via.reconnect if wire.reliable else None
        return Arrival(request, head, derive(head, request.target, wire.label), wire, peer, reply_to, otherwise, trunk)

    def _request(self, arrival: Arrival, card: Card | None) -> None:
        self._counters.request(arrival.method, "card" if card else "outside")
        refusal = rules.check(arrival.request, arrival.head)
        if refusal is None and rules.loops(arrival.request, arrival.branch):
            refusal = Refusal(482)
        if arrival.trunk is not None and arrival.trunk.tls_required and arrival.wire.kind != "TLS":
            refusal = Refusal(403)
        if refusal is not None:
            self._refuse(arrival, refusal)
        elif arrival.method == "OPTIONS" and not arrival.head.to_tag:
            self._options(arrival)
        elif card is not None:
            self._outbound.request(arrival, card)
        elif arrival.method == "ACK":
            self._ack(arrival)
        elif arrival.method == "CANCEL":
            self._cancel(arrival)
        elif arrival.head.to_tag:
            self._in_dialog(arrival)
        else:
            self._invite(arrival)

    def _invite(self, arrival: Arrival) -> None:
        head, branch = arrival.head, str(arrival.branch)
        entry = self._map.branch(branch)
        if entry is not None and entry.refusal:
            arrival.answer(entry.refusal)
            return
        # The same call by another branch while the first one is out: the card says 482 to the second (RFC 3261 §8.2.2.2).
        earlier = entry or self._map.dialog(True, head.call_id, head.from_tag)
        if earlier is not None and (entry is not None or earlier.unsettled(head.via.branch)):
            card = self._living(earlier.card, earlier.generation)
        elif self.draining:
            card = None
        elif not self._admitted(arrival):
            return
        else:
            try:
                card = self._lines.take(branch, head.call_id, head.from_tag, self._parts.clock())
            except NoLineError:
                card = None
        if card is None:
            self._counters.add("invites.no-line")
            self._parts.calls.refused(True, head.call_id)
            self._refuse(arrival, Refusal(503))
            return
        if entry is None:
            entry = Entry(branch, head.call_id, head.from_tag, True, card.name, card.generation)
            entry.request = arrival.request
            self._map.add(entry)
            sent, waiting = self._parts.clock(), entry
            self._parts.later(self._parts.unread, lambda: self._unread(waiting, arrival, sent))
        self._answers_go(entry, arrival)
        self._to_card(arrival, card)

    def _unread(self, entry: Entry, arrival: Arrival, sent: float) -> None:
        """Time is up for a card to say something to a call: it could not read it, or hangs; the line is for another one."""
        if entry.state != "pending" or entry.provisional or self._map.branch(entry.branch) is not entry:
            return
        card = self._living(entry.card, entry.generation)
        if card is None or entry.branch not in card.pending:
            return
        self._counters.add("invites.unread")
        self._lines.settled(card.name, entry.branch)
        self._parts.calls.refused(True, entry.call_id)
        self._refuse(arrival, Refusal(400 if card.heard > sent else 503))

    def _admitted(self, arrival: Arrival) -> bool:
        """Whether a new call may have a line; it has its answer if not."""
        admission, now = self._parts.admission, self._parts.clock()
        loopback = self._parts.sources.standing(arrival.peer[0]).loopback
        if admission.floods(arrival.peer[0], str(arrival.branch), loopback, now):
            self._answer(arrival, UNAVAILABLE.code, UNAVAILABLE.phrase)
            return False
        if arrival.trunk is None:
            return True
        refusal = admission.judge(arrival.request, arrival.head, arrival.trunk, now)
        if refusal is not None:
            self._refuse(arrival, refusal)
            return False
        self._parts.calls.begin(Use(True, arrival.head.call_id, arrival.peer[0]), now)
        return True

    def _answers_go(self, entry: Entry, arrival: Arrival) -> None:
        """The connection of a caller may be another than before."""
        entry.wire, entry.peer, entry.otherwise = arrival.wire, arrival.reply_to, arrival.otherwise

    def _in_dialog(self, arrival: Arrival) -> None:
        card = self._card_of(arrival)
        if card is None:
            self._refuse(arrival, Refusal(481))
        else:
            self._to_card(arrival, card)

    def _cancel(self, arrival: Arrival) -> None:
        entry = self._map.branch(str(arrival.branch))
        if entry is not None and entry.refusal:
            self._answer(arrival, 200, "OK")
            return
        if entry is None:
            entry = self._map.dialog(True, arrival.head.call_id, arrival.head.from_tag)
            if entry is not None and entry.restored:  # the INVITE came through another life of this edge
                known, head = entry, arrival.head
                branch = str(arrival.branch)
                entry = Entry(branch, head.call_id, head.from_tag, True, known.card, known.generation, known.state)
                self._map.add(entry)
        card = self._living(entry.card, entry.generation) if entry is not None else None
        if card is None or entry is None:
            self._refuse(arrival, Refusal(481))
        else:
            self._answers_go(entry, arrival)
            self._to_card(arrival, card)

    def _ack(self, arrival: Arrival) -> None:
        entry = self._map.branch(str(arrival.branch))
        if entry is not None and entry.refusal:
            self._parts.orphans.acknowledged(entry.branch)
            return
        card = self._living(entry.card, entry.generation) if entry is not None else self._card_of(arrival)
        if card is None:
            self._counters.dropped("stray-ack")
        else:
            self._to_card(arrival, card)

    def _options(self, arrival: Arrival) -> None:
        if arrival.trunk is not None:
            self._parts.health.options(arrival.trunk.name)
        if self.draining or not self._lines.any_free(self._parts.clock()):
            self._refuse(arrival, Refusal(503))
        else:
            self._answer(arrival, 200, "OK", (rules.ALLOW_OUTSIDE, ("Accept", "application/sdp")))

    def _card_of(self, arrival: Arrival) -> Card | None:
        """The card of a dialog: the Route says it; a peer that lost its route set is helped by the soft map."""
        head = arrival.head
        taken = self._parts.routes.from_outside(arrival.request.headers.getlist("Route"))
        if taken.card:
            return self._living(taken.card, taken.generation)
        entry = self._map.dialog(True, head.call_id, head.from_tag) or self._map.dialog(False, head.call_id, head.to_tag)
        return self._living(entry.card, entry.generation) if entry is not None else None

    def _living(self, name: str, generation: str) -> Card | None:
        card = self._lines.cards.get(name)
        return card if card is not None and card.generation == generation else None

    def _to_card(self, arrival: Arrival, card: Card) -> None:
        flow = ""
        # Only who calls us directly is reached by the connection; a proxy before us wants its Record-Route followed.
        if arrival.wire.reliable and arrival.method == "INVITE" and len(arrival.request.headers.getlist("Via")) == 1:
            flow = self._parts.flows.token(Flow(arrival.wire.label, arrival.peer))
        public = public_side(arrival.wire, arrival.peer[0], flow=flow, secure=arrival.branch.secure)
        try:
            told, number = self._told(arrival) if not arrival.head.to_tag else ((), None)
            request = rewrite.request_to_card(arrival.request, self._side(card), public, str(arrival.branch), told, number)
        except ValueError as error:
            raise BadMessage(str(error), headers=arrival.request.headers) from error
        data = bytes(request)
        if len(data) > self._parts.card_limit:
            if arrival.method == "INVITE" and not arrival.head.to_tag:
                self._lines.settled(card.name, str(arrival.branch))
                self._parts.calls.refused(True, arrival.head.call_id)
            self._refuse(arrival, Refusal(513))
            return
        self._parts.wires.inside.send(data, card.address)

    def _told(self, arrival: Arrival) -> tuple[tuple[tuple[str, str], ...], str | None]:
        """What a card is told of a new call, and the number it is for; raises ValueError."""
        trunk = arrival.trunk
        number = None if trunk is None else dialled(trunk, arrival.request.target, arrival.request.headers)
        if arrival.method != "INVITE":
            return (), number
        told = [(rewrite.SOURCE, host_port(*arrival.peer))]
        if trunk is not None:
            told.append((rewrite.TRUNK, trunk.name))
            if trunk.srtp == "required":
                told.append((rewrite.SRTP, "required"))
            if trunk.numbers_in:
                told.append((rewrite.CALLER, calling(trunk, arrival.request.headers)))
        return tuple(told), number

    def _side(self, card: Card) -> CardSide:
        return CardSide(card.name, card.generation, card.address, self._parts.wires.inside.local)

    # --- answers of our own ---------------------------------------------------------------------------------------

    def _refuse(self, arrival: Arrival, refusal: Refusal) -> None:
        """Answer, and for an INVITE remember it: its retransmission must not ring a phone after all."""
        if arrival.method == "ACK":
            self._counters.dropped("bad-ack")
            return
        data = self._answer(arrival, refusal.code, refusal.phrase, refusal.headers)
        if arrival.method == "INVITE" and refusal.code != 482:
            known = self._map.branch(str(arrival.branch))
            if known is not None:
                self._map.forget(known)
            head = arrival.head
            inbound = not arrival.wire.inside
            self._map.add(Entry(str(arrival.branch), head.call_id, head.from_tag, inbound, "", "", "refused", refusal=data))

    def _answer(self, arrival: Arrival, code: int, phrase: str, extra: tuple[tuple[str, str], ...] = ()) -> bytes:
        data = bytes(response_to(arrival.request.headers, code, phrase, tag(arrival.head), extra))
        self._counters.response(code, "edge")
        arrival.answer(data)
        return data

    def _bad(self, error: BadMessage, peer: Address, wire: Wire) -> None:
        self._counters.dropped("bad-message")
        log.debug("bad message", error=str(error), **{"pii.source": peer[0]})
        headers = error.headers
        if headers is None or "ACK" in (headers.get("CSeq") or "") or "Via" not in headers:
            return
        try:
            via = TopVia.parse(headers["Via"])
            stamped = via.stamped(*peer, force=wire.reliable)
            seen = TopVia.parse(stamped)
            address, otherwise = seen.reply_to, seen.reconnect
        except ValueError:
            return
        headers.setlist("Via", [stamped, *headers.getlist("Via")[1:]])
        self._counters.response(error.code, "edge")
        wire.send(bytes(response_to(headers, error.code, error.phrase, "srbad")), address, otherwise)

    def _stranger(self, source: str) -> None:
        self._counters.dropped("source")
        if source not in self._strangers and len(self._strangers) < REMEMBERED_STRANGERS:
            self._strangers.add(source)
            log.warning("a source that is not configured gets no service", **{"pii.source": source})

    # --- responses ------------------------------------------------------------------------------------------------

    def _response(self, response: Response, head: Head, wire: Wire, card: Card | None) -> None:
        self._counters.response(response.code, "card" if card else "outside")
        if is_client(head.via.branch):
            if not self._parts.answered(head.via.branch, response):
                self._parts.orphans.answered(head.via.branch, response)
            return
        try:
            branch = Branch.parse(head.via.branch)
            entry = self._entry(branch)
            if entry is not None and entry.state == "orphaned" and card is None:
                self._parts.orphans.response(entry, response, head)
                return
            following = TopVia.parse(response.headers.getlist("Via")[1]) if len(response.headers.getlist("Via")) > 1 else None
            address = following.reply_to if following is not None else None
        except ValueError:
            self._counters.dropped("not-our-response")
            return
        if following is None or address is None or (branch.ingress == "c") == (card is not None):
            self._counters.dropped("not-our-response")
        elif card is not None:
            self._response_out(response, head, card, branch, following)
        else:
            self._response_in(response, head, entry, address)

    def _entry(self, branch: Branch) -> Entry | None:
        """The INVITE that a response belongs to; of several tries at different servers, the one that it names."""
        entry = self._map.branch(str(branch.tried(0)))
        hunt = entry.hunt if entry is not None else None
        return entry if hunt is None or hunt.number == branch.number else hunt.given_up.get(branch.number)

    def _response_out(self, response: Response, head: Head, card: Card, branch: Branch, following: TopVia) -> None:
        wire = self._parts.wires.labelled(branch.ingress)
        if wire is None:
            self._counters.dropped("not-our-response")
            return
        entry = self._map.branch(str(branch))
        if head.method == "INVITE" and entry is not None:
            entry.provisional = True
        if head.method == "INVITE" and response.code >= 200 and entry is not None and entry.state == "pending":
            entry.state, entry.request = "answered", None
            if response.code >= 300:
                self._lines.settled(card.name, entry.branch)
                self._parts.calls.refused(True, head.call_id)
            if response.code in (486, 500, 503):
                self._parts.recount(card.name)
        address = following.reply_to
        public = public_side(wire, address[0], secure=branch.secure)
        data = bytes(rewrite.response_from_card(response, self._side(card), public))
        if not wire.reliable:
            wire.send(data, address)
        elif entry is not None and entry.wire is wire and entry.peer is not None and wire.connected(entry.peer):
            wire.send(data, entry.peer)  # the caller's newest connection; its Via may name one that broke
        else:
            wire.send(data, address, following.reconnect)

    def _response_in(self, response: Response, head: Head, entry: Entry | None, address: Address) -> None:
        if self._lines.at(address) is None:
            self._counters.dropped("no-card-for-response")
            return
        if entry is not None and head.method == "INVITE":
            if self._outbound.heard(entry, response, head):
                return
            entry.provisional = True
            if response.code >= 200:
                entry.state, entry.request = "answered", None
            if response.code >= 300 and response.code not in (401, 407):
                self._parts.calls.refused(False, head.call_id)
        data = bytes(rewrite.response_to_card(response))
        if len(data) > self._parts.card_limit:
            self._counters.dropped("long-response")
            log.warning("a response is too long for a card", code=response.code, size=len(data))
            return
        self._parts.wires.inside.send(data, address)
