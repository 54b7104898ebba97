"""What must still stand after a raid: every process, its memory and descriptors, logs that tell and do not fill the disk."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.tools.switchroom import Switchroom


@dataclass(frozen=True)
class Process:
    """What one process costs."""

    pid: int
    memory: int
    descriptors: int


@dataclass(frozen=True)
class Standing:
    """A system at one moment."""

    at: float
    processes: dict[str, Process]
    logs: dict[Path, int]

    @classmethod
    async def of(cls, house: Switchroom) -> Standing:
        """Now."""
        processes = {}
        for row in await house.processes():
            process = psutil.Process(row["pid"])
            processes[str(row["name"])] = Process(row["pid"], process.memory_info().rss, process.num_fds())
        files = [house.data / "serve.out", *(house.data / "logs").glob("*.log*")]
        return cls(time.monotonic(), processes, {file: file.stat().st_size for file in files})

    @property
    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self.processes.items()}

    def grown(self, before: Standing) -> dict[str, int]:
        """Bytes of memory that each process has more than before."""
        return {name: now.memory - before.processes[name].memory for name, now in self.processes.items()}

    def opened(self, before: Standing) -> dict[str, int]:
        """Descriptors that each process has more than before."""
        return {name: now.descriptors - before.processes[name].descriptors for name, now in self.processes.items()}

    def logged(self, before: Standing) -> dict[str, float]:
        """Bytes a second that each log got since."""
        seconds = self.at - before.at
        return {file.name: (size - before.logs.get(file, 0)) / seconds for file, size in self.logs.items()}

    def accidents(self, before: Standing) -> list[str]:
        """Lines since that tell of a mistake of ours."""
        found = []
        for file in self.logs:
            with file.open(errors="replace") as text:
                text.seek(before.logs.get(file, 0))
                found += [f"{file.name}: {line.rstrip()}" for line in text if _is_accident(line)]
        return found


def _is_accident(line: str) -> bool:
    signs = (
        "Traceback",
        "exc_info",
        '"exception"',
        '"level": "error"',
        '"level": "critical"',
        "[error",
        "[critical",
        "AssertionError",
    )
    return any(sign in line for sign in signs)
