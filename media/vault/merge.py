"""Two mono WAVs of a call become one stereo file, and are measured on the way: one pass, in blocks, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import soundfile

from media.activity import ActivityMeter, Figures, Stretch
from media.peaks import PeakMeter
from media.vault.errors import VaultError
from media.wav import Samples, WavError, WavReader

Container = Literal["opus", "flac"]

RATES = (8_000, 16_000, 48_000)
"""What both Opus and the voice activity detector take; a card's bridge runs at one of the first two."""

BLOCK_SECONDS = 5
MEDIA_TYPES: dict[Container, str] = {"opus": "audio/ogg; codecs=opus", "flac": "audio/flac"}


class Merged(msgspec.Struct, frozen=True):
    """What one pass over the samples gave."""

    container: Container
    seconds: float
    figures: Figures
    peaks_left: list[int]
    peaks_right: list[int]
    peaks_per_second: float
    repaired: bool


def best_container() -> Container:
    """Opus (5 kB a second, exact to the sample at both ends), or FLAC where libsndfile was built without it."""
    return "opus" if "OPUS" in soundfile.available_subtypes("OGG") else "flac"


def merge(
    left: Path | None,
    right: Path | None,
    target: Path,
    *,
    paused: Sequence[Stretch] = (),
    container: Container = "opus",
) -> Merged:
    """Encode into `target`; a missing or shorter side is silent. Raises VaultError (`empty`, `bad-audio`, `encoding`)."""
    with ExitStack() as stack:
        sides = [_open(stack, left), _open(stack, right)]
        rate, frames = _common([side for side in sides if side is not None])
        activity = ActivityMeter(rate)
        peaks = PeakMeter(frames, rate), PeakMeter(frames, rate)
        try:
            with _encoder(target, rate, container) as out:
                for start in range(0, frames, BLOCK_SECONDS * rate):
                    size = min(BLOCK_SECONDS * rate, frames - start)
                    blocks = [_block(side, size) for side in sides]
                    activity.feed(*blocks)
                    for meter, block in zip(peaks, blocks, strict=True):
                        meter.feed(block)
                    out.write(np.stack(blocks, axis=1))
            written = soundfile.info(str(target)).frames
        except soundfile.LibsndfileError as error:
            raise VaultError("encoding", f"The recording could not be encoded: {error}", retryable=True) from error
        if written != frames:
            raise VaultError("encoding", f"{written} frames came out of {frames}.", retryable=True)
        return Merged(
            container=container,
            seconds=round(frames / rate, 3),
            figures=activity.finish(paused),
            peaks_left=peaks[0].finish(),
            peaks_right=peaks[1].finish(),
            peaks_per_second=round(peaks[0].per_second, 6),
            repaired=any(side is not None and side.repaired for side in sides),
        )


def _encoder(target: Path, rate: int, container: Container) -> soundfile.SoundFile:
    kind = ("OGG", "OPUS") if container == "opus" else ("FLAC", "PCM_16")
    return soundfile.SoundFile(str(target), "w", samplerate=rate, channels=2, format=kind[0], subtype=kind[1])


def _open(stack: ExitStack, path: Path | None) -> WavReader | None:
    """A side's reader; none for a side that nobody recorded, and for a file that a killed card had only just made."""
    if path is None:
        return None
    try:
        if path.stat().st_size == 0:
            return None
        return stack.enter_context(WavReader(path))
    except FileNotFoundError as error:
        raise VaultError("not-found", f"{path.name} is not there.") from error
    except WavError as error:
        raise VaultError("bad-audio", f"{path.name}: {error}.") from error


def _common(sides: list[WavReader]) -> tuple[int, int]:
    rates = {side.rate for side in sides}
    frames = max((side.frames for side in sides), default=0)
    if frames == 0:
        raise VaultError("empty", "There is nothing in this recording.")
    if len(rates) != 1:
        raise VaultError("bad-audio", f"The sides have different rates: {sorted(rates)}.")
    rate = rates.pop()
    if rate not in RATES:
        raise VaultError("bad-audio", f"A rate of {rate} Hz is not one of {RATES}.")
    return rate, frames


def _block(side: WavReader | None, size: int) -> Samples:
    samples = side.read(size) if side is not None else np.zeros(0, dtype=np.int16)
    if len(samples) == size:
        return samples
    padded: Samples = np.zeros(size, dtype=np.int16)
    padded[: len(samples)] = samples
    return padded
