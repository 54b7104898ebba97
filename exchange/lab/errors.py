"""What the lab cannot do, in sentences for the operator."""

from __future__ import annotations


class LabError(RuntimeError):
    """The text says what to do about it."""
