"""Errors of the routing engine.

AcdError
├── Refused         the event is not allowed in the present state; nothing was changed
├── BadExpression   a condition over agents that cannot be understood
└── BadDocument     a configuration that cannot be read, or makes no sense
"""

from __future__ import annotations

import msgspec


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


class Problem(msgspec.Struct, frozen=True):
    """One thing to say about a configuration: a stable code for machines, where it is (`queues.sales.hours`), a sentence for
    people, and whether it forbids that the configuration is taken."""

    code: str
    place: tuple[str, ...]
    message: str
    blocks: bool = True

    def __str__(self) -> str:
        return f"{'.'.join(self.place)}: {self.message} [{self.code}]" if self.place else f"{self.message} [{self.code}]"


class BadDocument(AcdError, ValueError):
    """A configuration that is refused; `problems` says why, at least one."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(" ".join(str(problem) for problem in problems))
        self.problems = problems
