"""One process that must run: adopted or started, watched, started again, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from exchange.supervisor import records
from exchange.supervisor.process import Process
from exchange.supervisor.records import ProcessRecord
from exchange.supervisor.specs import Spec

log = structlog.get_logger()

State = Literal["idle", "starting", "ready", "draining", "waiting", "stopping", "stopped"]

TRANSITIONS: dict[State, tuple[State, ...]] = {
    "idle": ("starting", "waiting", "stopped"),
    "starting": ("ready", "draining", "waiting", "stopping", "stopped"),
    "ready": ("draining", "waiting", "stopping", "stopped"),
    "draining": ("starting", "waiting", "stopping", "stopped"),
    "waiting": ("starting", "stopping", "stopped"),
    "stopping": ("stopped",),
    "stopped": (),
}

BACKOFF = (0.0, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each further start; a process that lived for STEADY seconds begins at the first again."""

STEADY = 30.0


class ChildStatistics(msgspec.Struct, frozen=True):
    """One row of `switchroom status`."""

    name: str
    role: records.Role
    pid: int
    state: State
    restarts: int
    adopted: bool
    reason: str = ""


class Child:
    """Keeps one process running until `stop`."""

    def __init__(
        self,
        spec: Spec,
        *,
        run: Path,
        logs: Path,
        on_exit: Callable[[Child], Awaitable[None]] | None = None,
        backoff: tuple[float, ...] = BACKOFF,
    ) -> None:
        self.spec = spec
        self.state: State = "idle"
        self.restarts = 0
        self.adopted = False
        self.outdated = False
        self.reason = ""
        self.generation = ""
        self.ready_seconds = 0.0
        self.log_file = logs / f"{spec.name}.log"
        self._run_directory = run
        self._on_exit = on_exit
        self._backoff = backoff
        self._failures = 0
        self._process: Process | None = None
        self._changed = asyncio.Event()
        self._leaving = asyncio.Event()

    @property
    def pid(self) -> int:
        """Its process id; 0 while it does not run."""
        return self._process.pid if self._process is not None else 0

    @property
    def failures(self) -> int:
        """How often in a row it ended before it had lived for long."""
        return self._failures

    def statistics(self) -> ChildStatistics:
        """How it stands."""
        return ChildStatistics(self.spec.name, self.spec.role, self.pid, self.state, self.restarts, self.adopted, self.reason)

    async def run(self) -> None:
        """Keep it running; returns when it has been stopped."""
        process = self._adopt()
        while not self._leaving.is_set():
            if process is None:
                process = await self._start()
            if process is not None:
                if self._leaving.is_set():
                    await self.stop(now=True)
                await self._watch(process)
                process = None
            if not self._leaving.is_set():
                await self._wait()
        if self.spec.spare is not None:
            await self.spec.spare.dismiss()
        self._set_state("stopped", self.reason)
        records.remove(self._run_directory, self.spec.name)

    async def changed(self) -> None:
        """Wait for its next change of state."""
        self._changed.clear()
        await self._changed.wait()

    def replace(self) -> None:
        """End the process so that it is started anew with today's settings (cards: when their last call has ended)."""
        process = self._process
        if process is None or self.state not in ("starting", "ready"):
            return
        self._set_state("draining", "settings changed")
        if self.spec.when_changed == "drain":
            process.send(signal.SIGTERM)
        else:
            process.send(self.spec.stop_signals[self.spec.hurried_from])
            asyncio.get_running_loop().call_later(self.spec.grace, process.send, signal.SIGKILL)

    async def stop(self, *, now: bool = False) -> None:
        """End it for good: its signals one after the other, then SIGKILL."""
        self._leaving.set()
        process = self._process
        if process is None:
            return
        self._set_state("stopping", "now" if now else "stop")
        signals = self.spec.stop_signals[self.spec.hurried_from if now else 0 :]
        for number in (*signals, signal.SIGKILL):
            process.send(number)
            done, _ = await asyncio.wait({process.exited}, timeout=self.spec.grace)
            if done:
                return
            log.warning("slow to stop", process=self.spec.name, signal=number.name, seconds=self.spec.grace)

    def abandon(self) -> None:
        """Stop watching; the process lives on for the next supervisor."""
        if self._process is not None:
            self._process.abandon()
        if self.spec.spare is not None:
            self.spec.spare.abandon()

    # --- its life -------------------------------------------------------------------------------------------------

    def _set_state(self, state: State, reason: str = "") -> None:
        if state == self.state:
            return
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"{self.spec.name} cannot go from {self.state} to {state}")
        log.info("process state", process=self.spec.name, old=self.state, new=state, reason=reason, pid=self.pid)
        self.state = state
        self.reason = reason
        self._changed.set()

    def _adopt(self) -> Process | None:
        record = records.read(self._run_directory, self.spec.name)
        if record is None:
            return None
        process = Process.open(record.pid, record.ticks)
        if process is None:
            log.info("process died without a supervisor", process=self.spec.name, pid=record.pid)
            return None
        self.adopted = True
        self.restarts = record.restarts
        self.outdated = record.digest != self.spec.digest
        self._process = process
        log.info("process adopted", process=self.spec.name, pid=record.pid, outdated=self.outdated)
        self._set_state("starting", "adopted")
        return process

    async def _start(self) -> Process | None:
        self._set_state("starting")
        self.adopted = self.outdated = False
        self.generation = ""
        try:
            process = self.spec.spare.take() if self.spec.spare is not None else None
            if process is None:
                process = await self.spec.launcher(self.spec, self.log_file)
        except OSError as error:
            log.error("process does not start", process=self.spec.name, error=str(error))
            self._fail(f"does not start: {error}")
            return None
        self._process = process
        self._record(process)
        log.info("process started", process=self.spec.name, pid=process.pid)
        return process

    def _record(self, process: Process) -> None:
        spec = self.spec
        records.write(
            self._run_directory,
            ProcessRecord(
                role=spec.role,
                name=spec.name,
                pid=process.pid,
                ticks=process.ticks,
                since=time.time(),
                digest=spec.digest,
                generation=self.generation,
                restarts=self.restarts,
            ),
        )

    async def _watch(self, process: Process) -> None:
        """Wait until it is gone, having seen whether it becomes ready."""
        begun = asyncio.get_running_loop().time()
        before = process.age() if self.adopted else 0.0  # a spare has waited, which proves nothing
        probing = asyncio.get_running_loop().create_task(self._probe(process), name=f"probe {self.spec.name}")
        try:
            status = await asyncio.shield(process.exited)
        finally:
            probing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await probing
        lived = before + asyncio.get_running_loop().time() - begun
        self._process = None
        planned = self.state == "draining"
        log.log(
            20 if planned or self._leaving.is_set() else 40,
            "process ended",
            process=self.spec.name,
            pid=process.pid,
            status=status,
            seconds=round(lived, 3),
        )
        if self._leaving.is_set():
            return
        if lived >= STEADY or planned:
            self._failures = 0
        if planned:
            self._set_state("waiting", "replaced")
        else:
            self._fail(_ending(status))
        if self._on_exit is not None:
            await self._on_exit(self)

    async def _probe(self, process: Process) -> None:
        begun = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self.spec.ready_seconds):
                self.generation = await self.spec.probe()
        except TimeoutError:
            log.error("process is not ready in time", process=self.spec.name, seconds=self.spec.ready_seconds)
            self.reason = f"not ready after {self.spec.ready_seconds:g} s"
            if not self.adopted:
                process.send(signal.SIGKILL)
            return
        self.ready_seconds = asyncio.get_running_loop().time() - begun
        if self.state == "starting":
            if not self.adopted:
                self._record(process)
            self._set_state("ready")
            if self.spec.spare is not None and not self._leaving.is_set():
                self.spec.spare.prepare(self.spec, self.log_file)
        if self.outdated:
            self.replace()

    def _fail(self, reason: str) -> None:
        self._failures += 1
        self.restarts += 1
        self._set_state("waiting", reason)

    async def _wait(self) -> None:
        """Back off, cut short by a stop."""
        delay = self._backoff[min(max(self._failures - 1, 0), len(self._backoff) - 1)]
        if delay:
            log.info("process waits", process=self.spec.name, seconds=delay, restarts=self.restarts)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), delay)


def _ending(status: int | None) -> str:
    if status is None:
        return "ended"
    if status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    return f"ended with code {status}"
