"""The adaptive jitter buffer at the pulling end of a patch: its clock is the pull, its time line the frames' media time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from media.conceal import Concealer, is_silent, lengthen, shorten
from media.patch import FRAMES_PER_SECOND, RESTART, PatchFrame

START_FRAMES = 2
"""Frames that must be there before the first one is played."""
MOST_DELAY = 10
"""Frames (200 ms) of delay that are kept at most."""
GIVE_UP = 50
"""Pulls without a frame after which the stream counts as stopped, and begins anew when it comes back."""
JUMP = 100
"""Frames (2 s) by which media time may jump before it counts as a new time line."""
BLOCK = 50
"""Pulls between two looks at the delay."""
BLOCKS = 10
"""Blocks that a decision to play with less delay looks back on."""
PATIENCE = 100
"""Pulls that a correction waits for a silent frame before it stretches sound instead."""
CAPACITY = 100
"""Frames held at most, whatever arrives."""


@dataclass(frozen=True, slots=True)
class ReceiverStatistics:
    """Counters in frames: `lost` never came, `late` came too late, `starved` pulls found nothing, `concealed` were made up.

    `inserted` and `dropped` corrected delay or drift. `delay_ms` is how long frames waited on average in the last second.
    """

    frames: int
    lost: int
    late: int
    concealed: int
    starved: int
    inserted: int
    dropped: int
    delay_ms: float


class PatchReceiver:
    """Frames in as they arrive, exactly one frame out for each pull.

    The *margin* of a frame is how many samples before its turn it arrived. The smallest margin of the last seconds says
    what the delay must be: below one frame it grows, at two frames and more it shrinks; clocks that drift apart show in it
    as everything else does. When nothing is there to play, the time line is held, so that a late frame is still played.
    """

    def __init__(self, rate: int) -> None:
        self._frame = rate // FRAMES_PER_SECOND
        self._concealer = Concealer(rate)
        self._buffer: dict[int, bytes] = {}
        self._rest = b""
        self._cursor: int | None = None
        self._newest = 0
        self._any = False
        self._filling = 0
        self._held = 0
        self._ticks = 0
        self._waited = 0
        self._correction = 0
        self._blocks: deque[tuple[int, int]] = deque(maxlen=BLOCKS)
        self._low: int | None = None
        self._high = 0
        self._margins = self._margin_count = 0
        self._delay = 0.0
        self._frames = self._lost = self._late = self._concealed = self._starved = self._inserted = self._dropped = 0

    def push(self, frame: PatchFrame) -> None:
        """Take a frame that arrived; a frame of another rate raises ValueError."""
        if len(frame.pcm) != self._frame * 2:
            raise ValueError(f"{len(frame.pcm)} bytes are not 20 ms of this patch")
        self._frames += 1
        time = self._unwrap(frame)
        cursor = self._cursor
        if cursor is not None:
            margin = time - cursor + len(self._rest) // 2
            self._margins += margin
            self._margin_count += 1
            if self._low is None or margin < self._low:
                self._low = margin
            if margin > self._high:
                self._high = margin
            if (time - cursor) * 2 <= -self._frame:
                self._late += 1
                return
        if len(self._buffer) >= CAPACITY:
            self._begin_anew()
        self._buffer[time] = frame.pcm

    def pull(self) -> bytes:
        """The next 20 ms, made up where nothing arrived."""
        if self._cursor is None and not self._filled():
            return self._concealer.conceal()
        self._ticks += 1
        if self._ticks >= BLOCK:
            self._review()
        need = self._frame * 2
        rest = self._rest
        if not rest and not self._correction:
            return self._next()
        while len(rest) < need:
            rest += self._corrected() if self._correction else self._next()
        self._rest = rest[need:]
        return rest[:need]

    def statistics(self) -> ReceiverStatistics:
        return ReceiverStatistics(
            self._frames,
            self._lost,
            self._late,
            self._concealed,
            self._starved,
            self._inserted,
            self._dropped,
            self._delay,
        )

    # --- the time line ---------------------------------------------------------------------------------------------

    def _unwrap(self, frame: PatchFrame) -> int:
        if not self._any:
            self._any = True
            self._newest = frame.media_time
            return self._newest
        step = (frame.media_time - self._newest + 0x80000000) % 0x100000000 - 0x80000000
        if frame.flags & RESTART or abs(step) > JUMP * self._frame:
            self._begin_anew()
            self._newest = frame.media_time
            return self._newest
        time = self._newest + step
        if step > 0:
            self._newest = time
        return time

    def _begin_anew(self) -> None:
        self._buffer.clear()
        self._blocks.clear()
        self._cursor = self._low = None
        self._high = self._held = self._filling = self._ticks = self._correction = 0

    def _filled(self) -> bool:
        if not self._buffer:
            return False
        self._filling += 1
        if len(self._buffer) < START_FRAMES and self._filling <= START_FRAMES:
            return False
        self._cursor = max(min(self._buffer), self._newest - (MOST_DELAY - 1) * self._frame)
        self._drop_before(self._cursor)
        return True

    def _drop_before(self, time: int) -> None:
        for old in [known for known in self._buffer if known < time]:
            del self._buffer[old]
            self._dropped += 1

    def _move(self, samples: int) -> None:
        """Margins seen so far become what they would have been with so many samples more of delay."""
        self._blocks = deque(((low + samples, high + samples) for low, high in self._blocks), BLOCKS)
        if self._low is not None:
            self._low += samples
        self._high = max(0, self._high + samples)

    # --- playing ---------------------------------------------------------------------------------------------------

    def _next(self) -> bytes:
        cursor = self._cursor
        if cursor is None:
            return self._concealer.conceal()
        if not self._held:
            pcm = self._buffer.pop(cursor, None)
            if pcm is not None:
                self._cursor = cursor + self._frame
                return self._concealer.good(pcm)
        if not self._buffer:
            return self._hold()
        cursor = self._settle(cursor)
        first = min(self._buffer)
        if (first - cursor) * 2 < self._frame:
            self._cursor = first + self._frame
            return self._concealer.good(self._buffer.pop(first))
        self._cursor = cursor + self._frame
        self._lost += 1
        self._concealed += 1
        return self._concealer.conceal()

    def _hold(self) -> bytes:
        """Nothing is here: wait for it, with made-up sound; one held pull is a frame more of delay."""
        self._held += 1
        self._starved += 1
        self._concealed += 1
        self._move(self._frame)
        if self._held > GIVE_UP:
            self._begin_anew()
        return self._concealer.conceal()

    def _settle(self, cursor: int) -> int:
        """The stream came back after a wait: what was lost meanwhile is paid with the wait, too much delay is cut."""
        first = min(self._buffer)
        paid = max(0, min(self._held, (first - cursor + self._frame // 2) // self._frame))
        self._lost += paid
        self._held = 0
        moved = cursor + paid * self._frame
        earliest = self._newest - (MOST_DELAY - 1) * self._frame
        if moved < earliest:
            moved = earliest
            self._drop_before(moved)
        self._move(cursor - moved)
        return moved

    # --- correcting the delay --------------------------------------------------------------------------------------

    def _review(self) -> None:
        self._ticks = 0
        if self._margin_count:
            self._delay = (self._margins / self._margin_count / self._frame + 1) * 1000 / FRAMES_PER_SECOND
        self._margins = self._margin_count = 0
        if self._low is None:
            self._correction = 0
            return
        self._blocks.append((self._low, self._high))
        self._low, self._high = None, 0
        lately = min(low for low, _ in list(self._blocks)[-2:])
        least = min(low for low, _ in self._blocks)
        most = max(high for _, high in self._blocks)
        before = self._correction
        limit = MOST_DELAY * self._frame - most
        if lately < self._frame and limit >= self._frame:
            self._correction = min(self._frame - lately, limit)
        elif least >= 2 * self._frame and len(self._blocks) >= BLOCKS // 2:
            self._correction = self._frame - least
        elif limit < 0:
            self._correction = limit
        else:
            self._correction = 0
        if not self._correction or before * self._correction < 0:
            self._waited = 0

    def _corrected(self) -> bytes:
        """The next sound, with a step of the pending correction when it is silent, or has waited, or is urgent."""
        pcm = self._next()
        self._waited += 1
        if self._cursor is None or self._held:
            return pcm
        urgent = self._correction > self._frame or self._waited > PATIENCE
        if self._correction > 0:
            return self._grow(pcm, urgent)
        return self._shrink(pcm, urgent)

    def _grow(self, pcm: bytes, urgent: bool) -> bytes:
        if is_silent(pcm):
            longer = pcm + pcm
        elif urgent:
            longer = lengthen(self._concealer.before, pcm)
        else:
            return pcm
        gained = len(longer) // 2 - self._frame
        self._inserted += 1
        self._done(gained)
        return longer

    def _shrink(self, pcm: bytes, urgent: bool) -> bytes:
        if not urgent and not is_silent(pcm):
            return pcm
        if self._cursor is None or self._cursor not in self._buffer:
            return pcm
        follower = self._next()
        if is_silent(pcm):
            shorter = follower
        elif urgent:
            shorter = shorten(pcm, follower)
        self._dropped += 1
        self._done(len(shorter) // 2 - 2 * self._frame)
        return shorter

    def _done(self, gained: int) -> None:
        self._move(gained)
        self._waited = 0
        left = self._correction - gained
        self._correction = left if left * self._correction > 0 and abs(left) * 2 >= self._frame else 0
