"""What a new call from outside must pass before it gets a line: the flood guard, its trunk's digest, its trunk's limits."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable

import structlog

from media.control.edge import Trunk
from sip.digest import Challenge, Credentials
from sip.edge.counters import Counters
from sip.edge.rates import Rates
from sip.edge.rules import Refusal
from sip.edge.secret import Signer
from sip.edge.trunks import TrunkCalls
from sip.message import Head, Request

log = structlog.get_logger()

REALM = "switchroom"
NONCE_SECONDS = 120
GUARDED = 4_096
"""Sources whose rate is known; a flood of sources costs no more."""
LOG_SECONDS = 60.0
"""Between two lines about the same trunk, each with the number of its calls that were refused so far."""

UNAVAILABLE = Refusal(503)


class Admission:
    """Judges new calls; keeps counts and a bounded memory of what it refused."""

    def __init__(
        self, calls: TrunkCalls, signer: Signer, counters: Counters, flood: float, *, loopback: bool, wall: Callable[[], float]
    ) -> None:
        self.refused: Counter[str] = Counter()
        """New calls over a limit, by trunk."""
        self._calls = calls
        self._signer = signer
        self._counters = counters
        self._flood = flood
        self._loopback = loopback
        self._wall = wall
        self._sources = Rates(GUARDED)
        self._trunks = Rates(GUARDED)
        self._flooded: OrderedDict[str, None] = OrderedDict()
        self._next_log: dict[str, float] = {}

    def floods(self, source: str, branch: str, loopback: bool, now: float) -> bool:
        """Whether this source offers more new calls than anybody may; a call that was refused so stays refused."""
        if branch in self._flooded:
            return True
        if not self._flood or (loopback and not self._loopback):
            return False
        if self._sources.take(source, self._flood, now):
            return False
        if not self._counters["invites.flood"]:
            log.warning("more new calls a second than one source may offer", **{"pii.source": source})
        self._counters.add("invites.flood")
        self._flooded[branch] = None
        if len(self._flooded) > GUARDED:
            self._flooded.popitem(last=False)
        return True

    def judge(self, request: Request, head: Head, trunk: Trunk, now: float) -> Refusal | None:
        """Why a trunk's new call is refused, or None."""
        if trunk.peer_username:
            refusal = self._challenge(request, head, trunk)
            if refusal is not None:
                self._counters.add("invites.challenged")
                return refusal
        return self.limit(trunk, now)

    def limit(self, trunk: Trunk, now: float) -> Refusal | None:
        """503 for one call more than the trunk may have, at once or a second; of either direction."""
        over = trunk.max_calls and self._calls.count(trunk, now) >= trunk.max_calls
        if over or (trunk.max_calls_per_second and not self._trunks.take(trunk.name, trunk.max_calls_per_second, now)):
            self.refused[trunk.name] += 1
            self._counters.add("invites.trunk-limit")
            if now >= self._next_log.get(trunk.name, 0.0):
                self._next_log[trunk.name] = now + LOG_SECONDS
                limit, refused = "calls" if over else "calls a second", self.refused[trunk.name]
                log.warning("a trunk is at its limit", trunk=trunk.name, limit=limit, refused=refused)
            return UNAVAILABLE
        return None

    def _challenge(self, request: Request, head: Head, trunk: Trunk) -> Refusal | None:
        stale = False
        for value in request.headers.getlist("Proxy-Authorization"):
            try:
                sent = Credentials.parse(value)
            except ValueError:
                continue
            if sent.realm != REALM or not sent.proves(request.method, trunk.peer_username, trunk.peer_password):
                continue
            if self._fresh(sent.nonce, trunk, head):
                return None
            stale = True
        challenge = Challenge(REALM, self._nonce(trunk, head, int(self._wall())), stale=stale)
        return Refusal(407, (("Proxy-Authenticate", str(challenge)),))

    def _nonce(self, trunk: Trunk, head: Head, at: int) -> str:
        """Good for one call, for a while; whoever overhears it can place no other."""
        return f"{at:08x}{self._signer.sign(f'nonce {at} {trunk.name} {head.call_id}', 12)}"

    def _fresh(self, nonce: str, trunk: Trunk, head: Head) -> bool:
        try:
            at = int(nonce[:8], 16)
        except ValueError:
            return False
        return -5 <= self._wall() - at <= NONCE_SECONDS and self._nonce(trunk, head, at) == nonce
