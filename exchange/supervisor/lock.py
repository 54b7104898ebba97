"""One supervisor for each data directory: a lock that the kernel drops when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from exchange.supervisor.errors import AlreadyRunning


class DataLock:
    """`DATA/serve.lock`, held while the supervisor lives."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._path = data / "serve.lock"
        self._file = -1

    def __enter__(self) -> DataLock:
        self._data.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(file)
            raise AlreadyRunning(
                f"Switchroom is already running on {self._data} (process {holder}). "
                "Stop it first, or choose another directory with --data."
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
