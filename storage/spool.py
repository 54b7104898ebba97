"""The local spool: batches of the log that PostgreSQL could not take in time, on disk until it can."""

from __future__ import annotations

import os
import struct
import threading
import time
import zlib
from pathlib import Path

import structlog

log = structlog.get_logger()

_HEAD = struct.Struct(">II")
MAX_BATCH = 64 * 1024 * 1024
CHUNK = 1024 * 1024


def _sync(folder: Path) -> None:
    """Make a name in it durable."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


class Spool:
    """An append-only file of checked frames; methods block and belong in threads, of which one at a time has it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open()

    def _open(self) -> None:
        """What is there, in a file of our own: an older process that was overtaken may yet write to the one it has."""
        own = self._path.with_name(f"{self._path.name}.new")
        self._file = os.open(self._path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._read = 0
            self._end = self._sound_end()
            new = os.open(own, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            for at in range(0, self._end, CHUNK):
                os.pwrite(new, os.pread(self._file, min(CHUNK, self._end - at), at), at)
            os.fsync(new)
            own.rename(self._path)
            _sync(self._path.parent)
        finally:
            os.close(self._file)
        self._file = new

    @property
    def empty(self) -> bool:
        """Nothing waits."""
        return self._read >= self._end

    @property
    def waiting(self) -> int:
        """Bytes not shipped yet."""
        return self._end - self._read

    def append(self, data: bytes) -> None:
        """Durable when this returns; raises OSError."""
        frame = _HEAD.pack(len(data), zlib.crc32(data)) + data
        with self._turn:
            written = 0
            while written < len(frame):
                written += os.pwrite(self._file, frame[written:], self._end + written)
            os.fdatasync(self._file)
            self._end += len(frame)

    def peek(self, most: int = 1) -> list[bytes]:
        """The oldest batches that are not shipped; none where the first of them cannot be read."""
        found: list[bytes] = []
        with self._turn:
            at = self._read
            while at < self._end and len(found) < most and at - self._read < CHUNK:
                data = self._frame(at)
                if data is None:
                    break
                found.append(data)
                at += _HEAD.size + len(data)
        return found

    def advance(self, count: int = 1) -> None:
        """So many of the oldest batches are shipped; an empty spool's file shrinks to nothing."""
        with self._turn:
            for _ in range(count):
                size, _ = _HEAD.unpack(os.pread(self._file, _HEAD.size, self._read))
                self._read += _HEAD.size + size
            if self.empty:
                os.ftruncate(self._file, 0)
                os.fdatasync(self._file)
                self._read = self._end = 0

    def put_aside(self) -> Path:
        """Go on with an empty file; what waits is kept under another name, which is returned."""
        with self._turn:
            aside = self._path.with_name(f"{self._path.name}.refused-{time.time_ns()}")
            os.close(self._file)
            self._path.rename(aside)
            self._open()
            return aside

    def close(self) -> None:
        with self._turn:
            os.close(self._file)

    def _frame(self, at: int) -> bytes | None:
        head = os.pread(self._file, _HEAD.size, at)
        if len(head) < _HEAD.size:
            return None
        size, crc = _HEAD.unpack(head)
        if size > MAX_BATCH:
            return None
        data = os.pread(self._file, size, at + _HEAD.size)
        return data if len(data) == size and zlib.crc32(data) == crc else None

    def _sound_end(self) -> int:
        """Where the last whole frame ends: a crash in mid-write leaves a torn tail that nobody was told is durable."""
        at, size = 0, os.fstat(self._file).st_size
        while at < size:
            data = self._frame(at)
            if data is None:
                log.warning("torn tail of the spool dropped", bytes=size - at)
                break
            at += _HEAD.size + len(data)
        return at
