"""The other end of a patch, as a desk card would be it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import numpy as np

from media.control import line
from media.patch import PatchSocket
from tests.sip.linecard.conftest import CardProcess
from tests.tools import tones

RATE = 16000
FRAME = RATE // 50


def hum(hz: float) -> Callable[[int], bytes]:
    """A steady tone, frame by frame."""
    tone = tones.sine(hz, 1.0, RATE).tobytes()
    return lambda frame: tone[frame % 50 * 2 * FRAME :][: 2 * FRAME]


class Agent:
    """Sends a tone (or `source`), keeps what it hears and the media times of that, paced by what arrives."""

    def __init__(
        self, card: CardProcess, call: str, party: str, hz: float, *, source: Callable[[int], bytes] | None = None
    ) -> None:
        stem = secrets.token_hex(4)
        self.card, self.call, self.party = card, call, party
        self.own, self.peer = card.run / f"p1-{stem}-d", card.run / f"p1-{stem}-l"
        self.heard = bytearray()
        self.times: list[int] = []
        """The media time of each frame heard, in samples: the line card's bridge counts it, tick by tick."""
        self.arrived: list[float] = []
        """When each came, by the loop's clock."""
        self.frames = 0
        self._source = source or hum(hz)

    async def __aenter__(self) -> Agent:
        self.socket = PatchSocket(self.own, self.peer, RATE)
        asyncio.get_running_loop().add_reader(self.socket.fileno(), self._readable)
        await self.card.do(line.OpenPatch(self.call, self.party, str(self.peer), str(self.own)))
        return self

    def _readable(self) -> None:
        while (frame := self.socket.receive()) is not None:
            self.heard += frame.pcm
            self.times.append(frame.media_time)
            self.arrived.append(asyncio.get_running_loop().time())
            self.socket.send(self._source(self.frames), self.frames * FRAME)
            self.frames += 1

    async def listen(self, seconds: float) -> Any:
        """What is heard in the next seconds, as int16."""
        start = len(self.heard)
        want = start + int(seconds * RATE) * 2
        async with asyncio.timeout(seconds * 3 + 2):
            while len(self.heard) < want:
                await asyncio.sleep(0.02)
        return np.frombuffer(bytes(self.heard[start:want]), dtype=np.int16)

    async def __aexit__(self, *exc: object) -> None:
        asyncio.get_running_loop().remove_reader(self.socket.fileno())
        self.socket.close()


def between(one: str, other: str) -> list[line.Link]:
    return [line.Link(one, other), line.Link(other, one)]
