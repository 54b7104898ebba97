"""The gate of bad networks: an hour of a tone through the whole chain of each codec, in simulated time.

What a sender makes every 20 ms of its own clock comes through a network that loses, delays and reorders it, into `Inbound`,
whose frames go into a `PatchReceiver` at the bridge's pull. *40 ms of jitter* is what RTCP measures and phones show (RFC
3550 §6.4.1), and what an even spread of 0 to 120 ms of delay makes: two of its packets differ by 40 ms on average.
"""

from __future__ import annotations

import heapq
import itertools
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from media.deskcard.inbound import Inbound
from media.deskcard.outbound import Outbound
from media.deskcard.sdp import CodecChoice
from media.g711 import G711
from media.jitter import PatchReceiver, ReceiverStatistics
from media.opus import OpusEncoder
from media.patch import PatchFrame
from media.rtp import RtpPacket
from tests.media.deskcard.far_ends import tone

pytestmark = pytest.mark.unit

OPUS, PCMU = CodecChoice("opus", 111), CodecChoice("PCMU", 0)
HERTZ = 440
LEVEL = 8000
JITTER = 0.040
LOSS = 0.03
FRAME = 0.02
HEADER = struct.Struct("!BBHII")
SETTLED = 10
"""Seconds that the buffer has to learn what the network is like."""


class VirtualLoop:
    """A loop's `call_later`, whose time the test sets."""

    def __init__(self) -> None:
        self._now = 0.0
        self._due: list[tuple[float, int, VirtualTimer]] = []
        self._numbers = itertools.count()

    def call_later(self, delay: float, action: Callable[[], None]) -> VirtualTimer:
        timer = VirtualTimer(action)
        heapq.heappush(self._due, (self._now + delay, next(self._numbers), timer))
        return timer

    def until(self, when: float) -> None:
        """Run what is due by then."""
        while self._due and self._due[0][0] <= when:
            self._now, _, timer = heapq.heappop(self._due)
            timer.action()
        self._now = when


class VirtualTimer:
    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action

    def cancel(self) -> None:
        self.action = _nothing


def _nothing() -> None: ...


@dataclass
class Listening:
    """What came out at the bridge, and what the parts on the way counted."""

    samples: npt.NDArray[np.int16]
    inbound: Inbound
    figures: ReceiverStatistics
    lost: int
    delays: list[float]
    """Milliseconds, one for each second."""


def browser_opus(seconds: int) -> list[bytes]:
    """A tone as Chromium encodes it: 48 kHz, 32 kbit/s, all complexity, FEC."""
    encoder = OpusEncoder(48000, bitrate=32000, complexity=9, loss_percent=3)
    return [encoder.encode(tone(HERTZ, 48000, number * 960, 960, LEVEL)) for number in range(seconds * 50)]


def g711(seconds: int) -> list[bytes]:
    codec = G711("PCMU")
    return [codec.encode(tone(HERTZ, 8000, number * 160, 160, LEVEL)) for number in range(seconds * 50)]


def our_opus(seconds: int, rate: int = 16000) -> list[bytes]:
    """Four syllables a second, as our own sender encodes them: its codec takes a steady tone for noise."""
    outbound = Outbound(OPUS, 1)
    outbound.begin(rate)
    when = np.arange(seconds * rate) / rate
    overtones = sum(LEVEL / 2 / k * np.sin(2 * np.pi * HERTZ * k * when + k * k) for k in range(1, 5))
    hum = (overtones * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * when))).astype("<i2")
    frames = (hum[at : at + rate // 50].tobytes() for at in range(0, len(hum), rate // 50))
    packets = (outbound.packet(PatchFrame(n, n * rate // 50, 0, pcm), n * FRAME) for n, pcm in enumerate(frames))
    return [RtpPacket.parse(packet).payload for packet in packets]


def listen(codec: CodecChoice, rate: int, payloads: Sequence[bytes], seconds: int, ppm: float) -> Listening:
    """The payloads again and again for so long, by a sender whose clock is slow by `ppm`, over the gate's network."""
    chance = np.random.default_rng(3)
    count = seconds * 50
    arrivals = np.arange(count) * FRAME * (1 + ppm * 1e-6) + chance.uniform(0, 3 * JITTER, count)
    came = np.flatnonzero(chance.random(count) >= LOSS)
    order = came[np.argsort(arrivals[came], kind="stable")]
    loop, receiver = VirtualLoop(), PatchReceiver(rate)
    inbound = Inbound(codec, loop.call_later)
    inbound.begin(rate, lambda pcm, time, flags: receiver.push(PatchFrame(0, time, flags, pcm)))
    step, heard, delays = codec.clock // 50, bytearray(), []
    coming = iter(zip(arrivals[order].tolist(), order.tolist(), strict=True))
    at, number = next(coming)
    for tick in range(count - 50):
        pull = tick * FRAME + 0.011
        while at <= pull:
            loop.until(at)
            head = HEADER.pack(0x80, codec.payload_type, number & 0xFFFF, number * step & 0xFFFFFFFF, 9)
            inbound.receive(head + payloads[number % len(payloads)], at)
            at, number = next(coming, (float("inf"), 0))
        loop.until(pull)
        heard += receiver.pull()
        if tick % 50 == 0:
            delays.append(receiver.statistics().delay_ms)
    inbound.end()
    return Listening(np.frombuffer(heard, "<i2"), inbound, receiver.statistics(), count - len(came), delays[SETTLED:])


def levels(samples: npt.NDArray[np.int16], rate: int, window: float = FRAME) -> npt.NDArray[np.float64]:
    """Amplitude of the tone in each window, after the settling."""
    size = round(rate * window)
    settled = samples[SETTLED * rate :]
    windows = settled[: len(settled) // size * size].reshape(-1, size).astype(np.complex64)
    turn = np.exp(-2j * np.pi * HERTZ * np.arange(size) / rate).astype(np.complex64)
    return np.abs(windows @ turn).astype(float) * 2 / size


def longest_hole(missing: npt.NDArray[np.bool_]) -> int:
    """Windows in a row."""
    return max((len(list(run)) for gone, run in itertools.groupby(missing.tolist()) if gone), default=0)


def check_delay(heard: Listening) -> None:
    """Never more than the buffer may hold, and no drift away."""
    assert max(heard.delays) <= 200
    piece = len(heard.delays) // 4
    assert np.mean(heard.delays[-piece:]) == pytest.approx(np.mean(heard.delays[:piece]), abs=15)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("codec", "rate", "made", "ppm"), [(OPUS, 8000, browser_opus, 100), (PCMU, 8000, g711, -100)], ids=["opus", "pcmu"]
)
def test_a_tone_is_whole_for_an_hour(codec: CodecChoice, rate: int, made: Callable[[int], list[bytes]], ppm: float) -> None:
    seconds = 3600
    heard = listen(codec, rate, made(11)[50:], seconds, ppm)
    assert heard.inbound.reception.jitter_ms == pytest.approx(JITTER * 1000, rel=0.5)
    assert heard.inbound.lost == pytest.approx(heard.lost, abs=60)
    assert heard.lost == pytest.approx(LOSS * seconds * 50, rel=0.05)
    full = levels(heard.samples, rate) > 0.75 * LEVEL
    assert full.mean() > 0.998
    assert longest_hole(~full) <= 4
    too_late = heard.inbound.concealed + heard.figures.concealed - heard.lost
    assert too_late / (seconds * 50) < 0.001
    check_delay(heard)


@pytest.mark.parametrize(("codec", "made"), [(OPUS, our_opus), (PCMU, g711)], ids=["opus", "pcmu"])
def test_what_we_send_is_whole_at_the_other_end(codec: CodecChoice, made: Callable[[int], list[bytes]]) -> None:
    """Five minutes of our sender's packets, into the receiver of `switchroom agent`."""
    payloads, rate = made(11)[50:], 16000
    heard = listen(codec, rate, payloads, 300, 100)
    level = levels(heard.samples, rate, window=0.25)
    assert np.mean(level > 0.75 * np.median(level)) > 0.99
    assert level.min() > 0.6 * np.median(level)
    check_delay(heard)
