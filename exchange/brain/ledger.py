"""Log first: takes inputs into the house at once, and lets their effects out only when the log has them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
import structlog

from acd.errors import Refused
from exchange.brain import logged, records
from exchange.brain.clock import EngineClock
from exchange.brain.house import House, Outcome
from exchange.brain.records import KIND, REJECTED, Input, Record, Source
from storage.errors import Superseded
from storage.log import EventLog, RowWrite

log = structlog.get_logger()


class BrokenHouse(RuntimeError):
    """An input raised: it is logged as rejected, and the process starts anew from snapshot and log without it."""


class LedgerStatistics(msgspec.Struct, frozen=True):
    inputs: int
    refused: int
    waiting: int


class Ledger:
    """The one way into the house."""

    def __init__(
        self,
        house: House,
        events: EventLog,
        clock: EngineClock,
        rows: Callable[[Record, Outcome], Sequence[RowWrite]],
        carry_out: Callable[[Record, Outcome], None],
        broken: Callable[[], None],
    ) -> None:
        self._house = house
        self._events = events
        self._clock = clock
        self._rows = rows
        self._carry_out = carry_out
        self._broken = broken
        self._waiting: deque[tuple[asyncio.Future[None], asyncio.Future[None], Record, Outcome]] = deque()
        self._some = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._keeps_time = False
        self._rested_at = 0.0
        self._inputs = self._refused = 0
        self._stopped = False

    def put(
        self, input: Input, source: Source | None = None, rows: Sequence[RowWrite] = (), *, secret: bool = False
    ) -> asyncio.Future[None]:
        """Take an input; raises Refused at once, else gives a future that is done when its effects have been let out."""
        if self._stopped:
            raise Refused("restarting", "The exchange is starting anew. Please try again in a moment.")
        record = Record(max(self._clock.now(), self._house.last_at), input, source)
        try:
            outcome = self._house.apply(record)
            effects = logged.encode(outcome.decided)
            pointers = logged.pointers(self._events.next_position, record.at, outcome.decided)
            every = [*rows, *self._rows(record, outcome), *pointers]
        except Refused:
            self._refused += 1
            raise
        except Exception as error:
            # The house may be half changed: never go on with it. The log remembers the input as rejected.
            self._stopped = True
            log.exception("input rejected", input=type(input).__name__)
            rejected = self._events.append(REJECTED, records.encode(record, secret=secret), record.at)
            rejected.add_done_callback(self._rejected)
            raise BrokenHouse(str(error)) from error
        self._inputs += 1
        durable = self._events.append(KIND, records.encode(record, secret=secret), record.at, every, effects)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((durable, done, record, outcome))
        self._some.set()
        self._schedule()
        return done

    async def run(self) -> None:
        """Let effects out, in the order of their inputs, each when it is durable; ends when another exchange has the log."""
        try:
            while True:
                while self._waiting:
                    durable, done, record, outcome = self._waiting[0]
                    await asyncio.shield(durable)
                    self._waiting.popleft()
                    self._carry_out(record, outcome)
                    if not done.done():
                        done.set_result(None)
                self._some.clear()
                await self._some.wait()
        except Superseded:
            log.critical("effects stay here: another exchange writes the log")
        finally:
            # Nobody may go on waiting for effects that this process will not let out any more.
            self._stopped = True
            for _, done, _, _ in self._waiting:
                done.cancel()

    async def drained(self) -> None:
        """Wait until everything put so far is durable and let out."""
        if self._waiting:
            await asyncio.shield(self._waiting[-1][1])

    def statistics(self) -> LedgerStatistics:
        return LedgerStatistics(self._inputs, self._refused, len(self._waiting))

    # --- time -----------------------------------------------------------------------------------------------------

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._house.next_wake()
        if due is not None and self._keeps_time:
            delay = max(due - self._clock.now(), self._rested_at - time.monotonic(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(delay + 0.001, self._tick)

    def _tick(self) -> None:
        """What is due, or a part of it; then as long a rest, so that many deadlines leave half of the time to others."""
        self._timer = None
        if not self._stopped:
            began = time.monotonic()
            with contextlib.suppress(BrokenHouse):  # logged, and the process starts anew
                self.put(records.Clock())
            self._rested_at = 2 * time.monotonic() - began
            self._schedule()

    def start_clock(self) -> None:
        """Begin to keep deadlines (after recovery)."""
        self._keeps_time = True
        self._schedule()

    def _rejected(self, durable: asyncio.Future[None]) -> None:
        if not durable.cancelled() and durable.exception() is not None:
            log.error("a rejected input is not in the log", error=str(durable.exception()))
        self._broken()
