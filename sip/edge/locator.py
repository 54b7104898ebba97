"""Finding the servers of a host name (RFC 3263 §4): NAPTR for the transport, SRV for servers and ports, A and AAAA.

Answers are kept as long as DNS says. When DNS is away, what was known before goes on for an hour: calls should not end with it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from sip.edge.counters import Counters
from sip.edge.dns import Answer, Dns, DnsError, Srv
from sip.edge.targets import Hop, Target
from sip.edge.tasks import Tasks

log = structlog.get_logger()

Targets = tuple[Target, ...]

KEPT = 1_024
AT_ONCE = 32
"""Look-ups under way; more fail at once, so that a flood of names costs bounded memory."""

LEAST_TTL = 1.0
LONGEST_TTL = 3_600.0
RETRY_SECONDS = 5.0
"""Until DNS is asked again after it gave no answer."""
STALE_SECONDS = 3_600.0

SERVERS = 8
"""Of one name that are looked at; more cost time and are of no more use."""

SERVICES = {"UDP": ("_sip._udp.", "SIP+D2U"), "TCP": ("_sip._tcp.", "SIP+D2T"), "TLS": ("_sips._tcp.", "SIPS+D2T")}
"""By transport, in the order of choice where DNS says nothing: where SRV records are, and the service in NAPTR records."""


@dataclass(frozen=True)
class _Known:
    targets: Targets
    until: float
    stale_until: float


class Locator:
    """Gives targets to a callback: at once if they are known, else when DNS has answered."""

    def __init__(self, tasks: Tasks, dns: Dns, counters: Counters, kinds: Iterable[str], versions: Iterable[int]) -> None:
        self._tasks = tasks
        self._dns = dns
        self._counters = counters
        self._kinds = tuple(kind for kind in SERVICES if kind in set(kinds))
        self._versions = frozenset(versions)
        self._known: OrderedDict[Hop, _Known] = OrderedDict()
        self._waiting: dict[Hop, list[Callable[[Targets], None]]] = {}

    def locate(self, hop: Hop, then: Callable[[Targets], None]) -> None:
        """Call `then` with the targets of a hop, none if there are none."""
        literal = _literal(hop)
        if literal:
            then(literal)
            return
        hop = dataclasses.replace(hop, host=hop.host.lower())
        known = self._known.get(hop)
        if known is not None and known.until > asyncio.get_running_loop().time():
            self._known.move_to_end(hop)
            then(known.targets)
        elif hop in self._waiting:
            self._waiting[hop].append(then)
        elif len(self._waiting) >= AT_ONCE:
            self._counters.add("dns.too-many")
            then(())
        else:
            self._waiting[hop] = [then]
            self._tasks.start(self._find(hop), name=f"locate {hop.host}")

    async def ask(self, hop: Hop) -> Targets:
        """The same for who can wait."""
        future: asyncio.Future[Targets] = asyncio.get_running_loop().create_future()

        def found(targets: Targets) -> None:
            if not future.done():
                future.set_result(targets)

        self.locate(hop, found)
        return await future

    def known(self, hop: Hop) -> Targets:
        """What was found last, without asking."""
        literal = _literal(hop)
        if literal:
            return literal
        known = self._known.get(dataclasses.replace(hop, host=hop.host.lower()))
        return known.targets if known is not None else ()

    # --------------------------------------------------------------------------------------------------------------

    async def _find(self, hop: Hop) -> None:
        loop = asyncio.get_running_loop()
        before = self._known.get(hop)
        targets: Targets = ()
        try:
            targets, ttl = await self._look_up(hop)
            self._keep(hop, targets, min(max(ttl, LEAST_TTL), LONGEST_TTL), STALE_SECONDS)
            if not targets:
                log.warning("a host name has no server for us", host=hop.host, transport=hop.kind or "any")
        except DnsError as error:
            self._counters.add("dns.no-answer")
            log.warning("DNS gives no answer", host=hop.host, error=str(error))
            if before is not None and before.stale_until > loop.time():
                targets = before.targets
                self._keep(hop, targets, RETRY_SECONDS, before.stale_until - loop.time())
            else:
                self._keep(hop, (), RETRY_SECONDS, 0.0)
        finally:
            for then in self._waiting.pop(hop, []):
                then(targets)

    def _keep(self, hop: Hop, targets: Targets, seconds: float, stale: float) -> None:
        now = asyncio.get_running_loop().time()
        self._known[hop] = _Known(targets, now + seconds, now + stale)
        self._known.move_to_end(hop)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)

    async def _look_up(self, hop: Hop) -> tuple[Targets, float]:
        """Targets and the seconds they are good for; raises DnsError."""
        if hop.port:  # RFC 3263 §4.2: who names a port wants no SRV
            return await self._plain(hop.host, hop.port, hop.kind or "UDP", LONGEST_TTL)
        ttl = LONGEST_TTL
        for kind, name, seconds in await self._services(hop):
            ttl = min(ttl, seconds)
            try:
                answer = await self._dns.srv(name)
            except DnsError as error:  # some servers answer for addresses only
                log.info("no answer for SRV", host=hop.host, error=str(error))
                ttl = min(ttl, RETRY_SECONDS)
                continue
            ttl = min(ttl, answer.ttl)
            if answer.records:
                return await self._servers(answer, kind, ttl)
        kind = hop.kind or "UDP"
        return await self._plain(hop.host, default_port(kind), kind, ttl)

    async def _services(self, hop: Hop) -> list[tuple[str, str, float]]:
        """Transport, name for SRV, and seconds that this is good for; in the order in which they are tried."""
        if hop.kind:
            return [(hop.kind, SERVICES[hop.kind][0] + hop.host, LONGEST_TTL)]
        ttl = LONGEST_TTL
        try:
            answer = await self._dns.naptr(hop.host)
        except DnsError as error:
            log.info("no answer for NAPTR", host=hop.host, error=str(error))
            ttl = RETRY_SECONDS
        else:
            ttl = answer.ttl
            by_service = {SERVICES[kind][1]: kind for kind in self._kinds}
            records = sorted(answer.records, key=lambda r: (r.order, r.preference))
            ours = [r for r in records if r.flags == "S" and r.service in by_service and r.replacement]
            if ours:
                return [(by_service[r.service], r.replacement, ttl) for r in ours]
        return [(kind, SERVICES[kind][0] + hop.host, ttl) for kind in self._kinds]

    async def _servers(self, answer: Answer[Srv], kind: str, ttl: float) -> tuple[Targets, float]:
        records = sorted(answer.records, key=lambda r: (r.priority, -r.weight))[:SERVERS]
        records = [record for record in records if record.host and record.port]
        found = await asyncio.gather(*(self._addresses(record.host) for record in records), return_exceptions=True)
        targets: list[Target] = []
        failed: DnsError | None = None
        for record, hosts in zip(records, found, strict=True):
            if isinstance(hosts, DnsError):
                failed, ttl = hosts, min(ttl, RETRY_SECONDS)
                continue
            if isinstance(hosts, BaseException):
                raise hosts
            ttl = min(ttl, hosts.ttl)
            if hosts.records:
                targets.append(Target(hosts.records, record.port, kind, record.priority, record.weight))
        if failed is not None and not targets:
            raise failed
        return tuple(targets), ttl

    async def _plain(self, host: str, port: int, kind: str, ttl: float) -> tuple[Targets, float]:
        answer = await self._addresses(host)
        return ((Target(answer.records, port, kind),) if answer.records else ()), min(ttl, answer.ttl)

    async def _addresses(self, host: str) -> Answer[str]:
        try:
            return Answer((str(ipaddress.ip_address(host)),), LONGEST_TTL)  # not allowed in SRV, and seen there
        except ValueError:
            return await self._dns.addresses(host, self._versions)


def _literal(hop: Hop) -> Targets:
    """The target of a hop that is an address already."""
    try:
        address = str(ipaddress.ip_address(hop.host))
    except ValueError:
        return ()
    return (Target((address,), hop.port or default_port(hop.kind), hop.kind or "UDP"),)


def default_port(kind: str) -> int:
    return 5061 if kind == "TLS" else 5060
