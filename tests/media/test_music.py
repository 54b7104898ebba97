"""The default music: as loud as speech, within a telephone's band, without a seam, the same everywhere."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from media.music import RATE, compose, make_music
from media.wav import read_wav

pytestmark = pytest.mark.unit


def test_the_piece(tmp_path: Path) -> None:
    began = time.process_time()
    make_music(tmp_path / "music.wav")
    assert time.process_time() - began < 2
    samples, rate = read_wav(tmp_path / "music.wav")
    assert rate == RATE == 16000
    assert 60 <= len(samples) / rate <= 90
    sound = samples / 32768
    assert 20 * np.log10(np.sqrt(np.mean(sound**2))) == pytest.approx(-18, abs=0.5)
    assert np.abs(sound).max() < 10 ** (-3 / 20)
    seconds = sound[: len(sound) // rate * rate].reshape(-1, rate)
    levels = 20 * np.log10(np.sqrt((seconds**2).mean(axis=1)))
    assert levels.min() > -22, "nobody may think that the line is dead"
    assert levels.max() < -15
    energy = np.abs(np.fft.rfft(sound)) ** 2
    bins = np.fft.rfftfreq(len(sound), 1 / rate)
    assert energy[(bins > 200) & (bins < 3400)].sum() > 0.95 * energy.sum()
    assert energy[bins > 3400].sum() < 1e-3 * energy.sum()
    assert np.array_equal(samples, compose())


def test_the_loop_has_no_seam() -> None:
    samples = compose().astype(int)
    # The step over the seam is that of any bar line, where a new chord is struck.
    assert abs(samples[0] - samples[-1]) <= np.abs(np.diff(samples)).max()
    bar = int(3.2 * RATE)
    around = np.concatenate((samples[-800:], samples[:800]))
    lines = [samples[start - 800 : start + 800] for start in range(bar, len(samples), bar)]
    assert np.abs(np.diff(around)).max() <= max(np.abs(np.diff(line)).max() for line in lines)
