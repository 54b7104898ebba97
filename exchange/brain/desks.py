"""Agents at their desks: WebSocket sessions, softphones on desk cards, presence, and the snapshots that pages show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import structlog

import acd.events as routing
from acd.model import CHANNELS, Channel
from api.errors import ApiError
from api.models import User
from api.ports import Contacts
from exchange.brain import records
from exchange.brain.broadcasts import Broadcasts
from exchange.brain.cards import Cards
from exchange.brain.conversations import Conversation
from exchange.brain.deskview import DeskView
from exchange.brain.details import Details
from exchange.brain.house import House
from exchange.brain.ice import IceServers
from exchange.brain.ids import uuid7
from exchange.brain.intake import Act, Intake, settled
from exchange.brain.records import Input
from exchange.brain.sessions import Session
from media.control import desk
from media.control.envelope import ControlError
from storage import rows
from storage.rows import RowWrite

log = structlog.get_logger()

LOG_OUT_AFTER = 60.0
"""Seconds without any page after which an agent who talks with nobody is logged out."""
RETURN_GRACE = 10.0
"""Seconds that pages have to come back after the exchange restarted."""
AWAY_AT_ONCE = 250
"""Of those who did not come back, so many are told of in one record."""
AWAY_PAUSE = 0.02
"""Seconds between two such records: others have their turn."""
MOST_PAGES = 16
VOICE: tuple[Channel, ...] = ("voice",)
WRITTEN: tuple[Channel, ...] = tuple(channel for channel in CHANNELS if channel != "voice")
"""Channels for which a page is enough."""


class Seat:
    """One agent: their pages and their softphone."""

    def __init__(self, agent: str, *, returning: bool = False) -> None:
        self.agent = agent
        self.sessions: list[Session] = []
        self.card = ""
        self.connection = ""
        self.state: str = "none"
        self.owner = ""  # the page that has the softphone
        self.asked: dict[str, tuple[str, str]] = {}
        """Handshakes without an answer yet: card and state, by connection. An offer that is no good takes nothing away."""
        self.told: dict[tuple[Channel, ...], bool] = {}
        """What the engine was told of their being reachable, by channels."""
        self.returning = returning
        """After a restart of the exchange: the pages have a while to come back before anything is said of their absence."""
        self.lost: asyncio.TimerHandle | None = None
        self.away: asyncio.TimerHandle | None = None

    @property
    def ready(self) -> bool:
        """Can take a call: a page to show it on and a softphone to talk with."""
        return bool(self.sessions) and self.state == "connected"

    def softphone(self, session: Session) -> str:
        """The softphone in the words of this page."""
        if self.owner and self.owner != session.page:
            return "replaced"
        words = {"connected": "ready", "closed": "none", "failed": "lost"}
        return words.get(self.state, self.state)

    def load(self, card: str) -> int:
        """Its connections on a desk card, also those that are being made."""
        return (self.card == card) + sum(one == card for one, _ in self.asked.values())


class Desks:
    """All desks. Presence goes into the engine, commands into the house, snapshots out to the pages."""

    def __init__(
        self,
        house: House,
        cards: Cards,
        act: Act,
        details: dict[str, Details],
        now: Callable[[], float],
        touch: Callable[[str], None],
        digits: Callable[[str, str], Any],
        *,
        ice: IceServers,
        lost_seconds: float,
        write: Callable[[RowWrite], object],
    ) -> None:
        self.house = house
        self.contacts: Contacts
        self.conversations: dict[str, Conversation] = {}
        self.broadcasts = Broadcasts()
        self._cards = cards
        self._intake = Intake(act)
        self._touch = touch
        self.send_digits = digits
        self._ice = ice
        self._lost_seconds = lost_seconds
        self._write = write
        self._seats: dict[str, Seat] = {}
        self._linked: dict[str, str] = {}
        self._view = DeskView(house, details, self.conversations, self.broadcasts, self._linked, now)
        self._counts: asyncio.TimerHandle | None = None
        self._returning = False

    # --- pages ----------------------------------------------------------------------------------------------------

    async def open(self, user: User, send: Callable[[dict[str, Any]], None], page: str = "") -> Session:
        """Seat a page (api.ports.Desks)."""
        view = self.house.engine.agent(user.id)
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
                await self.ask(records.Routing(routing.AgentLoggedIn(0, user.id)))
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
        base = self._view.snapshot(agent)
        for session in seat.sessions:
            session.send({**base, "softphone": {"state": seat.softphone(session)}})

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

    # --- after a restart ------------------------------------------------------------------------------------------

    async def expect_return(self) -> None:
        """Agents who were logged in have a while to come back before they count as away, and later as logged out."""
        self._returning = True
        await asyncio.sleep(RETURN_GRACE)
        self._returning = False
        for some in self._logged_in():
            self._returned(some)
            await asyncio.sleep(AWAY_PAUSE)
        await asyncio.sleep(LOG_OUT_AFTER)
        for some in self._logged_in():
            seats = [seat for seat in some if not seat.sessions and seat.away is None]
            self._tell(filter(None, map(self._leaving, seats)))
            await asyncio.sleep(AWAY_PAUSE)

    def _logged_in(self) -> Iterator[list[Seat]]:
        """The seats of all who are, a part at a time."""
        agents = self.house.engine.logged_in()
        for first in range(0, len(agents), AWAY_AT_ONCE):
            yield [self._seat(agent) for agent in agents[first : first + AWAY_AT_ONCE]]

    def _returned(self, seats: list[Seat]) -> None:
        """Who is not back by now is away, and lost to the one they talked with."""
        for seat in seats:
            seat.returning = False
        self._tell(change for seat in seats for change in self._news(seat))
        for seat in seats:
            self._watch(seat)

    def _tell(self, changes: Iterable[routing.AgentReachable | routing.AgentLost | routing.AgentLoggedOut]) -> None:
        if told := tuple(changes):
            self._try(records.Presences(told))

    # --- presence -------------------------------------------------------------------------------------------------

    def _seat(self, agent: str) -> Seat:
        found = self._seats.get(agent)
        if found is None:
            found = self._seats[agent] = Seat(agent, returning=self._returning)
        return found

    def _changed(self, seat: Seat) -> None:
        self._presence(seat)
        self._watch(seat)

    def _watch(self, seat: Seat) -> None:
        """Who talks and has no softphone is waited for; pages and call look again."""
        contact = self.house.by_agent.get(seat.agent)
        if seat.state == "connected":
            if seat.lost is not None:
                seat.lost.cancel()
                seat.lost = None
        elif contact is not None and seat.lost is None:
            seat.lost = asyncio.get_running_loop().call_later(self._lost_seconds, self._lose, seat)
        self.push(seat.agent)
        if contact is not None:
            self._touch(contact)

    def _presence(self, seat: Seat) -> None:
        """Tell the engine what is new."""
        for change in self._news(seat):
            self._try(records.Routing(change))

    def _news(self, seat: Seat) -> list[routing.AgentReachable]:
        """What the engine does not know: calls need page and softphone, the rest a page."""
        view = self.house.engine.agent(seat.agent)
        seat.returning = seat.returning and not seat.ready
        if view is None or view.state == "logged-out":
            seat.told.clear()
            return []
        page, phone = bool(seat.sessions), f"softphone-{seat.state}"
        found: list[routing.AgentReachable] = []
        for channels, there, missing in ((VOICE, seat.ready, phone if page else "no-page"), (WRITTEN, page, "no-page")):
            if seat.told.get(channels) is there or (seat.returning and not there):
                continue
            seat.told[channels] = there
            if there or view.reachable:
                found.append(routing.AgentReachable(0, seat.agent, there, "" if there else missing, channels))
        if len(found) == 2 and found[0].reachable == found[1].reachable:
            return [routing.AgentReachable(0, seat.agent, found[0].reachable, found[0].why)]
        return found

    def _lose(self, seat: Seat) -> None:
        seat.lost = None
        if seat.state != "connected" and seat.agent in self.house.by_agent:
            log.warning("agent lost", agent=seat.agent, contact=self.house.by_agent[seat.agent])
            self._try(records.Routing(routing.AgentLost(0, seat.agent)))

    def _log_out(self, seat: Seat) -> None:
        if event := self._leaving(seat):
            self._try(records.Routing(event))

    def _leaving(self, seat: Seat) -> routing.AgentLost | routing.AgentLoggedOut | None:
        """How an agent without pages is logged out; None while they talk, which is waited for, or when they are back."""
        seat.away = None
        if seat.agent in self.house.by_agent:
            seat.away = asyncio.get_running_loop().call_later(LOG_OUT_AFTER, self._log_out, seat)
            return None
        if seat.sessions:
            return None
        view = self.house.engine.agent(seat.agent)
        busy = view is not None and any(work.state != "wrap-up" for work in view.works)
        # Those whom they were writing with go back to their places.
        return routing.AgentLost(0, seat.agent) if busy else routing.AgentLoggedOut(0, seat.agent)

    def _try(self, input: records.Routing | records.Presences) -> None:
        try:
            self._intake.put(input)
        except ApiError as error:
            log.info("presence refused", input=type(input).__name__, code=error.code)

    async def ask(self, input: Input) -> None:
        """Do what an agent asks; raises ApiError 409 when the present state does not allow it."""
        await settled(self._intake.put(input))

    def put_away(self, agent: str, message: str) -> None:
        """The agent has read a broadcast."""
        if self.broadcasts.put_away(agent, message):
            self.push(agent)
            self._write(rows.broadcast_read(message, agent))
