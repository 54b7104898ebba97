"""How long a killed exchange is away: from its process's start to where it has its state again, and to where it answers.

    python -m bench.recovery [--agents N] [--waiting N] [--events N] [--times N] [--after SECONDS] [--ago SECONDS]

The log has a snapshot of a big floor (10,000 agents, 50,000 contacts waiting) and 19,999 events after it, one less than those
after which the bookkeeper makes the next snapshot. It ends as the exchange starts, or some time ago; no page and no card comes
back. The process is the real one: a spare that takes over from a killed exchange, having followed the log; one without the
time for that yet; and one that begins with nothing.

It answers when all three are there: a `Status` over the control socket, `GET /health`, and a chat that is begun by
`POST /api/v1/contacts` (its events are decided and in the log). Chats are begun for some seconds more: for the longest wait
of one, while the exchange does what it left for later; and the records that the start has added are counted, without those
of deadlines.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import asyncpg
import httpx2
import psutil

from bench.tools import busy, stored
from exchange import rundir
from exchange.brain.messages import Standing, Status
from exchange.settings import Settings
from exchange.supervisor import ask
from exchange.supervisor.spare import FLAG, WORD
from media.control.envelope import ControlError
from media.vault.keys import make_or_load_master_key
from tests.tools.postgres import PostgresServer
from tests.tools.switchroom import free_port

EVENTS = 19_999
OVER_SECONDS = 600.0
"""Those who wait have come in so long."""
STEP_SECONDS = 0.02
CHATS_SECONDS = 0.25
CHAT = {"channel": "chat", "queue": "q0", "customer": "bench"}
GIVE_UP = 120.0


Kind = Literal["new process", "spare that has just begun", "spare"]


class Start:
    """One start of the exchange's process, and what it answers."""

    def __init__(self, data: Path, run: Path, dsn: str, kind: Kind) -> None:
        http, sip = free_port(), free_port()
        doors = {"http": f"127.0.0.1:{http}", "sip": f"127.0.0.1:{sip}"}
        settings = Settings(data=data, lines=1, desk_cards=1, database_url=dsn, **doors)
        self.run, self.dsn, self.kind = run, dsn, kind
        self.out = run / "exchange.out"
        flag = [] if kind == "new process" else [FLAG]
        command = [sys.executable, "-m", "exchange.brain", "--run", str(run), "--data", str(data), *flag]
        self._begin()
        with self.out.open("wb") as file:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **settings.environment()},
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._usage, self._before = psutil.Process(self.process.pid), 0.0
        self._client = httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{http}", timeout=GIVE_UP, headers={"authorization": f"Bearer {stored.TOKEN}"}
        )

    def _begin(self) -> None:
        self.begun, self.begun_at = time.perf_counter(), datetime.now(UTC)

    @property
    def seconds(self) -> float:
        """Since it was told to begin."""
        return time.perf_counter() - self.begun

    def computing(self) -> float:
        """Of these, what it computed for."""
        return sum(self._usage.cpu_times()[:2]) - self._before

    def go(self) -> None:
        """The spare's turn: it has said that it is ready, or that it has followed the log to its end."""
        word = "spare exchange knows the state" if self.kind == "spare" else "spare exchange is ready"
        while word not in self.out.read_text():
            time.sleep(0.05)
        self._before = sum(self._usage.cpu_times()[:2])
        self._begin()
        assert self.process.stdin is not None
        self.process.stdin.write(WORD)
        self.process.stdin.flush()

    def end(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.process.wait()
        (self.run / "exchange.ctl").unlink(missing_ok=True)

    # --- what it answers ------------------------------------------------------------------------------------------

    async def answers(self) -> dict[str, float]:
        """Seconds until each of the three is there."""
        one = asyncio.gather(*(self._until(each) for each in (self._status, self._health, self.chat)))
        status, health, decided = await asyncio.wait_for(one, GIVE_UP)
        return {"status": status, "health": health, "decided": decided, "answers": max(status, health, decided)}

    async def _until(self, true: Callable[[], Awaitable[object]]) -> float:
        while True:
            with contextlib.suppress(ControlError, httpx2.TransportError):
                await true()
                return round(self.seconds, 2)
            await asyncio.sleep(STEP_SECONDS)

    async def _status(self) -> None:
        standing = await ask.ask(self.run / "exchange.ctl", Status(), Standing, timeout=GIVE_UP)
        assert standing.agents, "its state is lost"

    async def _health(self) -> None:
        answer = await self._client.get("/health")
        assert answer.status_code in (200, 503), answer.text  # 503: no card runs here, and it says so

    async def chat(self) -> None:
        """A contact is begun."""
        answer = await self._client.post("/api/v1/contacts", json=CHAT)
        assert answer.status_code == 201, answer.text

    async def longest_chat(self, seconds: float) -> float:
        """Of those that are begun in the next seconds."""
        longest, end = 0.0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            began = time.perf_counter()
            await self.chat()
            longest = max(longest, time.perf_counter() - began)
            await asyncio.sleep(CHATS_SECONDS)
        return round(longest, 3)

    async def records(self) -> int:
        """What the log has of this start, but for those chats and the deadlines that come by themselves."""
        connection = await asyncpg.connect(self.dsn)
        try:
            found: int = await connection.fetchval(
                "SELECT count(*) FROM event_log WHERE epoch > 1 AND position($1::bytea in body) = 0"
                " AND position($2::bytea in body) = 0",
                b"contact-",
                b"clock",
            )
        finally:
            await connection.close()
        return found

    def said(self) -> dict[str, Any]:
        """What it has logged, by event."""
        lines = [line for line in self.out.read_text().splitlines() if line.startswith("{")]
        return {line["event"]: line for line in map(json.loads, lines)}

    def after(self, event: str) -> float:
        """Seconds until it said this."""
        return round((datetime.fromisoformat(self.said()[event]["timestamp"]) - self.begun_at).total_seconds(), 2)


async def start(data: Path, run: Path, dsn: str, after: float, kind: Kind) -> dict[str, Any]:
    """One start, killed some seconds after it answers."""
    shutil.rmtree(data / "spool", ignore_errors=True)
    one = Start(data, run, dsn, kind)
    try:
        if kind != "new process":
            await asyncio.to_thread(one.go)
        found: dict[str, Any] = {"kind": kind, **await one.answers(), "computing": round(one.computing(), 2)}
        found |= {"longest_chat": await one.longest_chat(after), "records": await one.records()}
        recovered = one.said()["recovered"]
        return found | {
            "loaded": one.after("exchange starts"),
            "recovered": one.after("recovered"),
            "recovering": recovered["seconds"],
            "replayed": recovered["records"],
        }
    except BaseException:
        print(one.out.read_text()[-3000:], file=sys.stderr)
        raise
    finally:
        one.end()


async def measure(options: argparse.Namespace) -> None:
    """As many starts as wished, each of the same log."""
    floor = busy.BusyHouse(options.agents, options.waiting, time.time() - stored.ENDS_AFTER - options.ago, OVER_SECONDS)
    with tempfile.TemporaryDirectory(prefix="swb-") as folder:
        data = Path(folder)
        run = rundir.prepare(data)
        (data / "prompts").mkdir()
        make_or_load_master_key(data / "keys" / "master.key")  # the vault worker's to make, elsewhere
        server = PostgresServer(data, run)
        await server.start()
        try:
            sizes = await stored.fill(server.embedded.dsn, data / "spool" / "log", floor, options.events)
            kinds = get_args(Kind)
            for number in range(len(kinds) * options.times + 1):
                dsn = await stored.copied(server, f"start{number}")
                found = await start(data, run, dsn, options.after if number else 0.0, kinds[number % len(kinds)])
                await stored.dropped(server, f"start{number}")
                if number:  # the first one makes the music and what else only a first start makes
                    show(options, {**sizes, **found})
        finally:
            server.stop()


def show(options: argparse.Namespace, one: dict[str, Any]) -> None:
    """A line for a start."""
    if options.json:
        print(json.dumps(one), flush=True)
        return
    print(
        f"{options.agents:,} agents, {options.waiting:,} waiting, {one['replayed']:,} records after a snapshot"
        f" of {one['snapshot_mb']} MB: {one['kind']} begins after {one['loaded']} s,"
        f" has its state after {one['recovered']} s ({one['recovering']} s of recovery), answers after {one['answers']} s"
        f" (status {one['status']}, health {one['health']}, decides {one['decided']}); computed for {one['computing']} s;"
        f" in the {options.after:g} s after that the longest chat took {one['longest_chat']} s;"
        f" {one['records']:,} records added",
        flush=True,
    )


def main() -> None:
    """Print one line for each start."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=busy.AGENTS)
    parser.add_argument("--waiting", type=int, default=busy.WAITING)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--after", type=float, default=20.0)
    parser.add_argument("--ago", type=float, default=0.0, help="seconds between the log's end and the start: a long outage")
    parser.add_argument("--json", action="store_true")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
