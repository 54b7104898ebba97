"""What the run directory remembers of each process, so that a new supervisor finds the living children of a dead one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

Role = Literal["supervisor", "edge", "exchange", "linecard", "deskcard", "speech", "vault", "bookkeeper", "postgres", "zygote"]


class ProcessRecord(msgspec.Struct, frozen=True):
    """One process; `pid` and `ticks` (its start in clock ticks since boot) together are never used twice."""

    role: Role
    name: str
    pid: int
    ticks: int
    since: float
    digest: str
    generation: str = ""
    restarts: int = 0


def record_path(run: Path, name: str) -> Path:
    """Where the record of a process is."""
    return run / f"{name}.json"


def write(run: Path, record: ProcessRecord) -> None:
    """Keep a record; whoever reads meanwhile sees the old one or the new one."""
    path = record_path(run, record.name)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(record))
    fresh.rename(path)


def remove(run: Path, name: str) -> None:
    """Forget a process."""
    record_path(run, name).unlink(missing_ok=True)


def read(run: Path, name: str) -> ProcessRecord | None:
    """The record of a process; None when there is none or it cannot be read."""
    try:
        return msgspec.json.decode(record_path(run, name).read_bytes(), type=ProcessRecord)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def read_all(run: Path) -> list[ProcessRecord]:
    """All records of a run directory, by name."""
    found = (read(run, path.stem) for path in sorted(run.glob("*.json")))
    return [record for record in found if record is not None]


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it is gone or only its corpse is left."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command in parentheses may hold spaces and parentheses itself: count from the last one.
    fields = stat[stat.rindex(")") + 2 :].split()
    if fields[0] in ("Z", "X"):
        return None
    return int(fields[19])


def alive(record: ProcessRecord) -> bool:
    """Whether the very process of this record lives (and not another one that got its number)."""
    return start_ticks(record.pid) == record.ticks


def age(ticks: int) -> float:
    """Seconds since a start at `ticks`; 0 when that is not known."""
    since_boot = float(Path("/proc/uptime").read_text().split()[0])
    return max(0.0, since_boot - ticks / os.sysconf("SC_CLK_TCK")) if ticks else 0.0
