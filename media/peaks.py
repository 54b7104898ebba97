"""The waveform of a recording as a player draws it: the loudest sample of each stretch, 0 to 100."""

from __future__ import annotations

import numpy as np

from media.wav import Samples

POINTS_PER_SECOND = 10
MAX_POINTS = 2_000


class PeakMeter:
    """Takes one channel's samples block by block; the whole length must be known, it decides the stretch."""

    def __init__(self, frames: int, rate: int) -> None:
        self.stretch = max(rate // POINTS_PER_SECOND, -(-frames // MAX_POINTS), 1)
        """Samples for each point."""
        self.per_second = rate / self.stretch
        self._points: list[int] = []
        self._rest = np.zeros(0, dtype=np.int16)

    def feed(self, samples: Samples) -> None:
        """The next samples."""
        samples = np.concatenate((self._rest, samples))
        whole = len(samples) - len(samples) % self.stretch
        if whole:
            # int32: the magnitude of -32768 does not fit into 16 bits.
            stretches = np.abs(samples[:whole].astype(np.int32)).reshape(-1, self.stretch)
            self._points += [_scaled(value) for value in stretches.max(axis=1).tolist()]
        self._rest = samples[whole:].copy()

    def finish(self) -> list[int]:
        """All points; the last one may stand for a shorter stretch."""
        if len(self._rest):
            self._points.append(_scaled(int(np.abs(self._rest.astype(np.int32)).max())))
            self._rest = self._rest[:0]
        return self._points


def _scaled(magnitude: int) -> int:
    return round(magnitude * 100 / 32768)
