"""The default music on hold, made by arithmetic: nobody's licence, the same bytes everywhere, loops without a seam."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media.wav import Samples, write_wav

RATE = 16_000
BEAT = 0.8
"""Seconds (75 a minute): calm, and a bar of four beats is a whole number of samples."""

LEVEL = -18.0
"""RMS in dBFS: where speech lies, so that nobody's hand goes to the volume when the agent answers."""

CEILING = 10 ** (-3 / 20)
"""The highest sample: headroom for the codecs."""

# One bar each, as MIDI notes: a root for the pad, and the arpeggio's four tones. All lie between 130 and 1,000 Hz, with their
# overtones within a telephone's 300 to 3,400 Hz, so that a G.711 caller hears the same piece as a wideband one.
CHORDS: tuple[tuple[int, tuple[int, int, int, int]], ...] = (
    (48, (64, 67, 71, 74)),  # C maj9
    (57, (64, 67, 72, 76)),  # A m7
    (53, (65, 69, 72, 76)),  # F maj7
    (55, (62, 67, 71, 74)),  # G
    (52, (64, 67, 71, 74)),  # E m7
    (57, (60, 64, 67, 71)),  # A m9
    (50, (62, 65, 69, 72)),  # D m7
    (55, (62, 65, 67, 71)),  # G7
)
PATTERNS = ((0, 1, 2, 3, 2, 1, 2, 1), (0, 2, 1, 3, 1, 2, 3, 2), (3, 2, 1, 0, 1, 2, 1, 3))
"""Orders of the arpeggio's tones, eight to a bar; each round of chords takes the next."""

BAR = int(4 * BEAT * RATE)
FRAMES = len(PATTERNS) * len(CHORDS) * BAR

Signal = NDArray[np.float64]


def make_music(path: Path) -> None:
    """Write the piece (76.8 s, mono, 16 kHz) to `path`."""
    write_wav(path, compose(), RATE)


def make_beep(path: Path) -> None:
    """Write the tone before a voicemail (0.4 s of 1 kHz, faded at both ends) to `path`."""
    time = np.arange(int(0.4 * RATE)) / RATE
    fade = np.clip(np.minimum(time, 0.4 - time) / 0.01, 0, 1)
    write_wav(path, (0.25 * 32767 * fade * np.sin(2 * np.pi * 1000 * time)).astype(np.int16), RATE)


def compose() -> Samples:
    """The piece. It is laid on a ring: what rings past the end is heard at the start."""
    ring = np.zeros(FRAMES)
    for bar in range(FRAMES // BAR):
        root, tones = CHORDS[bar % len(CHORDS)]
        pattern = PATTERNS[bar // len(CHORDS)]
        start = bar * BAR
        for note in (root, root + 7, *tones[:3]):
            _lay(ring, start, _pad(note), 0.16)
        for step, index in enumerate(pattern):
            accent = 1.0 if step == 0 else 0.75 if step % 2 == 0 else 0.55
            _lay(ring, start + step * BAR // 8, _pluck(tones[index]), 0.5 * accent)
    for delay, gain in ((0.6, 0.22), (1.2, 0.10)):  # three quarters of a beat, and twice that: an echo in time
        ring += gain * np.roll(ring, int(delay * RATE))
    ring *= 10 ** (LEVEL / 20) / np.sqrt(np.mean(ring**2))
    # A soft knee instead of a hard one: peaks over the ceiling bend, they do not break.
    ring = CEILING * np.tanh(ring / CEILING)
    return (ring * 32767).astype(np.int16)


def _lay(ring: Signal, start: int, note: Signal, gain: float) -> None:
    end = min(start + len(note), len(ring))
    ring[start:end] += gain * note[: end - start]
    rest = note[end - start :]
    ring[: len(rest)] += gain * rest


def _hertz(note: int) -> float:
    return float(440 * 2 ** ((note - 69) / 12))


@cache
def _pluck(note: int) -> Signal:
    """A struck bar, like a soft electric piano: upper partials fade sooner."""
    time = np.arange(int(2.4 * RATE)) / RATE
    sound = np.zeros(len(time))
    for partial, gain, fade in ((1, 1.0, 1.9), (2, 0.35, 3.2), (3, 0.12, 5.0), (4, 0.05, 8.0)):
        if _hertz(note) * partial < 3_400:
            sound += gain * np.exp(-fade * time) * np.sin(2 * np.pi * _hertz(note) * partial * time)
    sound *= np.minimum(time / 0.006, 1)
    sound *= np.minimum((time[-1] - time) / 0.2, 1)
    return sound


@cache
def _pad(note: int) -> Signal:
    """A slow chord tone of two voices a little apart; it swells in and fades into the next bar."""
    time = np.arange(int(5 * BEAT * RATE)) / RATE
    sound = np.zeros(len(time))
    for detune in (0.9985, 1.0015):
        for partial, gain in ((1, 0.5), (2, 0.2), (3, 0.08)):
            sound += gain * np.sin(2 * np.pi * _hertz(note) * partial * detune * time)
    swell = np.minimum(np.minimum(time / 0.9, 1), np.minimum((time[-1] - time) / 1.1, 1))
    sound *= np.sin(0.5 * np.pi * swell) ** 2
    return sound
