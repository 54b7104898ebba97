"""The server's time zone."""

from __future__ import annotations

import os
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo


def server_zone() -> tuple[tzinfo, str]:
    """By the variable TZ or /etc/localtime, as C programs find it; UTC where neither names a zone."""
    for name in (os.environ.get("TZ", "").lstrip(":"), _linked()):
        try:
            return ZoneInfo(name), name
        except (KeyError, OSError, ValueError):
            continue
    return UTC, "UTC"


def _linked() -> str:
    target = os.path.realpath(Path("/etc/localtime"))
    return target.rpartition("/zoneinfo/")[2]
