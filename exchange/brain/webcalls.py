"""Web callers: people who ring an entry point from a browser. They have desk cards of their own and are limited in number."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from api.errors import ApiError
from exchange.brain import records, tables
from exchange.brain.desks import KEYS, MOST_SDP, Details
from exchange.brain.ids import uuid7
from exchange.brain.shell import Exchange
from media.control import desk, line
from media.control.envelope import ControlError

log = structlog.get_logger()

MOST_ADDRESSES = 10_000
PAGES_FOR_A_CALL = 32
"""Pages that may be open for each call that we take: most of them have just been opened, or have had their call."""
PAGES_FOR_A_MINUTE = 4
"""The same of one address, for each call that it may begin in a minute."""
CONNECT_SECONDS = 15.0
NOT_NOW = "Calls from the web cannot be taken at the moment. Please try again later."
LOST_SECONDS = 10.0
"""A web caller whose audio stays away for so long has hung up."""


class WebCall:
    """One browser (api.ports.WebSession)."""

    def __init__(self, calls: WebCalls, address: str, send: Callable[[dict[str, Any]], None]) -> None:
        self.address = address
        self.contact = ""
        self.connection = ""
        self.card = ""
        self.line_card = ""
        self.entry_point = ""
        self.name = ""
        self.state = "new"
        self.talking = False
        self.admitted = False
        self.send = send
        self.lost: asyncio.TimerHandle | None = None
        self._calls = calls

    async def handle(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        """One message of the page; raises ApiError."""
        match kind:
            case "ping":
                return {}
            case "ice":
                return self._calls.ice_servers(self)
            case "start":
                return await self._calls.start(self, fields)
            case "digits":
                await self._calls.digits(self, fields.get("digits"))
                return {}
            case "hang_up":
                await self._calls.hang_up(self)
                return {}
            case _:
                raise ApiError(400, "unknown-type", f"There is no message of the type {kind[:40]!r}.")

    def close(self) -> None:
        """The page is gone: so is the caller."""
        self._calls.closed(self)
        self._calls.page_gone(self)

    def change(self, state: str, reason: str = "", *, talking: bool = False) -> None:
        """Tell the page what is new."""
        if (self.state, self.talking) != (state, talking):
            self.state, self.talking = state, talking
            self.send({"type": "web_call", "state": state, "reason": reason, "talking": talking})


class WebCalls:
    """All web callers of this exchange."""

    def __init__(self, exchange: Exchange, *, most: int, a_minute: int, ice: Callable[[str], list[desk.IceServer]]) -> None:
        self._exchange = exchange
        self._most = most
        self._a_minute = a_minute
        self._ice = ice
        self._calls: dict[str, WebCall] = {}
        self._recent: OrderedDict[str, deque[float]] = OrderedDict()
        self._pages: Counter[str] = Counter()

    def open(self, address: str, send: Callable[[dict[str, Any]], None]) -> WebCall:
        """A page is there (api.ports.WebCallers); raises ApiError 503 when there are too many, or too many of one address."""
        network = _network(address)
        if self._pages[network] >= PAGES_FOR_A_MINUTE * self._a_minute or self._pages.total() >= PAGES_FOR_A_CALL * self._most:
            raise ApiError(503, "too-many-pages", "Too many people want to call just now. Please try again in a moment.")
        self._pages[network] += 1
        return WebCall(self, address, send)

    def page_gone(self, call: WebCall) -> None:
        """There is room for another one."""
        self._pages -= Counter({_network(call.address): 1})

    # --- what the page asks ---------------------------------------------------------------------------------------

    def ice_servers(self, call: WebCall) -> dict[str, Any]:
        """The servers by which a browser finds its way to us; they cost as much of the caller's limit as the call itself."""
        self._admit(call)
        return {"ice_servers": [msgspec.to_builtins(server) for server in self._ice("web")]}

    async def start(self, call: WebCall, fields: dict[str, Any]) -> dict[str, Any]:
        """Connect the browser; the call begins when its audio is there."""
        if call.state != "new":
            raise ApiError(409, "already-calling", "This page is calling already.")
        number, sdp, name = fields.get("entry_point"), fields.get("sdp"), fields.get("name", "")
        if not isinstance(number, str) or not isinstance(sdp, str) or not isinstance(name, str) or len(sdp) > MOST_SDP:
            raise ApiError(422, "invalid", "entry_point, sdp and name must be texts, of a sensible length.")
        self._admit(call)  # before the number is looked up: numbers are not to be tried out
        entry = self._exchange.entry_points().get(number)
        if entry is None or not entry.web:
            raise ApiError(404, "no-such-entry-point", "This number cannot be called from the web.")
        card = self._web_card()
        if card is None:
            raise ApiError(503, "no-desk-card", NOT_NOW)
        if len(self._calls) >= self._most:
            raise ApiError(503, "all-lines-busy", "All lines are busy. Please try again in a moment.")
        call.card, call.connection, call.entry_point, call.name = card, uuid7(), number, name.strip()[:80]
        call.change("connecting")
        self._calls[call.connection] = call
        command = desk.Connect(call.connection, f"web:{call.connection}", sdp, self._ice("web"))
        try:
            answer = await self._exchange.cards.desk(call.card).command(command, desk.Connected, timeout=CONNECT_SECONDS)
        except ControlError as error:
            self._end(call, error.code)
            if error.code.startswith("bad"):
                raise ApiError(400, error.code, f"The offer of this browser cannot be taken: {error.message}") from error
            raise ApiError(503, error.code, NOT_NOW) from error
        if call.connection not in self._calls:
            raise ApiError(409, "ended", "The call has ended.")
        return {"sdp": answer.sdp}

    async def digits(self, call: WebCall, digits: object) -> None:
        """Keys that the caller pressed."""
        if not isinstance(digits, str) or not 0 < len(digits) <= 32 or set(digits) - KEYS:
            raise ApiError(422, "invalid", "digits: 0 to 9, *, #, A to D.")
        talk = self._exchange.house.talks.get(call.contact)
        if talk is None:
            raise ApiError(409, "no-call", "There is no call.")
        try:
            await self._exchange.cards.line(talk.card).command(line.PressDigits(talk.call, talk.party, digits))
        except ControlError as error:
            raise ApiError(503, error.code, error.message) from error

    async def hang_up(self, call: WebCall) -> None:
        """The caller is done."""
        self.closed(call)

    def closed(self, call: WebCall) -> None:
        """The page hung up or went away."""
        self._gone(call, "remote-hangup")

    # --- what the cards tell --------------------------------------------------------------------------------------

    def connection_changed(self, change: desk.ConnectionChanged) -> None:
        """News of a web caller's connection."""
        call = self._calls.get(change.connection)
        if call is None:
            return
        if change.state == "connected":
            if call.lost is not None:
                call.lost.cancel()
                call.lost = None
            if not call.line_card:
                call.line_card = self._line_card()
                self._exchange.group.create_task(self._arrive(call))
        elif change.state == "lost" and call.lost is None:
            call.lost = asyncio.get_running_loop().call_later(LOST_SECONDS, self._gone, call, "media-timeout")
        elif change.state in {"closed", "failed"}:
            self._gone(call, change.reason or "remote-hangup")

    def talk_changed(self, contact: str) -> None:
        """Somebody took the contact, or let it go."""
        talk = self._exchange.house.talks.get(contact)
        if talk is None or not talk.web or talk.gone or talk.final:
            return
        for call in self._calls.values():
            if call.contact == contact:
                call.change("connected", talking=bool(talk.agent))

    def over(self, contact: str) -> None:
        """The contact has ended: so has the call."""
        for call in [c for c in self._calls.values() if c.contact == contact]:
            self._end(call, "ended")

    def desk_dead(self, card: str) -> None:
        """A card with web callers died."""
        for call in [c for c in self._calls.values() if c.card == card]:
            self._gone(call, "card-died")

    def desk_ready(self, inventory: desk.Inventory) -> None:
        """A card is there: connections of web callers whom we do not know were another exchange's."""
        for record in inventory.connections:
            if record.owner.startswith("web:") and record.connection not in self._calls:
                self._disconnect(inventory.card, record.connection)

    def expect_nobody(self) -> None:
        """After a restart: the pages of web calls cannot come back to them."""
        for talk in [t for t in self._exchange.house.talks.values() if t.web]:
            row = tables.web_leg_ended(talk.contact, talk.party, "page-lost", time.time())
            self._exchange.put(records.CustomerGone(talk.contact, "page-lost"), None, [row])

    # --- the call -------------------------------------------------------------------------------------------------

    async def _arrive(self, call: WebCall) -> None:
        """The audio is there: make a call with the browser as its customer; then it is a contact like any other."""
        exchange = self._exchange
        entry = exchange.entry_points().get(call.entry_point)
        card = call.line_card
        if entry is None or not card:
            self._end(call, "no-line")
            return
        contact, name = uuid7(), uuid7()
        party = f"web-{secrets.token_hex(4)}"
        here, there = exchange.cards.patch_paths(card, party)
        exchange.bridge.remember(party, contact)
        rate = exchange.cards.rates.get(card, 16000)
        try:
            await exchange.cards.line(card).command(line.OpenPatch(name, party, here, there))
            await exchange.cards.desk(call.card).command(desk.Patch(call.connection, party, there, here, rate))
        except ControlError as error:
            log.warning("web call failed", contact=contact, code=error.code)
            exchange.order(card, line.EndCall(name))
            self._end(call, error.code)
            return
        if self._calls.get(call.connection) is not call:
            exchange.order(card, line.EndCall(name))  # hung up meanwhile: nobody would ever end this contact
            return
        generation = exchange.cards.line(card).generation
        call.contact = contact
        detail = Details(call.name or "web", call.entry_point, call.name)
        exchange.details[contact] = detail
        version = exchange.house.runner.newest(entry.flow)
        arrived = records.Arrived(contact, card, generation, name, party, entry.id, entry.flow, True, version)
        now = time.time()
        rows = [tables.contact_arrived(contact, entry.id, detail, now), tables.web_leg(contact, party, now)]
        log.info("web call arrived", contact=contact, card=card, entry_point=entry.id)
        exchange.put(arrived, None, rows)
        call.change("connected")

    def _web_card(self) -> str | None:
        """The card with the fewest web callers."""
        load = dict.fromkeys(self._exchange.cards.web_cards_up, 0)
        for call in self._calls.values():
            if call.card in load:
                load[call.card] += 1
        return min(load, key=lambda card: (load[card], card), default=None)

    def _line_card(self) -> str:
        """The card with the fewest calls (empty: none is up); a web caller needs its bridge, none of its lines."""
        exchange = self._exchange
        load = dict.fromkeys(exchange.cards.line_cards_up, 0)
        for talk in exchange.house.talks.values():
            if talk.card in load:
                load[talk.card] += 1
        return min(load, key=lambda card: (load[card], card), default="")

    def _gone(self, call: WebCall, reason: str) -> None:
        talk = self._exchange.house.talks.get(call.contact)
        if talk is not None and not talk.gone:
            row = tables.web_leg_ended(talk.contact, talk.party, reason, time.time())
            self._exchange.put(records.CustomerGone(talk.contact, reason), None, [row])
        self._end(call, reason)

    def _end(self, call: WebCall, reason: str) -> None:
        if self._calls.pop(call.connection, None) is None:
            return
        if call.lost is not None:
            call.lost.cancel()
        call.change("ended", reason)
        self._disconnect(call.card, call.connection)

    def _disconnect(self, card: str, connection: str) -> None:
        self._exchange.group.create_task(self._exchange.cards.disconnect(card, connection, "ended"))

    def _admit(self, call: WebCall) -> None:
        """Count the call once; raises ApiError 429 when its address calls too often."""
        if call.admitted:
            return
        now, address = time.monotonic(), _network(call.address)
        times = self._recent.setdefault(address, deque())
        self._recent.move_to_end(address)
        while len(self._recent) > MOST_ADDRESSES:
            self._recent.popitem(last=False)
        while times and now - times[0] > 60:
            times.popleft()
        if len(times) >= self._a_minute:
            raise ApiError(429, "too-many-calls", "Too many calls from your address. Please wait a minute and try again.")
        times.append(now)
        call.admitted = True


def _network(address: str) -> str:
    """What is counted as one caller: an address; of IPv6 the /64, which is one household's."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((known, 64), strict=False)) if known.version == 6 else address
