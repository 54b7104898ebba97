"""Who spoke when: talk, silence and overlap of two channels, by WebRTC's voice activity detector."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np
import webrtcvad
from numpy.typing import NDArray

from media.wav import Samples

RATES = (8_000, 16_000, 32_000, 48_000)
"""What the detector takes."""

FRAME = 0.02
MODE = 2
"""The detector's aggressiveness, 0 to 3: 2 lets keyboard and line noise through seldom and cuts no quiet speaker."""

FLOOR = 32768 * 10 ** (-55 / 20)
"""RMS below which a frame is silence whatever the detector says: it takes faint hum for speech now and then."""

LONGEST_GAP = 12
"""Frames (240 ms): shorter pauses are within an utterance, stops and breaths, and count as talk."""

SHORTEST_TALK = 4
"""Frames (80 ms): shorter bursts are clicks."""


class Stretch(msgspec.Struct, frozen=True):
    """A part of the time line that counts neither as talk nor as silence, seconds; an end of -1 is the recording's."""

    start: float
    end: float


class Figures(msgspec.Struct, frozen=True):
    """Seconds of each channel, and of both speaking at once."""

    left_talk: float
    left_silence: float
    right_talk: float
    right_silence: float
    overlap: float


class ActivityMeter:
    """Takes both channels' samples block by block; keeps one bit for each 20 ms."""

    def __init__(self, rate: int) -> None:
        if rate not in RATES:
            raise ValueError(f"no voice activity detection at {rate} Hz")
        self._left = _Channel(rate)
        self._right = _Channel(rate)

    def feed(self, left: Samples, right: Samples) -> None:
        """The next samples of both channels; the blocks must be of one length."""
        if len(left) != len(right):
            raise ValueError(f"blocks of {len(left)} and {len(right)} samples")
        self._left.feed(left)
        self._right.feed(right)

    def finish(self, paused: Iterable[Stretch] = ()) -> Figures:
        """The figures, without the paused stretches."""
        left, right = self._left.finish(), self._right.finish()
        counted = np.ones(len(left), dtype=np.bool_)
        middles = (np.arange(len(left)) + 0.5) * FRAME
        for stretch in paused:
            end = stretch.end if stretch.end >= 0 else np.inf
            counted &= ~((middles >= stretch.start) & (middles < end))
        left, right = left & counted, right & counted
        all_frames = int(counted.sum())
        return Figures(
            left_talk=_seconds(int(left.sum())),
            left_silence=_seconds(all_frames - int(left.sum())),
            right_talk=_seconds(int(right.sum())),
            right_silence=_seconds(all_frames - int(right.sum())),
            overlap=_seconds(int((left & right).sum())),
        )


class _Channel:
    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._size = int(rate * FRAME)
        self._detector = webrtcvad.Vad(MODE)
        self._flags = bytearray()
        self._rest = np.zeros(0, dtype=np.int16)

    def feed(self, samples: Samples) -> None:
        samples = np.concatenate((self._rest, samples))
        whole = len(samples) - len(samples) % self._size
        if whole:
            frames = samples[:whole].reshape(-1, self._size)
            loud = np.sqrt((frames.astype(np.float32) ** 2).mean(axis=1)) >= FLOOR
            for frame, audible in zip(frames, loud.tolist(), strict=True):
                self._flags.append(audible and self._detector.is_speech(frame.tobytes(), self._rate))
        self._rest = samples[whole:].copy()

    def finish(self) -> NDArray[np.bool_]:
        if len(self._rest):
            self.feed(np.zeros(self._size - len(self._rest), dtype=np.int16))
        flags = np.frombuffer(bytes(self._flags), dtype=np.bool_).copy()
        _flip_short_runs(flags, value=False, longest=LONGEST_GAP - 1, inner=True)
        _flip_short_runs(flags, value=True, longest=SHORTEST_TALK - 1, inner=False)
        return flags


def _flip_short_runs(flags: NDArray[np.bool_], *, value: bool, longest: int, inner: bool) -> None:
    """Flip, in place, each run of `value` that is at most so long; `inner`: only runs with the other value on both sides."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8))) + 1
    starts = np.concatenate(([0], edges))
    ends = np.concatenate((edges, [len(flags)]))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if start == end or bool(flags[start]) is not value or end - start > longest:
            continue
        if inner and (start == 0 or end == len(flags)):
            continue
        flags[start:end] = not value


def _seconds(frames: int) -> float:
    return round(frames * FRAME, 2)
