"""The exchange process: `python -m exchange.brain --run DIR --data DIR`, with its settings in the environment."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
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
from exchange.brain import configuration, records, recovery, tables
from exchange.brain.books import Books
from exchange.brain.bridge import Bridge
from exchange.brain.cards import Cards
from exchange.brain.clock import EngineClock
from exchange.brain.customers import PURPOSE, Customers
from exchange.brain.desks import Desks
from exchange.brain.dialler import Dialler
from exchange.brain.doors import Doors
from exchange.brain.filing import Filing
from exchange.brain.garbage import Garbage
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
from ivr.document import Flow
from ivr.runner import Runner
from media import music
from media.control import edge, line
from media.control import logs as process_logs
from media.control.envelope import ControlError
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

APOLOGY = "We are sorry, your call cannot be taken at the moment. Please try again later. Goodbye."
PAGES = Path(__file__).parents[2] / "web" / "dist"
EDGE_POLL_SECONDS = 1.0
DATABASE_PATIENCE = 240.0
"""Without the log nothing can be decided: a start waits for the database, for less than the supervisor waits for the start."""
CLOSE_SECONDS = 3.0


class Brain:
    """Builds the exchange, runs it, takes it apart."""

    def __init__(self, chosen: settings.Settings, site: Site) -> None:
        self.settings = chosen
        self.site = site
        self.stop = asyncio.Event()
        self.code = 0
        self.apology = ""
        self.ice = IceServers(chosen)
        self.web_calls: WebCalls
        self.live = Live(*server_zone())
        self.reports: Reports
        self.clock: EngineClock

    async def run(self) -> int:
        """Until told to stop; the exit code."""
        dsn = self.settings.database_url.get_secret_value() or EmbeddedPostgres(self.site.data, self.site.run).dsn
        async with contextlib.AsyncExitStack() as stack:
            database = await stack.enter_async_context(Database(dsn, patience=DATABASE_PATIENCE))
            events = await stack.enter_async_context(EventLog(database, self.site.data / "spool" / "log"))
            events.superseded.add_done_callback(lambda _: self.stop.set())
            queries = Queries(database)
            await seed_as_ordered(queries)
            found = await configuration.load(queries)
            house = House(Runner(found.flows), recordings=self.settings.recordings)
            await recovery.recover(house, events)
            details = await recovery.recall_details(house, queries)
            exchange = Exchange(house, details, lambda: found.entry_points)
            clock = EngineClock(house.last_at)
            gap = clock.now() - house.last_at if house.last_at else 0.0
            self.reports, self.clock = Reports(database), clock
            exchange.dialler = Dialler(exchange, self._trunks)
            await self._assemble(stack, exchange, events, queries, clock)
            begin = self.live.begin(FoldStates(database), self.reports, events, events.epoch, clock.now)
            counting = exchange.group.create_task(begin, name="figures")
            stack.callback(counting.cancel)
            exchange.garbage = stack.enter_context(Garbage(lambda: exchange.ledger.statistics().inputs))
            bell = await stack.enter_async_context(Bell(dsn))
            exchange.doors = doors = Doors(
                exchange,
                events,
                queries,
                Conversations(database),
                Stream(database, bell, clock.now),
                lambda: found.addresses,
                clock.now,
            )
            await doors.recall()
            exchange.put(records.Booted(gap))
            if house.configured is None or configuration.differs(house.configured, found.kept.document):
                exchange.put(records.Routing(found.engine))
            keeper = self._keep(stack, exchange, found)
            doors.contacts.take_up()
            await self._live(stack, exchange, queries, found.flows, doors, keeper)
        return self.code

    async def _assemble(
        self, stack: contextlib.AsyncExitStack, exchange: Exchange, events: EventLog, queries: Queries, clock: EngineClock
    ) -> None:
        house = exchange.house
        music_file, beep = self.site.prompts / "music.wav", self.site.prompts / "beep.wav"
        for path, make in ((music_file, music.make_music), (beep, music.make_beep)):
            if not path.exists():
                await asyncio.to_thread(make, path)

        def greeting() -> tuple[line.Configure, edge.Configure]:
            return (
                line.Configure(self.apology, str(music_file), self.settings.media_timeout_seconds),
                edge.Configure(self._card_addresses(exchange), self._trunks(), list(self.settings.allow)),
            )

        exchange.group = await stack.enter_async_context(asyncio.TaskGroup())
        lines_each = int(os.environ.get("SWITCHROOM_LINES_EACH", "4"))
        line_cards = [f"linecard{n}" for n in range(self.settings.line_cards(lines_each))]
        desk_cards = [f"deskcard{n}" for n in range(self.settings.desk_cards)]
        web_cards = [f"webcard{n}" for n in range(self.settings.web_cards)]
        exchange.customers = Customers(load_master_key(self.site.master_key).derive(PURPOSE))
        exchange.cards = Cards(
            self.site.run, line_cards, desk_cards, web_cards, exchange, house.cursors, greeting, epoch=events.epoch
        )
        exchange.books = Books(self.site.run)
        exchange.filing = Filing(events, queries, exchange.cards)
        exchange.shop = Shop(exchange.cards, exchange.report, beep)
        exchange.ledger = Ledger(
            house,
            events,
            clock,
            lambda record, outcome: tables.of_outcome(house, record, outcome),
            lambda record, outcome: self._let_out(exchange, record, outcome),
            self._broken,
        )
        exchange.desks = Desks(
            house,
            exchange.cards,
            exchange.ledger.put,
            exchange.details,
            clock.now,
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

    def _keep(self, stack: contextlib.AsyncExitStack, exchange: Exchange, found: configuration.Configuration) -> Keeper:
        """Who changes the configuration, and what follows from a change."""
        periods = Periods(exchange.put)
        stack.callback(periods.close)
        periods.take(found.kept.document)

        def taken(document: Document) -> None:
            found.take(document)
            periods.take(document)
            exchange.desks.push_counts()

        return Keeper(found.kept, exchange.house, exchange.ledger.put, lambda: found.flows, taken)

    async def _live(
        self,
        stack: contextlib.AsyncExitStack,
        exchange: Exchange,
        queries: Queries,
        flows: list[Flow],
        doors: Doors,
        keeper: Keeper,
    ) -> None:
        tasks = [
            exchange.group.create_task(exchange.ledger.run(), name="ledger"),
            exchange.group.create_task(exchange.filing.run(), name="filing"),
            exchange.group.create_task(doors.forget(), name="old keys"),
        ]
        tasks.append(exchange.group.create_task(exchange.books.watch(), name="books"))
        tasks.append(exchange.group.create_task(exchange.garbage.run(), name="garbage"))
        await exchange.filing.recall()
        exchange.ledger.start_clock()
        exchange.desks.expect_return()
        self.web_calls.expect_return()
        exchange.bury_lost_cards()
        await stack.enter_async_context(exchange.cards)
        exchange.dialler.take_up()
        tasks.append(exchange.group.create_task(self._poll_edge(exchange), name="edge poll"))
        tasks.append(exchange.group.create_task(self._make_apology(exchange), name="apology"))
        tasks.append(exchange.group.create_task(self._speak_ahead(exchange, flows), name="prompts"))
        vault = Vault(self.site.vault, load_master_key(self.site.master_key))
        store = Store(queries, lambda: vault, exchange.house.queue_names, lambda: sentences.Names.of(exchange.house.configured))
        tls, strict = self._tls()
        secure = not self.settings.http.loopback or tls is not None
        operations = Operations(exchange, self.ice)
        reports = FigureReports(self.reports, self.live, lambda: Names.of(exchange.house.configured), self.clock.now)
        surface = Surface(
            store,
            exchange.desks,
            operations,
            self.web_calls,
            doors.contacts,
            doors.floor,
            reports,
            Configurator(keeper, queries),
            PAGES,
            secure,
            strict_transport=strict,
        )
        server = self._http(surface, tls)
        if tls is not None:
            tasks.append(exchange.group.create_task(tls.watch(), name="certificate"))
        serving = exchange.group.create_task(server.serve(), name="http")

        async def handle(command: Any) -> Any:
            match command:
                case Status():
                    return Standing(**exchange.status())
                case Shutdown():
                    self.stop.set()
                case _:
                    return await told(keeper, queries, command)
            return None

        control = ControlServer(
            self.site.run / "exchange.ctl", card="exchange", kind="exchange", commands=ExchangeCommand, handler=handle
        )
        async with control:
            log.info("exchange is up", http=str(self.settings.http), contacts=len(exchange.house.talks))
            await self.stop.wait()
        server.should_exit = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(serving), CLOSE_SECONDS)
        self.web_calls.close()
        exchange.dialler.close()
        for task in [*tasks, serving, *(w.task for w in exchange.workers.values() if w.task is not None)]:
            task.cancel()

    def _let_out(self, exchange: Exchange, record: records.Record, outcome: Outcome) -> None:
        exchange.carry_out(record, outcome)
        self.live.take(record, outcome.decided)

    def _tls(self) -> tuple[Tls | None, bool]:
        """What HTTPS shows, and whether browsers may be told to insist on it: not where they cannot check who we are."""
        if self.settings.scheme != "https":
            return None, False
        files = certificates.files(self.settings)
        return Tls(*files), not certificates.check_certificate(*files).self_signed

    def _http(self, surface: Surface, tls: Tls | None) -> uvicorn.Server:
        config = uvicorn.Config(
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
        return Web(config, tls)

    async def _poll_edge(self, exchange: Exchange) -> None:
        while True:
            await exchange.cards.poll_edge()
            await asyncio.sleep(EDGE_POLL_SECONDS)

    async def _make_apology(self, exchange: Exchange) -> None:
        """Spoken once and cached; line cards need it exactly when nobody is there to speak it."""
        while not self.apology:
            try:
                self.apology = (await exchange.cards.speak(APOLOGY, self.settings.bridge_rate)).path
            except ControlError as error:
                log.warning("apology not spoken yet", code=error.code)
                await asyncio.sleep(1)
        await exchange.cards.configure_lines()

    async def _speak_ahead(self, exchange: Exchange, flows: list[Flow]) -> None:
        """Have the flows' fixed prompts spoken before the first caller needs them; those with variables come when asked for."""
        texts = [text for f in flows for activity in f.activities.values() for _, text in activity.prompts()]
        for text in dict.fromkeys(t for t in texts if "{" not in t):
            try:
                await exchange.cards.speak(text, self.settings.bridge_rate)
            except ControlError as error:
                log.warning("prompt not spoken ahead", code=error.code)

    def _broken(self) -> None:
        log.critical("an input broke the house, starting anew without it")
        self.code = 70
        self.stop.set()

    def _trunks(self) -> list[edge.Trunk]:
        return [edge.Trunk(**trunk.plain()) for trunk in self.settings.trunks]

    def _card_addresses(self, exchange: Exchange) -> list[edge.CardAddress]:
        return [edge.CardAddress(name, str(self.site.run / f"{name}.ctl")) for name in exchange.cards.line_card_names]


async def _main(chosen: settings.Settings, site: Site) -> int:
    brain = Brain(chosen, site)
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
    if flags.spare:
        log.info("spare exchange is ready", pid=os.getpid())
        if not wait_for_the_word():
            return 0
    log.info("exchange starts", pid=os.getpid(), stop="SIGTERM; calls go on without it")
    (flags.run / "recordings").mkdir(mode=0o700, exist_ok=True)
    return uvloop.run(_main(chosen, Site(flags.data, flags.run)))


if __name__ == "__main__":
    sys.exit(main())
