"""The exchange's inside, wired as the process wires it, between scripted cards and a log in memory; it can be restarted."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

from acd.document import EntryPointConfig
from acd.model import AgentState
from api.models import User
from exchange.brain import records, recovery, tables
from exchange.brain.bridge import Bridge
from exchange.brain.cards import Cards
from exchange.brain.clock import EngineClock
from exchange.brain.customers import Customers
from exchange.brain.desks import Desks
from exchange.brain.dialler import Dialler
from exchange.brain.doors import Doors
from exchange.brain.filing import Filing
from exchange.brain.ice import IceServers
from exchange.brain.ledger import Ledger
from exchange.brain.lines import Shop
from exchange.brain.sessions import Session
from exchange.brain.shell import EntryPoint, Exchange
from exchange.brain.webcalls import WebCalls
from media.control import desk, edge, line
from storage.conversations import Conversations
from storage.log import EventLog
from storage.queries import Queries
from storage.rows import RowWrite
from tests.exchange.brain.fake_cards import DeskCard, Edge, LineCard, Speech, Vault, until
from tests.exchange.brain.stored import Written
from tests.exchange.brain.story import CONFIGURED, new_house
from tests.exchange.brain.test_ledger import LoopClock, QueueLog

CHAT = EntryPointConfig("chat", "chat", channel="chat", queue="support")
VOICE = EntryPointConfig("5000", "5000", "demo", web=True)


class MemoryLog(QueueLog):
    """Durable at once; rows without an event are kept, too."""

    def __init__(self) -> None:
        super().__init__(at_once=True)

    def write(self, rows: Sequence[RowWrite]) -> asyncio.Future[None]:
        self.writes.append(list(rows))
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    def written(self, statement: str) -> list[list[Any]]:
        """Arguments of all rows of one statement."""
        return [row.args for rows in self.writes for row in rows if row.statement == statement]


class NoQueries(Written):
    """A database with what was written of conversations, and of the rest what the test says is unfiled."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log)
        self.unfiled_rows: list[dict[str, Any]] = []

    async def unfiled(self) -> list[dict[str, Any]]:
        return self.unfiled_rows


class NoIce:
    def of(self, user: str) -> list[desk.IceServer]:
        return []


class Page:
    """An agent's browser."""

    def __init__(self, floor: Floor, agent: str) -> None:
        self.agent = agent
        self.shown: list[dict[str, Any]] = []
        self.session: Session
        self._floor = floor

    async def open(self, page: str = "") -> Page:
        user = User(id=self.agent, name=self.agent, display=self.agent, role="agent")
        self.session = await self._floor.exchange.desks.open(user, self._show, page)
        return self

    def _show(self, item: dict[str, Any]) -> None:
        self.shown.append(item)
        self._floor.changed.set()

    async def say(self, kind: str, **fields: Any) -> dict[str, Any]:
        return await self.session.handle(kind, fields)

    @property
    def now(self) -> dict[str, Any]:
        return self.shown[-1]

    async def softphone(self, state: desk.ConnectionState = "connected") -> str:
        """Connect with sound; the connection's id."""
        await self.say("softphone", sdp="offer")
        connection = self._floor.exchange.desks._seats[self.agent].connection
        if state != "connecting":
            self._floor.desk_of(connection).change(connection, state)
            await self.until(lambda: self.now["softphone"]["state"] == "ready")
        return connection

    async def ready(self) -> str:
        connection = await self.softphone()
        await self.say("set_state", state="available")
        return connection

    async def accept(self) -> None:
        await self.until(lambda: self.now["offer"])
        await self.say("accept", offer=self.now["offer"]["id"])

    async def talks(self) -> None:
        await self.until(lambda: (self.now["contact"] or {}).get("state") == "talking")

    async def until_state(self, state: AgentState) -> None:
        await self.until(lambda: self.now["agent"]["state"] == state)

    async def until(self, true: Any) -> None:
        await self._floor.until(true)


class Floor:
    """Cards that live as long as the test, and the exchange of the moment."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.changed = asyncio.Event()
        self.log = MemoryLog()
        self.queries = NoQueries(self.log)
        self.line = LineCard(run, "linecard0", self.changed)
        self.desks = [DeskCard(run, f"deskcard{n}", self.changed) for n in range(2)]
        self.web = DeskCard(run, "webcard0", self.changed)
        self.speech = Speech(run, "speech", self.changed)
        self.edge = Edge(run, "edge", self.changed)
        self.others = [self.edge, Vault(run, "vault", self.changed)]
        self.trunks: list[edge.Trunk] = []
        self.exchange: Exchange
        self.web_calls: WebCalls
        self.doors: Doors
        self.configured = CONFIGURED
        self.lost_seconds = 0.3
        self.recalling = True
        """Whether open contacts are read after a start, without being asked for."""
        self.line_cards = ["linecard0"]
        self.web_cards = ["webcard0"]
        self.web_calls_a_minute = 10
        self._stack = contextlib.AsyncExitStack()
        self._ledger: asyncio.Task[None] | None = None
        self._returns: asyncio.Task[None] | None = None

    async def until(self, true: Any, seconds: float = 5.0) -> Any:
        return await until(true, self.changed, seconds)

    async def quiet(self) -> None:
        """Wait until no card has been commanded for a while."""
        cards = [self.line, *self.desks, self.web]
        seen = -1
        while seen != (now := sum(len(card.done) for card in cards) + len(self.log.rows)):
            seen = now
            await asyncio.sleep(0.06)

    def desk_of(self, connection: str) -> DeskCard:
        return next(card for card in self.desks if connection in card.connections)

    async def page(self, agent: str = "agent1") -> Page:
        return await Page(self, agent).open()

    def contact(self, call: str) -> str:
        found = self.exchange.house.contact_of("linecard0", call)
        assert found is not None
        return found

    async def start(self) -> None:
        """A new exchange, from what the log says."""
        house = new_house()
        await recovery.recover(house, cast(EventLog, self.log))
        clock = cast(EngineClock, LoopClock())
        events, queries = cast(EventLog, self.log), cast(Queries, self.queries)
        open = house.engine.marks()
        details = await recovery.recall_details(house, open, queries)
        exchange = self.exchange = Exchange(house, details, lambda: {"5000": EntryPoint("5000", "demo", web=True)})
        exchange.dialler = Dialler(exchange, lambda: self.trunks)
        exchange.group = await self._stack.enter_async_context(asyncio.TaskGroup())
        greeting = (line.Configure(), edge.Configure([]))
        desk_cards = [card.name for card in self.desks]
        exchange.customers = Customers(b"a key")
        kinds = (self.line_cards, desk_cards, self.web_cards)
        exchange.cards = Cards(self.run, *kinds, exchange.news, house.cursors, lambda: greeting)
        exchange.filing = Filing(events, queries, exchange.cards)
        exchange.shop = Shop(exchange.cards, exchange.report, self.run / "beep.wav")
        exchange.ledger = Ledger(
            house, events, clock, lambda r, o: tables.of_outcome(house, r, o), exchange.carry_out, lambda: None
        )
        exchange.desks = Desks(
            house,
            exchange.cards,
            exchange.ledger.put,
            exchange.details,
            clock.now,
            exchange.touch,
            exchange.send_digits,
            ice=cast(IceServers, NoIce()),
            lost_seconds=self.lost_seconds,
            write=exchange.filing.write,
        )
        exchange.bridge = Bridge(
            exchange.cards,
            exchange.desks,
            house.talks.get,
            exchange.bridge_failed,
            exchange.filing.opened,
            exchange.unrecorded,
        )
        exchange.shop.bridge = exchange.bridge
        exchange.web = self.web_calls = WebCalls(exchange, most=1, a_minute=self.web_calls_a_minute, ice=lambda user: [])
        exchange.doors = self.doors = Doors(
            exchange,
            events,
            queries,
            cast(Conversations, self.queries),
            self.queries,
            lambda: {CHAT.id: CHAT, VOICE.id: VOICE},
            clock.now,
            open,
        )
        await self.doors.recall()
        exchange.put(records.Booted(0.0))
        if house.configured is None:
            exchange.put(records.Routing(self.configured))
        self.doors.take_up()
        self._ledger = exchange.group.create_task(exchange.ledger.run(), name="ledger")
        await exchange.filing.recall()
        self._returns = exchange.group.create_task(exchange.desks.expect_return(), name="returns")
        self.web_calls.expect_return()
        exchange.bury_lost_cards()
        await self._stack.enter_async_context(exchange.cards)
        exchange.dialler.take_up()
        exchange.ledger.start_clock()
        if self.recalling:
            exchange.group.create_task(self.doors.recalled.run(), name="open contacts")
        for name in set(self.line_cards) & {self.line.name}:
            if self.line.server is not None:
                await exchange.cards.line(name).connected()
                await self.until(lambda: self.exchange.cards.rates)

    async def stop(self) -> None:
        """The exchange leaves; the cards do not notice."""
        for task in filter(None, (self._ledger, self._returns)):
            task.cancel()
        self.web_calls.close()
        self.exchange.dialler.close()
        for worker in self.exchange.workers.values():
            if worker.task is not None:
                worker.task.cancel()
        await self._stack.aclose()

    async def restart(self) -> None:
        await self.stop()
        await self.start()


@contextlib.asynccontextmanager
async def running_floor(**settings: Any) -> AsyncIterator[Floor]:
    run = Path(tempfile.mkdtemp(prefix="sw-"))
    floor = Floor(run)
    for name, value in settings.items():
        assert hasattr(floor, name)
        setattr(floor, name, value)
    cards = [floor.line, *floor.desks, floor.web, floor.speech, *floor.others]
    try:
        for card in cards:
            await card.start()
        await floor.start()
        yield floor
    finally:
        await floor.stop()
        for card in cards:
            await card.die()
        shutil.rmtree(run)
