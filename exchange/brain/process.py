"""The exchange process: `python -m exchange.brain --run DIR --data DIR`, with its settings in the environment."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import structlog
import uvicorn
import uvloop

from acd import sentences
from acd.document import Document
from api.app import create_app
from api.ports import Surface
from exchange import certificates, settings
from exchange.brain import configuration, errands, pages, records, recovery, tables
from exchange.brain.ahead import Ahead, Known
from exchange.brain.books import Books
from exchange.brain.bridge import Bridge
from exchange.brain.cards import Cards
from exchange.brain.clock import EngineClock
from exchange.brain.customers import PURPOSE, Customers
from exchange.brain.desks import Desks
from exchange.brain.dialler import Dialler
from exchange.brain.doors import Doors
from exchange.brain.filing import Filing
from exchange.brain.garbage import Garbage, put_off
from exchange.brain.house import House, Outcome
from exchange.brain.ice import IceServers
from exchange.brain.ledger import Ledger
from exchange.brain.lines import Shop
from exchange.brain.live import Live
from exchange.brain.messages import ExchangeCommand, Shutdown, Standing, Status
from exchange.brain.names import Names
from exchange.brain.operations import Operations
from exchange.brain.periods import Periods
from exchange.brain.reports import FigureReports
from exchange.brain.shell import Exchange
from exchange.brain.store import Store
from exchange.brain.stream import Stream
from exchange.brain.web import Tls, Web
from exchange.brain.webcalls import WebCalls
from exchange.brain.zones import server_zone
from exchange.configuration.border import Configurator, told
from exchange.configuration.keeper import Keeper
from exchange.demo import seed_as_ordered
from exchange.supervisor.spare import FLAG, wait_for_the_word
from exchange.supervisor.table import Site
from ivr import numbers
from ivr.runner import Runner
from media.control import edge, line
from media.control import logs as process_logs
from media.control.server import ControlServer
from media.vault.keys import load_master_key
from media.vault.store import Vault
from storage.conversations import Conversations
from storage.database import Database
from storage.embedded import EmbeddedPostgres
from storage.folds import FoldStates
from storage.log import EventLog
from storage.queries import Queries
from storage.reader import Bell
from storage.reports import Reports

log = structlog.get_logger()

PAGES = Path(__file__).parents[2] / "web" / "dist"
DATABASE_PATIENCE = 240.0
"""Without the log nothing can be decided: a start waits for the database, for less than the supervisor waits for the start."""
CLOSE_SECONDS = 3.0
LET_GO_SECONDS = 0.1


class Brain:
    """Builds the exchange, runs it, takes it apart."""

    def __init__(self, chosen: settings.Settings, site: Site, known: Known | None = None) -> None:
        self.settings = chosen
        self.site = site
        self.stop = asyncio.Event()
        self.code = 0
        self.apology = ""
        self.ice = IceServers(chosen)
        self.live = Live(*server_zone())
        self.exchange: Exchange
        self.web_calls: WebCalls
        self.doors: Doors
        self.clock: EngineClock
        self._known = known
        self._tasks: list[asyncio.Task[Any]] = []

    async def run(self) -> int:
        """Until told to stop; the exit code."""
        dsn = dsn_of(self.settings, self.site)
        async with contextlib.AsyncExitStack() as stack:
            garbage = stack.enter_context(Garbage(lambda: self.exchange.ledger.statistics().inputs))
            database = await stack.enter_async_context(Database(dsn, patience=DATABASE_PATIENCE))
            events = await stack.enter_async_context(EventLog(database, self.site.data / "spool" / "log"))
            events.superseded.add_done_callback(lambda _: self.stop.set())
            queries = Queries(database)
            await seed_as_ordered(queries)
            found = await configuration.load(queries)
            bell = await stack.enter_async_context(Bell(dsn))
            with put_off():
                house = await self._recover(found, events)
                self.clock = EngineClock(house.last_at)
                gap = self.clock.now() - house.last_at if house.last_at else 0.0
                open = house.engine.marks()
                details = await recovery.recall_details(house, open, queries)
                exchange = self.exchange = Exchange(house, details, lambda: found.entry_points)
                exchange.garbage = garbage
                await self._assemble(stack, events, queries)
                stored, following = Conversations(database), Stream(database, bell, self.clock.now)
                self.doors = exchange.doors = Doors(
                    exchange, events, queries, stored, following, lambda: found.addresses, self.clock.now, open
                )
                await self.doors.recall()
            exchange.put(records.Booted(gap))
            if house.configured is None or configuration.differs(house.configured, found.kept.document):
                exchange.put(records.Routing(found.engine))
            keeper = self._keep(stack, found)
            self.doors.take_up()
            await self._begin()
            async with self._serving(queries, keeper, Reports(database)):
                self._go_on(
                    found, self.live.begin(FoldStates(database), Reports(database), events, events.epoch, self.clock.now)
                )
                await self._meet_cards(stack)
                await self.stop.wait()
            self._leave()
        return self.code

    async def _recover(self, found: configuration.Configuration, events: EventLog) -> House:
        """The house as it was: what a spare knows of it is not replayed again."""
        known, self._known = self._known, None
        if known is None:
            house = House(Runner(found.flows), recordings=self.settings.recordings)
            await recovery.recover(house, events)
            return house
        for flow in found.flows:
            known.house.runner.add(flow)
        await recovery.recover(known.house, events, known.position)
        return known.house

    async def _assemble(self, stack: contextlib.AsyncExitStack, events: EventLog, queries: Queries) -> None:
        exchange, house = self.exchange, self.exchange.house
        music_file, beep = self.site.prompts / "music.wav", self.site.prompts / "beep.wav"
        if not (music_file.exists() and beep.exists()):
            from media import music  # with all of numpy, for a first start only

            for path, make in ((music_file, music.make_music), (beep, music.make_beep)):
                if not path.exists():
                    await asyncio.to_thread(make, path)

        def greeting() -> tuple[line.Configure, edge.Configure]:
            return (
                line.Configure(self.apology, str(music_file), self.settings.media_timeout_seconds),
                edge.Configure(self._card_addresses(), self._trunks(), list(self.settings.allow)),
            )

        exchange.group = await stack.enter_async_context(asyncio.TaskGroup())
        exchange.dialler = Dialler(exchange, self._trunks)
        exchange.customers = Customers(load_master_key(self.site.master_key).derive(PURPOSE))
        exchange.cards = Cards(self.site.run, *self._card_names(), exchange.news, house.cursors, greeting, epoch=events.epoch)
        exchange.books = Books(self.site.run)
        exchange.filing = Filing(events, queries, exchange.cards)
        exchange.shop = Shop(exchange.cards, exchange.report, beep)
        exchange.ledger = Ledger(
            house,
            events,
            self.clock,
            lambda record, outcome: tables.of_outcome(house, record, outcome),
            self._let_out,
            self._broken,
        )
        exchange.desks = Desks(
            house,
            exchange.cards,
            exchange.ledger.put,
            exchange.details,
            self.clock.now,
            exchange.touch,
            exchange.send_digits,
            ice=self.ice,
            lost_seconds=self.settings.agent_lost_seconds,
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
        chosen = self.settings
        exchange.web = self.web_calls = WebCalls(
            exchange, most=chosen.web_calls, a_minute=chosen.web_calls_a_minute, ice=self.ice.of
        )

    def _card_names(self) -> tuple[list[str], list[str], list[str]]:
        """Of line cards, desk cards, and the desk cards of web callers."""
        lines_each = int(os.environ.get("SWITCHROOM_LINES_EACH", "4"))
        kinds = (
            ("linecard", self.settings.line_cards(lines_each)),
            ("deskcard", self.settings.desk_cards),
            ("webcard", self.settings.web_cards),
        )
        lines, desks, webs = ([f"{kind}{n}" for n in range(count)] for kind, count in kinds)
        return lines, desks, webs

    def _keep(self, stack: contextlib.AsyncExitStack, found: configuration.Configuration) -> Keeper:
        """Who changes the configuration, and what follows from a change."""
        periods = Periods(self.exchange.put)
        stack.callback(periods.close)
        periods.take(found.kept.document)

        def taken(document: Document) -> None:
            found.take(document)
            periods.take(document)
            self.exchange.desks.push_counts()

        return Keeper(found.kept, self.exchange.house, self.exchange.ledger.put, lambda: found.flows, taken)

    def _run(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Beside the rest, until the exchange leaves."""
        self._tasks.append(self.exchange.group.create_task(work, name=name))

    async def _begin(self) -> None:
        """Effects go out, pages may come back."""
        exchange = self.exchange
        self._run(exchange.ledger.run(), "ledger")
        self._run(exchange.filing.run(), "filing")
        self._run(exchange.books.watch(), "books")
        self._run(exchange.garbage.run(), "garbage")
        await exchange.filing.recall()
        self._run(exchange.desks.expect_return(), "returning pages")
        self.web_calls.expect_return()
        exchange.bury_lost_cards()

    async def _meet_cards(self, stack: contextlib.AsyncExitStack) -> None:
        """One that is away keeps the others waiting for a moment, but nobody who asks us."""
        cards = await stack.enter_async_context(self.exchange.cards)
        self.exchange.dialler.take_up()
        self._run(errands.poll_edge(cards), "edge poll")

    def _go_on(self, found: configuration.Configuration, figures: Coroutine[Any, Any, None]) -> None:
        """What has time until the exchange answers: it takes long on a big floor, and goes on beside the calls."""
        exchange = self.exchange
        exchange.ledger.start_clock()
        self._run(self.doors.recalled.run(), "open contacts")
        self._run(figures, "figures")
        self._run(self._make_apology(), "apology")
        self._run(errands.speak_ahead(exchange.cards, self.settings.bridge_rate, found.flows), "prompts")
        self._run(self.doors.forget(), "old keys")
        self._run(pages.keep_gathered(), "big pages")
        self._run(asyncio.to_thread(numbers.load), "telephone numbers")

    @contextlib.asynccontextmanager
    async def _serving(self, queries: Queries, keeper: Keeper, reports: Reports) -> AsyncIterator[None]:
        """Everybody is answered in this block: by HTTP first, since whoever waits for us looks at the control socket."""
        tls, strict = self._tls()
        if tls is not None:
            self._run(tls.watch(), "certificate")
        web = Web(self._http(self._surface(queries, keeper, reports, secure=tls is not None, strict=strict)), tls)
        serving = self.exchange.group.create_task(web.serve(), name="http")
        await web.listening.wait()

        async def handle(command: Any) -> Any:
            match command:
                case Status():
                    return Standing(**self.exchange.status())
                case Shutdown():
                    self.stop.set()
                case _:
                    return await told(keeper, queries, command)
            return None

        control = ControlServer(
            self.site.run / "exchange.ctl", card="exchange", kind="exchange", commands=ExchangeCommand, handler=handle
        )
        async with control:
            log.info("exchange is up", http=str(self.settings.http), contacts=len(self.exchange.house.talks))
            yield
        web.should_exit = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(serving), CLOSE_SECONDS)
        serving.cancel()

    def _leave(self) -> None:
        """Nobody is asked for anything any more: the group may end."""
        self.web_calls.close()
        self.exchange.dialler.close()
        for task in [*self._tasks, *(w.task for w in self.exchange.workers.values() if w.task is not None)]:
            task.cancel()

    def _let_out(self, record: records.Record, outcome: Outcome) -> None:
        self.exchange.carry_out(record, outcome)
        self.live.take(record, outcome.decided)

    def _surface(self, queries: Queries, keeper: Keeper, reports: Reports, *, secure: bool, strict: bool) -> Surface:
        """What the API is made of."""
        house = self.exchange.house
        vault = Vault(self.site.vault, load_master_key(self.site.master_key))
        return Surface(
            Store(queries, lambda: vault, house.queue_names, lambda: sentences.Names.of(house.configured)),
            self.exchange.desks,
            Operations(self.exchange, self.ice),
            self.web_calls,
            self.doors.contacts,
            self.doors.floor,
            FigureReports(reports, self.live, lambda: Names.of(house.configured), self.clock.now),
            Configurator(keeper, queries),
            PAGES,
            secure or not self.settings.http.loopback,
            strict_transport=strict,
        )

    def _tls(self) -> tuple[Tls | None, bool]:
        """What HTTPS shows, and whether browsers may be told to insist on it: not where they cannot check who we are."""
        if self.settings.scheme != "https":
            return None, False
        files = certificates.files(self.settings)
        return Tls(*files), not certificates.check_certificate(*files).self_signed

    def _http(self, surface: Surface) -> uvicorn.Config:
        return uvicorn.Config(
            create_app(surface),
            host=self.settings.http.host,
            port=self.settings.http.port,
            log_config=None,
            access_log=False,
            server_header=False,
            ws_max_size=128 * 1024,
            ws_ping_interval=10,
            ws_ping_timeout=10,
            timeout_graceful_shutdown=1,
        )

    async def _make_apology(self) -> None:
        self.apology = await errands.speak_apology(self.exchange.cards, self.settings.bridge_rate)
        await self.exchange.cards.configure_lines()

    def _broken(self) -> None:
        log.critical("an input broke the house, starting anew without it")
        self.code = 70
        self.stop.set()

    def _trunks(self) -> list[edge.Trunk]:
        return [edge.Trunk(**trunk.plain()) for trunk in self.settings.trunks]

    def _card_addresses(self) -> list[edge.CardAddress]:
        names = self.exchange.cards.line_card_names
        return [edge.CardAddress(name, str(self.site.run / f"{name}.ctl")) for name in names]


def dsn_of(chosen: settings.Settings, site: Site) -> str:
    """The database that was chosen, or ours."""
    return chosen.database_url.get_secret_value() or EmbeddedPostgres(site.data, site.run).dsn


async def _wait(chosen: settings.Settings, site: Site) -> tuple[bool, Known | None]:
    """As a spare: whether to begin, and what it knows by then."""
    ahead = Ahead(dsn_of(chosen, site), recordings=chosen.recordings)
    following = asyncio.create_task(ahead.run(), name="following")
    try:
        return await asyncio.to_thread(wait_for_the_word), ahead.known
    finally:
        following.cancel()  # it takes nothing more from here on; a database that hangs may keep it from ending
        await asyncio.wait([following], timeout=LET_GO_SECONDS)


async def _main(chosen: settings.Settings, site: Site, *, spare: bool) -> int:
    known: Known | None = None
    if spare:
        log.info("spare exchange is ready", pid=os.getpid())
        begin, known = await _wait(chosen, site)
        if not begin:
            return 0
    log.info("exchange starts", pid=os.getpid(), stop="SIGTERM; calls go on without it")
    (site.run / "recordings").mkdir(mode=0o700, exist_ok=True)
    brain = Brain(chosen, site, known)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, brain.stop.set)
    started = time.monotonic()
    code = await brain.run()
    log.info("exchange leaves", code=code, seconds=round(time.monotonic() - started, 1))
    return code


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="exchange.brain", description="The exchange: API, flows, routing, bookkeeping.")
    parser.add_argument("--run", type=Path, required=True, help="run directory")
    parser.add_argument("--data", type=Path, required=True, help="data directory")
    parser.add_argument(FLAG, action="store_true", help="be ready, and begin when told by the standard input")
    flags = parser.parse_args()
    chosen = settings.load(data=flags.data)
    process_logs.configure(chosen.log_level, personal=chosen.log_personal)
    return uvloop.run(_main(chosen, Site(flags.data, flags.run), spare=flags.spare))
