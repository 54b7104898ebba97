"""The supervisor: brings the whole exchange up in order, keeps it up, takes it down in order."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from exchange import logs
from exchange.supervisor import dialogs, drain, records
from exchange.supervisor.child import Child
from exchange.supervisor.errors import StartFailed
from exchange.supervisor.messages import Restart, Status, Stop, SupervisorCommand, SupervisorStatus
from exchange.supervisor.process import Process
from exchange.supervisor.records import ProcessRecord, Role
from exchange.supervisor.screen import Screen
from exchange.supervisor.specs import Spec
from media.control.envelope import ControlError
from media.control.server import ControlServer

log = structlog.get_logger()

STOP_ORDER: tuple[tuple[Role, ...], ...] = (
    ("linecard",),
    ("deskcard", "edge"),
    ("exchange",),
    ("speech", "vault", "bookkeeper", "zygote"),
    ("postgres",),
)
"""Cards before the edge that carries their BYEs; the exchange before the workers and the database that it still needs.

The bookkeeper leaves after the exchange: it saves the state that the next start begins with."""

START_TRIES = 3
"""A process that ends so often in a row while everything starts makes the start fail."""

LAST_BYES = 3.0
"""Seconds that a stop waits for the edge to end a dead card's dialogs; their files stay for the next start."""

PATIENCE = 5.0
"""Seconds of silence on the terminal before a slow start is said to go on."""

HOUSEKEEPING = 60.0
"""Seconds between looks at the size of the log files."""


class Supervisor:
    """All processes of one data directory."""

    def __init__(
        self,
        groups: list[list[Spec]],
        *,
        run: Path,
        logs: Path,
        screen: Screen,
        drain_seconds: float,
        on_ready: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.phase = "starting"
        self._run = run
        self._logs = logs
        self._screen = screen
        self._drain_seconds = drain_seconds
        self._on_ready = on_ready
        self._groups = [[self._child(spec) for spec in group] for group in groups]
        self._leftovers: dict[str, tuple[ProcessRecord, Process]] = {}
        self._stop = asyncio.Event()
        self._now = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []
        self._byes: set[asyncio.Task[None]] = set()
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def children(self) -> list[Child]:
        """All children, in the order of their start."""
        return [child for group in self._groups for child in group]

    async def run(self) -> None:
        """Start, keep running until a stop is asked for, stop; raises StartFailed."""
        server = ControlServer(
            self._run / "supervisor.ctl", card="supervisor", kind="supervisor", commands=SupervisorCommand, handler=self._handle
        )
        self._write_record(server.generation)
        self._catch_signals()
        try:
            async with server, asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                keeper = tasks.create_task(self._keep_house(), name="housekeeping")
                failure = await self._up(tasks)
                await self._down()
                keeper.cancel()
        finally:
            self._tasks = None
            records.remove(self._run, "supervisor")
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().remove_signal_handler(number)
        if failure is not None:
            raise failure

    def request_stop(self, *, now: bool = False) -> None:
        """Begin to stop; a second request (or `now`) ends the waiting for calls."""
        if self._stop.is_set() or now:
            self._now.set()
        self._stop.set()

    # --- up -------------------------------------------------------------------------------------------------------

    def _child(self, spec: Spec) -> Child:
        on_exit = self._card_died if spec.role == "linecard" else None
        return Child(spec, run=self._run, logs=self._logs, on_exit=on_exit)

    def _write_record(self, generation: str) -> None:
        pid = os.getpid()
        ticks = records.start_ticks(pid) or 0
        records.write(self._run, ProcessRecord("supervisor", "supervisor", pid, ticks, time.time(), "", generation))

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.request_stop)
        loop.add_signal_handler(signal.SIGINT, self.request_stop)
        # A closed terminal is no wish to stop: calls are up.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async def _up(self, tasks: asyncio.TaskGroup) -> StartFailed | None:
        """Start everything and stay until a stop is asked for; returns what made the start fail."""
        self._dismiss_leftovers(tasks)
        stop = tasks.create_task(self._stop.wait(), name="stop asked for")
        work = tasks.create_task(self._start_all(tasks), name="start")
        await asyncio.wait({stop, work}, return_when=asyncio.FIRST_COMPLETED)
        failure = work.result() if work.done() else None
        if work.done() and failure is None:
            await stop
        if failure is not None:
            self._now.set()
        work.cancel()
        stop.cancel()
        return failure

    async def _start_all(self, tasks: asyncio.TaskGroup) -> StartFailed | None:
        try:
            for group in self._groups:
                for child in group:
                    self._running.append(tasks.create_task(child.run(), name=child.spec.name))
                for child in group:
                    await self._ready(child)
                if any(child.spec.role == "edge" for child in group):
                    self._sweep_dialogs(tasks)
        except StartFailed as error:
            # A result, not an exception: the task group would be torn down, and children must be stopped in order.
            return error
        self.phase = "running"
        if self._on_ready is not None:
            await self._on_ready()
        return None

    async def _ready(self, child: Child) -> None:
        """Wait until it is up; raises StartFailed when it will not be."""
        begun = asyncio.get_running_loop().time()
        # A card that drains serves its calls still; its successor comes when they have ended, maybe in an hour.
        while child.state != "ready" and not (child.state == "draining" and child.spec.when_changed == "drain"):
            if child.failures >= START_TRIES:
                raise StartFailed(
                    f"{child.spec.label} does not start ({child.reason}). The end of {child.log_file}:",
                    logs.tail(child.log_file),
                )
            try:
                await asyncio.wait_for(child.changed(), PATIENCE)
            except TimeoutError:
                waited = asyncio.get_running_loop().time() - begun
                self._screen.say(f"  {child.spec.label:<28} starting, {waited:.0f} s so far")
        seconds = child.ready_seconds
        word = "adopted" if child.adopted else "ready"
        self._screen.say(f"  {child.spec.label:<28} {word:<8}{seconds:5.1f} s   process {child.pid}")

    # --- while it runs --------------------------------------------------------------------------------------------

    async def _handle(self, command: SupervisorCommand) -> SupervisorStatus | None:
        match command:
            case Status():
                return SupervisorStatus(self.phase, [child.statistics() for child in self.children])
            case Stop():
                self.request_stop(now=command.now)
            case Restart():
                for child in self.children:
                    if child.spec.name == command.name:
                        if child.spec.spare is not None:  # who asks for another one may have installed another program
                            await child.spec.spare.dismiss()
                        child.replace()
                        return None
                raise ControlError("unknown-process", f"There is no process {command.name}.")
        return None

    async def _card_died(self, child: Child) -> None:
        """Take the dead card's dialogs before its successor writes its own, and have the edge end them."""
        if self._tasks is None:
            return
        name, generation = child.spec.name, child.generation
        found = dialogs.collect(self._run, {}, frozenset({name}))
        if generation and all(orphans.generation != generation for orphans in found):
            found.append(dialogs.Orphans(name, generation, (), ()))
        self._send_byes(self._tasks, found)

    def _sweep_dialogs(self, tasks: asyncio.TaskGroup) -> None:
        """End the dialogs of cards that died while no supervisor lived."""
        living = {child.spec.name: child.generation for child in self.children if child.spec.role == "linecard"}
        living |= {record.name: record.generation for record, _ in self._leftovers.values()}
        self._send_byes(tasks, dialogs.collect(self._run, living))

    def _send_byes(self, tasks: asyncio.TaskGroup, found: list[dialogs.Orphans]) -> None:
        for orphans in found:
            task = tasks.create_task(dialogs.send_byes(self._run, orphans), name=f"byes of {orphans.card}")
            self._byes.add(task)
            task.add_done_callback(self._byes.discard)

    def _dismiss_leftovers(self, tasks: asyncio.TaskGroup) -> None:
        """Living processes of an earlier supervisor that today's settings have no place for leave when they can."""
        wanted = {child.spec.name for child in self.children} | {"supervisor"}
        for record in records.read_all(self._run):
            if record.name in wanted:
                continue
            process = Process.open(record.pid, record.ticks)
            if process is None:
                records.remove(self._run, record.name)
                continue
            log.info("process is no longer wanted", process=record.name, pid=record.pid)
            self._leftovers[record.name] = (record, process)
            process.send(signal.SIGINT if record.role == "postgres" else signal.SIGTERM)
            tasks.create_task(self._see_off(record, process), name=f"leftover {record.name}")

    async def _see_off(self, record: ProcessRecord, process: Process) -> None:
        await asyncio.shield(process.exited)
        records.remove(self._run, record.name)
        del self._leftovers[record.name]

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING)
            for child in self.children:
                if logs.rotate_open(child.log_file):
                    log.info("log rotated", process=child.spec.name)

    # --- down -----------------------------------------------------------------------------------------------------

    async def _down(self) -> None:
        """No new calls, wait for the running ones, then everything in order."""
        self.phase = "draining"
        cards = [child.spec.name for child in self.children if child.spec.role == "linecard" and child.pid]
        calls = 0
        if cards and not self._now.is_set():
            calls = await self._drain(cards)
        self.phase = "stopping"
        self._screen.say("Stopping.")
        now = self._now.is_set() or calls > 0
        for roles in STOP_ORDER:
            if "edge" in roles and self._byes:
                await asyncio.wait(self._byes, timeout=LAST_BYES)
            members = [child for child in self.children if child.spec.role in roles]
            await asyncio.gather(*(child.stop(now=now) for child in members), *self._stop_leftovers(roles))
        for task in self._byes:
            task.cancel()
        await asyncio.gather(*self._running)
        self.phase = "stopped"
        self._screen.say("Stopped.")

    async def _drain(self, cards: list[str]) -> int:
        await drain.close_the_door(self._run)
        waiting = asyncio.ensure_future(
            drain.wait_for_calls(self._run, cards, self._drain_seconds, self._tell_calls),
        )
        hurry = asyncio.ensure_future(self._now.wait())
        try:
            await asyncio.wait({waiting, hurry}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else len(cards)
        finally:
            for task in (waiting, hurry):
                task.cancel()
            await asyncio.gather(waiting, hurry, return_exceptions=True)

    def _tell_calls(self, calls: int) -> None:
        word = "call" if calls == 1 else "calls"
        self._screen.say(
            f"No new calls; waiting for {calls} {word} to end, up to {self._drain_seconds:g} s. Press Ctrl-C again to stop now."
        )

    def _stop_leftovers(self, roles: tuple[Role, ...]) -> list[Awaitable[object]]:
        found: list[Awaitable[object]] = []
        for record, process in self._leftovers.values():
            if record.role in roles:
                found.append(_end(process))
        return found


async def _end(process: Process) -> None:
    for number in (signal.SIGINT, signal.SIGKILL):
        process.send(number)
        done, _ = await asyncio.wait({process.exited}, timeout=10.0)
        if done:
            return
