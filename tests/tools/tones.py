"""Measuring tones in recordings: which frequency is there, how loud, where silence begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile

Samples = np.ndarray[Any, np.dtype[np.float64]]

FLOOR = -120.0
"""dBFS; what silence is called."""


def load(path: str | Path) -> tuple[Samples, int]:
    """Samples as (n, channels) between -1 and 1, and the rate; any format that libsndfile reads."""
    samples, rate = soundfile.read(str(path), dtype="float64", always_2d=True)
    return samples, int(rate)


def mono(samples: Any) -> Samples:
    """One channel of float64 between -1 and 1, from floats, int16 or (n, channels) (the first channel)."""
    array = np.asarray(samples)
    if array.dtype == np.int16:
        array = array.astype(np.float64) / 32768.0
    if array.ndim == 2:
        array = array[:, 0]
    return array.astype(np.float64)


def power(samples: Any) -> float:
    """RMS level of everything in dBFS (a full-scale sine is -3)."""
    array = mono(samples)
    if not len(array):
        return FLOOR
    square = float(np.mean(array * array))
    return max(FLOOR, 10 * float(np.log10(square))) if square > 0 else FLOOR


def level(samples: Any, rate: int, hz: float) -> float:
    """RMS level in dBFS of one frequency (Hann window, the bins within 12 Hz or two bins of it)."""
    array = mono(samples)
    if len(array) < 64:
        return FLOOR
    window = np.hanning(len(array))
    spectrum = np.abs(np.fft.rfft(array * window)) ** 2
    width = max(12.0, 2.0 * rate / len(array))
    bins = np.fft.rfftfreq(len(array), 1 / rate)
    energy = float(spectrum[np.abs(bins - hz) <= width].sum())
    square = 2 * energy / (len(array) * float(np.sum(window * window)))
    return max(FLOOR, 10 * float(np.log10(square))) if square > 0 else FLOOR


def dominant(samples: Any, rate: int) -> float:
    """The strongest frequency in Hz (parabolic between bins); 0.0 for silence (under -70 dBFS)."""
    array = mono(samples)
    if len(array) < 64 or power(array) < -70:
        return 0.0
    spectrum = np.abs(np.fft.rfft(array * np.hanning(len(array))))
    spectrum[0] = 0.0
    peak = int(np.argmax(spectrum))
    if 0 < peak < len(spectrum) - 1:
        left, middle, right = np.log(spectrum[peak - 1 : peak + 2] + 1e-12)
        curve = left - 2 * middle + right
        shift = 0.5 * (left - right) / curve if curve else 0.0
    else:
        shift = 0.0
    return float((peak + shift) * rate / len(array))


def windows(samples: Any, rate: int, hz: float, seconds: float = 0.1) -> list[tuple[float, float]]:
    """(start in seconds, level in dBFS) of one frequency for each window."""
    array = mono(samples)
    size = int(rate * seconds)
    return [(start / rate, level(array[start : start + size], rate, hz)) for start in range(0, len(array) - size + 1, size)]


def heard(samples: Any, rate: int, hz: float, *, above: float = -35.0, seconds: float = 0.1) -> float:
    """Seconds during which the frequency was louder than `above` dBFS."""
    return seconds * sum(loud > above for _, loud in windows(samples, rate, hz, seconds))


def first(samples: Any, rate: int, hz: float, *, above: float = -35.0, seconds: float = 0.02) -> float | None:
    """When the frequency is heard for the first time, in seconds; None: never."""
    return next((start for start, loud in windows(samples, rate, hz, seconds) if loud > above), None)


def sine(hz: float, seconds: float, rate: int, dbfs: float = -12.0) -> np.ndarray[Any, np.dtype[np.int16]]:
    """A tone whose RMS level is `dbfs`, as int16."""
    times = np.arange(round(seconds * rate)) / rate
    amplitude = 10 ** (dbfs / 20) * np.sqrt(2)
    wave: np.ndarray[Any, np.dtype[np.int16]] = np.round(np.sin(2 * np.pi * hz * times) * amplitude * 32767).astype(np.int16)
    return wave


def write(path: str | Path, samples: Any, rate: int) -> Path:
    """A 16-bit WAV file."""
    soundfile.write(str(path), np.asarray(samples), rate, subtype="PCM_16")
    return Path(path)
