"""Audio in and out of a connection without its network: packets in any order, frames with their media time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.deskcard.inbound import Inbound
from media.deskcard.lateness import LONGEST, SLACK, Lateness
from media.deskcard.outbound import Outbound
from media.deskcard.sdp import CodecChoice
from media.opus import OpusEncoder
from media.patch import CONCEALED, RESTART, PatchFrame
from media.rtp import RtpPacket
from tests.media.deskcard.far_ends import level_of, purity, tone

pytestmark = pytest.mark.unit

OPUS, PCMU = CodecChoice("opus", 111), CodecChoice("PCMU", 0)


class Timers:
    """A loop's `call_later` that a test fires by hand."""

    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def schedule(self, delay: float, action: Callable[[], None]) -> Timers._Handle:
        self.due.append(action)
        return Timers._Handle(self, action)

    def fire(self) -> None:
        due, self.due = self.due, []
        for action in due:
            action()

    class _Handle:
        def __init__(self, timers: Timers, action: Callable[[], None]) -> None:
            self._timers, self._action = timers, action

        def cancel(self) -> None:
            if self._action in self._timers.due:
                self._timers.due.remove(self._action)


class Listener:
    """An Inbound and what comes out of it."""

    def __init__(self, codec: CodecChoice, rate: int) -> None:
        self.timers = Timers()
        self.frames: list[tuple[bytes, int, int]] = []
        self.inbound = Inbound(codec, self.timers.schedule)
        self.inbound.begin(rate, lambda *frame: self.frames.append(frame))
        self.now = 0.0

    def take(self, packet: bytes) -> None:
        self.now += 0.02
        self.inbound.receive(packet, self.now)

    def take_at(self, packet: bytes, now: float) -> None:
        self.now = now
        self.inbound.receive(packet, now)

    @property
    def times(self) -> list[int]:
        return [time for _, time, _ in self.frames]


def stream(codec: CodecChoice, count: int, rate: int = 16000) -> list[bytes]:
    """Packets of a tone, as our own sender makes them."""
    outbound = Outbound(codec, 77)
    outbound.begin(rate)
    size = rate // 50
    return [
        outbound.packet(PatchFrame(number, number * size, 0, tone(440, rate, number * size, size)), number * 0.02)
        for number in range(count)
    ]


@pytest.mark.parametrize("codec", [OPUS, PCMU])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_tone_goes_through_both_ends(codec: CodecChoice, rate: int) -> None:
    listener = Listener(codec, rate)
    for packet in stream(codec, 100, rate):
        listener.take(packet)
    size = rate // 50
    assert len(listener.frames) == 100
    assert [later - sooner for sooner, later in pairwise(listener.times)] == [size] * 99
    assert [flags for *_, flags in listener.frames] == [RESTART] + [0] * 99
    heard = b"".join(pcm for pcm, *_ in listener.frames)[rate:]
    assert purity(heard, rate, 440) > 0.99
    assert level_of(heard, rate, 440) == pytest.approx(8000, rel=0.2)


def test_opus_packets_in_the_wrong_order_are_put_right_without_loss() -> None:
    listener, packets = Listener(OPUS, 16000), stream(OPUS, 40)
    for pair in range(0, 40, 4):
        for number in (pair, pair + 2, pair + 1, pair + 3):
            listener.take(packets[number])
    assert len(listener.frames) == 40
    assert listener.times == sorted(listener.times)
    assert listener.inbound.concealed == 0
    assert not listener.timers.due


def test_a_lost_opus_packet_is_rebuilt_when_the_wait_is_over() -> None:
    listener, packets = Listener(OPUS, 16000), stream(OPUS, 40)
    for number, packet in enumerate(packets):
        if number == 20:
            continue
        listener.take(packet)
        if number == 21:
            assert len(listener.frames) == 20
            listener.timers.fire()
            assert len(listener.frames) == 22
    assert listener.times == [listener.times[0] + 320 * number for number in range(40)]
    assert [flags & CONCEALED for *_, flags in listener.frames].index(CONCEALED) == 20
    assert (listener.inbound.concealed, listener.inbound.lost) == (1, 1)
    assert purity(b"".join(pcm for pcm, *_ in listener.frames)[16000:], 16000, 440) > 0.95


def test_a_packet_that_comes_after_its_place_was_made_up_is_late() -> None:
    listener, packets = Listener(OPUS, 16000), stream(OPUS, 10)
    for number in (0, 1, 3):
        listener.take(packets[number])
    listener.timers.fire()
    listener.take(packets[2])
    listener.take(packets[4])
    assert len(listener.frames) == 5
    assert listener.inbound.late == 1


def test_a_missing_packet_is_waited_for_as_long_as_others_were_late_lately() -> None:
    listener, packets = Listener(OPUS, 16000), stream(OPUS, 60)
    for number, packet in enumerate(packets[:40]):
        # Every tenth packet is 90 ms late: it comes after four that follow it.
        if number % 10 != 5:
            listener.take_at(packet, number * 0.02)
        if number >= 9 and number % 10 == 9:
            listener.take_at(packets[number - 4], (number - 4) * 0.02 + 0.09)
    # The first one came too late, for nobody knew; from then on each is waited for.
    assert (listener.inbound.late, listener.inbound.concealed) == (1, 1)
    assert len(listener.frames) == 40
    assert listener.times == sorted(listener.times)
    # 45 never comes: its followers are held until it would be later than the latest one, and no longer.
    for number in range(40, 60):
        if number != 45:
            listener.take_at(packets[number], number * 0.02)
        held = number >= 45 and number * 0.02 < 45 * 0.02 + 0.09
        assert len(listener.frames) == (45 if held else number + 1), number
    assert (listener.inbound.late, listener.inbound.concealed) == (1, 2)


def test_of_two_missing_packets_the_one_that_comes_after_all_is_played() -> None:
    listener, packets = Listener(OPUS, 16000), stream(OPUS, 60)
    for number in range(20):
        listener.take_at(packets[number], number * 0.02 + (0.06 if number == 10 else 0.0))
    # 20 and 21 are missing when 22 is there; 20 is given up before 21 comes, late by 60 ms like another one before.
    listener.take_at(packets[22], 22 * 0.02)
    listener.take_at(packets[23], 23 * 0.02)
    listener.take_at(packets[21], 21 * 0.02 + 0.06)
    assert len(listener.frames) == 24
    assert listener.times == [listener.times[0] + 320 * number for number in range(24)]
    assert (listener.inbound.late, listener.inbound.concealed) == (0, 1)


def test_the_wait_for_late_packets_has_a_limit_and_is_forgotten() -> None:
    lateness = Lateness(48000)
    assert lateness.latest(0) == pytest.approx(SLACK)
    lateness.add(0, 7.0)
    lateness.add(960, 7.02 + 3.0)
    assert lateness.latest(1920) == pytest.approx(7.04 + LONGEST)
    for number in range(2, 1000):
        lateness.add(number * 960, 7.0 + number * 0.02 + (0.03 if number == 900 else 0.0))
    assert lateness.latest(48000) == pytest.approx(8.0 + 0.03 + SLACK)
    lateness.forget()
    lateness.add(5_000_000, 100.0)
    assert lateness.latest(5_000_000) == pytest.approx(100.0 + SLACK)


def test_without_a_timer_a_gap_is_given_up_when_later_packets_come() -> None:
    listener, packets = Listener(OPUS, 16000), stream(OPUS, 30)
    for number in [*range(10), *range(11, 30)]:
        listener.take(packets[number])
    assert len(listener.frames) == 30


def test_a_long_gap_is_left_to_the_pulling_end() -> None:
    listener, packets = Listener(OPUS, 16000), stream(OPUS, 60)
    for number in [*range(10), *range(40, 60)]:
        listener.take(packets[number])
        listener.timers.fire()
    assert listener.inbound.concealed == 3
    assert listener.times[-1] - listener.times[0] == 59 * 320


def test_g711_goes_on_at_once_and_leaves_gaps_to_the_pulling_end() -> None:
    listener, packets = Listener(PCMU, 8000), stream(PCMU, 10, 8000)
    for number in (0, 1, 3, 2, 5):
        listener.take(packets[number])
    start = listener.times[0]
    assert [(time - start) // 160 for time in listener.times] == [0, 1, 3, 2, 5]


@pytest.mark.parametrize("milliseconds", [10, 20, 30, 40, 60])
def test_packets_of_other_lengths_become_frames_of_20_ms(milliseconds: int) -> None:
    listener = Listener(PCMU, 8000)
    codes = np.random.default_rng(1).integers(0, 256, 8000).astype(np.uint8).tobytes()
    step = milliseconds * 8
    for number, at in enumerate(range(0, 4800, step)):
        listener.take(bytes(RtpPacket(0, number, 0xFFFFF000 + at & 0xFFFFFFFF, 1, codes[at : at + step])))
    assert len(listener.frames) == 30
    assert [(time - listener.times[0]) & 0xFFFFFFFF for time in listener.times] == [160 * number for number in range(30)]
    whole = Listener(PCMU, 8000)
    whole.take(bytes(RtpPacket(0, 0, 0, 1, codes[:160])))
    assert listener.frames[0][0] == whole.frames[0][0]


def test_another_stream_begins_a_new_time_line() -> None:
    listener, packets = Listener(OPUS, 16000), stream(OPUS, 20)
    for packet in packets[:10]:
        listener.take(packet)
    for packet in packets[10:]:
        moved = RtpPacket.parse(packet)
        listener.take(bytes(RtpPacket(111, moved.sequence ^ 0x4000, moved.timestamp ^ 0x70000000, 5, moved.payload)))
    assert [flags for *_, flags in listener.frames] == [RESTART] + [0] * 9 + [RESTART] + [0] * 9
    assert listener.inbound.received == 20
    assert listener.inbound.lost == 0


def test_what_is_not_our_codec_is_dropped_and_counted() -> None:
    listener = Listener(OPUS, 16000)
    listener.take(b"\x80")
    listener.take(bytes(RtpPacket(13, 1, 1, 1, b"comfort noise")))
    listener.take(bytes(RtpPacket(111, 1, 1, 1, b"\xff" * 3)))
    assert listener.inbound.discarded == 3
    assert not listener.frames


def test_between_patches_packets_are_only_counted() -> None:
    listener, packets = Listener(OPUS, 16000), stream(OPUS, 30)
    for packet in packets[:10]:
        listener.take(packet)
    listener.inbound.end()
    for packet in packets[10:20]:
        listener.take(packet)
    assert len(listener.frames) == 10
    listener.inbound.begin(8000, lambda *frame: listener.frames.append(frame))
    for packet in packets[20:]:
        listener.take(packet)
    assert len(listener.frames) == 20
    assert len(listener.frames[-1][0]) == 320
    assert (listener.inbound.received, listener.inbound.lost, listener.inbound.concealed) == (30, 0, 0)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 60), st.booleans(), st.booleans()), max_size=80))
def test_any_order_of_packets_gives_whole_frames_in_order(story: list[tuple[int, int, bool, bool]]) -> None:
    """Sequence numbers and timestamps that need not fit together, broken payloads, timers at any time."""
    listener = Listener(OPUS, 16000)
    encoder = OpusEncoder(16000)
    payload = encoder.encode(bytes(640))
    for number, time, broken, fire in story:
        listener.take(bytes(RtpPacket(111, number, time * 960, 9, payload[:1] + b"\xff\xff" if broken else payload)))
        if fire:
            listener.timers.fire()
        assert len(listener.timers.due) <= 1
    assert all(len(pcm) == 640 for pcm, *_ in listener.frames)
    listener.inbound.end()
    assert not listener.timers.due


def test_sending_goes_on_in_one_stream_from_patch_to_patch() -> None:
    outbound = Outbound(PCMU, 5)
    packets = []
    for start, rate in ((0.0, 8000), (10.0, 16000)):
        outbound.begin(rate)
        for number in range(5):
            frame = PatchFrame(number, 123_456 + number * rate // 50, RESTART if not number else 0, bytes(rate // 25))
            packets.append(RtpPacket.parse(outbound.packet(frame, start + number * 0.02)))
        outbound.end()
    assert [(b.sequence - a.sequence) & 0xFFFF for a, b in pairwise(packets)] == [1] * 9
    steps = [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(packets)]
    assert steps == [160] * 4 + [round((10 - 0.08) * 8000)] + [160] * 4
    assert [packet.marker for packet in packets] == [True] + [False] * 4 + [True] + [False] * 4


def test_a_gap_of_the_patch_shows_in_the_timestamps() -> None:
    outbound = Outbound(OPUS, 5)
    outbound.begin(16000)
    one = RtpPacket.parse(outbound.packet(PatchFrame(0, 0xFFFFFFFF - 319, 0, bytes(640)), 0.0))
    two = RtpPacket.parse(outbound.packet(PatchFrame(5, 4 * 320, 0, bytes(640)), 0.1))
    assert (two.timestamp - one.timestamp) & 0xFFFFFFFF == 5 * 960
    assert not two.marker


def test_a_jump_of_media_time_begins_a_new_stretch() -> None:
    outbound = Outbound(OPUS, 5)
    outbound.begin(16000)
    one = RtpPacket.parse(outbound.packet(PatchFrame(0, 0, 0, bytes(640)), 0.0))
    two = RtpPacket.parse(outbound.packet(PatchFrame(1, 90_000_000, 0, bytes(640)), 0.02))
    assert (two.timestamp - one.timestamp) & 0xFFFFFFFF == 960
    assert two.marker
