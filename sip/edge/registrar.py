"""The trunks that want us to register: one task for each, which asks, refreshes, and asks again when a connection breaks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from media.control.edge import Trunk
from sip.edge.branch import client_branch
from sip.edge.hops import Way, Ways, trunk_hop
from sip.edge.hunt import place
from sip.edge.locator import Locator, default_port
from sip.edge.rewrite import via
from sip.edge.targets import Bench, arranged
from sip.edge.tasks import Tasks
from sip.edge.transport import Address
from sip.edge.wires import public_side
from sip.message import Request, Response
from sip.registration import Account, Registration
from sip.uri import SipUri, bracketed

log = structlog.get_logger()

T1 = 0.5
T2 = 4.0
PATIENCE = 32.0
"""Seconds for an answer (64·T1); a stream needs no repetition, and as long."""

KEEP_ALIVE_SECONDS = 25.0
"""Between the empty datagrams that keep a NAT's entry open for a UDP registration (RFC 5626 §4.4.1)."""

LEAVE_SECONDS = 0.5
"""How long a stop waits for the carriers to take our leave."""


@dataclass
class _Running:
    trunk: Trunk
    registration: Registration
    task: asyncio.Task[None] | None = None
    way: Way | None = None
    since: float = 0.0
    """When the registration came into its state, by the wall clock."""
    again: asyncio.Event = field(default_factory=asyncio.Event)


class Registrar:
    """Keeps all registrations."""

    def __init__(
        self,
        tasks: Tasks,
        ways: Ways,
        locator: Locator,
        bench: Bench,
        patience: float,
        inside: Callable[[Address], bool],
        wall: Callable[[], float],
    ) -> None:
        self._tasks = tasks
        self._ways = ways
        self._locator = locator
        self._bench = bench
        self._patience = patience
        self._is_inside = inside
        self._wall = wall
        self._running: dict[str, _Running] = {}
        self._asking: dict[str, asyncio.Future[Response]] = {}

    def configure(self, trunks: list[Trunk]) -> None:
        """Register where these trunks say so, and nowhere else; what has not changed goes on."""
        wanted = {trunk.name: trunk for trunk in trunks if trunk.register and trunk.target and trunk.username}
        for name, running in list(self._running.items()):
            if wanted.get(name) != running.trunk:
                del self._running[name]
                if running.task is not None:
                    running.task.cancel()
                self._tasks.start(self._leave(running), name=f"unregister {name}")
        for name, trunk in wanted.items():
            if name not in self._running:
                hop = trunk_hop(trunk)
                host, plain = bracketed(hop.host), hop.port in (0, default_port(hop.kind))
                domain = trunk.domain or (host if plain else f"{host}:{hop.port}")
                running = _Running(trunk, Registration(Account(domain, trunk.username, trunk.password)), since=self._wall())
                self._running[name] = running
                running.task = self._tasks.start(self._keep(running), name=f"register {name}")

    def state(self, name: str) -> tuple[Registration, float] | None:
        """The registration of a trunk, and the moment since which it is as it is; None: it wants none."""
        running = self._running.get(name)
        return None if running is None else (running.registration, running.since)

    def answered(self, branch: str, response: Response) -> bool:
        """A response to a request of our own; whether it was ours."""
        future = self._asking.get(branch)
        if future is None:
            return False
        if response.code >= 200 and not future.done():
            future.set_result(response)
        return True

    def lost(self, address: Address) -> None:
        """A connection is gone: who registered on it can be called by it no more."""
        for running in self._running.values():
            if running.way is not None and running.way.address == address:
                running.again.set()

    async def close(self) -> None:
        """Take the registrations back, as far as that goes quickly."""
        gone, self._running = list(self._running.values()), {}
        for running in gone:
            if running.task is not None:
                running.task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await asyncio.gather(*(self._leave(running) for running in gone))

    # --------------------------------------------------------------------------------------------------------------

    async def _keep(self, running: _Running) -> None:
        loop = asyncio.get_running_loop()
        registration = running.registration
        before = registration.state
        while True:
            running.again.clear()
            contact, response = await self._ask(running)
            if response is None:
                delay = registration.silent(loop.time())
            else:
                delay = registration.answered(response, contact, loop.time())
            if registration.state != before:
                before, running.since = registration.state, self._wall()
                log.info(
                    "registration", trunk=running.trunk.name, state=before, code=registration.code, detail=registration.detail
                )
            await self._rest(running, loop.time() + delay)

    async def _rest(self, running: _Running, until: float) -> None:
        """Wait, with the way kept open, until it is time or the connection breaks."""
        loop = asyncio.get_running_loop()
        while (left := until - loop.time()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(running.again.wait(), min(left, KEEP_ALIVE_SECONDS))
                if running.registration.state == "registered":
                    return
                running.again.clear()  # a connection that fails already waits its turn
            if running.way is not None and not running.way.wire.reliable and running.registration.state == "registered":
                running.way.wire.send(b"\r\n\r\n", running.way.address)

    async def _leave(self, running: _Running) -> None:
        if running.registration.until:
            await self._ask(running, leave=True)
            log.info("registration taken back", trunk=running.trunk.name)

    async def _ask(self, running: _Running, *, leave: bool = False) -> tuple[str, Response | None]:
        """A REGISTER and its final answer; None when no server of the registrar gives one, or there is no way to any.

        A server that is silent, or says 503, has the next one asked (RFC 3263 §4.3).
        """
        ways = await self._servers(running)
        contact, response = "", None
        for number, way in enumerate(ways):
            contact, response = await self._ask_one(running, way, leave=leave, last=number == len(ways) - 1)
            if response is not None and response.code != 503:
                self._bench.works(place(way))
                break
            self._bench.failed(place(way), asyncio.get_running_loop().time())
        return contact, response

    async def _servers(self, running: _Running) -> list[Way]:
        """The registrar's servers; who has just failed comes last."""
        trunk = running.trunk
        now = asyncio.get_running_loop().time()
        places = arranged(await self._locator.ask(trunk_hop(trunk)), running.registration.call_id)
        places.sort(key=lambda each: self._bench.benched(each, now))
        found = (self._ways.to(each.address, each.kind, trunk=trunk) for each in places if not self._is_inside(each.address))
        ways = [way for way in found if way is not None]
        if not ways:
            log.error("no way to the registrar", trunk=trunk.name)
        return ways

    async def _ask_one(self, running: _Running, way: Way, *, leave: bool, last: bool) -> tuple[str, Response | None]:
        trunk = running.trunk
        running.way = way
        branch = client_branch()
        public = public_side(way.wire, way.address[0])
        contact = str(public.contact(SipUri("sip", trunk.username, public.address[0])))
        request = running.registration.request(via(public.address, public.kind, branch) + ";rport", contact, leave=leave)
        return contact, await self._response(branch, request, way, PATIENCE if last else self._patience)

    async def _response(self, branch: str, request: Request, way: Way, patience: float) -> Response | None:
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._asking[branch] = future
        data, gap, left = bytes(request), T1, patience

        def failed() -> None:
            if not future.done():
                future.cancel()

        try:
            while left > 0 and not future.done():
                way.send(data, failed)
                step = left if way.wire.reliable else min(gap, left)
                await asyncio.wait([future], timeout=step)
                left, gap = left - step, min(gap * 2, T2)
            return future.result() if future.done() and not future.cancelled() else None
        finally:
            del self._asking[branch]


def registered_until(registration: Registration, now: float) -> float:
    """The same moment on the wall clock; 0 while not registered."""
    return time.time() + registration.until - now if registration.until else 0.0
