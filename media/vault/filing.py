"""One recording's way into the vault: merge, seal, note the answer, name the file, remove the WAVs; in that order.

Killed at any point, a repeat does what is left: the WAVs go last, and only when file and answer are durable.
"""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import structlog

from media.activity import Stretch
from media.control.work import Activity, Stored, StoreRecording
from media.vault.errors import VaultError
from media.vault.ledger import Ledger
from media.vault.merge import MEDIA_TYPES, Merged, best_container, merge
from media.vault.store import RECORDING, Vault, file_name
from media.wav import WavError, WavReader

log = structlog.get_logger()


class Totals(msgspec.Struct):
    """What a worker has filed since it began."""

    seconds: float = 0.0
    bytes: float = 0.0
    spent: float = 0.0
    repeated: float = 0.0
    repaired: float = 0.0


class Filing:
    """Files recordings of one vault; used by one thread. Plaintext stays in `scratch`, below the run directory."""

    def __init__(self, vault: Vault, scratch: Path) -> None:
        self.totals = Totals()
        self._vault = vault
        self._ledger = Ledger(vault)
        self._scratch = scratch
        self._container = best_container()

    def prepare(self) -> None:
        """Make the directories and clear what an earlier worker left half done."""
        self._vault.prepare()
        answers = self._ledger.prepare()
        self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self._scratch.iterdir():
            left.unlink()
        log.info("vault ready", directory=str(self._vault.directory), container=self._container, answers=answers)

    def store(self, job: StoreRecording) -> Stored:
        """File one recording; the same one again gets the answer it got before. Raises VaultError, OSError."""
        file = file_name(job.recording, job.started)
        sides = [_side(job.left), _side(job.right)]
        stored = self._ledger.find(job.recording)
        if stored is not None:
            self.totals.repeated += 1
            log.info("recording was filed before", recording=job.recording, file=stored.file)
        else:
            began = time.monotonic()
            stored = self._file(job, file, sides)
            spent = time.monotonic() - began
            self.totals.seconds += stored.seconds
            self.totals.bytes += stored.size
            self.totals.spent += spent
            log.info(
                "recording filed", recording=job.recording, seconds=stored.seconds, bytes=stored.size, spent=round(spent, 2)
            )
        for side in sides:
            if side is not None:
                side.unlink(missing_ok=True)
        return stored

    def salvage(self, recording: str, directory: Path) -> Stored:
        """File what a killed card left of a recording, by the names that line cards give; raises VaultError, OSError."""
        if RECORDING.fullmatch(recording) is None:
            raise VaultError("bad-name", "A recording's id has 1 to 100 letters, digits, - and _.")
        paths = [directory / f"{recording}.{side}.wav" for side in ("left", "right")]
        there = [path for path in paths if path.exists()]
        if not there:
            if (stored := self._ledger.find(recording)) is not None:
                return stored
            raise VaultError("not-found", f"Nothing of recording {recording} is left.")
        # The card wrote its last samples when the file was last changed, so it began that much earlier.
        started = min(path.stat().st_mtime - _seconds(path) for path in there)
        left, right = (str(path) if path in there else "" for path in paths)
        return self.store(StoreRecording(recording=recording, left=left, right=right, started=max(0.0, started)))

    def _file(self, job: StoreRecording, file: str, sides: list[Path | None]) -> Stored:
        plain = self._scratch / f"{job.recording}.{self._container}"
        try:
            merged = merge(
                sides[0],
                sides[1],
                plain,
                paused=[Stretch(mark.start, mark.end) for mark in job.paused],
                container=self._container,
            )
            self.totals.repaired += merged.repaired
            with plain.open("rb") as source:
                staged = self._vault.stage(file, source, plain.stat().st_size)
        finally:
            plain.unlink(missing_ok=True)
        stored = _stored(job.recording, file, staged.key, staged.size, staged.sha256, merged)
        try:
            self._ledger.note(stored)
            self._vault.commit(staged)
        except BaseException:
            self._vault.discard(staged)
            raise
        return stored


def _stored(recording: str, file: str, key: str, size: int, sha256: str, merged: Merged) -> Stored:
    figures = merged.figures
    return Stored(
        recording=recording,
        file=file,
        key=key,
        media_type=MEDIA_TYPES[merged.container],
        seconds=merged.seconds,
        size=size,
        left=Activity(figures.left_talk, figures.left_silence),
        right=Activity(figures.right_talk, figures.right_silence),
        overlap=figures.overlap,
        peaks_left=merged.peaks_left,
        peaks_right=merged.peaks_right,
        peaks_per_second=merged.peaks_per_second,
        sha256=sha256,
    )


def _side(path: str) -> Path | None:
    return Path(path) if path else None


def _seconds(path: Path) -> float:
    try:
        with WavReader(path) as reader:
            return reader.seconds
    except WavError:
        return 0.0
