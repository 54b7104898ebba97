"""Structured logs of every process: one JSON object a line, personal data masked unless asked for."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
LEVEL = "SWITCHROOM_LOG_LEVEL"
PERSONAL = "SWITCHROOM_LOG_PERSONAL"
"""The environment variables by which the supervisor tells its children how to log."""

Fields = MutableMapping[str, Any]


def configure(level: str = "info", *, personal: bool = False, stream: TextIO | None = None) -> None:
    """Log JSON lines to `stream` (default: standard output, which the supervisor has pointed at the process's file)."""
    target = stream if stream is not None else sys.stdout
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *([] if personal else [mask_personal]),
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=target, level=max(LEVELS[level], logging.WARNING), format="%(name)s: %(message)s", force=True)


def configure_child() -> None:
    """As the supervisor's settings say; by default no debug lines, and personal data masked."""
    level = os.environ.get(LEVEL, "info")
    configure(level if level in LEVELS else "info", personal=os.environ.get(PERSONAL, "") == "true")


def mask_personal(logger: Any, method: str, fields: Fields) -> Fields:
    """Replace the values of `pii.*` keys; what is kept of a text is its last two characters, enough to compare."""
    for key, value in fields.items():
        if key.startswith("pii."):
            text = str(value)
            fields[key] = "…" + text[-2:] if len(text) > 4 else "…"
    return fields
