"""What a dead card leaves behind is ended in its place: BYE for its dialogs, 503 for INVITEs to it, CANCEL for its own.

These are the only requests the edge originates, and the only ones it repeats (RFC 3261 §17).
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable

import structlog

from media.control.edge import Dialog
from sip.edge.branch import client_branch
from sip.edge.counters import Counters
from sip.edge.hops import Way, Ways, next_hop
from sip.edge.locator import Locator
from sip.edge.rewrite import via
from sip.edge.routes import OwnRoutes, Taken
from sip.edge.rules import MAX_FORWARDS
from sip.edge.softmap import Entry, SoftMap
from sip.edge.targets import arranged
from sip.edge.tasks import Tasks
from sip.edge.transport import Wire
from sip.edge.wires import public_side
from sip.message import Head, Headers, Request, Response, response_to
from sip.uri import NameAddress, SipUri, each_address, revived

log = structlog.get_logger()

T1 = 0.5
T2 = 4.0
"""Seconds: first and longest gap between repetitions; they end after 64·T1."""

CSEQ_GAP = 100
"""How far a BYE's CSeq is above what the dialog's file says, which may be a few requests old."""


class Orphans:
    """Ends what dead cards had open."""

    def __init__(
        self,
        tasks: Tasks,
        ways: Ways,
        routes: OwnRoutes,
        softmap: SoftMap,
        locator: Locator,
        counters: Counters,
        *,
        t1: float = T1,
    ) -> None:
        self._tasks = tasks
        self._ways = ways
        self._routes = routes
        self._map = softmap
        self._locator = locator
        self._counters = counters
        self._t1 = t1
        self._waiting: dict[str, asyncio.Future[int]] = {}
        self._ending: set[tuple[str, str, str]] = set()

    # --- a card died ----------------------------------------------------------------------------------------------

    def fail_pending(self, card: str, generation: str) -> None:
        """End every unanswered INVITE to and from this life of a card."""
        for entry in self._map.of_card(card, generation):
            if entry.state != "pending" or entry.request is None:
                continue
            entry.state = "orphaned"
            if entry.inbound:
                self._fail_upstream(entry, entry.request)
            elif entry.provisional:  # else its first response brings the CANCEL: before that none may be sent (§9.1)
                self._cancel(entry)

    def _fail_upstream(self, entry: Entry, request: Request) -> None:
        if entry.wire is None or entry.peer is None:
            return
        entry.refusal = bytes(response_to(request.headers, 503, "Service Unavailable", "sr" + entry.branch[-12:]))
        entry.request = None
        self._counters.add("orphans.failed-invites")
        refusal, wire, peer, otherwise = entry.refusal, entry.wire, entry.peer, entry.otherwise
        self._repeat(entry.branch, lambda: wire.send(refusal, peer, otherwise), wire)

    def acknowledged(self, branch: str) -> None:
        """The ACK to a final response of ours has come."""
        self._settle(branch, 0)

    def _cancel(self, entry: Entry) -> None:
        invite = entry.request
        if invite is None or entry.wire is None or entry.peer is None or "CANCEL" + entry.branch in self._waiting:
            return
        headers = _same_transaction(invite, "CANCEL")
        self._counters.add("orphans.cancelled-invites")
        data = bytes(Request("CANCEL", invite.target, b"", headers))
        wire, peer = entry.wire, entry.peer
        self._repeat("CANCEL" + entry.branch, lambda: wire.send(data, peer), wire)

    def response(self, entry: Entry, response: Response, head: Head) -> None:
        """A response to an INVITE (or our CANCEL of it) whose card is dead."""
        if head.method == "CANCEL":
            self._settle("CANCEL" + entry.branch, response.code)
        elif head.method != "INVITE" or entry.request is None or entry.wire is None or entry.peer is None:
            self._counters.dropped("no-card-for-response")
        elif response.code < 200:
            self._cancel(entry)
        elif response.code >= 300:
            headers = _same_transaction(entry.request, "ACK")
            headers.set("To", response.headers["To"])
            entry.wire.send(bytes(Request("ACK", entry.request.target, b"", headers)), entry.peer)
        else:
            self._hang_up(entry, entry.request, response, head)

    def _hang_up(self, entry: Entry, invite: Request, response: Response, head: Head) -> None:
        """Answered all the same: ACK each 200, and say BYE once."""
        try:
            contact = NameAddress.parse(response.headers["Contact"]).uri
        except (KeyError, ValueError):
            self._counters.dropped("bad-message")
            return
        dialog = Dialog(
            card=entry.card,
            generation=entry.generation,
            call="",
            party="",
            sip_call_id=entry.call_id,
            local_uri=invite.headers["From"],
            local_tag=entry.from_tag,
            remote_uri=response.headers["To"],
            remote_tag=head.to_tag,
            remote_target=str(contact),
            route_set=response.headers.getlist("Record-Route")[::-1],
            cseq=head.cseq,
        )
        self._tasks.start(self._in_dialog(dialog, "ACK", head.cseq), name="ACK for a dead card")
        self.send_byes([dialog])

    # --- BYEs -----------------------------------------------------------------------------------------------------

    def send_byes(self, dialogs: list[Dialog]) -> None:
        """Say BYE in these dialogs, each until it is answered or 32 s have passed; never twice at a time."""
        for dialog in dialogs:
            key = (dialog.sip_call_id, dialog.local_tag, dialog.remote_tag)
            if key not in self._ending:
                self._ending.add(key)
                self._tasks.start(self._bye(dialog, key), name="BYE for a dead card")

    async def _bye(self, dialog: Dialog, key: tuple[str, str, str]) -> None:
        self._counters.add("byes.sent")
        try:
            code = await self._in_dialog(dialog, "BYE", dialog.cseq + CSEQ_GAP)
        except ValueError as error:
            log.error("a dialog cannot be ended", card=dialog.card, call=dialog.call, error=str(error))
            code = 0
        finally:
            self._ending.discard(key)
        self._counters.add("byes.answered" if code else "byes.unanswered")
        log.info("BYE sent for a dead card", card=dialog.card, call=dialog.call, code=code)

    async def _in_dialog(self, dialog: Dialog, method: str, cseq: int) -> int:
        """Send one request within a dialog; returns the final code, 0 for none. Raises ValueError for a broken dialog."""
        taken = self._own_taken(dialog.route_set)
        routes = each_address(taken.rest, revived)
        target = revived(_uri(dialog.remote_target))
        way = await self._way(taken, target, routes, dialog.sip_call_id)
        if way is None:
            return 0
        branch = client_branch()
        side = public_side(way.wire, way.address[0])
        headers = Headers()
        headers.add("Via", via(side.address, side.kind, branch) + ";rport")
        headers.setlist("Route", routes)
        headers.add("Max-Forwards", str(MAX_FORWARDS))
        headers.add("From", _party(dialog.local_uri, dialog.local_tag))
        headers.add("To", _party(dialog.remote_uri, dialog.remote_tag))
        headers.add("Call-ID", dialog.sip_call_id)
        headers.add("CSeq", f"{cseq} {method}")
        headers.add("Content-Length", "0")
        data = bytes(Request(method, str(target), b"", headers))
        if method == "ACK":
            way.send(data)
            return 0
        return await self._repeat(branch, lambda: way.send(data), way.wire)

    async def _way(self, taken: Taken, target: SipUri, routes: list[str], call_id: str) -> Way | None:
        way = self._ways.by_flow(taken)
        if way is not None:
            return way
        targets = await self._locator.ask(next_hop(target, routes, taken.kind))
        found = (self._ways.to(place.address, place.kind, taken.public) for place in arranged(targets, call_id))
        return next((way for way in found if way is not None), None)

    def _own_taken(self, route_set: list[str]) -> Taken:
        """The route set beyond us; it may be written from the card's view or from the edge's."""
        taken = self._routes.from_card(route_set)
        if taken.card or taken.public is None:
            return taken
        return dataclasses.replace(taken, rest=self._routes.from_card(taken.rest).rest)

    # --- repetition -----------------------------------------------------------------------------------------------

    def answered(self, branch: str, response: Response) -> None:
        """A response to a request of our own."""
        if response.code >= 200:
            self._settle(branch, response.code)

    def _settle(self, key: str, code: int) -> None:
        future = self._waiting.get(key)
        if future is not None and not future.done():
            future.set_result(code)

    def _repeat(self, key: str, send: Callable[[], None], wire: Wire) -> asyncio.Future[int]:
        """Send at growing intervals (timers E and G) until `key` is settled; the future has the code, or 0 after 64·T1.

        A stream needs it once.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        self._waiting[key] = future
        self._tasks.start(self._repeating(key, future, send, 64 if wire.reliable else 1), name="repeat")
        return future

    async def _repeating(self, key: str, future: asyncio.Future[int], send: Callable[[], None], patience: int) -> None:
        gap, left = self._t1 * patience, 64 * self._t1
        try:
            while left > 0 and not future.done():
                send()
                await asyncio.wait([future], timeout=min(gap, left))
                left -= gap
                gap = min(gap * 2, T2 * self._t1 / T1)
        finally:
            self._waiting.pop(key, None)
            if not future.done():
                future.set_result(0)


def _same_transaction(invite: Request, method: str) -> Headers:
    """The headers of a CANCEL or of an ACK to a refusal (RFC 3261 §9.1, §17.1.1.3)."""
    headers = Headers()
    headers.add("Via", invite.headers.getlist("Via")[0])
    headers.setlist("Route", invite.headers.getlist("Route"))
    headers.add("Max-Forwards", str(MAX_FORWARDS))
    for name in ("From", "To", "Call-ID"):
        headers.add(name, invite.headers[name])
    headers.add("CSeq", f"{invite.headers['CSeq'].split()[0]} {method}")
    headers.add("Content-Length", "0")
    return headers


def _uri(text: str) -> SipUri:
    return NameAddress.parse(text).uri if "<" in text else SipUri.parse(text.strip())


def _party(text: str, tag: str) -> str:
    """A From or To of a dialog; raises ValueError."""
    return f"<{_uri(text)}>" + (f";tag={tag}" if tag else "")
