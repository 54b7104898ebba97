"""What the processes of a running system use: CPU by role over a window; memory, descriptors and threads of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from exchange import rundir
from exchange.supervisor import records

BENCH = "load generator"
"""This very process."""
QUIET = 0.03
"""Cores that a system may use which counts as having nothing to do."""


@dataclass(frozen=True)
class Footprint:
    """One process: bytes that are its own alone (USS) and its share of all (PSS), open descriptors, threads."""

    own: int
    share: int
    descriptors: int
    threads: int


class Processes:
    """All processes of a data directory, as they are now; children count as their parent's role."""

    def __init__(self, data: Path) -> None:
        _, run = rundir.locate(data)
        known = {record.pid: record for record in records.read_all(run) if records.alive(record)}
        self.members: dict[str, list[psutil.Process]] = {}
        self.roles: dict[str, str] = {}
        for pid, record in known.items():
            process = psutil.Process(pid)
            children = process.children(recursive=True) if record.role == "postgres" else []
            self.members[record.name] = [process, *children]
            self.roles[record.name] = record.role

    def cpu(self) -> dict[str, float]:
        """Seconds used so far, by role; this process as the load generator."""
        used = {BENCH: _seconds(psutil.Process(), children=False)}
        for name, processes in self.members.items():
            for process in processes:
                try:
                    seconds = _seconds(process, children=self.roles[name] == "postgres")
                except psutil.NoSuchProcess:
                    continue
                used[self.roles[name]] = used.get(self.roles[name], 0.0) + seconds
        return used

    def footprints(self) -> dict[str, Footprint]:
        """Every process by name; PostgreSQL's backends together."""
        found = {}
        for name, processes in self.members.items():
            living = [p for p in processes if p.is_running()]
            memory = [p.memory_full_info() for p in living]
            found[name] = Footprint(
                sum(m.uss for m in memory),
                sum(m.pss for m in memory),
                sum(p.num_fds() for p in living),
                sum(p.num_threads() for p in living),
            )
        return found


def _seconds(process: psutil.Process, *, children: bool) -> float:
    times = process.cpu_times()
    waited = times.children_user + times.children_system if children else 0.0
    return float(times.user + times.system + waited)


@dataclass(frozen=True)
class Usage:
    """Cores used by each role over a window of so many seconds."""

    seconds: float
    cores: dict[str, float]

    def of(self, *roles: str) -> float:
        return sum(self.cores.get(role, 0.0) for role in roles)

    @property
    def system(self) -> float:
        """Everything but the load generator."""
        return sum(cores for role, cores in self.cores.items() if role != BENCH)


async def usage(data: Path, seconds: float, at_start: Callable[[], None] | None = None) -> Usage:
    """Watch for a while."""
    processes = Processes(data)
    if at_start is not None:
        at_start()
    before, start = processes.cpu(), time.monotonic()
    await asyncio.sleep(seconds)
    after, took = processes.cpu(), time.monotonic() - start
    return Usage(took, {role: (after[role] - before.get(role, 0.0)) / took for role in after})


async def quiet(data: Path, timeout: float = 40.0, roles: tuple[str, ...] = ("speech", "vault")) -> bool:
    """Wait until these workers have nothing left to do; False when they still had."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if (await usage(data, 1.0)).of(*roles) < QUIET:
            return True
    return False
