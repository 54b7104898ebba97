"""The last Configure, kept in the run directory: a new edge serves its trunks before an exchange speaks to it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import structlog

from media.control.edge import Configure

log = structlog.get_logger()


def load(file: Path) -> Configure | None:
    """What was saved, or None."""
    try:
        return msgspec.msgpack.decode(file.read_bytes(), type=Configure)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        log.warning("what the edge before knew cannot be read", error=str(error))
        return None


def save(file: Path, body: Configure) -> None:
    """For our owner alone: there are passwords in it. A disk that is full costs the memory, not the call."""
    fresh = file.with_name(file.name + ".new")
    try:
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(msgspec.msgpack.encode(body))
        fresh.replace(file)
    except OSError as error:
        log.warning("trunks cannot be kept for the next edge", error=str(error))
