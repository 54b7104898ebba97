"""Something that plays to one party: files one after the other, or a tone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import pjsua2 as pj
import structlog

from sip.linecard.bridge import Bridge, FilePlayer, Port
from sip.linecard.engine import Engine, Timer

log = structlog.get_logger()

Why = Literal["finished", "stopped", "barged", "failed"]
Ended = Callable[[Why], None]
STEADY_MS = 30_000
"""A tone without a cadence is this long and repeats (the field has 16 bits)."""
LOUD = 12_288
"""Amplitude of tones, of 32767: -8.5 dB, what telephones call loud enough."""


class Playback(Protocol):
    """What a party's player must have."""

    player: str
    barge_in: bool
    port: Port | None

    def stop(self, why: Why = "stopped") -> None:
        """End it; `ended` is called if it had not ended before."""


class FilesPlayback:
    """Files in order, each a bridge port of its own while it plays. `changed` is called when `port` is another one."""

    def __init__(
        self,
        bridge: Bridge,
        engine: Engine,
        *,
        player: str,
        files: list[str],
        loop: bool,
        barge_in: bool,
        changed: Callable[[], None],
        ended: Ended,
    ) -> None:
        self.player = player
        self.barge_in = barge_in
        self.port: Port | None = None
        self._bridge = bridge
        self._engine = engine
        self._files = files
        self._loop = loop
        self._changed = changed
        self._ended: Ended | None = ended
        self._next = 0

    def start(self) -> None:
        """Begin with the first file; ends at once when there is none that can be played."""
        self._advance()

    def stop(self, why: Why = "stopped") -> None:
        ended, self._ended = self._ended, None
        self._drop()
        if ended is not None:
            ended(why)

    def _advance(self) -> None:
        if self._ended is None:
            return
        self._drop()
        if self._next >= len(self._files):
            if not self._loop or not self._files:
                self.stop("finished" if self._files else "failed")
                return
            self._next = 0
        path = self._files[self._next]
        self._next += 1
        forever = self._loop and len(self._files) == 1
        try:
            media = FilePlayer(self._engine, path, loop=forever, ended=None if forever else self._advance)
        except pj.Error as error:
            log.error("a file cannot be played", file=path, error=error.info())
            self.stop("failed")
            return
        self.port = Port(media, f"player {self.player}")
        self._changed()

    def _drop(self) -> None:
        port, self.port = self.port, None
        if port is not None:
            self._bridge.retire(port)


class TonePlayback:
    """One or two frequencies with a cadence."""

    def __init__(
        self,
        bridge: Bridge,
        engine: Engine,
        *,
        player: str,
        rate: int,
        frequencies: tuple[int, int],
        cadence_ms: tuple[int, int],
        seconds: float,
        ended: Ended,
    ) -> None:
        self.player = player
        self.barge_in = False
        self._bridge = bridge
        self._ended: Ended | None = ended
        self._timer: Timer | None = engine.later(seconds, lambda: self.stop("finished")) if seconds > 0 else None
        generator = pj.ToneGenerator()
        generator.createToneGenerator(rate, 1)
        tone = pj.ToneDesc()
        tone.freq1, tone.freq2 = frequencies
        on, off = cadence_ms
        tone.on_msec, tone.off_msec = (on, off) if off else (STEADY_MS, 0)
        tone.volume = LOUD
        tones = pj.ToneDescVector()
        tones.append(tone)
        generator.play(tones, True)
        self.port: Port | None = Port(generator, f"tone {player}")

    def stop(self, why: Why = "stopped") -> None:
        ended, self._ended = self._ended, None
        if self._timer is not None:
            self._timer.cancel()
        port, self.port = self.port, None
        if port is not None:
            self._bridge.retire(port)
        if ended is not None:
            ended(why)
