"""The edge as a whole: sockets, cards, control socket; how it starts, drains and leaves."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from pathlib import Path
from typing import Any

import msgspec
import structlog

from media.control import edge as messages
from media.control.envelope import ControlError
from media.control.server import ControlServer
from sip.edge import memory
from sip.edge.admission import Admission
from sip.edge.cards import Cards
from sip.edge.certificate import CertificateError, TlsSecurity
from sip.edge.counters import Counters
from sip.edge.dns import Dns
from sip.edge.flows import Flows
from sip.edge.health import Health
from sip.edge.hops import Ways, trunk_hop, verified_name
from sip.edge.lines import Card, Lines, NoLineError
from sip.edge.locator import Locator, Targets
from sip.edge.orphans import Orphans
from sip.edge.proxy import Parts, Proxy
from sip.edge.registrar import Registrar, registered_until
from sip.edge.routes import OwnRoutes
from sip.edge.secret import signer
from sip.edge.settings import Settings
from sip.edge.softmap import SoftMap
from sip.edge.sources import Sources
from sip.edge.streams import StreamWire
from sip.edge.targets import Bench, Hop, arranged
from sip.edge.tasks import Tasks
from sip.edge.transport import INSIDE, UdpWire, Wire, own_hosts
from sip.edge.trunks import TrunkCalls
from sip.edge.wires import Wires
from sip.uri import host_port, split_host_port

log = structlog.get_logger()

NAMES_SECONDS = 30.0
"""Seconds between look-ups of the host names among the sources, and looks at the certificate."""

SOME_PORT = 5060
"""Where only the addresses of a name are wanted: who names a port asks for no SRV."""

TRIES = 20
"""For a port that is free for UDP and for TCP."""


class Edge:
    """One edge process."""

    def __init__(self, settings: Settings) -> None:
        loop = asyncio.get_running_loop()
        self._settings = settings
        self._stop = asyncio.Event()
        self._tasks = Tasks()
        self._counters = Counters()
        self._lines = Lines()
        self._map = SoftMap(settings.remembered)
        self._sources = Sources(settings.allow)
        self._security = _security(settings) if settings.sips else None
        self._udp: list[UdpWire] = []
        self._streams: list[StreamWire] = []
        for number, (host, port) in enumerate(settings.sip):
            self._bind(host, port, number)
        for number, (host, port) in enumerate(settings.sips):
            self._streams.append(self._stream(host, port, f"s{number}", self._security))
        self._inside = _bind_inside(settings.run / f"{settings.name}.inside", self._counters)
        public: list[Wire] = [*self._udp, *self._streams]
        self._wires: list[Wire] = [self._inside, *public]
        wires = Wires(public, self._inside)
        kinds, versions = {wire.kind for wire in public}, {6 if ":" in wire.local[0] else 4 for wire in public}
        self._locator = Locator(self._tasks, Dns(settings.dns), self._counters, kinds, versions)
        self._bench, self._health = Bench(), Health(time.time)
        hosts = {*own_hosts(), settings.public} - {""}
        routes = OwnRoutes(public, self._inside, hosts)
        secret = signer(settings.run / f"{settings.name}.secret")
        flows = Flows(secret)
        ways = Ways(wires, flows, self._sources)
        self._calls = TrunkCalls(self._sources)
        self._admission = Admission(
            self._calls, secret, self._counters, settings.flood, loopback=settings.flood_loopback, wall=time.time
        )
        self._registrar = Registrar(
            self._tasks, ways, self._locator, self._bench, settings.patience, routes.is_inside, time.time
        )
        for stream in self._streams:
            stream.on_left = self._registrar.lost
        self._orphans = Orphans(self._tasks, ways, routes, self._map, self._locator, self._counters)
        self._control = ControlServer(
            settings.run / f"{settings.name}.ctl",
            card=settings.name,
            kind="edge",
            commands=messages.EdgeCommand,
            handler=self._command,
        )
        self._cards = Cards(settings, self._lines, self._map, self._orphans, self._calls, self._tasks, self._control.emit)
        self._proxy = Proxy(
            Parts(
                wires=wires,
                ways=ways,
                flows=flows,
                routes=routes,
                lines=self._lines,
                softmap=self._map,
                sources=self._sources,
                calls=self._calls,
                admission=self._admission,
                locator=self._locator,
                bench=self._bench,
                health=self._health,
                orphans=self._orphans,
                counters=self._counters,
                clock=loop.time,
                later=loop.call_later,
                unread=settings.unread,
                card_limit=settings.card_limit,
                patience=settings.patience,
                recount=self._cards.recount,
                answered=self._registrar.answered,
            )
        )

    @property
    def addresses(self) -> list[str]:
        """The public UDP sockets, as bound; each port has TCP, too."""
        return [host_port(*wire.local) for wire in self._udp]

    @property
    def listening(self) -> list[str]:
        """Every public socket, as KIND HOST:PORT."""
        return [f"{wire.kind} {host_port(*wire.local)}" for wire in self._wires if not wire.inside]

    async def run(self) -> None:
        """Serve until told to leave."""
        async with self._tasks, self._control:
            try:
                self._remember()
                await self._cards.start()
                for wire in self._wires:
                    await wire.open(self._proxy.receive)
                self._tasks.start(self._watch_names(), name="host names of sources")
                self._registrar.configure(self._sources.trunks)
                log.info("edge serves", sip=self.listening, inside=host_port(*self._inside.local), cards=len(self._lines.cards))
                await self._stop.wait()
            finally:
                await self._registrar.close()
                await self._cards.close()
                for wire in reversed(self._wires):
                    await wire.close()
        log.info("edge has left")

    def drain(self) -> None:
        """Take no new calls, and leave when the last one has ended."""
        if not self._proxy.draining:
            log.info("edge drains", lines=self._used())
            self._proxy.draining = True
            self._tasks.start(self._leave_when_empty(), name="drain")

    def stop(self) -> None:
        """Leave now."""
        self._stop.set()

    async def _leave_when_empty(self) -> None:
        while self._used():
            self._cards.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._cards.changed.wait(), 1.0)
        self._stop.set()

    def _used(self) -> int:
        return sum(self._lines.used(card) for card in self._lines.cards.values())

    # --- sockets and memory -------------------------------------------------------------------------------------

    def _bind(self, host: str, port: int, number: int) -> None:
        """UDP and TCP on one port; a free one may be free for one of them only. Raises OSError."""
        for attempt in range(TRIES):
            udp = UdpWire(host, port, str(number), self._counters, public=self._settings.public)
            try:
                stream = self._stream(*udp.local, f"t{number}", None)
            except OSError:
                udp.release()
                if port or attempt == TRIES - 1:
                    raise
                continue
            self._udp.append(udp)
            self._streams.append(stream)
            return

    def _stream(self, host: str, port: int, label: str, security: TlsSecurity | None) -> StreamWire:
        settings = self._settings
        return StreamWire(
            host,
            port,
            label,
            self._counters,
            self._tasks,
            settings.streams,
            lambda source: self._proxy.admits(source),
            public=settings.public,
            security=security,
        )

    def _remember(self) -> None:
        """The trunks that the edge before us knew: their calls must not wait for the exchange."""
        found = memory.load(self._memory)
        if found is not None:
            try:
                self._take(found)
            except ValueError as error:
                log.warning("what the edge before knew of trunks cannot be used", error=str(error))

    @property
    def _memory(self) -> Path:
        return self._settings.run / f"{self._settings.name}.trunks"

    def _take(self, body: messages.Configure) -> None:
        """Raises ValueError, and changes nothing then."""
        if self._security is not None:
            self._security.trust({verified_name(trunk): trunk.tls_ca for trunk in body.trunks if verified_name(trunk)})
        self._sources.configure(body.allow, body.trunks)
        self._look_up_names()

    # --- commands -------------------------------------------------------------------------------------------------

    async def _command(self, body: messages.EdgeCommand) -> Any:
        match body:
            case messages.Configure():
                await self._configure(body)
            case messages.LeaseLine():
                return self._lease(body)
            case messages.ReleaseLine():
                self._lines.release(body.lease)
            case messages.SendByes():
                self._orphans.fail_pending(body.card, body.generation)
                self._orphans.send_byes(body.dialogs)
            case messages.TakeInventory():
                return self._inventory()
            case messages.Drain():
                log.info("edge takes no new calls", lines=self._used())
                self._proxy.draining = True
            case messages.Shutdown():
                self.stop()
        return None

    async def _configure(self, body: messages.Configure) -> None:
        try:
            self._take(body)
        except ValueError as error:
            raise ControlError("bad-source", str(error)) from error
        memory.save(self._memory, body)
        self._registrar.configure(body.trunks)
        await self._cards.configure(body.cards)

    def _lease(self, body: messages.LeaseLine) -> messages.Lease:
        now = asyncio.get_running_loop().time()
        try:
            held = self._lines.lease(body.lease, body.prefer, body.seconds, now)
        except NoLineError:
            raise ControlError("no-line", "Every line is taken.", retryable=True) from None
        proxy = f"sip:{host_port(*self._inside.local)};lr"
        return messages.Lease(held.lease, held.card, proxy, time.time() + held.expires - now)

    def _inventory(self) -> messages.Inventory:
        counters = self._counters.snapshot()
        counters |= {"softmap.entries": float(len(self._map)), "tasks": float(len(self._tasks))}
        return messages.Inventory(
            card=self._settings.name,
            generation=self._control.generation,
            seq=self._control.seq,
            sip=",".join(self.addresses),
            cards=[self._card(card) for card in self._lines.cards.values()],
            draining=self._proxy.draining,
            counters=counters,
            listening=self.listening,
            trunks=[self._trunk(trunk) for trunk in self._sources.trunks],
        )

    def _trunk(self, trunk: messages.Trunk) -> messages.TrunkState:
        now = asyncio.get_running_loop().time()
        shown = self._health.of(trunk.name)
        places = arranged(self._locator.known(trunk_hop(trunk)), "") if trunk.target else []
        state = messages.TrunkState(
            trunk.name,
            self._calls.count(trunk, now),
            trunk.max_calls,
            self._admission.refused[trunk.name],
            options_at=shown.options_at,
            failed_at=shown.failed_at,
            failed_code=shown.failed_code,
            failed_detail=shown.failed_detail,
            targets=[str(place) for place in places],
            benched=[str(place) for place in places if self._bench.benched(place, now)],
        )
        found = self._registrar.state(trunk.name)
        if found is None:
            return state
        registration, since = found
        return msgspec.structs.replace(
            state,
            registration=registration.state,
            registered_until=registered_until(registration, now),
            code=registration.code,
            detail=registration.detail,
            since=since,
        )

    def _card(self, card: Card) -> messages.CardLines:
        held = self._lines.held(card, asyncio.get_running_loop().time())
        return messages.CardLines(card.name, card.generation, card.lines, self._lines.used(card), held, card.reachable)

    # --- host names of sources ------------------------------------------------------------------------------------

    def _look_up_names(self) -> None:
        """What stands as a source has its addresses, what stands as a target those of its servers."""
        hops = [Hop(name, SOME_PORT, "UDP") for name in self._sources.plain_names]
        hops += [trunk_hop(trunk) for trunk in self._sources.trunks if trunk.target]
        for hop in hops:
            self._locator.locate(hop, functools.partial(self._found, hop.host.lower()))

    def _found(self, name: str, targets: Targets) -> None:
        addresses = (address for target in targets for address in target.addresses)
        self._sources.resolved(name, addresses, asyncio.get_running_loop().time())

    async def _watch_names(self) -> None:
        while True:
            self._look_up_names()
            if self._security is not None:
                self._security.reload()
            await asyncio.sleep(NAMES_SECONDS)


def _security(settings: Settings) -> TlsSecurity:
    """The certificate of TLS sockets; raises CertificateError."""
    if settings.certificate is None:
        raise CertificateError("A TLS socket needs a certificate.")
    return TlsSecurity(settings.certificate, settings.key or settings.certificate)


def _bind_inside(file: Path, counters: Counters) -> UdpWire:
    """The socket towards the cards. Its port stands in the cards' route sets, so that a new edge must have the old one's."""
    if file.exists():
        try:
            host, port = split_host_port(file.read_text().strip())
            return UdpWire(host, port, "c", counters, inside=True)
        except (OSError, ValueError) as error:
            log.error("the port towards the cards cannot be had again; calls that are up lose their way", error=str(error))
    wire = UdpWire(INSIDE, 0, "c", counters, inside=True)
    fresh = file.with_suffix(".inside.new")
    fresh.write_text(host_port(*wire.local))
    fresh.replace(file)
    return wire
