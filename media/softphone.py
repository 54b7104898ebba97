"""A browser's audio without a browser: one connection to a desk card, a tone to send, ears that keep what they hear."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from media.conceal import to_samples
from media.deskcard.contact_surface import LOOPBACK, IceServerUrl, IceSettings, make_certificate
from media.deskcard.peer import Peer, PeerStatistics
from media.jitter import PatchReceiver, ReceiverStatistics
from media.patch import FRAMES_PER_SECOND, PatchFrame

LOUD = 300
"""A sample louder than this is sound, not line noise."""


class FrameClock:
    """Calls everyone who listens 50 times a second: one clock for all agents of a process."""

    def __init__(self) -> None:
        self.late = 0
        self._listeners: dict[Any, Callable[[], None]] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> FrameClock:
        self._task = asyncio.create_task(self._run(), name="frame clock")
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def listen(self, key: Any, tick: Callable[[], None]) -> None:
        """Call `tick` every 20 ms."""
        self._listeners[key] = tick

    def leave(self, key: Any) -> None:
        """No more calls."""
        self._listeners.pop(key, None)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += 1 / FRAMES_PER_SECOND
            wait = due - loop.time()
            if wait < -0.02:
                self.late += 1
            # A clock that was held up catches up at most a second; what is older has no listener any more.
            due = max(due, loop.time() - 1.0)
            await asyncio.sleep(max(0.0, wait))
            for tick in list(self._listeners.values()):
                tick()


def tone_frames(hertz: float, rate: int, level: float = 8000.0) -> list[bytes]:
    """One second of a tone (rounded to whole Hz, so that it repeats without a seam) as frames; 0 Hz is silence."""
    when = np.arange(rate) / rate
    samples = (level * np.sin(2 * np.pi * round(hertz) * when)).astype("<i2").tobytes()
    size = rate // FRAMES_PER_SECOND * 2
    return [samples[at : at + size] for at in range(0, len(samples), size)]


@dataclass(frozen=True)
class Heard:
    """What one contact sounded like: the strongest frequency, its level (RMS of the loudest second), seconds kept."""

    seconds: float
    hertz: float
    level: float


class Softphone:
    """The softphone of one agent: sends all the time, as a browser does, a tone while `talking`, else silence."""

    def __init__(self, clock: FrameClock, *, hertz: float, rate: int = 16000, save: Path | None = None) -> None:
        self.talking = False
        self.lost = ""
        self._clock = clock
        self._rate = rate
        self._tone = tone_frames(hertz, rate)
        self._silence = tone_frames(0, rate)[0]
        self._frame = 0
        self._peer: Peer | None = None
        self._receiver = PatchReceiver(rate)
        self._past: list[ReceiverStatistics] = []
        self._past_peers: list[PeerStatistics] = []
        self._heard: bytearray | None = None
        self._save = save
        self._file: wave.Wave_write | None = None
        self._on_sound: Callable[[], None] | None = None
        self._on_lost: Callable[[str], None] | None = None

    async def connect(
        self,
        exchange: Callable[[str], Awaitable[str]],
        *,
        codecs: tuple[str, ...],
        settings: IceSettings,
        on_lost: Callable[[str], None],
    ) -> None:
        """Offer, answer, handshakes; an earlier connection closes. Raises errors of `exchange`, SdpError, LinkError."""
        await self._close_peer()
        self.lost = ""
        self._on_lost = on_lost
        peer = Peer(settings, make_certificate(), offering=True, on_lost=self._broke)
        self._peer = peer
        peer.accept(await exchange(await peer.offer(codecs)))
        await peer.connect()
        if peer.outbound is not None and peer.inbound is not None:
            peer.outbound.begin(self._rate)
            peer.inbound.begin(self._rate, self._take)
        self._clock.listen(self, self._tick)

    @property
    def connected(self) -> bool:
        return self._peer is not None and not self.lost

    @property
    def codec(self) -> str:
        return self._peer.codec if self._peer is not None else ""

    def begin(self, on_sound: Callable[[], None]) -> None:
        """A contact begins: send the tone, keep what is heard, tell once when the first sound comes."""
        self.talking = True
        self._heard = bytearray()
        self._on_sound = on_sound

    def end(self) -> Heard:
        """The contact is over."""
        heard, self._heard = bytes(self._heard or b""), None
        self.talking = False
        self._on_sound = None
        self._past.append(self._receiver.statistics())
        self._receiver = PatchReceiver(self._rate)
        if self._save is not None and heard:
            if self._file is None:
                self._file = wave.open(str(self._save), "wb")  # noqa: SIM115  closed by close()
                self._file.setparams((1, 2, self._rate, 0, "NONE", "not compressed"))
            self._file.writeframes(heard)
        return measure(heard, self._rate)

    async def close(self) -> None:
        """Release the connection and the file."""
        if self._heard is not None:
            self.end()
        await self._close_peer()
        if self._file is not None:
            self._file.close()
            self._file = None

    async def _close_peer(self) -> None:
        self._clock.leave(self)
        peer, self._peer = self._peer, None
        if peer is not None:
            self._past_peers.append(peer.statistics())
            await peer.close()

    def _broke(self, reason: str) -> None:
        self.lost = reason
        self._clock.leave(self)
        if self._on_lost is not None:
            self._on_lost(reason)

    def _take(self, pcm: bytes, media_time: int, flags: int) -> None:
        if self._heard is not None:
            self._receiver.push(PatchFrame(0, media_time, flags, pcm))

    def _tick(self) -> None:
        peer = self._peer
        if peer is None:
            return
        number = self._frame
        self._frame += 1
        pcm = self._tone[number % FRAMES_PER_SECOND] if self.talking else self._silence
        peer.send(PatchFrame(number & 0xFFFFFFFF, number * (len(pcm) // 2) & 0xFFFFFFFF, 0, pcm))
        if number % 25 == 0:
            peer.tick(asyncio.get_running_loop().time())
        if self._heard is not None:
            self._hear(self._receiver.pull())

    def _hear(self, pcm: bytes) -> None:
        if self._heard is not None:
            self._heard += pcm
        if self._on_sound is not None and int(np.frombuffer(pcm, "<i2").max()) > LOUD:
            told, self._on_sound = self._on_sound, None
            told()

    def statistics(self) -> dict[str, float]:
        """Counters over all contacts."""
        ears = [*self._past, self._receiver.statistics()]
        peers = [*self._past_peers, *([self._peer.statistics()] if self._peer is not None else [])]
        return {
            "frames": sum(one.frames for one in ears),
            "lost": sum(one.lost for one in ears),
            "late": sum(one.late for one in ears),
            "starved": sum(one.starved for one in ears),
            "concealed": sum(one.concealed for one in ears) + sum(one.concealed for one in peers),
            "packets_sent": sum(one.sent for one in peers),
            "packets_received": sum(one.received for one in peers),
            "packets_lost": sum(one.lost for one in peers),
            "remote_lost": sum(one.remote_lost for one in peers),
            "jitter_ms": round(max((one.jitter_ms for one in peers), default=0.0), 2),
            "round_trip_ms": round(max((one.round_trip_ms for one in peers), default=0.0), 2),
        }


def ice_settings(servers: list[dict[str, Any]], server: str) -> IceSettings:
    """The API's `ice_servers` as our settings; a server on this machine is reached by loopback."""
    found = []
    for one in servers:
        urls = one.get("urls", [])
        for url in [urls] if isinstance(urls, str) else urls:
            found.append(IceServerUrl(url, one.get("username") or "", one.get("credential") or ""))
    host = urlsplit(server).hostname or ""
    return IceSettings(public=LOOPBACK if host == "localhost" or host.startswith("127.") else "", servers=tuple(found))


def measure(pcm: bytes, rate: int) -> Heard:
    """The strongest frequency of a stretch and how loud its loudest second was."""
    samples = to_samples(pcm)
    if len(samples) < rate // 10:
        return Heard(len(samples) / rate, 0.0, 0.0)
    pieces = [samples[at : at + rate] for at in range(0, len(samples), rate)]
    loudest = max(pieces, key=lambda piece: float(np.sqrt(np.mean(piece**2))))
    spectrum = np.abs(np.fft.rfft(loudest * np.hanning(len(loudest))))
    level = float(np.sqrt(np.mean(loudest**2)))
    hertz = float(np.argmax(spectrum) * rate / len(loudest)) if level > 1 else 0.0
    return Heard(round(len(samples) / rate, 2), round(hertz, 1), round(level, 1))
