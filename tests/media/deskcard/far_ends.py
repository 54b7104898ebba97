"""Parts of the desk card's tests: tones, and the two far ends of a connection."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from media.control import desk
from media.control.client import ControlClient
from media.deskcard.contact_surface import IceSettings, make_certificate
from media.deskcard.peer import Peer
from media.jitter import PatchReceiver
from media.patch import PatchFrame, PatchSocket
from tests.tools.relay import Relay

LOOPBACK = IceSettings(public="127.0.0.1")


def tone(hertz: float, rate: int, start: int, samples: int, level: float = 8000) -> bytes:
    """A stretch of a sine that fits on the stretch before it."""
    when = np.arange(start, start + samples) / rate
    return (level * np.sin(2 * np.pi * hertz * when)).astype("<i2").tobytes()


def level_of(pcm: bytes, rate: int, hertz: float) -> float:
    """Amplitude of one frequency."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    window = np.hanning(len(samples))
    turn = np.exp(-2j * math.pi * hertz * np.arange(len(samples)) / rate)
    return float(abs((samples * window * turn).sum()) * 2 / window.sum())


def loudest(pcm: bytes, rate: int) -> float:
    """The strongest frequency in Hz."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def purity(pcm: bytes, rate: int, hertz: float) -> float:
    """Share of the power that is at one frequency (within 15 Hz)."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    axis = np.fft.rfftfreq(len(samples), 1 / rate)
    return float(power[np.abs(axis - hertz) <= 15].sum() / max(power.sum(), 1e-9))


class Bridge:
    """The line card's end of a patch: one 20 ms clock that plays a tone into it and keeps what it hears."""

    def __init__(self, own: Path, peer: Path, rate: int, hertz: float) -> None:
        self.heard = bytearray()
        self.receiver = PatchReceiver(rate)
        self.socket = PatchSocket(own, peer, rate)
        self._rate, self._hertz = rate, hertz

    async def run(self, seconds: float) -> None:
        """Keep the clock for so long."""
        loop = asyncio.get_running_loop()
        start, size = loop.time(), self._rate // 50
        for number in range(round(seconds * 50)):
            while (frame := self.socket.receive()) is not None:
                self.receiver.push(frame)
            self.heard += self.receiver.pull()
            self.socket.send(tone(self._hertz, self._rate, number * size, size), number * size)
            await asyncio.sleep(start + (number + 1) * 0.02 - loop.time())

    def close(self) -> None:
        self.socket.close()


class Browser:
    """The other side of a desk card's connection, on the same lean path."""

    def __init__(self, hertz: float = 880.0, rate: int = 16000, settings: IceSettings = LOOPBACK) -> None:
        self.heard = bytearray()
        self.lost: list[str] = []
        self.receiver = PatchReceiver(rate)
        self.peer = Peer(settings, make_certificate(), offering=True, on_lost=self.lost.append)
        self._rate, self._hertz = rate, hertz
        self._number = 0
        self._clock: asyncio.Task[None] | None = None

    async def connect(
        self,
        control: ControlClient,
        name: str,
        codecs: tuple[str, ...],
        *,
        owner: str = "agent1",
        drop: Callable[[int], bool] | None = None,
        via: Relay | None = None,
    ) -> None:
        """Offer to the card, shake hands, begin to send."""
        offer = await self.peer.offer()
        shown = via.offer(offer) if via is not None else offer
        answer = await control.command(desk.Connect(name, owner, shown, codecs=codecs), desk.Connected)
        self.peer.accept(via.answer(answer.sdp) if via is not None else answer.sdp)
        await self.peer.connect()
        assert self.peer.outbound is not None
        assert self.peer.inbound is not None
        self.peer.outbound.begin(self._rate)
        self.peer.inbound.begin(self._rate, self._take)
        self._drop = drop or (lambda number: False)
        self._clock = asyncio.create_task(self._run())

    def _take(self, pcm: bytes, media_time: int, flags: int) -> None:
        self.receiver.push(PatchFrame(0, media_time, flags, pcm))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        start, size = loop.time(), self._rate // 50
        while True:
            self.heard += self.receiver.pull()
            number = self._number
            frame = PatchFrame(number, number * size, 0, tone(self._hertz, self._rate, number * size, size))
            if not self._drop(number):
                self.peer.send(frame)
            elif self.peer.outbound is not None:
                self.peer.outbound.packet(frame, loop.time())
            self._number += 1
            self.peer.tick(loop.time())
            await asyncio.sleep(start + self._number * 0.02 - loop.time())

    async def quiet(self) -> None:
        """Stop sending and listening."""
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.wait([self._clock])
            self._clock = None

    async def close(self) -> None:
        await self.quiet()
        await self.peer.close()


class Events:
    """What the card reported, with a way to wait for it."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self._new = asyncio.Event()

    def take(self, _: Any, body: Any) -> None:
        self.seen.append(body)
        self._new.set()

    async def wait(self, wanted: Callable[[Any], bool], timeout: float = 8.0) -> Any:
        """The first event that is wanted, also one of the past."""
        async with asyncio.timeout(timeout):
            while True:
                for body in self.seen:
                    if wanted(body):
                        return body
                self._new.clear()
                await self._new.wait()
