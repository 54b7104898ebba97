"""The border between C and Python: an exception must not cross it, because it would end the process without a word."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import structlog

log = structlog.get_logger()
F = TypeVar("F", bound=Callable[..., Any])

failures = 0
"""Callbacks that raised since the start; the inventory shows it."""


def failed(callback: str) -> None:
    """Log and count what is being handled."""
    global failures
    failures += 1
    log.exception("callback failed", callback=callback)


def guarded(function: F) -> F:
    """Log what a callback raises, count it, and return None to C."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception:
            # Wide on purpose: SWIG turns an exception here into std::terminate, and with it four calls.
            failed(function.__qualname__)
            return None

    return wrapper  # type: ignore[return-value]
