"""How many pages may be open for calls from the web, and how many calls one address may begin."""

from __future__ import annotations

import ipaddress
import time
from collections import Counter, OrderedDict, deque

from api.errors import ApiError

MOST_ADDRESSES = 10_000
PAGES_FOR_A_CALL = 32
"""Pages that may be open for each call that we take: most of them have just been opened, or have had their call."""
PAGES_FOR_A_MINUTE = 4
"""The same of one address, for each call that it may begin in a minute."""


class Gate:
    """Counts the open pages, and the calls of each address in the last minute."""

    def __init__(self, most: int, a_minute: int) -> None:
        self._most = most
        self._a_minute = a_minute
        self._pages: Counter[str] = Counter()
        self._recent: OrderedDict[str, deque[float]] = OrderedDict()

    def enter(self, address: str) -> None:
        """A page is there; raises ApiError 503 when there are too many, or too many of one address."""
        network = _network(address)
        if self._pages[network] >= PAGES_FOR_A_MINUTE * self._a_minute or self._pages.total() >= PAGES_FOR_A_CALL * self._most:
            raise ApiError(503, "too-many-pages", "Too many people want to call just now. Please try again in a moment.")
        self._pages[network] += 1

    def leave(self, address: str) -> None:
        """There is room for another one."""
        self._pages -= Counter({_network(address): 1})

    def admit(self, address: str) -> None:
        """Count one call; raises ApiError 429 when this address calls too often."""
        now, known = time.monotonic(), _network(address)
        times = self._recent.setdefault(known, deque())
        self._recent.move_to_end(known)
        while len(self._recent) > MOST_ADDRESSES:
            self._recent.popitem(last=False)
        while times and now - times[0] > 60:
            times.popleft()
        if len(times) >= self._a_minute:
            raise ApiError(429, "too-many-calls", "Too many calls from your address. Please wait a minute and try again.")
        times.append(now)


def _network(address: str) -> str:
    """What is counted as one caller: an address; of IPv6 the /64, which is one household's."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((known, 64), strict=False)) if known.version == 6 else address
