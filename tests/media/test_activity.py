"""Talk, silence and overlap of known speech."""

from __future__ import annotations

import numpy as np
import pytest

from media.activity import ActivityMeter, Figures, Stretch
from media.wav import Samples

pytestmark = pytest.mark.unit

RATE = 16000


def measured(left: Samples, right: Samples, paused: tuple[Stretch, ...] = (), *, block: int = 12_345) -> Figures:
    meter = ActivityMeter(RATE)
    for start in range(0, len(left), block):
        meter.feed(left[start : start + block], right[start : start + block])
    return meter.finish(paused)


def laid(speech: Samples, seconds: float, *starts: float) -> Samples:
    line = np.zeros(int(seconds * RATE), dtype=np.int16)
    for start in starts:
        line[int(start * RATE) : int(start * RATE) + len(speech)] = speech
    return line


def test_speech_by_turns_then_together(speech: Samples) -> None:
    length = len(speech) / RATE - 0.17  # without the silence around
    left, right = laid(speech, 30, 1, 20), laid(speech, 30, 10, 20)
    figures = measured(left, right)
    assert figures.left_talk == pytest.approx(2 * length, rel=0.1)
    assert figures.right_talk == pytest.approx(2 * length, rel=0.1)
    assert figures.overlap == pytest.approx(length, rel=0.1)
    assert figures.left_talk + figures.left_silence == pytest.approx(30, abs=0.03)
    assert figures.right_talk + figures.right_silence == pytest.approx(30, abs=0.03)


def test_paused_stretches_count_as_nothing(speech: Samples) -> None:
    left, right = laid(speech, 30, 1, 20), laid(speech, 30, 10)
    all_of_it = measured(left, right)
    paused = measured(left, right, (Stretch(0, 8), Stretch(25.9, -1)))
    assert paused.left_talk == pytest.approx(all_of_it.left_talk / 2, rel=0.05)
    assert paused.right_talk == all_of_it.right_talk
    assert paused.left_talk + paused.left_silence == pytest.approx(17.9, abs=0.03)


def test_silence_hum_and_clicks_are_no_talk() -> None:
    noise = np.random.default_rng(1).normal(0, 15, 10 * RATE).astype(np.int16)
    clicks = np.zeros(10 * RATE, dtype=np.int16)
    clicks[::RATE] = 20_000
    figures = measured(noise, clicks)
    assert (figures.left_talk, figures.right_talk, figures.overlap) == (0, 0, 0)


def test_blocks_do_not_matter(speech: Samples) -> None:
    left, right = laid(speech, 12, 0.123), laid(speech, 12, 3.3)
    assert measured(left, right, block=997) == measured(left, right, block=len(left))


def test_no_audio_and_wrong_use() -> None:
    assert ActivityMeter(8000).finish() == Figures(0, 0, 0, 0, 0)
    with pytest.raises(ValueError, match="11025"):
        ActivityMeter(11025)
    with pytest.raises(ValueError, match="blocks"):
        ActivityMeter(8000).feed(np.zeros(2, dtype=np.int16), np.zeros(3, dtype=np.int16))
