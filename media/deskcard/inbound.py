"""What the browser sends: RTP packets put in order, decoded, cut into frames of 20 ms with their media time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from media.deskcard.lateness import Lateness
from media.deskcard.sdp import CodecChoice
from media.g711 import G711, Upsampler
from media.opus import OpusDecoder, OpusError
from media.patch import CONCEALED, FRAMES_PER_SECOND, RESTART
from media.rtp import Reception, RtpPacket, Unwrapper

Deliver = Callable[[bytes, int, int], object]
"""Takes PCM of 20 ms, its media time, and flags of `media.patch`."""

REORDER_WAIT = 0.010
"""Seconds that a packet after a gap waits for the missing one at least, where the codec has memory; how late others came
lately makes it more."""
MOST_HELD = 12
"""Packets that wait at most, whatever their timestamps say."""
LONGEST_JUMP = 100
"""Packets; a larger step in sequence numbers is a new beginning."""
MOST_MADE_UP = 3
"""Lost packets in a row that Opus makes up; the pulling end fades out the rest."""


class Timer(Protocol):
    """What a loop's `call_later` returns."""

    def cancel(self) -> None: ...


Schedule = Callable[[float, Callable[[], None]], Timer]


class Inbound:
    """One connection's received audio; between `end` and `begin` packets are counted and dropped."""

    def __init__(self, codec: CodecChoice, schedule: Schedule) -> None:
        self.codec = codec
        self.ssrc = 0
        self.discarded = 0
        self._concealed = self._late = 0
        self.last_arrival: float | None = None
        self.reception = Reception(codec.clock)
        self._before_lost = self._before_received = 0
        self._times = Unwrapper(32)
        self._schedule = schedule
        self._decoding: _Decoding | None = None

    @property
    def received(self) -> int:
        """Packets of all streams so far."""
        return self._before_received + self.reception.received

    @property
    def lost(self) -> int:
        """Packets lost of all streams so far."""
        return self._before_lost + self.reception.lost

    @property
    def late(self) -> int:
        """Packets that came after their place was made up, so far."""
        return self._late + (self._decoding.late if self._decoding is not None else 0)

    @property
    def concealed(self) -> int:
        """Frames made up so far."""
        return self._concealed + (self._decoding.concealed if self._decoding is not None else 0)

    def begin(self, rate: int, deliver: Deliver) -> None:
        """From now on packets are decoded; raises ValueError for a rate that the codec cannot reach."""
        self.end()
        kind = _OpusDecoding if self.codec.name == "opus" else _G711Decoding
        self._decoding = kind(self.codec, rate, deliver, self._schedule)

    def end(self) -> None:
        """No more decoding."""
        if self._decoding is not None:
            self._concealed, self._late = self.concealed, self.late
            self._decoding.close()
            self._decoding = None

    def receive(self, data: bytes, now: float) -> None:
        """Take one decrypted datagram."""
        try:
            packet = RtpPacket.parse(data)
        except ValueError:
            self.discarded += 1
            return
        if packet.payload_type != self.codec.payload_type:
            self.discarded += 1
            return
        if packet.ssrc != self.ssrc:
            self._new_stream(packet.ssrc)
        self.last_arrival = now
        number = self.reception.add(packet.sequence, packet.timestamp, now)
        if self._decoding is not None and packet.payload:
            try:
                self._decoding.take(number, self._times.unwrap(packet.timestamp), packet.payload, now)
            except ValueError:
                self.discarded += 1

    def _new_stream(self, ssrc: int) -> None:
        self._before_lost, self._before_received = self.lost, self.received
        self.ssrc = ssrc
        self.reception = Reception(self.codec.clock)
        self._times = Unwrapper(32)
        if self._decoding is not None:
            self._decoding.restart()


class _Decoding:
    """A stretch's decoder; `take` raises ValueError for a payload that is not the codec's."""

    def __init__(self, codec: CodecChoice, rate: int, deliver: Deliver, schedule: Schedule) -> None:
        self.concealed = 0
        self.late = 0
        self._clock = codec.clock
        self._rate = rate
        self._size = rate // FRAMES_PER_SECOND * 2
        self._deliver = deliver
        self._schedule = schedule
        self._rest = b""
        self._rest_time = 0
        self._flags = RESTART

    def take(self, number: int, timestamp: int, payload: bytes, now: float) -> None:
        raise NotImplementedError

    def restart(self) -> None:
        """Another time line follows."""
        self._rest = b""
        self._flags = RESTART

    def close(self) -> None:
        """Release timers."""

    def _emit(self, pcm: bytes, timestamp: int, flags: int = 0) -> None:
        """Cut into frames; `timestamp` is in the RTP clock, unwrapped."""
        time = timestamp * self._rate // self._clock
        if not self._rest and len(pcm) == self._size:
            self._out(pcm, time, flags)
            return
        if self._rest and abs(time - self._rest_time - len(self._rest) // 2) > 1:
            self._rest = b""
        if not self._rest:
            self._rest_time = time
        self._rest += pcm
        while len(self._rest) >= self._size:
            self._out(self._rest[: self._size], self._rest_time, flags)
            self._rest = self._rest[self._size :]
            self._rest_time += self._size // 2

    def _out(self, pcm: bytes, time: int, flags: int) -> None:
        self._deliver(pcm, time & 0xFFFFFFFF, flags | self._flags)
        self._flags = 0


class _G711Decoding(_Decoding):
    """No memory between packets: each goes on at once, the pulling end puts them in order and fills gaps."""

    def __init__(self, codec: CodecChoice, rate: int, deliver: Deliver, schedule: Schedule) -> None:
        super().__init__(codec, rate, deliver, schedule)
        if rate not in (8000, 16000):
            raise ValueError(f"G.711 is not converted to {rate} samples a second")
        self._g711 = G711(codec.name)
        self._upsampler = Upsampler() if rate == 16000 else None

    def take(self, number: int, timestamp: int, payload: bytes, now: float) -> None:
        pcm = self._g711.decode(payload)
        self._emit(self._upsampler.convert(pcm) if self._upsampler else pcm, timestamp)


class _OpusDecoding(_Decoding):
    """Packets in order; a lost one is rebuilt from the FEC in its follower, or made up.

    The decoder has memory, so that a packet can only be played before its followers: they wait for a missing one as long as
    it may still come, which costs no more delay than the pulling end needs for such late packets anyway.
    """

    def __init__(self, codec: CodecChoice, rate: int, deliver: Deliver, schedule: Schedule) -> None:
        super().__init__(codec, rate, deliver, schedule)
        self._decoder = OpusDecoder(rate)
        self._lateness = Lateness(codec.clock)
        self._next: int | None = None
        self._due: int | None = None
        self._samples = rate // FRAMES_PER_SECOND
        self._made_up = 0
        self._held: dict[int, tuple[int, bytes]] = {}
        self._gap_since = 0.0
        self._timer: Timer | None = None
        self._timer_at = 0.0

    def take(self, number: int, timestamp: int, payload: bytes, now: float) -> None:
        self._decoder.samples(payload)
        if self._next is not None and abs(number - self._next) > LONGEST_JUMP:
            self.restart()
        self._lateness.add(timestamp, now)
        if self._next is None:
            self._next = number
        if number < self._next:
            self.late += 1
            return
        if not self._held:
            self._gap_since = now
        self._held[number] = (timestamp, payload)
        self._go_on(now)

    def restart(self) -> None:
        super().restart()
        self._next = self._due = None
        self._made_up = 0
        self._held.clear()
        self._lateness.forget()
        self._stop_timer()

    def close(self) -> None:
        self._stop_timer()

    def _go_on(self, now: float) -> None:
        """Play what can be played; what is missing and cannot come any more is made up."""
        self._play_held()
        while self._held:
            deadline = self._deadline()
            if deadline > now and len(self._held) < MOST_HELD:
                self._wake_at(deadline, now)
                return
            self._give_up()
            self._play_held()
        self._stop_timer()

    def _deadline(self) -> float:
        """Until when the followers that are held wait for the next packet."""
        least = self._gap_since + REORDER_WAIT
        return least if self._due is None else max(least, self._lateness.latest(self._due))

    def _wake_at(self, deadline: float, now: float) -> None:
        if self._timer is not None and self._timer_at == deadline:
            return
        self._stop_timer()
        self._timer_at = deadline
        self._timer = self._schedule(deadline - now, self._woken)

    def _woken(self) -> None:
        self._timer = None
        self._go_on(self._timer_at)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _play_held(self) -> None:
        while self._next is not None and self._next in self._held:
            timestamp, payload = self._held.pop(self._next)
            self._next += 1
            pcm = self._decode(payload)
            self._samples = len(pcm) // 2
            self._due = timestamp + self._samples * self._clock // self._rate
            self._made_up = 0
            self._emit(pcm, timestamp)

    def _decode(self, payload: bytes) -> bytes:
        try:
            return self._decoder.decode(payload)
        except OpusError:
            # A packet with a good head and bad insides is as good as lost.
            self.concealed += 1
            return self._decoder.conceal(self._samples)

    def _recover(self, follower: bytes) -> bytes:
        try:
            return self._decoder.recover(follower, self._samples)
        except OpusError:
            return self._decoder.conceal(self._samples)

    def _give_up(self) -> None:
        """The next packet will not come: make it up if its time is not taken, and go on behind it."""
        if not self._held or self._next is None:
            return
        first = min(self._held)
        timestamp, payload = self._held[first]
        step = self._samples * self._clock // self._rate
        if self._due is None or timestamp - self._due < step:
            self._next = first
            return
        due, last = self._due, first - self._next == 1
        self._next += 1
        self._due = due + step
        self._made_up += 1
        if not last and self._made_up >= MOST_MADE_UP:
            return
        self.concealed += 1
        self._emit(self._recover(payload) if last else self._decoder.conceal(self._samples), due, CONCEALED)
