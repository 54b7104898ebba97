"""How long a what-if of a large day takes: `python -m bench whatif [--contacts N] [--agents N]`.

A ten-hour day of 20,000 contacts and 200 agents is made, written to a real PostgreSQL as an exchange would have logged it, and
asked with the command itself: `switchroom whatif` with more agents. Exit code 1 when it takes 30 s or more on an idle machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from bench.tools import days
from exchange import rundir
from storage.database import Database
from storage.entries import LogRow, day_of
from tests.tools.postgres import PostgresServer

LIMIT = 30.0
START = 1_764_057_600.0  # 2025-11-25 08:00 UTC


async def write(server: PostgresServer, agents: int, contacts: int) -> int:
    """The day's log, in one go; the number of its events."""
    await server.start()
    rows = list(days.rows(days.a_day(agents, contacts, START)))
    async with Database(server.embedded.dsn, command_timeout=300.0) as database, database.connection() as connection:
        first: dict[date, LogRow] = {}
        for row in rows:
            first.setdefault(day_of(row.at), row)
        for day, row in first.items():
            await connection.execute("SELECT make_log_day($1)", day)
            await connection.execute("INSERT INTO log_days VALUES ($1, $2, $3)", day, row.epoch, row.offset)
        columns = ["day", "epoch", "offset", "at", "kind", "body", "effects"]
        records = [(day_of(r.at), r.epoch, r.offset, r.at, r.kind, r.body, r.effects) for r in rows]
        await connection.copy_records_to_table("event_log", records=records, columns=columns)
    return len(rows)


def ask(data: Path, *words: str) -> tuple[float, float, str]:
    """Seconds on the clock and of processor time, and what the command prints."""
    command = [sys.executable, "-m", "exchange.cli", *words, "--data", str(data), "--zone", "UTC"]
    before, started = os.times(), time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - started, used, done.stdout


def main() -> int:
    """Print what docs/performance.md holds."""
    parser = argparse.ArgumentParser(prog="python -m bench whatif")
    parser.add_argument("--contacts", type=int, default=20_000)
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=4)
    chosen = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    data = Path(tempfile.mkdtemp(prefix="whatif-"))
    server = PostgresServer(data, rundir.prepare(data))
    try:
        events = asyncio.run(write(server, chosen.agents, chosen.contacts))
        question = ["whatif", "--day", "2025-11-25", "--agents", "+5@support", "--seeds", str(chosen.seeds)]
        seconds, used, said = ask(data, *question)
        again, _, replayed = ask(data, "replay")
    finally:
        server.stop()
        shutil.rmtree(data)
    print(f"{date.today()}, {cores} cores, Python {platform.python_version()}; load average before: {load:.1f}.\n")  # noqa: DTZ011
    print(f"A ten-hour day: {chosen.contacts:,} contacts expected, {chosen.agents} agents, {events:,} events in the log.\n")
    print("| command | on the clock | processor time |\n|---|---:|---:|")
    print(f"| `switchroom whatif --agents +5@support --seeds {chosen.seeds}` | {seconds:.1f} s | {used:.1f} s |")
    print(f"| `switchroom replay` | {again:.1f} s | |\n")
    print("\n".join(f"    {line}" for line in said.splitlines()[:12]))
    print(f"\n    {replayed.strip()}")
    good = seconds < LIMIT
    print(f"\nUnder {LIMIT:.0f} s: {'yes' if good else 'no'}.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
