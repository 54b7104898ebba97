"""Where a request may go, in the order in which it is tried. Pure: the key, the bench and the time come with each question.

RFC 3263 §4.2 to §4.4, RFC 2782. The order depends on the Call-ID alone, so that whatever belongs to a call takes the same way,
also through an edge that was restarted in between; calls are spread by their weights all the same.
"""

from __future__ import annotations

import hashlib
import ipaddress
import random
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from sip.edge.transport import Address
from sip.uri import host_port

BENCHED_SECONDS = 60.0
"""How long a target that failed is tried after all others."""
BENCHED = 1_024


@dataclass(frozen=True)
class Hop:
    """A host (or address), a port (0: none was named), and a transport: UDP, TCP, TLS, or "" if none was asked for."""

    host: str
    port: int
    kind: str


@dataclass(frozen=True)
class Target:
    """One server: all its addresses count once where weights are compared."""

    addresses: tuple[str, ...]
    port: int
    kind: str
    priority: int = 0
    weight: int = 0


@dataclass(frozen=True)
class Place:
    """An address to send to, by that transport."""

    address: Address
    kind: str

    def __str__(self) -> str:
        return f"{self.kind.lower()} {host_port(*self.address)}"


def arranged(targets: Iterable[Target], key: str) -> list[Place]:
    """Every address, the first to try first."""
    dice = random.Random(key)
    ranks: dict[int, list[Target]] = {}
    for target in targets:
        ranks.setdefault(target.priority, []).append(target)
    return [
        Place((address, target.port), target.kind)
        for _, rank in sorted(ranks.items())
        for target in _by_weight(sorted(rank, key=lambda t: (t.weight, t.addresses, t.port)), dice)
        for address in sorted(target.addresses, key=lambda a: (ipaddress.ip_address(a).version, _spread(key, a)))
    ]


def _by_weight(left: list[Target], dice: random.Random) -> list[Target]:
    """RFC 2782: one after the other is drawn, with a chance as its weight; those of weight 0 have a very small one."""
    found = []
    while left:
        drawn = dice.randint(0, sum(target.weight for target in left))
        for target in left:
            drawn -= target.weight
            if drawn <= 0:
                break
        found.append(target)
        left = [other for other in left if other is not target]
    return found


def _spread(key: str, address: str) -> bytes:
    return hashlib.blake2b(f"{key}\0{address}".encode("utf-8", "surrogateescape"), digest_size=8).digest()


class Bench:
    """Targets that have just failed; who answers again is off it."""

    def __init__(self, seconds: float = BENCHED_SECONDS) -> None:
        self._seconds = seconds
        self._until: OrderedDict[Place, float] = OrderedDict()

    def failed(self, place: Place, now: float) -> None:
        self._until[place] = now + self._seconds
        self._until.move_to_end(place)
        if len(self._until) > BENCHED:
            self._until.popitem(last=False)

    def works(self, place: Place) -> None:
        self._until.pop(place, None)

    def benched(self, place: Place, now: float) -> bool:
        until = self._until.get(place)
        return until is not None and until > now
