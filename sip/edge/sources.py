"""Who is served: loopback and `--allow`, what Configure allows, and trunks. Everybody else is not even answered.

A packet from elsewhere is dropped without a word: an answer would tell scanners that here is a SIP server, and would be sent to
whomever the packet's forged source names. The operator sees the drop in the counters and (once per source) in the log.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from media.control.edge import Trunk
from sip.edge.settings import Network
from sip.uri import split_host_port

CACHED = 4_096

SEEN_SECONDS = 3_600.0
"""How long an address stays a source after DNS named it last: calls that are up know nothing of a new record, and some servers
give another few of their addresses each time."""
SEEN = 256
"""Addresses of one name."""


def network(text: str) -> Network:
    """A CIDR or an address; raises ValueError."""
    return ipaddress.ip_network(text.strip().strip("[]"), strict=False)


def trunk_target(trunk: Trunk) -> tuple[str, int]:
    """Where a trunk's calls go, port 0 if none is named; raises ValueError."""
    return split_host_port(trunk.target, 0)


@dataclass(frozen=True)
class Standing:
    """What an address may: be served, and as whom."""

    allowed: bool
    trunk: Trunk | None = None
    loopback: bool = False


class Sources:
    """Decides by source address; names of trunks are filled in as they are resolved."""

    def __init__(self, static: tuple[Network, ...]) -> None:
        self.trunks: list[Trunk] = []
        self._static = static
        self._networks: tuple[Network, ...] = static
        self._of_trunks: list[tuple[Network, Trunk]] = []
        self._named: dict[str, dict[str, float]] = {}
        self._decided: OrderedDict[str, Standing] = OrderedDict()
        self._names: dict[str, Trunk] = {}

    def configure(self, allow: list[str], trunks: list[Trunk]) -> None:
        """Replace what Configure said before; raises ValueError and changes nothing if a CIDR is none."""
        networks = [*self._static, *(network(text) for text in allow)]
        of_trunks: list[tuple[Network, Trunk]] = []
        names: dict[str, Trunk] = {}
        for trunk in trunks:
            target = [trunk_target(trunk)[0].lower()] if trunk.target else []
            for text in (*trunk.sources, *target):
                try:
                    of_trunks.append((network(text), trunk))
                except ValueError:
                    names.setdefault(text.lower(), trunk)
        self.trunks = list(trunks)
        self._networks = tuple(networks)
        self._of_trunks = sorted(of_trunks, key=lambda each: -each[0].prefixlen)  # the closest fit, then the first one written
        self._names = names
        self._named = {name: seen for name, seen in self._named.items() if name in names}
        self._decided.clear()

    @property
    def plain_names(self) -> frozenset[str]:
        """Host names among the sources, to be resolved; those of targets are found as calls find them."""
        written = {source.lower() for trunk in self.trunks for source in trunk.sources}
        return frozenset(name for name in self._names if name in written)

    def resolved(self, name: str, addresses: Iterable[str], now: float) -> None:
        """DNS says that a name has these addresses; what it said lately holds, too."""
        if name not in self._names:
            return
        before = self._named.get(name, {})
        seen = {ip: at for ip, at in before.items() if now - at < SEEN_SECONDS} | dict.fromkeys(addresses, now)
        self._named[name] = dict(sorted(seen.items(), key=lambda each: -each[1])[:SEEN])
        if seen.keys() != before.keys():
            self._decided.clear()

    def allows(self, address: str) -> bool:
        """Whether what comes from (or goes to) this address is served."""
        return self.standing(address).allowed

    def trunk_of(self, address: str) -> Trunk | None:
        """The trunk that has this address."""
        return self.standing(address).trunk

    def standing(self, address: str) -> Standing:
        """What this address may."""
        known = self._decided.get(address)
        if known is None:
            known = self._decide(address)
            self._decided[address] = known
            if len(self._decided) > CACHED:
                self._decided.popitem(last=False)
        return known

    def _decide(self, address: str) -> Standing:
        for name, seen in self._named.items():
            if address in seen:
                return Standing(True, self._names[name])
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return Standing(False)
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        for net, trunk in self._of_trunks:
            if ip.version == net.version and ip in net:
                return Standing(True, trunk, ip.is_loopback)
        return Standing(any(ip.version == net.version and ip in net for net in self._networks), None, ip.is_loopback)

    def trunk_for(self, host: str) -> Trunk | None:
        """The trunk that a Request-URI's host means: by its name, or by its target's host."""
        for trunk in self.trunks:
            if trunk.target and host.lower() in (trunk.name.lower(), trunk_target(trunk)[0].lower()):
                return trunk
        return None
