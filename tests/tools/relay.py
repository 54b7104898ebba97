"""A network between two ends that loses, delays and reorders their datagrams, in real time on loopback."""

from __future__ import annotations

import asyncio
import random
import re
from typing import Self, cast

from media.rtp import is_rtcp

CANDIDATE = re.compile(r"^(a=candidate:\S+ \d+ udp \d+ \S+) (\d+) ", re.MULTILINE | re.IGNORECASE)


class Way(asyncio.DatagramProtocol):
    """One direction: what arrives at this socket leaves by the other one."""

    def __init__(self, relay: Relay, seed: int) -> None:
        self.rtp = self.lost = 0
        """RTP packets that came, and those of them that went no further, since the network is bad."""
        self.onward: Way | None = None
        self.far: tuple[str, int] | None = None
        """Who sits behind this socket: what leaves by it goes there."""
        self._relay = relay
        self._chance = random.Random(seed)
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def port(self) -> int:
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self.onward is not None
        if not self._relay.bad:
            self.onward.leave(data)
            return
        rtp = 127 < data[0] < 192 and not is_rtcp(data)
        lost = self._chance.random() < self._relay.loss
        self.rtp += rtp
        self.lost += rtp and lost
        if not lost:
            delay = self._chance.uniform(0, self._relay.spread)
            asyncio.get_running_loop().call_later(delay, self.onward.leave, data)

    def leave(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing() and self.far is not None:
            self._transport.sendto(data, self.far)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Relay:
    """Stands between two ends by rewriting the candidates that they tell each other; harmless until `bad` is set.

    `spread`: seconds; each datagram is delayed by anything up to that, on its own, so that some overtake others.
    """

    def __init__(self, *, loss: float, spread: float, seed: int = 1) -> None:
        self.loss, self.spread = loss, spread
        self.bad = False
        self.offering, self.answering = Way(self, seed), Way(self, seed + 1)
        """The sockets that the answering end takes for the offering one, and the other way round."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for way, onward in ((self.offering, self.answering), (self.answering, self.offering)):
            way.onward = onward
            await loop.create_datagram_endpoint(lambda way=way: way, local_addr=("127.0.0.1", 0))
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.offering.close()
        self.answering.close()

    def offer(self, sdp: str) -> str:
        """The offer as the answering end is to see it."""
        return self._instead(sdp, self.offering, self.answering)

    def answer(self, sdp: str) -> str:
        return self._instead(sdp, self.answering, self.offering)

    def _instead(self, sdp: str, shown: Way, other: Way) -> str:
        found = CANDIDATE.search(sdp)
        assert found is not None, sdp
        other.far = ("127.0.0.1", int(found[2]))
        return CANDIDATE.sub(rf"\1 {shown.port} ", sdp, count=1)
