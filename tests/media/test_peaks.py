"""Waveforms: one point for each stretch, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.peaks import MAX_POINTS, PeakMeter

pytestmark = pytest.mark.unit


def test_loudest_sample_of_each_tenth_of_a_second() -> None:
    samples = np.zeros(8000, dtype=np.int16)
    samples[850] = -32768
    samples[1700] = 16384
    meter = PeakMeter(8000, 8000)
    meter.feed(samples)
    assert meter.per_second == 10
    assert meter.finish() == [0, 100, 50, 0, 0, 0, 0, 0, 0, 0]


@given(frames=st.integers(1, 3_000_000), rate=st.sampled_from([8000, 16000, 48000]))
@settings(max_examples=50, deadline=None)
def test_number_of_points_is_bounded_and_covers_all(frames: int, rate: int) -> None:
    meter = PeakMeter(frames, rate)
    points = -(-frames // meter.stretch)
    assert points <= MAX_POINTS
    assert points / meter.per_second >= frames / rate
    assert meter.per_second <= 10


@given(
    cuts=st.lists(st.integers(0, 4000), max_size=6), data=st.binary(min_size=2, max_size=8000).filter(lambda d: len(d) % 2 == 0)
)
@settings(max_examples=60, deadline=None)
def test_blocks_do_not_matter(cuts: list[int], data: bytes) -> None:
    samples = np.frombuffer(data, dtype=np.int16)
    whole, parts = PeakMeter(len(samples), 8000), PeakMeter(len(samples), 8000)
    whole.feed(samples)
    for part in np.split(samples, sorted(min(cut, len(samples)) for cut in cuts)):
        parts.feed(part)
    expected = whole.finish()
    assert parts.finish() == expected
    assert max(expected) == round(int(np.abs(samples.astype(int)).max()) * 100 / 32768)
