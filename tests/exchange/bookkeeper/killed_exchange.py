"""`python -m … DSN DIR ROUNDS SEED`: an exchange without cards, begun and killed again and again, each time at another point.

Every round is a fork of this process, so that no round waits for imports. It kills itself before or after one of the steps from
an input to its effect, which it has done a random number of times. What it lets out, it writes to DIR/out first.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from storage.spool import Spool
from tests.exchange.brain.story import CONFIGURED, contact_id, new_house


class Effects:
    """Lets effects out into a file."""

    def __init__(self, path: Path) -> None:
        self._out = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def carry_out(self, record: Record, outcome: Outcome) -> None:
        if isinstance(record.input, records.Arrived):
            os.write(self._out, f"{record.input.contact}\n".encode())


STEPS: list[tuple[type, str]] = [
    (EventLog, "append"),
    (EventLog, "_commit"),
    (Effects, "carry_out"),
    (Spool, "append"),
    (EventLog, "_ship_one"),
    (Spool, "advance"),
]
POINTS = [(*step, moment) for step in STEPS for moment in ("before", "after")]
OFTEN = 20


def kill_at(owner: type, name: str, moment: str, count: int) -> None:
    """`kill -9` at the so-manieth time that this process is at this point."""
    real: Callable[..., Any] = getattr(owner, name)
    left = count

    def pass_by(now: str) -> None:
        nonlocal left
        left -= now == moment
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(real)
    def passed(*args: Any, **kwargs: Any) -> Any:
        pass_by("before")
        result = real(*args, **kwargs)
        pass_by("after")
        return result

    @functools.wraps(real)
    async def passed_later(*args: Any, **kwargs: Any) -> Any:
        pass_by("before")
        result = await real(*args, **kwargs)
        pass_by("after")
        return result

    setattr(owner, name, passed_later if inspect.iscoroutinefunction(real) else passed)


async def work(dsn: str, directory: Path, number: int, point: tuple[type, str, str], count: int) -> None:
    """One life: contacts arrive as fast as they can; no commit is fast enough where it is the spool that matters."""
    effects = Effects(directory / "out")
    async with Database(dsn) as database, EventLog(database, directory / "spool") as log:
        log_module.COMMIT_SECONDS = 0.0001 if STEPS.index(point[:2]) > 2 else 50.0
        house = new_house()
        await recover(house, log)
        kill_at(*point, count)
        ledger = Ledger(house, log, EngineClock(house.last_at), lambda r, o: [], effects.carry_out, lambda: os._exit(70))
        running = asyncio.create_task(ledger.run())
        ledger.put(records.Booted(0.0))
        if house.configured is None:
            ledger.put(records.Routing(CONFIGURED))
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
        point, count = POINTS[number % len(POINTS)], chance.randint(1, OFTEN)
        pid = os.fork()
        if pid == 0:
            asyncio.run(work(dsn, directory, number, point, count))
            os._exit(1)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), (point, count, status)


if __name__ == "__main__":
    main()
