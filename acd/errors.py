"""Errors of the routing engine.

AcdError
├── Refused         the event is not allowed in the present state; nothing was changed
└── BadExpression   a condition over agents that cannot be understood
"""

from __future__ import annotations


class AcdError(Exception):
    """Root of the room's errors."""


class Refused(AcdError):
    """An event that the present state does not allow; `code` is for machines, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class BadExpression(AcdError, ValueError):
    """A condition over agents that is no valid CEL; the message is a sentence for people."""

    code = "bad-expression"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
