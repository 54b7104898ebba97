"""The jitter buffer and concealment, in simulated time: arrivals are a list, pulls are the clock."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.conceal import Concealer, lengthen, shorten
from media.jitter import PatchReceiver, ReceiverStatistics
from media.patch import RESTART, PatchFrame

pytestmark = pytest.mark.unit

RATE = 8000
SIZE = RATE // 50


def tone(start: int, samples: int = SIZE, hertz: float = 440.0) -> bytes:
    return (8000 * np.sin(2 * np.pi * hertz * (start + np.arange(samples)) / RATE)).astype("<i2").tobytes()


def frame(number: int, *, silent: bool = False, offset: int = 0) -> PatchFrame:
    pcm = bytes(SIZE * 2) if silent else tone(number * SIZE)
    return PatchFrame(number & 0xFFFFFFFF, (number * SIZE + offset) & 0xFFFFFFFF, 0, pcm)


@dataclass
class Network:
    """When frames arrive: seconds of jitter (half-normal), share lost, sender's clock error."""

    jitter: float = 0.0
    loss: float = 0.0
    ppm: float = 0.0
    seed: int = 1
    silent: bool = False

    def run(self, seconds: int, offset: int = 0) -> tuple[ReceiverStatistics, bytes]:
        chance = random.Random(self.seed)
        arrivals = sorted(
            (number * 0.02 * (1 + self.ppm * 1e-6) + abs(chance.gauss(0, self.jitter)), number)
            for number in range(int(seconds * 50 * (1 + abs(self.ppm) * 1e-6)) + 50)
            if chance.random() >= self.loss
        )
        receiver = PatchReceiver(RATE)
        heard, next_one = bytearray(), 0
        for tick in range(seconds * 50):
            while next_one < len(arrivals) and arrivals[next_one][0] <= tick * 0.02 + 0.011:
                receiver.push(frame(arrivals[next_one][1], silent=self.silent, offset=offset))
                next_one += 1
            heard += receiver.pull()
        return receiver.statistics(), bytes(heard)


def steadiness(pcm: bytes, hertz: float = 440.0) -> float:
    """Share of 20 ms windows in which the tone has its full level."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    windows = samples[: len(samples) // SIZE * SIZE].reshape(-1, SIZE)
    turn = np.exp(-2j * np.pi * hertz * np.arange(SIZE) / RATE)
    return float(np.mean(np.abs(windows @ turn) * 2 / SIZE > 6000))


def test_a_steady_stream_comes_out_as_it_went_in() -> None:
    figures, heard = Network().run(10)
    assert (figures.lost, figures.late, figures.starved, figures.inserted, figures.dropped) == (0, 0, 0, 0, 0)
    assert figures.delay_ms == pytest.approx(40, abs=20)
    start = heard.index(tone(0)[2:])
    assert heard[start - 2 : start - 2 + 400 * SIZE * 2] == b"".join(tone(number * SIZE) for number in range(400))


def test_media_time_wraps_without_a_gap() -> None:
    figures, _ = Network().run(10, offset=0xFFFFFFFF - 100 * SIZE)
    assert (figures.lost, figures.starved, figures.late) == (0, 0, 0)


@pytest.mark.parametrize("jitter", [0.01, 0.03])
def test_jitter_is_absorbed_after_a_few_frames(jitter: float) -> None:
    figures, heard = Network(jitter=jitter).run(60)
    assert figures.concealed <= 10
    assert figures.delay_ms <= 200
    assert steadiness(heard[10 * RATE * 2 :]) > 0.99


def test_the_gate_of_bad_networks_keeps_a_tone_in_one_piece() -> None:
    figures, heard = Network(jitter=0.02, loss=0.03, ppm=100).run(120)
    assert figures.lost == pytest.approx(0.03 * 6000, rel=0.3)
    assert steadiness(heard[5 * RATE * 2 :]) > 0.97


@pytest.mark.parametrize("ppm", [-1000, 1000])
@pytest.mark.parametrize("silent", [False, True])
def test_drifting_clocks_are_followed(ppm: float, silent: bool) -> None:
    """A sender that is fast or slow by 1 per mille for five minutes: 300 ms, far more than the buffer holds."""
    figures, heard = Network(ppm=ppm, silent=silent).run(300)
    corrected = figures.inserted if ppm > 0 else figures.dropped
    assert 10 <= corrected <= 40
    assert figures.delay_ms <= 100
    assert figures.concealed <= 2
    if not silent:
        assert steadiness(heard[RATE:]) > 0.995


def test_delay_goes_back_when_the_network_is_good_again() -> None:
    receiver = PatchReceiver(RATE)
    for tick in range(500):
        # Ten frames at once, every 200 ms; then a steady stream.
        if tick % 10 == 9:
            for number in range(tick - 9, tick + 1):
                receiver.push(frame(number, silent=True))
        receiver.pull()
    high = receiver.statistics().delay_ms
    for number in range(500, 2000):
        receiver.push(frame(number, silent=True))
        receiver.pull()
    low = receiver.statistics()
    assert high >= 100
    assert low.delay_ms <= 60
    assert low.dropped >= 4


def test_a_single_loss_is_filled_with_the_tone() -> None:
    receiver, heard = PatchReceiver(RATE), bytearray()
    for number in range(100):
        if number != 50:
            receiver.push(frame(number))
        heard += receiver.pull()
    assert receiver.statistics().lost == 1
    assert steadiness(bytes(heard[10 * SIZE :])) == 1.0


def test_starvation_fades_and_then_is_silent() -> None:
    receiver = PatchReceiver(RATE)
    for number in range(20):
        receiver.push(frame(number))
        receiver.pull()
    levels = [int(np.abs(np.frombuffer(receiver.pull(), "<i2")).max()) for _ in range(20)]
    assert levels[0] > 7000
    assert levels == sorted(levels, reverse=True)
    assert levels[6:] == [0] * 14
    assert receiver.statistics().starved >= 18


def test_a_stall_is_played_out_late_and_not_lost() -> None:
    """100 ms of nothing, then all of it at once: a held time line, no frame thrown away."""
    receiver, heard = PatchReceiver(RATE), bytearray()
    for tick in range(100):
        if not 50 <= tick < 55:
            for number in range(50, 56) if tick == 55 else [tick]:
                receiver.push(frame(number))
        heard += receiver.pull()
    figures = receiver.statistics()
    assert figures.lost == 0
    assert 3 <= figures.starved <= 5
    assert figures.late == 0


def test_an_outage_does_not_add_delay() -> None:
    """100 ms that never come: the wait pays for them."""
    receiver = PatchReceiver(RATE)
    for tick in range(200):
        if not 50 <= tick < 55:
            receiver.push(frame(tick))
        receiver.pull()
    figures = receiver.statistics()
    assert figures.lost == 5
    assert figures.delay_ms <= 60


def test_a_stall_beyond_the_limit_is_cut_to_it() -> None:
    receiver = PatchReceiver(RATE)
    for tick in range(400):
        if not 50 <= tick < 90:
            for number in range(50, 91) if tick == 90 else [tick]:
                receiver.push(frame(number))
        receiver.pull()
    figures = receiver.statistics()
    assert figures.delay_ms <= 220
    assert figures.dropped > 25


@pytest.mark.parametrize("flags", [0, RESTART])
def test_a_new_time_line_is_followed_at_once(flags: int) -> None:
    receiver, heard = PatchReceiver(RATE), bytearray()
    for tick in range(100):
        number = tick if tick < 50 else tick + 1_000_000
        sent = frame(number)
        receiver.push(PatchFrame(sent.seq, sent.media_time, flags if tick == 50 else 0, sent.pcm))
        heard += receiver.pull()
    assert steadiness(bytes(heard[60 * SIZE * 2 :])) == 1.0
    assert receiver.statistics().concealed <= 2


def test_a_stream_that_stops_and_comes_back_begins_anew() -> None:
    receiver = PatchReceiver(RATE)
    for number in range(50):
        receiver.push(frame(number))
        receiver.pull()
    for _ in range(500):
        receiver.pull()
    starved = receiver.statistics().starved
    for number in range(50, 150):
        receiver.push(frame(number))
        receiver.pull()
    assert starved <= 51
    assert receiver.statistics().delay_ms <= 60
    assert receiver.statistics().starved == starved


def test_a_frame_of_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="20 ms"):
        PatchReceiver(16000).push(frame(0))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.integers(-3, 3), st.booleans()), max_size=300))
def test_whatever_arrives_one_frame_comes_out_and_memory_is_bounded(story: list[tuple[int, int, int, bool]]) -> None:
    receiver = PatchReceiver(RATE)
    for number, pulls, skew, restart in story:
        pcm = tone(number * SIZE)
        receiver.push(PatchFrame(number, (number * SIZE + skew * 37) & 0xFFFFFFFF, RESTART if restart else 0, pcm))
        for _ in range(pulls):
            assert len(receiver.pull()) == SIZE * 2
    assert len(receiver._buffer) <= 100


@given(st.integers(70, 400))
def test_stretching_keeps_a_tone_whole(hertz: int) -> None:
    parts = [tone(number * SIZE, hertz=hertz) for number in range(4)]
    for stretched in (shorten(parts[1], parts[2]), lengthen(parts[0], parts[1])):
        samples = np.frombuffer(stretched, "<i2").astype(float)
        steps = np.abs(np.diff(samples))
        assert steps.max() < 1.6 * 8000 * 2 * np.pi * hertz / RATE + 300
    assert SIZE <= len(shorten(parts[1], parts[2])) // 2 <= SIZE * 3 // 2
    assert SIZE * 3 // 2 <= len(lengthen(parts[0], parts[1])) // 2 <= 2 * SIZE


def test_concealment_joins_without_a_click() -> None:
    concealer = Concealer(RATE)
    heard = b"".join(concealer.conceal() if number in (20, 21) else concealer.good(tone(number * SIZE)) for number in range(40))
    steps = np.abs(np.diff(np.frombuffer(heard, "<i2").astype(float)))
    assert steps.max() < 2 * 8000 * 2 * np.pi * 440 / RATE
