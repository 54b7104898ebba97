"""Concealment of lost frames by repeating the last pitch period while it fades, after G.711 Appendix I, and time stretching."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

FULL = 0.010
"""Seconds of a gap that are filled at full level."""
GONE = 0.060
"""Seconds after which a gap is silent."""


class Concealer:
    """Fills the gaps of one stream of frames of a fixed size; `good` and `conceal` are called in the order of playing."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._frame = rate // 50
        self.silence = bytes(self._frame * 2)
        self._before = self._last = self.silence
        self._period: Samples | None = None
        self._made = 0

    @property
    def before(self) -> bytes:
        """The good frame before the one given last (silence at first)."""
        return self._before

    def good(self, pcm: bytes) -> bytes:
        """A frame that arrived; after a gap its first 5 ms are blended with the made-up sound."""
        if self._period is not None:
            pcm = self._blend(pcm)
        self._before = self._last
        self._last = pcm
        return pcm

    def conceal(self) -> bytes:
        """A made-up frame for one that is missing."""
        if self._period is None:
            self._period = self._find_period()
            self._made = 0
        if self._made >= GONE * self._rate:
            return self.silence
        pcm = to_pcm(self._continue(self._frame))
        self._made += self._frame
        return pcm

    def _find_period(self) -> Samples:
        history = to_samples(self._before + self._last)
        if not history.any():
            return history[-1:]
        shortest, longest, size = self._rate // 400, self._rate // 62, self._frame // 2
        lag = best_lag(history[-size:], history[-size - longest : -shortest])
        return history[-(shortest + lag) :]

    def _continue(self, size: int) -> Samples:
        period = self._period
        if period is None:
            return np.zeros(size, np.float32)
        index = np.arange(self._made, self._made + size)
        gain = np.clip((GONE * self._rate - index) / ((GONE - FULL) * self._rate), 0.0, 1.0).astype(np.float32)
        made: Samples = period[index % len(period)] * gain
        return made

    def _blend(self, pcm: bytes) -> bytes:
        size = self._rate // 200
        samples = to_samples(pcm)
        rise = np.linspace(0.0, 1.0, size, dtype=np.float32)
        samples[:size] = samples[:size] * rise + self._continue(size) * (1 - rise)
        self._period = None
        return to_pcm(samples)


def shorten(first: bytes, second: bytes) -> bytes:
    """Two frames made shorter by a whole number of pitch periods, between half a frame and a frame."""
    both = to_samples(first + second)
    frame = len(both) // 2
    half = frame // 2
    lag = frame - best_lag(both[:half], both[half : frame + half])
    return to_pcm(np.concatenate([_crossfade(both[:half], both[lag : lag + half]), both[lag + half :]]))


def lengthen(before: bytes, pcm: bytes) -> bytes:
    """`pcm`, which follows on `before`, made longer by a whole number of pitch periods, between half a frame and a frame."""
    both = to_samples(before + pcm)
    frame = len(both) // 2
    half = frame // 2
    lag = half + best_lag(both[frame : frame + half], both[:frame])
    start = frame - lag
    return to_pcm(np.concatenate([_crossfade(both[frame : frame + half], both[start : start + half]), both[start + half :]]))


def best_lag(template: Samples, region: Samples) -> int:
    """How far before the end of `region` the stretch most like `template` begins, less the template's length."""
    size = len(template)
    products = np.correlate(region, template, "valid")
    squares = np.concatenate([np.zeros(1, np.float64), np.cumsum(region.astype(np.float64) ** 2)])
    energy = squares[size:] - squares[:-size]
    likeness = products / np.sqrt(energy + 1.0)
    return len(likeness) - 1 - int(np.argmax(likeness))


def is_silent(pcm: bytes, threshold: int = 160) -> bool:
    """Whether no sample is louder than about -46 dBFS."""
    samples = np.frombuffer(pcm, np.int16)
    return int(samples.max()) <= threshold and int(samples.min()) >= -threshold


def to_samples(pcm: bytes) -> Samples:
    """s16le bytes as float32 in the same scale."""
    return np.frombuffer(pcm, "<i2").astype(np.float32)


def to_pcm(samples: Samples) -> bytes:
    """Float32 as s16le bytes, clipped."""
    return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()


def _crossfade(falling: Samples, rising: Samples) -> Samples:
    rise = np.linspace(0.0, 1.0, len(falling), dtype=np.float32)
    return falling * (1 - rise) + rising * rise
