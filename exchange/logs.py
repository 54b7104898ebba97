"""The files that logs are kept in, and their rotation."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROTATE_AT = 16 * 1024 * 1024
"""Bytes; a log file larger than this is moved away."""

KEPT = 5
"""Older files kept for each process."""


def open_log(path: Path, *, rotating: bool = True) -> int:
    """A descriptor that appends to a log file, rotated first when it has grown; the caller closes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if rotating:
        rotate(path)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def rotate(path: Path, limit: int = ROTATE_AT) -> bool:
    """Move a file over the limit to `.1`, and its elders one further; for files that nobody has open."""
    if not _over(path, limit):
        return False
    _shift(path)
    path.rename(_numbered(path, 1))
    return True


def rotate_open(path: Path, limit: int = 4 * ROTATE_AT) -> bool:
    """The same for a file that a living process appends to: copied, then cut to nothing."""
    if not _over(path, limit):
        return False
    _shift(path)
    shutil.copyfile(path, _numbered(path, 1))
    os.truncate(path, 0)
    return True


def tail(path: Path, lines: int = 15) -> list[str]:
    """The last lines of a log file, for a person who wants to know why a process does not start."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 64 * 1024))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []


def _over(path: Path, limit: int) -> bool:
    try:
        return path.stat().st_size > limit
    except FileNotFoundError:
        return False


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _shift(path: Path) -> None:
    for number in range(KEPT - 1, 0, -1):
        if (older := _numbered(path, number)).exists():
            older.rename(_numbered(path, number + 1))
