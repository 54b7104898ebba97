"""Where a data directory's sockets live: short enough for unix socket paths, and nobody else's to enter."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

SOCKET_PATH_LIMIT = 107
"""Bytes of sun_path on Linux without its terminating zero."""

LONGEST_NAME = 36
"""Bytes kept for the longest socket name below the run directory (patch sockets, PostgreSQL's, control sockets)."""


class RunDirectoryError(RuntimeError):
    """The run directory cannot be trusted; the text is a sentence for the operator."""


def run_directory(data: Path) -> Path:
    """The run directory of a data directory: inside it, or in the temporary directory when the path would be too long."""
    data = data.resolve()
    inside = data / "run"
    if len(os.fsencode(inside)) + 1 + LONGEST_NAME <= SOCKET_PATH_LIMIT:
        return inside
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return _temporary() / f"switchroom-{os.geteuid()}-{digest}"


def locate(data: Path) -> tuple[Path, Path]:
    """A data directory's real path, and its run directory, which must be ours if there is one; raises RunDirectoryError."""
    run = run_directory(data)
    if os.path.lexists(run):
        check(run)
    return data.resolve(), run


def prepare(data: Path) -> Path:
    """Make the run directory, mode 0700, and check that it is ours; raises RunDirectoryError."""
    run = run_directory(data)
    if run.parent == data.resolve():
        run.parent.mkdir(parents=True, exist_ok=True)
    try:
        run.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise RunDirectoryError(f"The run directory {run} cannot be made: {error.strerror}.") from error
    check(run)
    (run / "dialogs").mkdir(mode=0o700, exist_ok=True)
    return run


def check(run: Path) -> None:
    """Refuse a run directory that is a link, somebody else's, or open to others (in /tmp anybody can make it first)."""
    found = run.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise RunDirectoryError(f"{run} is not a directory: remove it.")
    if found.st_uid != os.geteuid():
        raise RunDirectoryError(f"{run} belongs to another user (id {found.st_uid}): remove it or use another data directory.")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise RunDirectoryError(f"{run} is open to other users: set its mode to 0700.")


def _temporary() -> Path:
    """The short system directory, not TMPDIR: every `serve` and `status` of this user must come to the same answer."""
    return Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())  # noqa: S108  checked by `check`
