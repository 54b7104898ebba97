"""What bench callers and agents say, and how they know when they hear it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from media.jitter import PatchReceiver
from media.softphone import tone_frames

LOUD = 8000.0
BURST_HZ = 1000.0
BURST_FRAMES = 2
ONSET = 2500
"""A sample above this is the beginning of a burst: codecs and filters ring below it."""


def voice(rate: int, hertz: float) -> list[bytes]:
    """A second of a loud tone in frames of 20 ms."""
    return tone_frames(hertz, rate, LOUD)


def silence(rate: int) -> bytes:
    """A frame without sound."""
    return bytes(rate // 25)


def is_tone(pcm: bytes, rate: int, hertz: float) -> bool:
    """Whether more than half of a frame's energy is at one frequency (within a bin of 50 Hz), and loud."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    energy = float(np.mean(samples * samples))
    if energy < 250_000:
        return False
    turn = np.exp(-2j * np.pi * hertz / rate * np.arange(len(samples)))
    amplitude = 2 * abs(np.dot(samples, turn)) / len(samples)
    return amplitude**2 / 2 > 0.5 * energy


def onset(pcm: bytes) -> int | None:
    """The first loud sample of a frame."""
    loud = np.flatnonzero(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)) > ONSET)
    return int(loud[0]) if len(loud) else None


EDGE = 2
"""Frames that may be on their way when a stretch begins or ends."""


@dataclass(frozen=True)
class Listening:
    """Frames of a stretch: due by the listener's clock, arrived, made up because nothing came in time, come after that."""

    pulled: int = 0
    arrived: int = 0
    missing: int = 0
    late: int = 0

    def __add__(self, other: Listening) -> Listening:
        return Listening(
            self.pulled + other.pulled, self.arrived + other.arrived, self.missing + other.missing, self.late + other.late
        )

    @property
    def share(self) -> float:
        """Part of the frames that was late or lost."""
        return self.missing / self.pulled if self.pulled else 0.0


class Ears:
    """A listener's jitter buffer and counters; hears what `push`ed frames brought at each `pull`."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._receiver = PatchReceiver(rate)
        self._pulled = 0
        self._before = (0, self._receiver.statistics())

    @property
    def receiver(self) -> PatchReceiver:
        return self._receiver

    def pull(self) -> bytes:
        self._pulled += 1
        return self._receiver.pull()

    def restart(self) -> None:
        """A new call: another time line and empty counters."""
        self._receiver = PatchReceiver(self._rate)
        self.mark()

    def mark(self) -> None:
        """Count from here."""
        self._before = (self._pulled, self._receiver.statistics())

    def since(self) -> Listening:
        """What happened since the mark."""
        (before_pulled, before), now = self._before, self._receiver.statistics()
        pulled, arrived = self._pulled - before_pulled, now.frames - before.frames
        # A buffer in which nothing ever arrived makes nothing up: there the frames that are not there are counted.
        missing = max(now.concealed - before.concealed, pulled - arrived - EDGE)
        return Listening(pulled, arrived, missing, now.late - before.late)
