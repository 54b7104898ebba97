"""How one process is started, known to be ready, and stopped."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from exchange.supervisor import ask
from exchange.supervisor.process import Process, launch
from exchange.supervisor.records import Role
from exchange.supervisor.spare import Spare

Launcher = Callable[["Spec", Path], Awaitable[Process]]
"""Starts the process of a spec with this log file; raises OSError."""

Probe = Callable[[], Awaitable[str]]
"""Waits until the process is ready; returns its generation where it has one."""


async def launch_program(spec: Spec, log: Path) -> Process:
    """The usual way: a program of its own."""
    return launch(spec.argv, spec.environment, log)


@dataclass(frozen=True)
class Spec:
    """One process that must run."""

    name: str
    role: Role
    label: str
    argv: tuple[str, ...]
    probe: Probe
    environment: Mapping[str, str] = field(default_factory=dict)
    launcher: Launcher = launch_program
    spare: Spare | None = field(default=None, compare=False)
    """Keeps the next process started ahead, where seconds count; the program must know `--spare`."""
    ready_seconds: float = 60.0
    when_changed: Literal["replace", "drain"] = "replace"
    """What becomes of an adopted process that runs with other settings: cards with calls are drained, others replaced."""
    stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT)
    """One after the other, a grace apart, then SIGKILL."""
    hurried_from: int = 1
    """Which of the signals an immediate stop begins with."""
    grace: float = 10.0

    @property
    def digest(self) -> str:
        """Tells whether a running process was started the same way; no secret can be read from it."""
        parts = [*self.argv, *(f"{name}={value}" for name, value in sorted(self.environment.items()))]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def greets(run: Path, name: str) -> Probe:
    """Ready when its control socket greets us."""

    async def probe() -> str:
        return (await ask.welcomed(run / f"{name}.ctl")).generation

    return probe


def listens(path: Path) -> Probe:
    """Ready when a unix socket accepts connections."""

    async def probe() -> str:
        await ask.listening(path)
        return ""

    return probe
