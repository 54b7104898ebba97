"""G.711 by tables, and conversion between 8 and 16 kHz by a half-band filter; gaps are `media.conceal`'s."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from media.conceal import Samples, to_pcm, to_samples

CLOCK = 8000
Codes = npt.NDArray[np.uint8]
Levels = npt.NDArray[np.int16]


def _mu_levels() -> Levels:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)
    return np.where(code & 0x80, 0x84 - magnitude, magnitude - 0x84).astype(np.int16)


def _a_levels() -> Levels:
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment = (code & 0x70) >> 4
    step = (code & 0x0F) << 4
    magnitude = np.where(segment == 0, step + 8, (step + 0x108) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _codes(levels: Levels) -> Codes:
    """For each 16-bit value (as uint16), the code whose level is nearest."""
    # Of the two codes of µ-law's zero the higher one is usual (silence is 0xFF).
    order = np.argsort(levels.astype(np.int32) * 512 - np.arange(256))
    known = levels[order].astype(np.int32)
    values = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    above = np.clip(np.searchsorted(known, values), 1, 255)
    nearer = np.where(values - known[above - 1] < known[above] - values, above - 1, above)
    return order[nearer].astype(np.uint8)


_LEVELS = {"PCMU": _mu_levels(), "PCMA": _a_levels()}
_CODES = {name: _codes(levels) for name, levels in _LEVELS.items()}


class G711:
    """µ-law (PCMU) or A-law (PCMA): bytes of codes to s16le at 8 kHz and back; no memory."""

    def __init__(self, name: str) -> None:
        if name not in _LEVELS:
            raise ValueError(f"{name} is not a G.711 codec")
        self._levels = _LEVELS[name].astype("<i2")
        self._codes = _CODES[name]

    def encode(self, pcm: bytes) -> bytes:
        """Codes for s16le PCM."""
        codes: Codes = self._codes[np.frombuffer(pcm, "<u2")]
        return codes.tobytes()

    def decode(self, codes: bytes) -> bytes:
        """S16le PCM for codes."""
        return self._levels[np.frombuffer(codes, np.uint8)].tobytes()


_REACH = 10
"""Odd taps on each side of the half-band filter: 50 dB down at 4.6 kHz, flat to 3.4 kHz; delays by 0.6 ms."""


def _odd_taps() -> Samples:
    offsets = np.arange(-2 * _REACH + 1, 2 * _REACH, 2)
    window = np.kaiser(4 * _REACH + 1, 5.0)[offsets + 2 * _REACH]
    taps = np.sin(np.pi * offsets / 2) / (np.pi * offsets) * window
    even: Samples = (taps / taps.sum() / 2).astype(np.float32)
    return even


_ODD = _odd_taps()


class Upsampler:
    """8 kHz to 16 kHz for one stream, frame by frame without seams."""

    def __init__(self) -> None:
        self._history = np.zeros(2 * _REACH - 1, np.float32)

    def convert(self, pcm: bytes) -> bytes:
        """Twice as many samples."""
        samples = np.concatenate([self._history, to_samples(pcm)])
        self._history = samples[len(samples) - 2 * _REACH + 1 :]
        out = np.empty(2 * (len(samples) - 2 * _REACH + 1), np.float32)
        out[0::2] = samples[_REACH - 1 : len(samples) - _REACH]
        out[1::2] = np.convolve(samples, 2 * _ODD, "valid")
        return to_pcm(out)


class Downsampler:
    """16 kHz to 8 kHz for one stream, frame by frame without seams."""

    def __init__(self) -> None:
        self._history = np.zeros(4 * _REACH - 2, np.float32)

    def convert(self, pcm: bytes) -> bytes:
        """Half as many samples; `pcm` has an even number of them."""
        samples = np.concatenate([self._history, to_samples(pcm)])
        self._history = samples[len(samples) - 4 * _REACH + 2 :]
        even, odd = samples[0::2], samples[1::2]
        straight = odd[_REACH - 1 : len(odd) - _REACH]
        out: Samples = straight * np.float32(0.5) + np.convolve(even, _ODD, "valid")
        return to_pcm(out)
