"""Logs of a card: one JSON object a line on standard output, which the supervisor has pointed at the card's file."""

from __future__ import annotations

import logging

import structlog


def configure_logs() -> None:
    """Once for each process, before anything is logged."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
