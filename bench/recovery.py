"""How long a killed exchange is away: from its process's start to where it has its state again, and to where it answers.

    python -m bench.recovery [--agents N] [--waiting N] [--events N] [--times N] [--json]

The log has a snapshot of a big floor (10,000 agents, 50,000 contacts waiting) and 19,999 events after it, one less than those
after which the bookkeeper makes the next snapshot.The process is the real one: the spare, which has its program loaded and
takes over from a killed one, and one that begins with nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil

from bench.tools import busy
from exchange import rundir
from exchange.brain import logged, records
from exchange.brain.house import freeze
from exchange.settings import Settings
from exchange.supervisor import ask
from exchange.supervisor.spare import FLAG, WORD
from media.vault.keys import make_or_load_master_key
from storage.database import Database
from storage.entries import day_of
from storage.log import EventLog
from tests.tools.postgres import PostgresServer
from tests.tools.switchroom import free_port

EVENTS = 19_999


async def fill(dsn: str, spool: Path, floor: busy.BusyHouse, events: int) -> dict[str, Any]:
    """Configuration, snapshot and log of the floor."""
    snapshot = freeze(floor.house)
    while len(floor.log) < events:
        floor.step()
    kept = floor.log[:events]
    async with Database(dsn, command_timeout=120) as database:
        async with EventLog(database, spool) as log:
            await log.append("bench", b"", busy.START)
            await log.save_snapshot(1, 1, snapshot)
        async with database.connection() as connection:
            documents = [("queue", each.id, msgspec.json.encode(each).decode()) for each in busy.queues()]
            documents += [("agent", each.id, msgspec.json.encode(each).decode()) for each in floor.people]
            await connection.executemany("INSERT INTO documents (kind, id, version, body) VALUES ($1, $2, 1, $3)", documents)
            rows = [
                (day_of(record.at), 1, 2 + n, record.at, records.KIND, records.encode(record), logged.encode(outcome.decided))
                for n, (record, outcome) in enumerate(kept)
            ]
            for day in {row[0] for row in rows}:
                await connection.execute("SELECT make_log_day($1)", day)
            await connection.copy_records_to_table("event_log", records=rows)
    return {"snapshot_mb": round(len(snapshot) / 1e6, 1), "log_mb": round(sum(len(r[5]) + len(r[6]) for r in rows) / 1e6, 1)}


def _loaded(out: Path) -> None:
    while "spare exchange is ready" not in out.read_text():
        time.sleep(0.05)


async def start(data: Path, run: Path, dsn: str, *, spare: bool) -> dict[str, Any]:
    """One start, killed as soon as it answers."""
    http, sip = free_port(), free_port()
    settings = Settings(data=data, http=f"127.0.0.1:{http}", sip=f"127.0.0.1:{sip}", lines=1, desk_cards=1, database_url=dsn)
    environment = {**os.environ, **settings.environment()}
    command = [sys.executable, "-m", "exchange.brain", "--run", str(run), "--data", str(data), *([FLAG] if spare else [])]
    out = run / "exchange.out"
    begun, begun_at = time.perf_counter(), datetime.now(UTC)
    with out.open("wb") as file:
        process = subprocess.Popen(  # noqa: ASYNC220
            command, env=environment, stdin=subprocess.PIPE, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    usage, before = psutil.Process(process.pid), 0.0
    if spare:
        await asyncio.to_thread(_loaded, out)
        before = sum(usage.cpu_times()[:2])
        begun, begun_at = time.perf_counter(), datetime.now(UTC)
        assert process.stdin is not None
        process.stdin.write(WORD)
        process.stdin.flush()
    try:
        await asyncio.wait_for(ask.welcomed(run / "exchange.ctl"), 60)
    except TimeoutError:
        print(out.read_text()[-3000:], file=sys.stderr)
        raise
    else:
        answers = time.perf_counter() - begun
        computing = sum(usage.cpu_times()[:2]) - before
    finally:
        process.kill()
        process.wait()
        (run / "exchange.ctl").unlink(missing_ok=True)
    said = {line["event"]: line for line in map(json.loads, out.read_text().splitlines())}

    def after(event: str) -> float:
        return round((datetime.fromisoformat(said[event]["timestamp"]) - begun_at).total_seconds(), 2)

    return {
        "spare": spare,
        "loaded": after("exchange starts"),
        "recovered": after("recovered"),
        "recovering": said["recovered"]["seconds"],
        "replayed": said["recovered"]["records"],
        "answers": round(answers, 2),
        "computing": round(computing, 2),
    }


async def measure(agents: int, waiting: int, events: int, times: int) -> list[dict[str, Any]]:
    """As many starts as wished, of the same log."""
    floor = busy.BusyHouse(agents, waiting)
    with tempfile.TemporaryDirectory(prefix="swb-") as folder:
        data = Path(folder)
        run = rundir.prepare(data)
        (data / "prompts").mkdir()
        make_or_load_master_key(data / "keys" / "master.key")  # the vault worker's to make, elsewhere
        server = PostgresServer(data, run)
        await server.start()
        try:
            sizes = await fill(server.embedded.dsn, data / "spool" / "log", floor, events)
            await start(data, run, server.embedded.dsn, spare=False)  # makes the music and what else only a first start makes
            spares = [number % 2 == 0 for number in range(2 * times)]
            return [{**sizes, **await start(data, run, server.embedded.dsn, spare=spare)} for spare in spares]
        finally:
            server.stop()


def main() -> None:
    """Print one line for each start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=busy.AGENTS)
    parser.add_argument("--waiting", type=int, default=busy.WAITING)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for one in asyncio.run(measure(options.agents, options.waiting, options.events, options.times)):
        if options.json:
            print(json.dumps(one))
        else:
            print(
                f"{options.agents:,} agents, {options.waiting:,} waiting, {one['replayed']:,} records after a snapshot"
                f" of {one['snapshot_mb']} MB: {'spare' if one['spare'] else 'new process'} begins after {one['loaded']} s,"
                f" has its state after {one['recovered']} s ({one['recovering']} s of recovery),"
                f" answers after {one['answers']} s; computed for {one['computing']} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
