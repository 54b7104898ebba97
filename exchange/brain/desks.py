"""Agents at their desks: WebSocket sessions, softphones on desk cards, presence, and the snapshots that pages show."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, get_args

import msgspec
import structlog

import acd.events as routing
from acd.errors import Refused
from acd.model import AgentView, ChosenState
from api.errors import ApiError
from api.models import User
from exchange.brain import records
from exchange.brain.cards import Cards
from exchange.brain.house import House
from exchange.brain.ice import IceServers
from exchange.brain.ids import uuid7
from exchange.brain.ledger import BrokenHouse
from exchange.brain.records import Input
from media.control import desk
from media.control.envelope import ControlError

log = structlog.get_logger()

LOG_OUT_AFTER = 60.0
"""Seconds without any page after which an agent who talks with nobody is logged out."""
RETURN_GRACE = 10.0
"""Seconds that pages have to come back after the exchange restarted."""
MOST_PAGES = 16
MOST_SDP = 64 * 1024
KEYS = frozenset("0123456789*#ABCD")


class Details(msgspec.Struct):
    """What the log must not hold of a contact: who calls."""

    ani: str
    dnis: str
    display: str = ""
    cad: dict[str, str] = {}


class Seat:
    """One agent: their pages and their softphone."""

    def __init__(self, agent: str) -> None:
        self.agent = agent
        self.sessions: list[Session] = []
        self.card = ""
        self.connection = ""
        self.state: str = "none"
        self.owner = ""  # the page that has the softphone
        self.asked: dict[str, tuple[str, str]] = {}
        """Handshakes without an answer yet: card and state, by connection. An offer that is no good takes nothing away."""
        self.shown: dict[str, Any] = {}
        """The contact that the pages showed last; the wrap-up goes on showing it when the call and its details are gone."""
        self.returning = False
        """After a restart of the exchange: the pages have a while to come back before anything is said of their absence."""
        self.lost: asyncio.TimerHandle | None = None
        self.away: asyncio.TimerHandle | None = None

    @property
    def ready(self) -> bool:
        """Can take an offer: a page to show it on and a softphone to talk with."""
        return bool(self.sessions) and self.state == "connected"

    def load(self, card: str) -> int:
        """Its connections on a desk card, also those that are being made."""
        return (self.card == card) + sum(one == card for one, _ in self.asked.values())


class Desks:
    """All desks. Presence goes into the engine, commands into the house, snapshots out to the pages."""

    def __init__(
        self,
        house: House,
        cards: Cards,
        act: Callable[[Input], asyncio.Future[None]],
        details: dict[str, Details],
        now: Callable[[], float],
        touch: Callable[[str], None],
        digits: Callable[[str, str], Any],
        *,
        ice: IceServers,
        lost_seconds: float,
    ) -> None:
        self._house = house
        self._cards = cards
        self._act = act
        self._details = details
        self._now = now
        self._touch = touch
        self.send_digits = digits
        self._ice = ice
        self._lost_seconds = lost_seconds
        self._seats: dict[str, Seat] = {}
        self._linked: dict[str, str] = {}
        self._counts: asyncio.TimerHandle | None = None

    # --- pages ----------------------------------------------------------------------------------------------------

    async def open(self, user: User, send: Callable[[dict[str, Any]], None], page: str = "") -> Session:
        """Seat a page (api.ports.Desks)."""
        view = self._house.engine.agent(user.id)
        if view is None:
            raise ApiError(403, "no-agent", f"{user.display} takes no contacts: there is no agent with this name.")
        seat = self._seat(user.id)
        if len(seat.sessions) >= MOST_PAGES:
            raise ApiError(409, "too-many-pages", f"You have {MOST_PAGES} pages open. Please close some.")
        session = Session(self, seat, user, send, page or uuid7())
        seat.sessions.append(session)
        if seat.away is not None:
            seat.away.cancel()
            seat.away = None
        if view.state == "logged-out":
            try:
                await self._event(routing.AgentLoggedIn(0, user.id))
            except BaseException:
                self.closed(seat, session)  # nobody holds this page, so nobody would ever take it away
                raise
        self._presence(seat)
        self.push(user.id)
        return session

    def closed(self, seat: Seat, session: Session) -> None:
        """A page is gone."""
        if session not in seat.sessions:
            return
        seat.sessions.remove(session)
        if seat.owner == session.page and all(other.page != session.page for other in seat.sessions):
            seat.owner = ""
        self._presence(seat)
        if not seat.sessions and seat.away is None:
            seat.away = asyncio.get_running_loop().call_later(LOG_OUT_AFTER, self._log_out, seat)

    def push(self, agent: str) -> None:
        """Send the agent's pages what is true now."""
        seat = self._seats.get(agent)
        if seat is None or not seat.sessions:
            return
        base = self.snapshot(agent)
        for session in seat.sessions:
            session.send({**base, "softphone": {"state": self._softphone(seat, session)}})

    def push_counts(self) -> None:
        """Queue lengths changed: all pages learn it, at most twice a second."""
        if self._counts is None:
            self._counts = asyncio.get_running_loop().call_later(0.5, self._push_all)

    def _push_all(self) -> None:
        self._counts = None
        for agent in list(self._seats):
            self.push(agent)

    # --- what the bridge asks -------------------------------------------------------------------------------------

    def connection_of(self, agent: str) -> tuple[str, str] | None:
        seat = self._seats.get(agent)
        if seat is None or seat.state != "connected":
            return None
        return seat.card, seat.connection

    def bridged(self, contact: str, agent: str, on: bool) -> None:
        if on and self._linked.get(contact) != agent:
            self._linked[contact] = agent
            self.push(agent)
        elif not on:
            self._linked.pop(contact, None)

    def over(self, contact: str) -> None:
        """The contact is done with."""
        self._linked.pop(contact, None)

    # --- softphones -----------------------------------------------------------------------------------------------

    async def connect(self, session: Session, sdp: str) -> str:
        """A browser's offer: a new connection on the desk card with the fewest; returns the answer's SDP."""
        seat = session.seat
        cards = sorted(self._cards.desk_cards_up, key=lambda c: (sum(s.load(c) for s in self._seats.values()), c))
        if not cards:
            raise ApiError(503, "no-desk-card", "No desk card is running; the softphone will connect when one is.")
        card, connection = cards[0], uuid7()
        command = desk.Connect(connection, seat.agent, sdp, self._ice.of(card))
        seat.asked[connection] = card, "connecting"
        try:
            answer = await self._cards.desk(card).command(command, desk.Connected, timeout=15.0)
        except ControlError as error:
            raise ApiError(400 if error.code.startswith("bad") else 503, error.code, error.message) from error
        finally:
            _, state = seat.asked.pop(connection)
        old = (seat.card, seat.connection)
        seat.card, seat.connection, seat.state, seat.owner = card, connection, state, session.page
        self._changed(seat)
        if old[1]:
            await self._cards.disconnect(*old, "replaced")
        return answer.sdp

    def connection_changed(self, card: str, change: desk.ConnectionChanged) -> None:
        """News of a desk card."""
        seat = self._seats.get(change.owner)
        if seat is not None and change.connection in seat.asked:
            seat.asked[change.connection] = card, change.state
        if seat is None or seat.connection != change.connection:
            return
        seat.state = change.state
        self._changed(seat)

    def desk_ready(self, card: str, inventory: desk.Inventory) -> None:
        """A desk card is (again) there: its living connections are our agents' softphones."""
        held = {c.connection for c in inventory.connections}
        for record in sorted(inventory.connections, key=lambda c: c.since, reverse=True):
            if record.owner.startswith("web:"):
                continue
            seat = self._seat(record.owner)
            if not seat.connection and record.state in {"connected", "lost"}:
                seat.card, seat.connection, seat.state = card, record.connection, record.state
                self._changed(seat)
        for seat in self._seats.values():
            if seat.card == card and seat.connection not in held and seat.state != "connecting":
                seat.state, seat.connection = "none", ""
                self._changed(seat)

    def desk_dead(self, card: str) -> None:
        """A desk card is gone with its connections; the pages will make new ones."""
        for seat in self._seats.values():
            if seat.card == card:
                seat.state, seat.connection, seat.card = "lost", "", ""
                self._changed(seat)

    def expect_return(self) -> None:
        """After a restart: agents who were logged in have a while to come back before they count as away."""
        for view in self._house.engine.agents():
            if view.state != "logged-out":
                seat = self._seat(view.id)
                seat.returning = True
                asyncio.get_running_loop().call_later(RETURN_GRACE, self._returned, seat)
                seat.away = asyncio.get_running_loop().call_later(RETURN_GRACE + LOG_OUT_AFTER, self._log_out, seat)

    def _returned(self, seat: Seat) -> None:
        """Who is not back by now is away, and lost to the one they talked with."""
        seat.returning = False
        self._changed(seat)

    # --- presence -------------------------------------------------------------------------------------------------

    def _seat(self, agent: str) -> Seat:
        return self._seats.setdefault(agent, Seat(agent))

    def _changed(self, seat: Seat) -> None:
        contact = self._house.by_agent.get(seat.agent)
        if seat.state == "connected":
            if seat.lost is not None:
                seat.lost.cancel()
                seat.lost = None
        elif contact is not None and seat.lost is None:
            seat.lost = asyncio.get_running_loop().call_later(self._lost_seconds, self._lose, seat)
        self._presence(seat)
        self.push(seat.agent)
        if contact is not None:
            self._touch(contact)

    def _presence(self, seat: Seat) -> None:
        view = self._house.engine.agent(seat.agent)
        seat.returning = seat.returning and not seat.ready
        if view is None or view.state == "logged-out" or view.reachable == seat.ready or seat.returning:
            return
        why = "" if seat.ready else ("no-page" if not seat.sessions else f"softphone-{seat.state}")
        self._try(routing.AgentReachable(0, seat.agent, seat.ready, why))

    def _lose(self, seat: Seat) -> None:
        seat.lost = None
        if seat.state != "connected" and seat.agent in self._house.by_agent:
            log.warning("agent lost", agent=seat.agent, contact=self._house.by_agent[seat.agent])
            self._try(routing.AgentLost(0, seat.agent))

    def _log_out(self, seat: Seat) -> None:
        seat.away = None
        if seat.agent in self._house.by_agent:
            seat.away = asyncio.get_running_loop().call_later(LOG_OUT_AFTER, self._log_out, seat)
        elif not seat.sessions:
            self._try(routing.AgentLoggedOut(0, seat.agent))

    def _try(self, event: routing.Event) -> None:
        try:
            self._act(records.Routing(event))
        except Refused as error:
            log.info("presence refused", event_kind=routing.kind(event), code=error.code)
        except BrokenHouse:
            log.critical("the exchange starts anew")

    async def _event(self, event: routing.Event) -> None:
        await self.ask(records.Routing(event))

    async def ask(self, input: Input) -> None:
        """Do what an agent asks; raises ApiError 409 when the present state does not allow it."""
        try:
            durable = self._act(input)
        except Refused as error:
            raise ApiError(409, error.code, error.message) from error
        except BrokenHouse as error:
            raise ApiError(503, "restarting", "The exchange is starting anew. Please try again in a moment.") from error
        await durable

    # --- snapshots ------------------------------------------------------------------------------------------------

    def snapshot(self, agent: str) -> dict[str, Any]:
        """What an agent's page shows, without the softphone (that differs by page)."""
        engine, now = self._house.engine, self._now()
        view = engine.agent(agent)
        if view is None:
            return {"type": "desk", "time": now}
        return {
            "type": "desk",
            "agent": self._agent(view),
            "offer": self._offer(view, now),
            "contact": self._contact(agent) or self._ended(view),
            "wrap_up": self._wrap_up(view),
            "idle_codes": [{"code": c.code, "name": c.name} for c in self._house.idle_codes()],
            "queues": [{"id": q, "name": self._queue_name(q), "waiting": engine.waiting(q)} for q in view.queues],
            "time": now,
        }

    def _agent(self, view: AgentView) -> dict[str, Any]:
        following = {"state": view.next_state, "code": view.next_code} if view.next_state else None
        return {
            "id": view.id,
            "name": view.name,
            "display": view.name,
            "state": view.state,
            "code": view.code,
            "since": view.since,
            "next": following,
        }

    def _offer(self, view: AgentView, now: float) -> dict[str, Any] | None:
        offer = self._house.engine.offer(view.offer) if view.offer else None
        if offer is None:
            return None
        contact = self._house.engine.contact(offer.contact)
        return {
            "id": offer.id,
            "contact": offer.contact,
            "queue": offer.queue,
            "queue_name": self._queue_name(offer.queue),
            "ani": self._detail(offer.contact).ani,
            "waited": round(now - contact.queued_at, 1) if contact is not None else 0.0,
            "deadline": offer.deadline,
            "channel": contact.channel if contact is not None else "voice",
        }

    def _contact(self, agent: str) -> dict[str, Any] | None:
        contact = self._house.by_agent.get(agent)
        talk = self._house.talks.get(contact) if contact is not None else None
        if contact is None or talk is None:
            return None
        view = self._house.engine.contact(contact)
        detail = self._detail(contact)
        queue = view.queue if view is not None else ""
        recording = "off" if not talk.recording else "failed" if talk.recording_failed else "paused" if talk.paused else "on"
        shown = self._seat(agent).shown = {
            "id": contact,
            "ani": detail.ani,
            "dnis": detail.dnis,
            "queue": queue,
            "queue_name": self._queue_name(queue),
            "state": "talking" if self._linked.get(contact) == agent else "connecting",
            "since": talk.agent_since,
            "held": talk.held,
            "muted": talk.muted,
            "recording": recording,
            "cad": detail.cad,
        }
        return shown

    def _ended(self, view: AgentView) -> dict[str, Any] | None:
        shown = self._seat(view.id).shown
        if view.state != "wrap-up" or shown.get("id") != view.contact:
            return None
        return {**shown, "state": "ended", "held": False, "muted": False, "recording": "off"}

    def _wrap_up(self, view: AgentView) -> dict[str, Any] | None:
        if view.state != "wrap-up":
            return None
        queue = self._house.queue(view.queue)
        codes = [{"code": c.code, "name": c.name} for c in queue.wrap_up_codes] if queue is not None else []
        return {"contact": view.contact, "deadline": view.until, "codes": codes}

    def _softphone(self, seat: Seat, session: Session) -> str:
        if seat.owner and seat.owner != session.page:
            return "replaced"
        words = {"connected": "ready", "closed": "none", "failed": "lost"}
        return words.get(seat.state, seat.state)

    def _queue_name(self, queue: str) -> str:
        found = self._house.queue(queue) if queue else None
        return found.name if found is not None else queue

    def _detail(self, contact: str) -> Details:
        return self._details.get(contact) or Details("", "")


class Session:
    """A WebSocket of a page (api.ports.DeskSession); a page that has changed its network may have two for a while."""

    def __init__(self, desks: Desks, seat: Seat, user: User, send: Callable[[dict[str, Any]], None], page: str) -> None:
        self.seat = seat
        self.page = page
        self.send = send
        self._desks = desks
        self._user = user

    def close(self, *, meant: bool) -> None:
        self._desks.closed(self.seat, self)

    async def handle(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        """One message of the page; raises ApiError."""
        agent = self.seat.agent
        match kind:
            case "ping":
                pass
            case "softphone":
                return {"sdp": await self._desks.connect(self, _text(fields, "sdp", MOST_SDP))}
            case "set_state":
                await self._set_state(_text(fields, "state", 20), _text(fields, "code", 100, needed=False))
            case "accept":
                await self._route(routing.OfferAccepted(0, agent, _text(fields, "offer", 200)))
            case "decline":
                reason = _word(fields, "reason")
                await self._route(routing.OfferDeclined(0, agent, _text(fields, "offer", 200), reason))
            case "wrap_up":
                await self._wrap_up(_text(fields, "code", 100, needed=False))
            case "log_out":
                await self._route(routing.AgentLoggedOut(0, agent))
            case "hold" | "mute" | "record":
                await self._desks.ask(records.Asked(self._talking(), agent, kind, _flag(fields, "on")))
            case "hang_up":
                await self._desks.ask(records.Asked(self._talking(), agent, "hang_up"))
            case "digits":
                await self._digits(_text(fields, "digits", 32))
            case _:
                raise ApiError(400, "unknown-type", f"There is no message of the type {kind[:40]!r}.")
        return {}

    async def _set_state(self, state: str, code: str) -> None:
        if state not in get_args(ChosenState):
            raise ApiError(422, "invalid", "state: one of available, idle.")
        chosen = routing.AgentStateChosen(0, self.seat.agent, "available")
        if state == "idle":
            chosen = routing.AgentStateChosen(0, self.seat.agent, "idle", code)
        await self._route(chosen)

    async def _wrap_up(self, code: str) -> None:
        view = self._desks._house.engine.agent(self.seat.agent)
        if view is None or view.state != "wrap-up":
            raise ApiError(409, "not-in-wrap-up", "There is no wrap-up to finish.")
        await self._route(routing.WrapUpDone(0, view.contact, self.seat.agent, code))

    async def _digits(self, digits: str) -> None:
        if not digits or set(digits) - KEYS:
            raise ApiError(422, "invalid", "digits: 0 to 9, *, #, A to D.")
        try:
            await self._desks.send_digits(self._talking(), digits)
        except ControlError as error:
            raise ApiError(503, error.code, error.message) from error

    def _talking(self) -> str:
        contact = self._desks._house.by_agent.get(self.seat.agent)
        if contact is None:
            raise ApiError(409, "no-contact", "You are connected with nobody.")
        return contact

    async def _route(self, event: routing.Event) -> None:
        await self._desks.ask(records.Routing(event))


def _text(fields: dict[str, Any], name: str, most: int, *, needed: bool = True) -> str:
    value = fields.get(name, None if needed else "")
    if not isinstance(value, str) or len(value) > most or (needed and not value):
        raise ApiError(422, "invalid", f"{name}: a text of 1 to {most} characters is needed.")
    return value


def _word(fields: dict[str, Any], name: str) -> str:
    """A word of a machine, which may go into the log; what people write could be about people."""
    value = _text(fields, name, 40, needed=False)
    if not re.fullmatch("[a-z0-9-]*", value):
        raise ApiError(422, "invalid", f"{name}: a word of a to z, 0 to 9 and - is needed.")
    return value


def _flag(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name)
    if not isinstance(value, bool):
        raise ApiError(422, "invalid", f"{name}: true or false is needed.")
    return value
