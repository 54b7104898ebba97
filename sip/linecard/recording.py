"""Recording a call: two mono files on one time line, left one party, right everybody else."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pjsua2 as pj
import structlog

from media.control.line import Mark, RecordingEnded
from sip.linecard.bridge import Bridge, Port
from sip.linecard.engine import Engine
from sip.linecard.hush import Hush

log = structlog.get_logger()

WAV_HEADER = 44


class Recording:
    """Two recorders on the bridge. Silence is connected to both from start to end, so that their time never stops."""

    def __init__(
        self, bridge: Bridge, *, call: str, recording: str, left_party: str, with_right: bool, directory: Path, rate: int
    ):
        self.recording = recording
        self.left_party = left_party
        self.with_right = with_right
        self.paused = False
        self.started = time.time()
        self.files = (directory / f"{recording}.left.wav", directory / f"{recording}.right.wav")
        self._bridge = bridge
        self._call = call
        self._rate = rate
        self._begun = time.monotonic()
        self._marks: list[Mark] = []
        ports: list[Port] = []
        try:
            for path in self.files:
                recorder = pj.AudioMediaRecorder()
                recorder.createRecorder(str(path))
                ports.append(Port(recorder, path.stem))
        except pj.Error:
            for port in ports:
                bridge.retire(port)
            raise
        self.left, self.right = ports
        self._hush: Hush | None = None

    def end_in_silence(self, engine: Engine, seconds: float, ended: Callable[[], None]) -> None:
        """Call `ended` when the left side has been silent for so long."""
        # pjsua2's names for the two directions depend on whose side one takes; a recorder has sound in one of them only.
        media = self.left.media
        self._hush = Hush(engine, lambda: max(int(media.getTxLevel()), int(media.getRxLevel())), seconds, ended)

    def pause(self, on: bool) -> None:
        """Silence into both files while `on`; the gap is marked."""
        if on == self.paused:
            return
        self.paused = on
        now = round(time.monotonic() - self._begun, 3)
        if on:
            self._marks.append(Mark(now, -1.0))
        else:
            self._marks[-1] = Mark(self._marks[-1].start, now)

    def stop(self, ended: Callable[[RecordingEnded], None]) -> None:
        """Close both files; `ended` is called when they are on disk."""
        elapsed = time.monotonic() - self._begun
        quiet = self._hush.quiet if self._hush is not None else 0.0
        if self._hush is not None:
            self._hush.stop()
        marks = [mark if mark.end >= 0 else Mark(mark.start, round(elapsed, 3)) for mark in self._marks]

        def closed() -> None:
            left, right = self.files
            failed = ""
            sizes = []
            for path in self.files:
                try:
                    sizes.append(path.stat().st_size)
                except OSError as error:
                    failed = str(error)
            seconds = max(0, min(sizes) - WAV_HEADER) / (2 * self._rate) if len(sizes) == 2 else 0.0
            if not failed and elapsed - seconds > max(1.0, elapsed * 0.02):
                failed = f"{seconds:.1f} s were written of {elapsed:.1f} s"
            if failed:
                log.error("a recording is not whole", call=self._call, recording=self.recording, error=failed)
            ended(
                RecordingEnded(self._call, self.recording, str(left), str(right), self.started, seconds, marks, failed, quiet)
            )

        self._bridge.retire(self.left)
        self._bridge.retire(self.right, closed)
