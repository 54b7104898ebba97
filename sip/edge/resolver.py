"""Host names to addresses, without ever stopping the loop; answers are kept for a minute."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections import OrderedDict
from collections.abc import Callable

import structlog

from sip.edge.tasks import Tasks

log = structlog.get_logger()

KEPT_SECONDS = 60.0
KEPT = 1_024
AT_ONCE = 32
"""Look-ups under way; more fail at once, so that a flood of names costs bounded memory."""


class Resolver:
    """Gives the address to a callback: at once if it is known, else when the system's resolver has answered."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._known: OrderedDict[str, tuple[str | None, float]] = OrderedDict()
        self._waiting: dict[str, list[Callable[[str | None], None]]] = {}

    def resolve(self, host: str, then: Callable[[str | None], None]) -> None:
        """Call `then` with an IP address, or with None if there is none."""
        try:
            then(str(ipaddress.ip_address(host)))
            return
        except ValueError:
            pass
        name = host.lower().rstrip(".")
        known = self._known.get(name)
        if known is not None and known[1] > asyncio.get_running_loop().time():
            then(known[0])
        elif name in self._waiting:
            self._waiting[name].append(then)
        elif len(self._waiting) >= AT_ONCE:
            then(None)
        else:
            self._waiting[name] = [then]
            self._tasks.start(self._ask(name), name=f"resolve {name}")

    async def ask(self, host: str) -> str | None:
        """The same for who can wait."""
        future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()

        def found(address: str | None) -> None:
            if not future.done():
                future.set_result(address)

        self.resolve(host, found)
        return await future

    async def _ask(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        address: str | None = None
        try:
            async with asyncio.timeout(5.0):
                found = await loop.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
            address = str(found[0][4][0])
        except (OSError, UnicodeError, TimeoutError) as error:
            log.warning("host name does not resolve", host=name, error=str(error))
        finally:
            self._known[name] = (address, loop.time() + (KEPT_SECONDS if address else 5.0))
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
            for then in self._waiting.pop(name, []):
                then(address)
