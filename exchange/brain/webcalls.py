"""Web callers: people who ring an entry point from a browser. They have desk cards of their own and are limited in number."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from api.auth import token_hash
from api.errors import ApiError
from exchange.brain import records, tables
from exchange.brain.desks import RETURN_GRACE
from exchange.brain.details import Details
from exchange.brain.house import Talk
from exchange.brain.ids import uuid7
from exchange.brain.shell import Exchange
from exchange.brain.webgate import Gate
from exchange.brain.webpages import WebPage
from media.control import desk, line
from media.control.envelope import ControlError

log = structlog.get_logger()

CONNECT_SECONDS = 15.0
CARD_PATIENCE = 3.0
"""Seconds that pressed keys wait for a line card: after a restart of ours a page may be back before it."""
NOT_NOW = "Calls from the web cannot be taken at the moment. Please try again later."
LOST_SECONDS = 10.0
"""A web caller whose audio stays away for so long has hung up."""
MOST_ENDED = 1_000
"""Ended calls whose reason is kept for pages that come back to them."""


class WebCall:
    """One call of a browser, whose page may be away for a while."""

    def __init__(self, connection: str, card: str, token: bytes) -> None:
        self.connection = connection
        self.card = card
        self.token = token
        """Hash of the secret by which its page proves that it is the caller's."""
        self.generation = ""
        """Of the desk card, since it has answered the browser's offer."""
        self.contact = ""
        self.party = ""
        self.line_card = ""
        self.entry_point = ""
        self.name = ""
        self.state = "new"
        self.reason = ""
        self.talking = False
        self.page: WebPage | None = None
        self.lost: asyncio.TimerHandle | None = None
        self.away: asyncio.TimerHandle | None = None

    def change(self, state: str, reason: str = "", *, talking: bool = False) -> None:
        """Tell the page what is new."""
        if (self.state, self.talking) != (state, talking):
            self.state, self.reason, self.talking = state, reason, talking
            self.tell()

    def tell(self) -> None:
        """What is true now."""
        if self.page is not None:
            self.page.send(_news(self.state, self.reason, self.talking))

    def stop_waiting(self) -> None:
        """Nobody is waited for any more."""
        for timer in (self.lost, self.away):
            if timer is not None:
                timer.cancel()
        self.lost = self.away = None


class WebCalls:
    """All web callers of this exchange."""

    def __init__(self, exchange: Exchange, *, most: int, a_minute: int, ice: Callable[[str], list[desk.IceServer]]) -> None:
        self.gate = Gate(most, a_minute)
        self._exchange = exchange
        self._most = most
        self._ice = ice
        self._calls: dict[str, WebCall] = {}
        self._ended: OrderedDict[bytes, str] = OrderedDict()

    def open(self, address: str, send: Callable[[dict[str, Any]], None]) -> WebPage:
        """A page is there (api.ports.WebCallers); raises ApiError 503 when there are too many."""
        self.gate.enter(address)
        return WebPage(self, address, send)

    def close(self) -> None:
        """We leave; the calls stay for the next exchange."""
        for call in self._calls.values():
            call.stop_waiting()
        self._calls.clear()

    # --- what pages ask -------------------------------------------------------------------------------------------

    def ice_servers(self) -> list[dict[str, Any]]:
        """The servers by which a browser finds its way to us."""
        return [msgspec.to_builtins(server) for server in self._ice("web")]

    async def start(self, page: WebPage, number: str, sdp: str, name: str) -> dict[str, Any]:
        """Connect the browser; the call begins when its audio is there."""
        entry = self._exchange.entry_points().get(number)
        if entry is None or not entry.web:
            raise ApiError(404, "no-such-entry-point", "This number cannot be called from the web.")
        card = self._web_card()
        if card is None:
            raise ApiError(503, "no-desk-card", NOT_NOW)
        if len(self._calls) >= self._most:
            raise ApiError(503, "all-lines-busy", "All lines are busy. Please try again in a moment.")
        token = secrets.token_urlsafe(32)
        call = WebCall(uuid7(), card, token_hash(token))
        call.entry_point, call.name = number, name
        call.page, page.call, page.used = page, call, True
        call.change("connecting")
        self._calls[call.connection] = call
        command = desk.Connect(call.connection, f"web:{call.connection}", sdp, self._ice("web"))
        client = self._exchange.cards.desk(card)
        try:
            answer = await client.command(command, desk.Connected, timeout=CONNECT_SECONDS)
        except ControlError as error:
            self._end(call, error.code)
            if error.code.startswith("bad"):
                raise ApiError(400, error.code, f"The offer of this browser cannot be taken: {error.message}") from error
            raise ApiError(503, error.code, NOT_NOW) from error
        if call.connection not in self._calls:
            raise ApiError(409, "ended", "The call has ended.")
        call.generation = client.generation
        return {"sdp": answer.sdp, "token": token}

    def resume(self, page: WebPage, token: str) -> None:
        """A page is back; raises ApiError 404 when there is no such call any more."""
        if page.used:
            raise ApiError(409, "already-calling", "This page is calling already.")
        hashed = token_hash(token)
        call = next((c for c in self._calls.values() if c.token == hashed), None)
        if call is None:
            if hashed not in self._ended:
                raise ApiError(404, "no-such-call", "This call has ended.")
            page.used = True
            page.send(_news("ended", self._ended[hashed], False))
            return
        if call.page is not None:
            call.page.call = None  # a connection that nobody has noticed yet to be broken
        if call.away is not None:
            call.away.cancel()
            call.away = None
        call.page, page.call, page.used = page, call, True
        log.info("web call resumed", contact=call.contact)
        call.tell()

    async def digits(self, page: WebPage, digits: str, press: int | None) -> None:
        """Keys that the caller pressed; those of a press that the card has had already are dropped there."""
        talk = self._exchange.house.talks.get(page.call.contact) if page.call is not None else None
        if talk is None:
            raise ApiError(409, "no-call", "There is no call.")
        id = None if press is None else f"{talk.contact}/press/{press}"
        try:
            client = self._exchange.cards.line(talk.card)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(client.connected(), CARD_PATIENCE)
            await client.command(line.PressDigits(talk.call, talk.party, digits), id=id)
        except ControlError as error:
            raise ApiError(503, error.code, error.message) from error

    def hung_up(self, page: WebPage) -> None:
        """The caller is done."""
        if page.call is not None:
            self._gone(page.call, "remote-hangup")

    def broken(self, page: WebPage) -> None:
        """The page's connection broke: it has a while to come back, and the sound goes on meanwhile."""
        call, page.call = page.call, None
        if call is not None:
            call.page = None
            self._await_page(call)

    # --- what the cards tell --------------------------------------------------------------------------------------

    def connection_changed(self, change: desk.ConnectionChanged) -> None:
        """News of a web caller's connection."""
        call = self._calls.get(change.connection)
        if call is not None:
            self._sound(call, change.state, change.reason)

    def talk_changed(self, contact: str) -> None:
        """Somebody took the contact, or let it go."""
        talk = self._exchange.house.talks.get(contact)
        if talk is None or not talk.web or talk.gone or talk.final:
            return
        for call in self._calls.values():
            if call.contact == contact:
                call.change("connected", talking=bool(talk.agent))

    def over(self, contact: str, reason: str) -> None:
        """The contact has ended: so has the call."""
        for call in [c for c in self._calls.values() if c.contact == contact]:
            if reason != "ended":  # else the line card has told how the caller's leg ended
                self._exchange.filing.write(tables.web_leg_ended(contact, call.party, reason, time.time()))
            self._end(call, reason)

    def desk_dead(self, card: str) -> None:
        """A card with web callers died."""
        for call in [c for c in self._calls.values() if c.card == card]:
            self._gone(call, "card-died")

    def desk_ready(self, inventory: desk.Inventory) -> None:
        """A card is there: compare what it holds with what we know."""
        held = {r.connection: r.state for r in inventory.connections if r.owner.startswith("web:")}
        for call in [c for c in self._calls.values() if c.card == inventory.card and c.generation]:
            if call.connection in held:
                self._sound(call, held[call.connection])
            else:  # without a restart of the card only a browser that hangs up takes its connection away
                self._gone(call, "remote-hangup" if call.generation == inventory.generation else "card-died")
        for connection in held:
            if connection not in self._calls:
                self._disconnect(inventory.card, connection)

    def expect_return(self) -> None:
        """After a restart: calls that were there go on, and their pages have a while to come back to them."""
        for talk in [t for t in self._exchange.house.talks.values() if t.web and not t.gone]:
            browser = talk.browser
            if browser is None or browser.card not in self._exchange.cards.web_card_names:
                self._customer_gone(talk, "page-lost")
                continue
            call = WebCall(browser.connection, browser.card, browser.token)
            call.generation, call.contact, call.party = browser.generation, talk.contact, talk.party
            call.line_card = talk.card
            call.entry_point, call.state, call.talking = talk.entry_point, "connected", bool(talk.agent)
            self._calls[call.connection] = call
            self._exchange.bridge.remember(talk.party, talk.contact)
            self._await_page(call)

    # --- the call -------------------------------------------------------------------------------------------------

    def _sound(self, call: WebCall, state: desk.ConnectionState, reason: str = "") -> None:
        """The browser's audio came, went, or is gone for good."""
        if state == "connected":
            if call.lost is not None:
                call.lost.cancel()
                call.lost = None
            if not call.line_card:
                call.line_card = self._line_card()
                self._exchange.group.create_task(self._arrive(call))
        elif state == "lost" and call.lost is None:
            call.lost = asyncio.get_running_loop().call_later(LOST_SECONDS, self._gone, call, "media-timeout")
        elif state in {"closed", "failed"}:
            self._gone(call, "remote-hangup" if reason in {"", "closed-by-peer"} else reason)

    def _await_page(self, call: WebCall) -> None:
        if call.away is None:
            call.away = asyncio.get_running_loop().call_later(RETURN_GRACE, self._gone, call, "page-lost")

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
        call.contact, call.party = contact, party
        detail = Details(call.name or "web", call.entry_point, call.name)
        exchange.details[contact] = detail
        version = exchange.house.runner.newest(entry.flow)
        browser = records.Browser(call.connection, call.card, call.generation, call.token)
        arrived = records.Arrived(contact, card, generation, name, party, entry.id, entry.flow, True, version, browser)
        now = time.time()
        rows = [tables.contact_arrived(contact, entry.id, detail, now), tables.web_leg(contact, party, now)]
        log.info("web call arrived", contact=contact, card=card, entry_point=entry.id)
        durable = exchange.put(arrived, None, rows)
        if durable is not None:
            await durable  # a page that is told so can come back to this call, whatever becomes of this process
        if call.state == "connecting":
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
            self._customer_gone(talk, reason)
        self._end(call, reason)

    def _customer_gone(self, talk: Talk, reason: str) -> None:
        log.info("web caller is gone", contact=talk.contact, reason=reason)
        row = tables.web_leg_ended(talk.contact, talk.party, reason, time.time())
        self._exchange.put(records.CustomerGone(talk.contact, reason), None, [row])

    def _end(self, call: WebCall, reason: str) -> None:
        if self._calls.pop(call.connection, None) is None:
            return
        call.stop_waiting()
        call.change("ended", reason)
        if call.page is not None:
            call.page.call = None
            call.page = None
        self._ended[call.token] = reason
        while len(self._ended) > MOST_ENDED:
            self._ended.popitem(last=False)
        self._disconnect(call.card, call.connection)

    def _disconnect(self, card: str, connection: str) -> None:
        self._exchange.group.create_task(self._exchange.cards.disconnect(card, connection, "ended"))


def _news(state: str, reason: str, talking: bool) -> dict[str, Any]:
    return {"type": "web_call", "state": state, "reason": reason, "talking": talking}
