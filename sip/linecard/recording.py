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
ATTEMPTS = 4
"""How often a recording may begin anew because the clock ticked between its two files."""


class Recording:
    """Two recorders on the bridge. Silence is connected to both from start to end, so that their time never stops.

    What the parties say comes and goes (holds, media made anew, pauses); the files go on with every tick of the clock.
    """

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
        self.left, self.right = self._begin()
        self._hush: Hush | None = None

    def _begin(self) -> tuple[Port, Port]:
        """Two recorders that write from the same tick of the clock on; raises pj.Error."""
        for attempt in range(ATTEMPTS):
            ports = self._recorders()
            self._origin = self._bridge.media_time()
            silence = self._bridge.silence()
            self._bridge.apply(self, [(silence, port) for port in ports])
            if self._bridge.media_time() == self._origin or attempt == ATTEMPTS - 1:
                break
            # The clock ticked while we connected them: one file may have a frame that the other has not.
            for port, path in zip(ports, self.files, strict=True):
                path.unlink(missing_ok=True)
                self._bridge.retire(port)
        return ports

    def _recorders(self) -> tuple[Port, Port]:
        ports: list[Port] = []
        try:
            for path in self.files:
                recorder = pj.AudioMediaRecorder()
                recorder.createRecorder(str(path))
                ports.append(Port(recorder, path.stem))
        except pj.Error:
            for port in ports:
                self._bridge.retire(port)
            raise
        left, right = ports
        return left, right

    def _at(self) -> float:
        """Where both files are, in seconds: whole frames of the clock that writes them."""
        return round((self._bridge.media_time() - self._origin) / self._rate, 3)

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
        if on:
            self._marks.append(Mark(self._at(), -1.0))
        else:
            self._marks[-1] = Mark(self._marks[-1].start, self._at())

    def stop(self, ended: Callable[[RecordingEnded], None]) -> None:
        """Close both files; `ended` is called when they are on disk."""
        elapsed = time.monotonic() - self._begun
        quiet = self._hush.quiet if self._hush is not None else 0.0
        if self._hush is not None:
            self._hush.stop()
        marks = [mark if mark.end >= 0 else Mark(mark.start, self._at()) for mark in self._marks]

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

        self._bridge.apply(self, ())
        self._bridge.retire(self.left)
        self._bridge.retire(self.right, closed)
