"""What keeps `switchroom serve` from running.

SupervisorError
├── AlreadyRunning   a living supervisor has this data directory
└── StartFailed      a process did not become ready
"""

from __future__ import annotations


class SupervisorError(Exception):
    """Root; the text is for the operator, `code` the program's exit code."""

    code = 1

    def __init__(self, message: str, details: list[str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details or []


class AlreadyRunning(SupervisorError):
    """Another `serve` lives on this data directory."""

    code = 3


class StartFailed(SupervisorError):
    """Something that must run does not; `details` are the last lines of its log."""

    code = 4
