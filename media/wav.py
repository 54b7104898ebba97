"""Mono 16-bit WAV files: read in blocks (also what a killed process left), written whole or not at all."""

from __future__ import annotations

import os
import secrets
import struct
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

PCM = 1
EXTENSIBLE = 0xFFFE
MAX_CHUNKS = 64
"""Chunks looked at before the samples; a file with more of them is not one of ours."""


class WavError(ValueError):
    """The file is no mono 16-bit WAV."""


class WavReader:
    """Reads the samples in blocks; a data length of 0, or past the end, is taken from the file's size (`repaired`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO = path.open("rb")
        try:
            self.rate, self.frames, self.repaired = _parse(self._file)
        except BaseException:
            self._file.close()
            raise
        self._left = self.frames

    @property
    def seconds(self) -> float:
        """Duration of the samples that are really there."""
        return self.frames / self.rate

    def read(self, frames: int) -> Samples:
        """The next samples, fewer at the end, none after it."""
        data = self._file.read(2 * min(frames, self._left))
        samples: Samples = np.frombuffer(data[: len(data) & ~1], dtype="<i2").astype(np.int16, copy=False)
        self._left -= len(samples)
        return samples

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> WavReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def read_wav(path: Path) -> tuple[Samples, int]:
    """All samples and the rate; raises WavError."""
    with WavReader(path) as reader:
        return reader.read(reader.frames), reader.rate


def write_wav(path: Path, samples: Samples, rate: int) -> None:
    """Write a mono file beside its name and rename it, synced: nobody ever sees a part of it."""
    data = samples.astype("<i2", copy=False).tobytes()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(header(rate, len(data)))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def header(rate: int, size: int) -> bytes:
    """The 44 bytes before `size` bytes of mono 16-bit samples."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, PCM, 1, rate, 2 * rate, 2, 16, b"data", size
    )


def _parse(file: BinaryIO) -> tuple[int, int, bool]:
    end = os.fstat(file.fileno()).st_size
    riff = file.read(12)
    if len(riff) < 12 or riff[:4] != b"RIFF" or riff[8:] != b"WAVE":
        raise WavError("not a WAV file")
    rate = 0
    for _ in range(MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            break
        name, size = head[:4], int.from_bytes(head[4:], "little")
        start = file.tell()
        if name == b"fmt ":
            rate = _format(file.read(min(size, 40)))
        elif name == b"data":
            if not rate:
                raise WavError("the samples come before their format")
            there = end - start
            repaired = size > there or (size == 0 and there > 0)
            return rate, (there if repaired else size) // 2, repaired
        file.seek(start + size + (size & 1))
    raise WavError("a WAV file without samples")


def _format(chunk: bytes) -> int:
    if len(chunk) < 16:
        raise WavError("the format chunk is too short")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind not in (PCM, EXTENSIBLE) or channels != 1 or bits != 16:
        raise WavError(f"not mono 16-bit PCM (format {kind}, {channels} channels, {bits} bits)")
    if not 1_000 <= rate <= 384_000:
        raise WavError(f"a rate of {rate} Hz")
    return int(rate)
