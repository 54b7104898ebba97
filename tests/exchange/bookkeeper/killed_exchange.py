"""`python -m … DSN DIR ROUNDS SEED`: an exchange without cards, begun and killed again and again, each time at a random moment.

Every round is a fork of this process, so that no round waits for imports. What it lets out, it writes to DIR/out first.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path

import structlog

from exchange.brain import records
from exchange.brain.clock import EngineClock
from exchange.brain.house import Outcome
from exchange.brain.ledger import Ledger
from exchange.brain.records import Record
from exchange.brain.recovery import recover
from storage import log as log_module
from storage.database import Database
from storage.log import EventLog
from tests.exchange.brain.story import CONFIGURED, contact_id, new_house


async def work(dsn: str, directory: Path, number: int, slow: bool) -> None:
    """One life: contacts arrive as fast as they can; in every other one no commit is fast enough, and all is spooled."""
    out = os.open(directory / "out", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def carry_out(record: Record, outcome: Outcome) -> None:
        if isinstance(record.input, records.Arrived):
            os.write(out, f"{record.input.contact}\n".encode())

    async with Database(dsn) as database, EventLog(database, directory / "spool") as log:
        log_module.COMMIT_SECONDS = 0.0001 if slow else 5.0
        house = new_house()
        await recover(house, log)
        ledger = Ledger(house, log, EngineClock(house.last_at), lambda r, o: [], carry_out, lambda: os._exit(70))
        running = asyncio.create_task(ledger.run())
        ledger.put(records.Booted(0.0))
        if house.configured is None:
            ledger.put(records.Routing(CONFIGURED))
        (directory / "begun").touch()
        for each in range(100_000):
            contact = contact_id(number * 1_000_000 + each)
            done = ledger.put(records.Arrived(contact, "card", "g", contact, "party", "5000", "demo", version=1))
            if each % 3 == 0:
                await done
        await running


def main() -> None:
    dsn, directory, rounds, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    chance = random.Random(seed)
    for number in range(1, rounds + 1):
        pid = os.fork()
        if pid == 0:
            asyncio.run(work(dsn, directory, number, slow=number % 2 == 0))
            os._exit(1)
        while not (directory / "begun").exists():
            time.sleep(0.001)
        time.sleep(chance.random() * 0.06)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        (directory / "begun").unlink()


if __name__ == "__main__":
    main()
